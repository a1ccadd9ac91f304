"""A disk that fails on demand: the k-th call to the system that can fail does, once or from then on; a failing write has written half."""
import builtins
import io
import os

import pytest

CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")


class Faults:
    """Counts calls while its `with` block runs. `fails_at` None: counts only."""

    def __init__(self, fails_at: int | None = None, error: int = 0, for_good: bool = False):
        self.fails_at, self.error, self.for_good = fails_at, error, for_good
        self.count, self.patch = 0, pytest.MonkeyPatch()

    def fails_now(self) -> bool:
        place, self.count = self.count, self.count + 1
        return self.fails_at is not None and (place >= self.fails_at if self.for_good else place == self.fails_at)

    def check(self) -> None:
        if self.fails_now():
            raise OSError(self.error, os.strerror(self.error))

    def __enter__(self) -> "Faults":
        for name in CALLS:
            self.patch.setattr(os, name, self.guarded(getattr(os, name)))
        opened = self.guarded_open(io.open)
        self.patch.setattr(io, "open", opened)
        self.patch.setattr(builtins, "open", opened)
        return self

    def __exit__(self, *_) -> None:
        self.patch.undo()

    def guarded(self, call):
        def guard(*arguments, **named):
            self.check()
            return call(*arguments, **named)
        return guard

    def guarded_open(self, call):
        def guard(path, mode="r", *arguments, **named):
            if "r" in mode and "+" not in mode:
                return call(path, mode, *arguments, **named)
            self.check()
            return HalfWriter(call(path, mode, *arguments, **named), self)
        return guard


class HalfWriter:
    """A file whose failing write leaves half behind."""

    def __init__(self, file, faults: Faults):
        self.file, self.faults = file, faults

    def write(self, content) -> int:
        if self.faults.fails_now():
            self.file.write(content[:len(content) // 2])
            raise OSError(self.faults.error, os.strerror(self.faults.error))
        return self.file.write(content)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
