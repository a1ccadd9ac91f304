"""A run on disk: one folder a stage, and in it a manifest that is written last.

No manifest: not finished. Other inputs, another recipe section or another format version: stale. Another git commit: neither.
A finished stage whose files no longer match their hashes is damaged; it is moved aside, never trusted and never deleted. If only its last
checkpoint is, that one is moved aside and the stage reopened, to go on from the one before.
"""
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

FORMAT_VERSION = 1
BEGUN = "begun.json"  # what an unfinished stage was begun from; it goes once the manifest is there
VOLATILE = {"metrics.jsonl", "manifest.json", BEGUN}  # they hold clocks or pass away, so no hash looks at them
State = Literal["finished", "unfinished", "stale", "damaged"]


class RunError(ValueError):
    """A run directory that cannot be used as asked: the message names path, what was found and the fix."""


@dataclass(frozen=True)
class Manifest:
    """What a finished stage was made from and what it left: paths are relative to the run directory, hashes are SHA-256."""

    stage: str
    command: str
    recipe_hash: str
    seed: int
    commit: str
    dirty: bool
    inputs: dict[str, str]
    outputs: dict[str, str]
    versions: dict[str, str]
    device: str
    started: str
    seconds: float
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class RunDir:
    """The folder of one run."""

    path: Path

    def stage(self, name: str) -> Path:
        return self.path / name

    def manifest(self, stage: str) -> Manifest | None:
        path = self.stage(stage) / "manifest.json"
        if not path.is_file():
            return None
        try:
            return Manifest(**json.loads(path.read_text(encoding="utf-8")))
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
            raise RunError(f"{path}: not a readable manifest ({error}); move the folder {path.parent} away and run again") from None

    def inputs_from(self, stages: tuple[str, ...]) -> dict[str, str]:
        """The output hashes of the finished stages that another stage stands on."""
        found = {}
        for stage in stages:
            manifest = self.manifest(stage)
            if manifest is None:
                raise RunError(f"{self.stage(stage)} is not finished, and a later stage needs it: "
                               f"run `pharmgpt run --out {self.path}` again")
            found |= manifest.outputs
        return found

    def state(self, stage: str, recipe_hash: str, inputs: Mapping[str, str]) -> State:
        manifest = self.manifest(stage)
        if manifest is None:
            return "unfinished"
        if self.is_stale(stage, recipe_hash, inputs):
            return "stale"
        return "damaged" if self.damaged_files(manifest) else "finished"

    def is_stale(self, stage: str, recipe_hash: str, inputs: Mapping[str, str]) -> bool:
        """Whether a finished stage was made from something else."""
        manifest = self.manifest(stage)
        return (manifest.recipe_hash, manifest.inputs, manifest.format_version) != (recipe_hash, dict(inputs), FORMAT_VERSION)

    def damaged_files(self, manifest: Manifest) -> list[str]:
        return [name for name, digest in manifest.outputs.items()
                if not (self.path / name).is_file() or sha256(self.path / name) != digest]

    def finish(self, stage: str, *, recipe_hash: str, seed: int, inputs: Mapping[str, str], device: str, started: float,
               seconds: float) -> Manifest:
        """Hash what the stage left and write its manifest, last and atomically. `seconds` is no difference of clock times: clocks jump."""
        commit, dirty = git_state()
        self._sync(stage)
        manifest = Manifest(
            stage=stage, command=" ".join(sys.argv), recipe_hash=recipe_hash, seed=seed, commit=commit, dirty=dirty, inputs=dict(inputs),
            outputs=self.output_hashes(stage), versions=installed_versions(), device=device,
            started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)), seconds=round(seconds, 2),
        )
        write_atomically(self.stage(stage) / "manifest.json", json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n")
        (self.stage(stage) / BEGUN).unlink(missing_ok=True)
        return manifest

    def begin(self, stage: str, recipe_hash: str, inputs: Mapping[str, str]) -> None:
        """Note what a stage is begun from, before its first byte is written, and clear away what a kill left half written."""
        for path in list(self.stage(stage).rglob("*.tmp")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        write_atomically(self.stage(stage) / BEGUN, json.dumps(_origin(recipe_hash, inputs)) + "\n")

    def reopen(self, stage: str, recipe_hash: str, inputs: Mapping[str, str]) -> None:
        """Make a finished stage an unfinished one again, begun from the same."""
        write_atomically(self.stage(stage) / BEGUN, json.dumps(_origin(recipe_hash, inputs)) + "\n")
        (self.stage(stage) / "manifest.json").unlink()

    def begun_otherwise(self, stage: str, recipe_hash: str, inputs: Mapping[str, str]) -> bool:
        """Whether an unfinished stage was begun from something else, so that its checkpoints must not be continued."""
        if not self.stage(stage).is_dir():
            return False
        try:
            return json.loads((self.stage(stage) / BEGUN).read_text(encoding="utf-8")) != _origin(recipe_hash, inputs)
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            return True

    def output_hashes(self, stage: str) -> dict[str, str]:
        files = sorted(path for path in self.stage(stage).rglob("*") if path.is_file() and path.name not in VOLATILE)
        return {str(path.relative_to(self.path)): sha256(path) for path in files}

    def _sync(self, stage: str) -> None:
        """All that the manifest will name is on the disk before the manifest is."""
        folder = self.stage(stage)
        for path in [*folder.rglob("*"), folder, folder.parent, self.path]:
            _sync(path)

    def set_aside(self, stage: str, why: str) -> Path:
        """Move a stage's folder to <stage>.<why>-N, so that nothing is lost; returns where it went."""
        source = self.stage(stage)
        target = next(path for n in range(1, 10_000) if not (path := source.with_name(f"{source.name}.{why}-{n}")).exists())
        source.rename(target)
        return target

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process; a second one is refused instead of writing into the first one's files.

        The system holds the lock and drops it when the process ends, however it ends: the file alone means nothing.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "a+", encoding="utf-8") as file:
            file.seek(0)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"{self.path} is in use by another pharmgpt run (process {file.read().strip() or 'unknown'}); wait for it, "
                               "stop it with Ctrl-C (it saves first), or give another --out") from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield


def _origin(recipe_hash: str, inputs: Mapping[str, str]) -> dict:
    return {"format_version": FORMAT_VERSION, "recipe_hash": recipe_hash, "inputs": dict(inputs)}


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Have a file's content, or a folder's names, reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def git_state() -> tuple[str, bool]:
    """The commit of the code that runs, and whether it was changed since; ("", False) outside a checkout."""
    here = Path(__file__).parent

    def git(*args: str) -> str:
        return subprocess.run(["git", "-C", str(here), *args], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "", False


def installed_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("pharmgpt", "torch", "numpy", "tokenizers", "safetensors", "pydantic"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def newest_run(root: Path) -> Path:
    """The run finished last under `root` (results.json is written last)."""
    finished = sorted(root.glob("*/results.json"), key=lambda path: path.stat().st_mtime)
    if not finished:
        raise RunError(f"no finished run under {root}/: make one with `pharmgpt run tiny`, or name one with --run DIR")
    return finished[-1].parent
