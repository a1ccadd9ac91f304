"""What a stage says while it runs: one JSON line a step in metrics.jsonl, and progress for the person who waits.

On a terminal rich draws one bar a stage; elsewhere a plain line appears about every ten seconds. A resumed stage first drops
the lines of steps it is about to repeat.
"""
import json
import time
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pharmgpt.run.directory import write_atomically
from pharmgpt.run.signals import Signals

SHOWN = ("loss", "dev_loss", "accuracy", "reward", "gold", "kl", "tokens_per_second")


class Log(Protocol):
    """What a stage may say, and how it learns that somebody wants it to stop."""

    def write(self, record: dict) -> None: ...

    def truncate(self, after_step: int) -> None: ...

    def stop_asked(self) -> bool: ...

    def stop(self, step: int) -> None: ...


class MetricLog:
    """Appends records to metrics.jsonl, and shows them."""

    def __init__(self, path: Path, stage: str, steps: int | None, console: Console, signals: Signals | None = None):
        self.path, self.stage, self.steps, self.console, self.signals = path, stage, steps, console, signals
        self.last_line = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        self.bar = _bar(console) if console.is_terminal else None
        if self.bar:
            self.task = self.bar.add_task(stage, total=steps, detail="")
            self.bar.start()

    def write(self, record: dict) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if "spike" in record:
            self.console.print(f"{self.stage} step {record['step']}: the loss {_short(record['spike'])} is far above its running median "
                               f"{_short(record['running_median'])}", highlight=False)
            return
        detail = "  ".join(f"{key} {_short(record[key])}" for key in SHOWN if isinstance(record.get(key), (int, float)))
        step = record.get("step", 0)
        if self.bar:
            self.bar.update(self.task, completed=step, detail=detail or self.bar.tasks[0].fields["detail"])
        elif time.monotonic() - self.last_line > 10 and detail:
            self.last_line = time.monotonic()
            of = f"/{self.steps}" if self.steps else ""
            self.console.print(f"{self.stage} {step}{of}  {detail}", highlight=False)

    def truncate(self, after_step: int) -> None:
        """Drop the lines of later steps; 0 means that the stage starts anew, so nothing that it said before counts."""
        if not self.path.is_file():
            return
        lines = [line for line in self.path.read_text(encoding="utf-8").splitlines() if _step(line) <= after_step] if after_step else []
        write_atomically(self.path, "".join(line + "\n" for line in lines))

    def stop_asked(self) -> bool:
        return self.signals is not None and self.signals.received is not None

    def stop(self, step: int) -> None:
        """Leave the stage: what it needs to go on is on disk."""
        self.close()
        self.console.print(f"{self.stage:<13} stopped after step {step}; its checkpoint is written", highlight=False)
        self.signals.stop()

    def close(self) -> None:
        if self.bar:
            self.bar.stop()


class QuietLog:
    """What ranks beside the leader log to: nothing is written, and they can be stopped."""

    def __init__(self, signals: Signals):
        self.signals = signals

    def write(self, record: dict) -> None:
        pass

    def truncate(self, after_step: int) -> None:
        pass

    def stop_asked(self) -> bool:
        return self.signals.received is not None

    def stop(self, step: int) -> None:
        self.signals.stop()


def read_metrics(path: Path) -> list[dict]:
    """All records of a metrics.jsonl; a last line that was cut by a kill is left out."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if _step(line) != float("inf")]


def _step(line: str) -> float:
    try:
        return json.loads(line).get("step", 0)
    except json.JSONDecodeError:
        return float("inf")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _bar(console: Console) -> Progress:
    return Progress(TextColumn("{task.description:<11}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
                    TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[detail]}"), console=console)
