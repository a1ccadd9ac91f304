"""The traps that other trainers fell into when they resumed, one test each. test_kill.py kills; here is why it holds.

Two traps do not exist here: no stage accumulates gradients, so no last window can be short; and no rank has a generator of its own, because
all lay out the same batch and draw the same numbers. The first is held by a test, so that whoever adds accumulation meets it; ranks are
stopped and resumed in test_parallel.py.
"""
import random

import numpy as np
import pytest
import torch

from pharmgpt.stages import SECTIONS
from pharmgpt.train.ppo import draw
from pharmgpt.train.reward import pair_batches, pair_segments
from pharmgpt.train.state import step_folder
from test_ppo import CONFIG as PPO_CONFIG
from test_ppo import PROMPTS, Records, bits, folders  # noqa: F401
from test_ppo import run as run_ppo
from test_pretrain import CONFIG, DOCUMENTS, run, tokenizer  # noqa: F401
from test_reward import PAIRS, judge_of, start  # noqa: F401
from test_reward import train as train_reward
from test_signals import StopAsked

FILES = ("weights.safetensors", "optimizer.safetensors", "state.json", "model.json")


def same_files(one, other) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in FILES)


def epochs_in(tokenizer, config) -> float:  # noqa: F811
    tokens = sum(len(tokenizer.encode(document.text)) for document in DOCUMENTS)
    return config.steps * config.rows * config.row_tokens / tokens


@pytest.mark.parametrize("step", [2, 5, 7, 10])
def test_the_data_order_of_later_epochs_is_not_lost(tokenizer, tmp_path, step):  # noqa: F811
    """Trap: a resume that starts its epoch's shuffle anew, or every epoch with the first one's order."""
    assert epochs_in(tokenizer, CONFIG) > 2.5
    whole = run(tokenizer, tmp_path / "whole")
    with pytest.raises(SystemExit):
        run(tokenizer, tmp_path / "stopped", StopAsked(step))
    assert same_files(whole, run(tokenizer, tmp_path / "stopped"))


def test_each_epoch_has_an_order_of_its_own(start):  # noqa: F811
    """Else the test above could not see a lost one."""
    segments, _ = pair_segments(judge_of(start), PAIRS, 64)
    batches, first = pair_batches(segments, 4, 64, seed=0), []
    while sum(len(row) for batch in first for row in batch) < len(segments):
        first.append(next(batches))
    assert [next(batches) for _ in first] != first
    assert draw(PROMPTS, len(PROMPTS), 0, 0) != draw(PROMPTS, len(PROMPTS), 1, 0)


class Scrambling(Records):
    """A log in whose every line the global generators are moved somewhere else."""

    def __init__(self, seed: int):
        super().__init__()
        self.scramble(seed)

    def scramble(self, seed: int) -> None:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

    def write(self, record: dict) -> None:
        super().write(record)
        self.scramble(len(self))


@pytest.mark.parametrize("stage", ["pretrain", "reward", "ppo"])
def test_the_global_random_generators_decide_nothing(stage, tokenizer, start, folders, tmp_path):  # noqa: F811
    """Trap: DataLoader draws its workers' seed from the global generator, so a resumed run is one draw behind."""
    make = {"pretrain": lambda out, log: run(tokenizer, out, log), "reward": lambda out, log: train_reward(start, out, log),
            "ppo": lambda out, log: run_ppo(folders, out, log=log)[0]}[stage]
    assert same_files(make(tmp_path / "quiet", Records()), make(tmp_path / "scrambled", Scrambling(7)))


def test_no_recipe_accumulates_gradients_so_no_last_window_can_be_short():
    """Trap: the last window of an epoch holds fewer batches and is scaled as if it were full."""
    def keys(kind, prefix=""):
        for name, field in kind.model_fields.items():
            yield prefix + name
            if hasattr(field.annotation, "model_fields"):
                yield from keys(field.annotation, f"{prefix}{name}.")

    found = [key for section, kind in SECTIONS.items() for key in keys(kind, f"{section}.")]
    assert "ppo.update.epochs" in found and not [key for key in found if "accum" in key or "micro" in key]


def test_the_best_weights_outlive_the_checkpoints_that_held_them(folders, tmp_path):  # noqa: F811
    """Retention keeps two steps; the peak was at step 2, the stop is at 5, and the stage ends at 6 with the weights of the peak."""
    golds = iter([0.1, 0.5, 0.3, 0.2])  # dev checks at steps 0, 2, 4, 6

    def peaked(question_ids, answers, ended):
        return {"gold": next(golds) if len(answers) == 3 else 0.0}

    config = PPO_CONFIG.model_copy(update={"iterations": 20, "stop_after": 2})
    with pytest.raises(SystemExit):
        run_ppo(folders, tmp_path / "stopped", config, peaked, StopAsked(5))
    assert sorted(path.name for path in (tmp_path / "stopped").glob("step-*")) == ["step-000004", "step-000005"]
    folder, _ = run_ppo(folders, tmp_path / "stopped", config, peaked)
    peak, _ = run_ppo(folders, tmp_path / "peak", PPO_CONFIG.model_copy(update={"iterations": 2}))
    assert folder.name == "step-000006" and bits(folder) == bits(peak)


def test_the_reference_is_not_anchored_anew_at_the_resume(folders, tmp_path):  # noqa: F811
    """Trap: the reference loaded from the resumed policy, which makes the KL 0 again and lets the policy walk away."""
    config = PPO_CONFIG.model_copy(update={"iterations": 4})
    _, whole = run_ppo(folders, tmp_path / "whole", config)
    with pytest.raises(SystemExit):
        run_ppo(folders, tmp_path / "stopped", config, log=StopAsked(3))
    assert bits(step_folder(tmp_path / "stopped", 3)) != bits(folders[0])
    _, resumed = run_ppo(folders, tmp_path / "stopped", config)
    assert resumed.iterations()[0]["step"] == 4
    assert resumed.iterations()[0]["kl"] == whole.iterations()[3]["kl"] > 0
