"""How much memory a run needs at the least, how much there is, and what to say when it is not enough.

The need counts weights, gradients, optimiser states and what one step of training was seen to hold besides, rounded down: of a measured
step on the CPU it was 75 to 92 %. So a run that is refused could not have worked, and one that is let through may still run out.
"""
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from pharmgpt.model.transformer import ModelConfig
from pharmgpt.run.recipe import Recipe

FP32 = 4
HELD_IN_TRAINING = 4  # numbers a parameter: weight, gradient, and two of AdamW
HELD_WITH_MUON = 3  # Muon has one, for most parameters
# What a step holds on the CPU, in fp32 numbers: a token and word of the vocabulary, a token, layer and width of the residual stream, a
# token, layer and width of the MLP, a pair of tokens, layer and head. On a GPU bf16 halves the middle two, and no pairs are held.
LOGITS, RESIDUAL, MLP, SCORES = 4, 16, 5, 3
SMALLER = "pretrain.rows, pretrain.row_tokens or pretrain.model.d_model (and the same keys of sft, reward and ppo.update)"


class OutOfMemory(MemoryError):
    """Memory ran out, or will: the message says how much was needed and which keys of the recipe lower it."""


def parameter_count(recipe: Recipe) -> int:
    model = recipe["pretrain"].model
    layer = model.d_model * (2 * model.n_heads + 2 * model.n_kv_heads) * model.head_dim + 3 * model.d_model * model.d_ff
    embeddings = (1 if model.tied_embeddings else 2) * model.d_model * recipe["tokenizer"].vocab_size
    return model.n_layers * layer + embeddings


def needed_bytes(recipe: Recipe, device_type: str) -> dict[str, int]:
    """The least that each training stage holds at its peak."""
    parameters, update = parameter_count(recipe), recipe["ppo"].update

    def step(rows: int, row_tokens: int, has_logits: bool = False) -> int:
        """Few of SFT's tokens reach the head, none of the judge's and the critic's."""
        words = LOGITS * recipe["tokenizer"].vocab_size if has_logits else 0
        return rows * row_tokens * (words + held_a_token(recipe["pretrain"].model, row_tokens, device_type)) * FP32

    trained = HELD_WITH_MUON * parameters * FP32
    actor_and_critic = (HELD_WITH_MUON + HELD_IN_TRAINING) * parameters * FP32
    standing = 3 * parameters * FP32  # the reference, the mean of the policies, the judge
    pretrain, sft, reward = (recipe[name] for name in ("pretrain", "sft", "reward"))
    in_ppo = max(step(update.rows, update.row_tokens, has_logits=True), step(update.critic_rows, update.critic_row_tokens))
    return {"pretrain": trained + step(pretrain.rows, pretrain.row_tokens, has_logits=True),
            "sft": trained + step(sft.rows, sft.row_tokens), "reward": trained + step(reward.rows, reward.row_tokens),
            "ppo": actor_and_critic + standing + in_ppo}


def held_a_token(model: ModelConfig, row_tokens: int, device_type: str) -> int:
    """Numbers that the layers keep for the way back."""
    widths = RESIDUAL * model.d_model + MLP * model.d_ff
    return model.n_layers * (widths // 2 if device_type == "cuda" else widths + SCORES * model.n_heads * row_tokens)


def available_bytes(device_type: str) -> int | None:
    """What this process may still take; None where the system does not say."""
    if device_type == "cuda":
        return torch.cuda.mem_get_info()[0]
    found = [size for size in (_meminfo_available(), _cgroup_left()) if size is not None]
    return min(found, default=None)


def require_memory(needed: Mapping[str, int], available: int | None) -> None:
    """Refuse stages that cannot fit, before the first of them starts."""
    stage = max(needed, key=needed.get, default=None)
    if stage is not None and available is not None and needed[stage] > available:
        raise OutOfMemory(f"{stage} needs at least {needed[stage] / 1e9:.1f} GB of memory and {available / 1e9:.1f} GB are free: "
                          f"end other programs, or lower {SMALLER}")


@contextmanager
def memory_trouble_told(stage: str) -> Iterator[None]:
    """Turn what Python, the CPU allocator and CUDA say when memory runs out into one message with advice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f"{stage} ran out of memory: end other programs, or lower {SMALLER}; what was finished is kept") from error


def is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def _meminfo_available() -> int | None:
    path = Path("/proc/meminfo")
    if not path.is_file():
        return None
    lines = dict(line.split(":", 1) for line in path.read_text(encoding="ascii").splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


def _cgroup_left() -> int | None:
    """A container's own limit, which /proc/meminfo does not know. What it caches of files it gives back."""
    limit, use = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.stat"))
    if not (limit.is_file() and use.is_file()) or (most := limit.read_text(encoding="ascii").strip()) == "max":
        return None
    return int(most) - int(dict(line.split() for line in use.read_text(encoding="ascii").splitlines())["anon"])
