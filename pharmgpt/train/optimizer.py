"""Muon for the hidden matrices, AdamW for embeddings, head, norms and scalar heads; one schedule; one guarded update.

Muon (Jordan et al. 2024) orthogonalises each matrix's momentum; it costs about a tenth of a small step and still wins per second.
"""
import math
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from pharmgpt.model.checkpoint import save_tensors, save_weights, write_json
from pharmgpt.model.device import EAGER, Device
from pharmgpt.train.parallel import ALONE, Ranks


class OptimizerConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    muon_lr: PositiveFloat = 0.02
    muon_momentum: float = Field(0.95, ge=0, lt=1)  # Jordan's; a run of some hundred steps learns more with .8
    muon_weight_decay: NonNegativeFloat = 0.0
    adamw_lr: PositiveFloat = 3e-3
    adamw_betas: tuple[float, float] = (0.9, 0.95)
    adamw_weight_decay: NonNegativeFloat = 0.0
    warmup_steps: NonNegativeInt = 0
    cooldown_fraction: float = Field(0.5, ge=0, le=1)  # the last part of the steps, over which rates fall linearly to 0
    clip_norm: PositiveFloat = 1.0


class StackedMuon(Muon):
    """torch.optim.Muon, the same to rounding, with matrices of one shape orthogonalised together, in the device's dtype: one by one they
    are too small for two cores (54 ms a step became 30 ms at 4M parameters). State and groups are those of torch's. Ranks put their pieces
    of each matrix together, because an orthogonal whole has no orthogonal pieces; all do the same work on it and keep their own piece."""

    def __init__(self, matrices: list[nn.Parameter], *, device: Device = EAGER, ranks: Ranks = ALONE, **settings: float):
        super().__init__(sorted(matrices, key=lambda matrix: tuple(matrix.shape)), **settings)
        self.dtype, self.ranks = device.autocast_dtype or torch.float32, ranks
        self.orthogonalised = device.captured(orthogonalised)
        self.found_inf: Tensor | None = None  # as in torch's fused optimisers: 1 on the device, and nothing is updated

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for shape, same in groupby((p for p in group["params"] if p.grad is not None), key=lambda p: p.shape):
                self._update(list(same), shape, group)

    def _update(self, matrices: list[nn.Parameter], shape: torch.Size, group: dict) -> None:
        gradients = [matrix.grad for matrix in matrices]
        momenta = [self._momentum(matrix) for matrix in matrices]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        nesterov = torch._foreach_lerp(gradients, momenta, group["momentum"])
        whole = torch.stack([self.ranks.whole(each) for each in nesterov])
        direction = self.orthogonalised(whole.to(self.dtype), group["ns_coefficients"], group["ns_steps"])  # (N, rows, columns)
        held, decay = self.found_inf, group["lr"] * group["weight_decay"]
        if held is not None:
            direction, decay = torch.where(held > 0, 0.0, direction), decay * (1 - held)
        torch._foreach_mul_(matrices, 1 - decay)
        scale = math.sqrt(max(1, shape[0] / shape[1]))
        pieces = [self.ranks.piece(each, matrix) for each, matrix in zip(direction.to(matrices[0].dtype), matrices, strict=True)]
        torch._foreach_add_(matrices, pieces, alpha=-group["lr"] * scale)

    def _momentum(self, matrix: nn.Parameter) -> Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        return state["momentum_buffer"]


def orthogonalised(x: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """Each matrix of (N, rows, columns) with singular values near 1: the quintic Newton-Schulz iteration of Jordan et al. 2024."""
    a, b, c = coefficients
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2).contiguous() if tall else x
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)  # (N, rows, rows)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


class NonFiniteError(ArithmeticError):
    """A loss, gradient, score, log-probability, reward or value is not a finite number. The weights were not touched; the message names
    the replay bundle."""


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(hidden matrices, everything else): every trained parameter once."""
    matrices, rest = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if ".layers." in f".{name}" and parameter.ndim == 2 else rest).append(parameter)
    return matrices, rest


def make_optimizers(model: nn.Module, config: OptimizerConfig, device: Device = EAGER, ranks: Ranks = ALONE) -> dict[str, Optimizer]:
    matrices, rest = split_parameters(model)
    muon = StackedMuon(matrices, lr=config.muon_lr, momentum=config.muon_momentum, weight_decay=config.muon_weight_decay,
                       device=device, ranks=ranks)
    return {"muon": muon,
            "adamw": AdamW(rest, lr=config.adamw_lr, betas=config.adamw_betas, weight_decay=config.adamw_weight_decay, fused=True)}


def lr_scale(step: int, steps: int, config: OptimizerConfig) -> float:
    """The share of its full rate that update `step` (from 0) of `steps` takes: linear warm-up, flat, linear cooldown; never 0."""
    warm = min(1.0, (step + 1) / (config.warmup_steps + 1))
    cooldown = config.cooldown_fraction * steps
    return min(warm, (steps - step) / cooldown) if cooldown and steps - step < cooldown else warm


def set_lr(optimizers: dict[str, Optimizer], config: OptimizerConfig, scale: float) -> None:
    for name, full in (("muon", config.muon_lr), ("adamw", config.adamw_lr)):
        for group in optimizers[name].param_groups:
            group["lr"] = full * scale


class Replay:
    """The step about to be taken, with the rows of all ranks: written to disk only if it fails."""

    def __init__(self, out: Path, step: int, model: nn.Module, tensors: dict[str, Tensor]):
        self.out, self.step, self.model, self.tensors = out, step, model, tensors

    def write(self, largest: Mapping[str, float], ranks: Ranks) -> Path:
        folder = self.out / f"replay-{self.step:06d}"
        weights = ranks.gathered(self.model.state_dict())
        if ranks.leads:
            save_weights(weights, self.model, folder)
            save_tensors(self.tensors, folder / "batch.safetensors")
            write_json({"step": self.step} | {name: repr(value) for name, value in largest.items()}, folder / "replay.json")
        ranks.wait()  # a rank that ends takes the others with it
        return folder


class Guard:
    """Lets no update be made of what is not finite: raises NonFiniteError with a replay bundle, or hands on the loss to `watch`.

    On the CPU it looks before each update. A GPU is not waited for: there `held` turns 1 on the device, which holds back this update and
    every later one, and the host looks one check later, when the numbers have long arrived. `settle` looks at the last of them.
    What is not finite at one rank stops all ranks at the same step.
    """

    def __init__(self, device_type: str, watch: Callable[[int, float], None] | None = None, ranks: Ranks = ALONE):
        self.watch, self.ranks = watch or (lambda step, loss: None), ranks
        self.held = torch.zeros((), device=device_type) if device_type == "cuda" else None
        self.pending: tuple[Tensor, torch.cuda.Event, list[str], Replay] | None = None

    def check(self, tensors: Mapping[str, Tensor], replay: Replay) -> None:
        """All of `tensors` in one look: the largest magnitude of each, because what is not finite wins every maximum."""
        largest = self.ranks.not_finite_anywhere(torch.stack([tensor.detach().abs().max().float() for tensor in tensors.values()]))
        if self.held is None:
            self._look(largest.tolist(), list(tensors), replay)
            return
        torch.maximum(self.held, (~largest.isfinite()).any().float(), out=self.held)
        self.settle()
        self.pending = (*_on_its_way(largest), list(tensors), replay)

    def settle(self) -> None:
        """Wait for what is not yet looked at, and look."""
        if self.pending is not None:
            (found, arrived, names, replay), self.pending = self.pending, None
            arrived.synchronize()
            self._look(found.tolist(), names, replay)

    def _look(self, found: list[float], names: list[str], replay: Replay) -> None:
        largest = dict(zip(names, found, strict=True))
        if not all(map(math.isfinite, found)):
            said = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in largest.items())
            raise NonFiniteError(f"step {replay.step}: {said}; the weights were not updated. The batch and the weights before it are in "
                                 f"{replay.write(largest, self.ranks)}. Lower the learning rates, or look at that batch.")
        if "loss" in largest:
            self.watch(replay.step + 1, largest["loss"])


def _on_its_way(x: Tensor) -> tuple[Tensor, torch.cuda.Event]:
    """A copy on the host, and the event that tells when it has arrived."""
    there, arrived = torch.empty(x.shape, dtype=x.dtype, pin_memory=True).copy_(x, non_blocking=True), torch.cuda.Event()
    arrived.record()
    return there, arrived


def take_step(loss: Tensor, model: nn.Module, optimizers: dict[str, Optimizer], clip_norm: float, replay: Replay, guard: Guard,
              also: Mapping[str, Tensor] | None = None, adds: bool = False) -> Tensor:
    """Backward (which `adds` to the gradient that is there, or begins a new one), clip, check (the loss, the gradient and `also`), update.
    Returns the gradient norm before clipping. What is not finite changes no weight; `guard` says when NonFiniteError comes."""
    if not adds:
        for optimizer in optimizers.values():
            optimizer.zero_grad(set_to_none=True)
    loss.backward()
    guard.ranks.add_up_gradients(model.parameters())
    grad_norm = guard.ranks.whole(nn.utils.clip_grad_norm_(model.parameters(), clip_norm, foreach=True))
    guard.check({"loss": loss, "gradient_norm": grad_norm} | (also or {}), replay)
    for optimizer in optimizers.values():
        optimizer.found_inf = guard.held  # what torch's GradScaler sets: fused AdamW updates nothing where it is 1
        optimizer.step()
    return grad_norm
