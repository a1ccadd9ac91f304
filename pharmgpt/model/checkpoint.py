"""A model on disk: weights.safetensors and model.json. What a model is travels with its weights; nothing here can execute code.

model.json is written last and holds the weights' SHA-256, so a torn or altered pair is noticed and named instead of answering nonsense.
"""
import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pharmgpt.model.scalar_head import RewardModel, ValueModel
from pharmgpt.model.transformer import ModelConfig, Transformer

WEIGHTS, DESCRIPTION = "weights.safetensors", "model.json"
KINDS = (Transformer, RewardModel, ValueModel)


class CheckpointError(ValueError):
    """A checkpoint that is missing or damaged: the message names the file, what was found and the fix."""


def save_model(model: nn.Module, folder: Path) -> None:
    """Write `model` (with `.config` and `.kind`) into `folder`; each file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = save_tensors(model.state_dict(), folder / WEIGHTS)
    write_json({"format": 1, "kind": model.kind, "config": model.config.model_dump(), "weights_sha256": digest}, folder / DESCRIPTION)


def load_model(folder: Path, kinds: Sequence[type[nn.Module]] = KINDS) -> nn.Module:
    """Read the model that `folder` holds, on CPU in fp32; its kind is looked up among `kinds` by their `.kind`."""
    description = read_description(folder)
    by_name = {kind.kind: kind for kind in kinds}
    if description["kind"] not in by_name:
        raise CheckpointError(f"{folder / DESCRIPTION}: kind is {description['kind']!r}; expected one of {', '.join(by_name)}.")
    try:
        config = ModelConfig(**description["config"])
    except ValidationError as error:
        first = error.errors()[0]
        raise CheckpointError(f"{folder / DESCRIPTION}: config.{first['loc'][0] if first['loc'] else ''}: {first['msg']}. "
                              "Take the file from the run that wrote the weights.") from None
    model = by_name[description["kind"]](config)
    load_weights(model, folder)
    return model


def load_weights(model: nn.Module, folder: Path) -> None:
    """Fill `model` in place from `folder`, checking the weights' hash and every shape."""
    tensors = load_tensors(folder / WEIGHTS, read_description(folder)["weights_sha256"])
    expected = model.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        found, wanted = _shape(tensors.get(name)), _shape(expected.get(name))
        if found != wanted:
            raise CheckpointError(f"{folder / WEIGHTS}: {name} is {found}, but {DESCRIPTION} describes {wanted}. "
                                  "The two files come from different models; restore the pair that was written together.")
    model.load_state_dict(tensors)


def read_description(folder: Path) -> dict:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file. A checkpoint is a folder with {WEIGHTS} and {DESCRIPTION}.")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}). The checkpoint is damaged; use an older step or run the stage again.") from None
    missing = [key for key in ("kind", "config", "weights_sha256") if not isinstance(description, dict) or key not in description]
    if missing:
        raise CheckpointError(f"{path}: lacks {', '.join(missing)}. The checkpoint is damaged; use an older step or run the stage again.")
    return description


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> str:
    """Write a safetensors file whole (temporary file, fsync, rename); returns its SHA-256."""
    # Not save_file: on a full disk it raises an error of its own, which is no OSError.
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    _sync(temporary)
    os.replace(temporary, path)
    return hashlib.sha256(content).hexdigest()


def load_tensors(path: Path, digest: str) -> dict[str, Tensor]:
    """Read a safetensors file whose SHA-256 must be `digest`."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file. Use an older step or run the stage again.")
    found = sha256(path)
    if found != digest:
        raise CheckpointError(f"{path}: damaged: its SHA-256 is {found[:12]}…, but {digest[:12]}… was written. "
                              "Use an older step or run the stage again.")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error}). Use an older step or run the stage again.") from None


def write_json(value: object, path: Path) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    _sync(temporary)
    os.replace(temporary, path)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else "×".join(map(str, tensor.shape))
