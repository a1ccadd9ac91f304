"""All that a resume needs, as one folder a step: out/step-NNNNNN/{weights.safetensors model.json optimizer.safetensors state.json
SHA256SUMS}.

A stage killed at any time and started again ends with bit-identical weights: a step folder appears whole or not at all, the data order
is a pure function of (seed, step), and random generators are restored. The stage's result is its newest step. A step whose checksums no
longer hold is moved to <stage>.damaged-N beside the stage, and the stage goes on from the step before.
"""
import itertools
import json
import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pharmgpt.model.checkpoint import (
    CheckpointError, atomic_folder, load_tensors, read_weights, remove_folder, require_intact, save_tensors, save_weights, seal, write_json,
)
from pharmgpt.run.metrics import Log
from pharmgpt.train.optimizer import Guard
from pharmgpt.train.parallel import ALONE, Ranks

KEPT_STEPS = 2
OPTIMIZER, STATE = "optimizer.safetensors", "state.json"
STOPPED = "stopped"  # an empty file: this step was due to nobody, so it goes once there is a newer one


@dataclass
class TrainState:
    """What training changes. `model` is the stage's result; `modules` are others that learn beside it (a value model)."""

    model: nn.Module
    optimizers: dict[str, Optimizer]
    modules: dict[str, nn.Module] = field(default_factory=dict)
    generators: dict[str, torch.Generator] = field(default_factory=dict)
    extra: dict = field(default_factory=dict)  # JSON values: an adaptive coefficient, a best score
    facts: dict = field(default_factory=dict)  # JSON values that travel with the weights, in model.json: how a judge reads
    step: int = 0  # updates done
    ranks: Ranks = ALONE  # who hold the model's and the optimizers' pieces; on disk they are whole


def save(out: Path, state: TrainState, kept: int = KEPT_STEPS, due: bool = True) -> Path:
    """Write out/step-NNNNNN and delete all but the newest `kept` steps; returns the folder. One that is not `due` drives out none."""
    folder = step_folder(out, state.step)
    weights, tensors = state.ranks.gathered(state.model.state_dict()), state.ranks.gathered(_side_tensors(state))
    if state.ranks.leads:
        _write(folder, state, weights, tensors, due)
        _drop_old(out, kept)
    state.ranks.wait()  # nobody looks for a step that is not there yet
    return folder


def _write(folder: Path, state: TrainState, weights: dict[str, Tensor], tensors: dict[str, Tensor], due: bool) -> None:
    with atomic_folder(folder) as temporary:
        save_weights(weights, state.model, temporary, **state.facts)
        digest = save_tensors(tensors, temporary / OPTIMIZER)
        write_json({"format": 1, "step": state.step, "optimizer_sha256": digest, "extra": state.extra}, temporary / STATE)
        if not due:
            (temporary / STOPPED).touch()
        seal(temporary)


def save_when(due: bool, out: Path, state: TrainState, log: Log, guard: Guard) -> None:
    """The end of a step: save if it is time and all was finite; save and stop if somebody asked for it, at whichever rank."""
    stop = state.ranks.any(log.stop_asked())
    if due or stop:
        guard.settle()
        save(out, state, due=due)
    if stop:
        log.stop(state.step)


def resume(out: Path, state: TrainState) -> int:
    """Fill `state` in place from the newest valid step in `out`; returns its step, or 0. Moves damaged ones aside and names them."""
    step = state.ranks.agreed(_resume_alone(out, state) if state.ranks.leads else 0)
    if step and not state.ranks.leads:
        load(step_folder(out, step), state)
    return step


def _resume_alone(out: Path, state: TrainState) -> int:
    for folder in reversed(step_folders(out)):
        try:
            load(folder, state)
        except CheckpointError as error:
            logging.getLogger(__name__).warning("%s; moved to %s; trying the step before", error, quarantine(folder))
        else:
            _drop_old(out, KEPT_STEPS)
            return state.step
    return 0


def quarantine(folder: Path) -> Path:
    """Move a damaged step to <stage>.damaged-N/ beside its stage, so that nothing is lost and nothing hashes it; returns where it went."""
    out = folder.parent
    aside = next(path for n in itertools.count(1) if not (path := out.with_name(f"{out.name}.damaged-{n}")).exists())
    aside.mkdir()
    os.rename(folder, aside / folder.name)
    return aside / folder.name


def load(folder: Path, state: TrainState) -> None:
    """Fill `state` in place from one step folder. Every file is checked before anything is changed."""
    require_intact(folder)
    try:
        described = json.loads((folder / STATE).read_text(encoding="utf-8"))
        step, digest, extra = described["step"], described["optimizer_sha256"], described["extra"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / STATE}: cannot be read ({error!r}). Delete {folder.name} to resume from an older step.") from None
    tensors = load_tensors(folder / OPTIMIZER, digest)
    weights, held = read_weights(state.model, folder), state.model.state_dict()
    state.model.load_state_dict({name: state.ranks.piece(tensor, held[name]) for name, tensor in weights.items()})
    for name, optimizer in state.optimizers.items():
        _fill_optimizer(optimizer, _under(f"optimizer.{name}.", tensors), state.ranks)
    for name, module in state.modules.items():
        module.load_state_dict(_under(f"module.{name}.", tensors))
    for name, generator in state.generators.items():
        generator.set_state(tensors[f"generator.{name}"])
    state.extra, state.step = extra, step


def newest_step(out: Path) -> Path:
    """The folder of a finished stage's result."""
    folders = step_folders(out)
    if not folders:
        raise CheckpointError(f"{out}: holds no step-NNNNNN folder. Run the stage that writes it first.")
    return folders[-1]


def step_folder(out: Path, step: int) -> Path:
    return out / f"step-{step:06d}"


def step_folders(out: Path) -> list[Path]:
    """Oldest first."""
    found = [path for path in out.glob("step-*") if re.fullmatch(r"step-\d{6,}", path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def _drop_old(out: Path, kept: int) -> None:
    """What stays does not depend on where the run was stopped meanwhile, or a stopped run would not leave what an unbroken one leaves."""
    folders = step_folders(out)
    stopped = [folder for folder in folders if (folder / STOPPED).exists()]
    due = [folder for folder in folders if folder not in stopped]
    for old in [*due[:-kept], *(folder for folder in stopped if folder != folders[-1])]:
        remove_folder(old)


def _side_tensors(state: TrainState) -> dict[str, Tensor]:
    tensors = {f"generator.{name}": generator.get_state() for name, generator in state.generators.items()}
    for name, module in state.modules.items():
        tensors |= {f"module.{name}.{key}": tensor for key, tensor in module.state_dict().items()}
    for name, optimizer in state.optimizers.items():
        for index, slots in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}.{index}.{slot}": tensor for slot, tensor in slots.items()}
    return tensors


def _fill_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor], ranks: Ranks) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, slot = key.split(".", 1)
        slots.setdefault(int(index), {})[slot] = ranks.piece(tensor, parameters[int(index)])
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
