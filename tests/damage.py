"""A checkpoint that loses its tail or one bit, and what a resume makes of it. `make test-resume` asks thousands of times."""
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from pharmgpt.train import state as states
from pharmgpt.train.state import TrainState
from test_checkpoint import same, trained_state

STEP_FILES = ["SHA256SUMS", "model.json", "optimizer.safetensors", "state.json", "weights.safetensors"]


def two_steps(out: Path) -> TrainState:
    """Steps 2 and 3 in `out`; returns the state as step 2 holds it."""
    good, later = trained_state(steps=2), trained_state(steps=3)
    states.save(out, good)
    states.save(out, later)
    return good


@contextmanager
def warnings_told() -> Iterator[list[str]]:
    """What states.resume says meanwhile."""
    told, handler, logger = [], logging.Handler(), logging.getLogger(states.__name__)
    handler.emit = lambda record: told.append(record.getMessage())
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)


def flip_a_bit(path: Path, random: Random) -> None:
    data = bytearray(path.read_bytes())
    bit = random.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def cut(path: Path, random: Random) -> None:
    path.write_bytes(path.read_bytes()[:random.randrange(path.stat().st_size)])


def survived(out: Path, damage, random: Random, good: TrainState, state: TrainState, told: list[str]) -> bool:
    """Damage one file of the newest step and resume into `state`: detected, named in `told`, moved aside whole, and step 2 filled in?

    The step is restored afterwards, so that the next damage finds two good ones.
    """
    newest, aside = states.newest_step(out), out.with_name(f"{out.name}.damaged-1")
    path = newest / random.choice(STEP_FILES)
    whole = path.read_bytes()
    damage(path, random)
    told.clear()
    step = states.resume(out, state)
    moved = aside / newest.name
    fine = (step == 2 and moved.is_dir() and sorted(each.name for each in moved.iterdir()) == STEP_FILES and equal(state, good)
            and len(told) == 1 and newest.name in told[0] and path.name in told[0] and str(moved) in told[0])
    if moved.is_dir():
        moved.rename(newest)
        shutil.rmtree(aside)
    path.write_bytes(whole)
    return fine


def equal(one: TrainState, other: TrainState) -> bool:
    return (same(one.model.state_dict(), other.model.state_dict()) and one.extra == other.extra
            and same(one.modules["value"].state_dict(), other.modules["value"].state_dict())
            and (one.generators["rollout"].get_state() == other.generators["rollout"].get_state()).all().item()
            and all(same(slots, other.optimizers[name].state_dict()["state"][index])
                    for name, optimizer in one.optimizers.items() for index, slots in optimizer.state_dict()["state"].items()))
