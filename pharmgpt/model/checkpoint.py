"""A model on disk: weights.safetensors and model.json. What a model is travels with its weights; nothing here can execute code.

model.json is written last and holds the weights' SHA-256, so a torn or altered pair is noticed and named instead of answering nonsense.
A sealed folder also holds SHA256SUMS, so that one changed bit in any of its files is noticed (`sha256sum -c` reads it too).
Whatever is written appears whole or not at all, also after a power cut: temporary name, fsync, rename, fsync of the folder.
"""
import contextlib
import hashlib
import json
import os
import re
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

WEIGHTS, DESCRIPTION, SUMS = "weights.safetensors", "model.json", "SHA256SUMS"
KINDS = (Transformer, RewardModel, ValueModel)


class CheckpointError(ValueError):
    """A checkpoint that is missing or damaged: the message names the file, what was found and the fix."""


def save_model(model: nn.Module, folder: Path, **more: object) -> None:
    """Write `model` (with `.config` and `.kind`) into `folder`; each file appears whole or not at all. `more` goes into model.json."""
    save_weights(model.state_dict(), model, folder, **more)


def save_weights(weights: Mapping[str, Tensor], model: nn.Module, folder: Path, **more: object) -> None:
    """`weights` as those of `model`, which may hold a piece of each only."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = save_tensors(weights, folder / WEIGHTS)
    described = {"format": 1, "kind": model.kind, "config": model.config.model_dump(), "weights_sha256": digest}
    write_json(described | more, folder / DESCRIPTION)


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
    model.load_state_dict(read_weights(model, folder))


def read_weights(model: nn.Module, folder: Path) -> dict[str, Tensor]:
    """The weights of `folder`, whose hash and shapes are those that `model` needs."""
    tensors = load_tensors(folder / WEIGHTS, read_description(folder)["weights_sha256"])
    expected = model.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        found, wanted = _shape(tensors.get(name)), _shape(expected.get(name))
        if found != wanted:
            raise CheckpointError(f"{folder / WEIGHTS}: {name} is {found}, but {DESCRIPTION} describes {wanted}. "
                                  "The two files come from different models; restore the pair that was written together.")
    return tensors


def read_description(folder: Path) -> dict:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file. A checkpoint is a folder with {WEIGHTS} and {DESCRIPTION}.")
    if (folder / SUMS).is_file() and sum_line(path) not in (folder / SUMS).read_text(encoding="utf-8", errors="replace"):
        raise CheckpointError(f"{path}: damaged: its SHA-256 is not the one in {SUMS}. Use an older step or run the stage again.")
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
    _commit(temporary, path)
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
    _commit(temporary, path)


def seal(folder: Path) -> None:
    """Write the checksums of all that `folder` holds, last."""
    temporary = folder / f"{SUMS}.tmp"
    sums = _sums(folder)
    temporary.write_text(sums, encoding="utf-8")
    _commit(temporary, folder / SUMS)


def require_intact(folder: Path) -> None:
    """Every byte of a sealed folder is as it was written, the checksums' own included; else CheckpointError names the damaged files."""
    try:
        written, found = (folder / SUMS).read_bytes(), _sums(folder).encode()
    except OSError as error:
        raise CheckpointError(f"{error.filename or folder}: cannot be read ({error.strerror})") from None
    if written == found:
        return
    damaged = _differing_names(written, found)
    raise CheckpointError(f"{folder / damaged[0]}: damaged: its SHA-256 is not the one that {SUMS} holds"
                          + (f" ({len(damaged)} files: {', '.join(damaged)})" if len(damaged) > 1 else ""))


def _differing_names(written: bytes, found: bytes) -> list[str]:
    """Whose lines differ; where `written` is no list of checksums, the list itself."""
    if not re.fullmatch(rb"([0-9a-f]{64}  [\w.-]+\n)+", written):
        return [SUMS]
    return sorted({line.rpartition(b"  ")[2].decode() for line in set(written.splitlines()) ^ set(found.splitlines())})


def sum_line(path: Path) -> str:
    return f"{sha256(path)}  {path.name}\n"


def _sums(folder: Path) -> str:
    """Of all files but hidden ones, which desktops and network disks strew about."""
    named = (path for path in sorted(folder.iterdir()) if not path.name.startswith((SUMS, ".")))
    return "".join(map(sum_line, named))


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        sync(temporary)
        if path.exists():
            remove_folder(path)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Delete a folder so that a kill in the middle leaves no half of it under its name."""
    doomed = path.with_name(f".{path.name}.old.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    os.replace(path, doomed)
    shutil.rmtree(doomed)


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have a file's content, or a folder's names, reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _commit(temporary: Path, path: Path) -> None:
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else "×".join(map(str, tensor.shape))
