"""Ctrl-C and SIGTERM: a stage that takes checkpoints is let to the end of its step, writes one and stops; others stop at once.

The exit code says which it was, as shells do: 130 for Ctrl-C, 143 for SIGTERM. Ctrl-C or SIGTERM a second time does not wait.
"""
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """The request to stop that came, if one came. `can_wait`: whether whoever works now looks at it after each step."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.can_wait = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        first, self.received = self.received is None, number
        if not (first and self.can_wait):
            self.stop()
        os.write(2, b"stopping after this step, with a checkpoint; once more stops at once\n")  # print is not safe in a handler

    def stop(self) -> None:
        raise SystemExit(128 + (self.received or signal.SIGTERM))  # None: another rank was told

    def stop_if_received(self) -> None:
        if self.received is not None:
            self.stop()


@contextmanager
def caught() -> Iterator[Signals]:
    """Both signals go to the Signals that this gives, until the block ends."""
    signals = Signals()
    before = {number: signal.signal(number, signals.receive) for number in CAUGHT}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
