"""A benchmark's tables on the console and as JSON beside them, with the facts of the machine that they came from."""
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.rounds import ROOT, Spread
from pharmgpt.model.device import Device, has_amx
from pharmgpt.run.directory import git_state

RESULTS = ROOT / "benchmarks" / "results"
WIDTH_OF_LOGS = 140


class Table(NamedTuple):
    """Rows share their keys, which name column and unit; None is an empty cell. `notes` stand below it."""

    title: str
    rows: list[dict]
    notes: list[str] = []


def screen() -> Console:
    """Wide where nobody's terminal says otherwise, so that a log holds whole rows."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH_OF_LOGS)


def publish(name: str, tables: list[Table], device: Device, console: Console, folder: Path = RESULTS) -> Path:
    """Print the tables, write <folder>/<name>.json, and return its path."""
    for table in tables:
        show(table, console)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    content = {"machine": machine_facts(device), "tables": [as_json(table) for table in tables]}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"{device.note}; as JSON: {path}", highlight=False)
    return path


def show(table: Table, console: Console) -> None:
    drawn = RichTable(title=table.title, title_justify="left")
    for name in table.rows[0] if table.rows else ():
        numbers = any(isinstance(row[name], (int, float, Spread)) for row in table.rows)
        drawn.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(cell(value) for value in row.values()))
    console.print(drawn)
    for note in table.notes:
        console.print(note, highlight=False, markup=False)


def cell(value: object) -> str:
    """12,345 (11,000–13,000) for a spread; an empty cell for None."""
    if isinstance(value, Spread):
        return f"{short(value.median)} ({short(value.low)}–{short(value.high)})"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return short(value)
    return "" if value is None else str(value)


def short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_json(table: Table) -> dict:
    rows = [{name: value._asdict() if isinstance(value, Spread) else value for name, value in row.items()} for row in table.rows]
    return {"title": table.title, "rows": rows, "notes": table.notes}


def machine_facts(device: Device) -> dict:
    """Without these a figure means nothing; the load says whether somebody else was working beside it."""
    commit, dirty = git_state()
    return {"when": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "commit": commit, "dirty": dirty, "system": platform.platform(),
            "cpu": cpu_model(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "threads": torch.get_num_threads(), "load_1_min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "amx": has_amx(),
            "gpu": torch.cuda.get_device_name() if device.type == "cuda" else None,
            "python": platform.python_version(), "torch": torch.__version__,
            "dtype": "fp32" if device.autocast_dtype is None else "bf16", "device": device.note}


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
