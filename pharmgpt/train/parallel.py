"""Several processes, the ranks, that train one model: `torchrun --nproc-per-node N -m pharmgpt run …` starts N of them.

A recipe means the same for any number of ranks. Every rank lays out the whole batch, a pure function of (seed, step), and takes each
size-th row of it, so nothing is read twice or left out; `rows` counts the rows of all ranks. Losses and gradients are SUMS over ranks of
parts that are already weighted with what they counted, so a rank with few counted tokens pulls no harder than they do. Weights and
optimiser states are cut up by PyTorch's FSDP2; on disk they are whole, as one rank leaves them. Left out: tensor and pipeline parallelism,
sharded files, and going on with fewer ranks when one dies (the job ends; started again, it resumes with any number).
"""
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pharmgpt.model.transformer import Transformer
from pharmgpt.train.batches import Batch, BatchError

R = TypeVar("R", Tensor, Sequence)
PATIENCE = timedelta(minutes=20)  # for a rank that lives and does not come to a common step: the first one may compile for minutes
PATIENCE_FOR_WORDS = timedelta(days=2)  # for what the leader does alone: corpus, exams, files


class RankLost(RuntimeError):
    """Another rank ended, so this one cannot go on."""


@dataclass(frozen=True)
class Ranks:
    """Which of `size` processes this one is. With one, every method hands back what it is given, and nobody is asked."""

    rank: int = 0
    size: int = 1
    words: dist.ProcessGroup | None = None  # for a few numbers on the host: patient, and no GPU is waited for

    @property
    def leads(self) -> bool:
        """Whether this rank prints and writes."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Which entries of a batch or a list this rank does: each size-th."""
        return slice(self.rank, None, self.size)

    def own(self, rows: R) -> R:
        return rows if self.size == 1 else rows[self.share]

    def own_rows(self, batch: Batch) -> Batch:
        return batch if self.size == 1 else batch.take(self.share)

    def require_equal_shares(self, rows: int, key: str) -> None:
        if rows % self.size:
            raise BatchError(f"{key}: {rows} rows cannot be shared equally among {self.size} ranks; use a multiple of {self.size}.")

    def summed(self, x: Tensor) -> Tensor:
        """The sum over ranks, the same to the bit on all. Gradients are not: each rank's reaches its own part, and weights add them up."""
        return x if self.size == 1 else Summed.apply(x)

    def mean(self, own: Tensor, counted: Tensor, counted_by_all: Tensor) -> Tensor:
        """The mean over what all ranks counted, from the mean over what this one did."""
        return own if self.size == 1 else self.summed(own * (counted / counted_by_all.clamp(min=1)))

    def joined(self, own: Tensor, count: int) -> Tensor:
        """All `count` rows, in order, from the ones that each rank did."""
        if self.size == 1:
            return own
        rows = own.new_zeros(count, *own.shape[1:])
        rows[self.share] = own
        return self.summed(rows)

    def largest(self, x: Tensor) -> Tensor:
        if self.size > 1:
            dist.all_reduce(x := x.detach().clone(), dist.ReduceOp.MAX)
        return x

    def not_finite_anywhere(self, x: Tensor) -> Tensor:
        """`x` ≥ 0, with what is not finite at any rank put in its place: so all ranks stop, or none."""
        if self.size == 1:
            return x
        total = self.summed(x)
        return torch.where(total.isfinite(), x, total)

    def add_up_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Of weights that each rank holds whole, in one message. Of those in pieces FSDP has already done it."""
        if self.size == 1:
            return
        from torch.distributed.tensor import DTensor
        found = [weight.grad for weight in weights if weight.grad is not None and not isinstance(weight, DTensor)]
        if found:
            total = self.summed(torch.cat([gradient.flatten() for gradient in found]))
            sums = total.split([gradient.numel() for gradient in found])
            torch._foreach_copy_(found, [each.view_as(gradient) for each, gradient in zip(sums, found, strict=True)])

    def agreed(self, number: int) -> int:
        """The leader's number. Whoever waits for it waits for days."""
        return self._words(number if self.leads else 0)

    def any(self, said: bool) -> bool:
        return bool(self._words(int(said)))

    def wait(self) -> None:
        """Until all ranks are here."""
        self._words(0)

    def _words(self, number: int) -> int:
        if self.size > 1:
            dist.all_reduce(told := torch.tensor(number), group=self.words)
            return int(told)
        return number

    def whole(self, x: Tensor) -> Tensor:
        """A tensor that ranks hold in pieces, put together; all of them must ask."""
        if self.size == 1:
            return x
        from torch.distributed.tensor import DTensor
        return x.full_tensor() if isinstance(x, DTensor) else x

    def gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors on the leader's host, one after the other, and nothing elsewhere; all ranks must ask."""
        if self.size == 1:
            return dict(tensors)
        found = {}
        for name, tensor in tensors.items():
            whole = self.whole(tensor.detach())
            if self.leads:
                found[name] = whole.cpu()
        return found

    def piece(self, x: Tensor, like: Tensor) -> Tensor:
        """This rank's piece of a whole tensor that every rank holds, cut as `like` is cut."""
        if self.size == 1:
            return x
        from torch.distributed.tensor import DTensor, distribute_tensor
        if not isinstance(like, DTensor) or like.shape != x.shape:
            return x
        return distribute_tensor(x.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


ALONE = Ranks()


class Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        total = x.detach().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


def sharded(model: nn.Module, ranks: Ranks, device_type: str) -> nn.Module:
    """The same model with every weight cut up among the ranks: a block's come together while it works. Gradients are added up."""
    if ranks.size == 1:
        return model
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
    mesh = init_device_mesh(device_type, (ranks.size,))
    for part in (*model.model.layers, model):
        fully_shard(part, mesh=mesh)
        part.set_gradient_divide_factor(1.0)  # else FSDP takes means
        part.set_force_sum_reduction_for_comms(True)  # gloo knows sums only
    if isinstance(model, Transformer):
        register_fsdp_forward_method(model, "hidden")  # a loss calls it in forward's place
    return model


@contextmanager
def ranks_of_torchrun() -> Iterator[Ranks]:
    """Those that torchrun started; one, and no word to anybody, where it did not."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    ranks = Ranks(dist.get_rank(), size, dist.new_group(backend="gloo", timeout=PATIENCE_FOR_WORDS))
    try:
        yield ranks
    except RuntimeError as error:
        if not _tells_of_a_lost_rank(error):
            raise
        raise RankLost(f"rank {ranks.rank} cannot go on: another rank ended. It said why, or was killed; the same command goes on from "
                       "the last checkpoint") from None
    ranks.wait()
    dist.destroy_process_group()


def _tells_of_a_lost_rank(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)
