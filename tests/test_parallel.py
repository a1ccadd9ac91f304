"""Two ranks do what one does: the same loss, gradients and files; and a rank that dies ends the job.

Two processes over gloo, fp32, eager: they do all that two ranks have to show in one start, and the tests look at what they left beside
what this process, alone, left of the same work.
"""
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from conftest import RECIPE, eager_environment
from safetensors.torch import load_file
from torch import Tensor

from pharmgpt.model.device import EAGER
from pharmgpt.model.transformer import Transformer
from pharmgpt.text.tokenizer import train_tokenizer
from pharmgpt.train import state as states
from pharmgpt.train.batches import Batch, BatchError, batches, document_segments
from pharmgpt.train.optimizer import Guard, NonFiniteError, OptimizerConfig, Replay, make_optimizers, take_step
from pharmgpt.train.parallel import ALONE, Ranks, sharded
from pharmgpt.train.ppo import ppo
from pharmgpt.train.pretrain import batch_loss, pretrain
from pharmgpt.train.reward import train_reward
from pharmgpt.train.sft import sft
from pharmgpt.train.state import TrainState
from test_ppo import CONFIG, PROMPTS, no_gold
from test_pretrain import CONFIG as PRETRAIN
from test_pretrain import DOCUMENTS, MODEL, same
from test_reward import CONFIG as REWARD
from test_reward import PAIRS
from test_sft import CONFIG as SFT
from test_sft import TALKS

TOKENIZER = train_tokenizer([document.text for document in DOCUMENTS], 300)
TRAINED = ("pretrain", "sft", "reward", "ppo")
FILES = ("weights.safetensors", "optimizer.safetensors", "state.json", "model.json", "SHA256SUMS")
ONE_STEP, SOME_STEPS = {"steps": 1}, {"steps": 4}
NEVER_CLIPPED = {"optimizer": OptimizerConfig(clip_norm=1e9)}
PPO = CONFIG.model_copy(update={"prompts": 8, "update": CONFIG.update.model_copy(update={"epochs": 1})})
STEPS = 10


class Log(list):
    """What was said; and during step `stops_at` somebody asks for a stop, if at any."""

    def __init__(self, stops_at: int | None = None):
        super().__init__()
        self.stops_at, self.asked = stops_at, 0

    def write(self, record: dict) -> None:
        self.append({name: value for name, value in record.items() if "second" not in name})

    def truncate(self, after_step: int) -> None:
        self.clear()

    def stop_asked(self) -> bool:
        self.asked += 1
        return self.asked == self.stops_at

    def stop(self, step: int) -> None:
        raise SystemExit(143)


# ---- the work: the same whoever does it


def train(stage: str, bases: Path, out: Path, ranks: Ranks, log: Log | None = None, **changed) -> Path:
    common = {"out": out, "log": Log() if log is None else log, "device": EAGER, "seed": 0, "ranks": ranks}
    if stage == "pretrain":
        return pretrain(PRETRAIN.model_copy(update=changed), TOKENIZER, DOCUMENTS, DOCUMENTS[:4], **common)
    if stage == "sft":
        return sft(SFT.model_copy(update=changed), TOKENIZER, newest(bases, "pretrain"), TALKS, TALKS[:2], DOCUMENTS, **common)
    if stage == "reward":
        return train_reward(REWARD.model_copy(update=changed), TOKENIZER, newest(bases, "sft"), PAIRS, PAIRS[:4], **common)
    if "steps" in changed:
        changed["iterations"] = changed.pop("steps")
    return ppo(PPO.model_copy(update=changed), TOKENIZER, PROMPTS, DOCUMENTS, policy_dir=newest(bases, "sft"),
               reward_dir=newest(bases, "reward"), dev_questions=PROMPTS[:3], monitor=no_gold, **common)


def newest(bases: Path, stage: str) -> Path:
    return states.newest_step(bases / stage)


def uneven_batch() -> Batch:
    """Of four rows, the second and the last count one token each: two ranks count 36 and 2."""
    segments, _ = document_segments([document.text for document in DOCUMENTS], TOKENIZER, 32)
    batch = next(batches(segments, 4, 32, seed=3))
    is_target = batch.is_target.clone()
    is_target[1::2, 1:] = 0
    return batch._replace(is_target=is_target)


def trunk_and_head() -> Transformer:
    """With no projection at zero, so that all gradients flow."""
    model = Transformer.initialise(MODEL.model_copy(update={"vocab_size": TOKENIZER.vocab_size}), 0)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.1, generator=generator)
    return model


def uneven_loss_and_gradients(ranks: Ranks) -> dict[str, Tensor]:
    model = sharded(trunk_and_head(), ranks, "cpu")
    loss = batch_loss(EAGER, ranks)(model, uneven_batch())
    loss.backward()
    return {"loss": loss.detach()} | {name: ranks.whole(parameter.grad) for name, parameter in model.named_parameters()}


def weights_after_adamw(ranks: Ranks, out: Path) -> dict[str, Tensor]:
    model = sharded(trunk_and_head(), ranks, "cpu")
    optimizers = {"adamw": torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)}
    segments, _ = document_segments([document.text for document in DOCUMENTS], TOKENIZER, 32)
    data, loss_of, guard = batches(segments, 4, 32, seed=0), batch_loss(EAGER, ranks), Guard("cpu", ranks=ranks)
    for step in range(STEPS):
        batch = next(data)
        take_step(loss_of(model, batch), model, optimizers, 1.0, Replay(out, step, model, batch._asdict()), guard)
    return {name: ranks.whole(tensor) for name, tensor in model.state_dict().items()}


def loaded_and_saved(folder: Path, out: Path, ranks: Ranks) -> None:
    """A step of pretraining, taken over by these ranks and written down again."""
    model = sharded(trunk_and_head(), ranks, "cpu")
    state = TrainState(model, make_optimizers(model, PRETRAIN.optimizer, ranks=ranks), ranks=ranks)
    states.load(folder, state)
    states.save(out, state)


def everything(bases: Path, out: Path, ranks: Ranks) -> None:
    for stage in TRAINED:
        log = Log()
        train(stage, bases, out / stage / "first", ranks, log, **ONE_STEP if stage == "ppo" else ONE_STEP | NEVER_CLIPPED)
        (out / f"{stage}-{ranks.rank}.json").write_text(json.dumps(log))
    for name, found in (("uneven", uneven_loss_and_gradients(ranks)), ("adamw", weights_after_adamw(ranks, out))):
        if ranks.leads:
            states.save_tensors(found, out / f"{name}.safetensors")


# ---- the two ranks


def two_ranks(rank: int, bases: Path, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{out / 'meeting'}", rank=rank, world_size=2)
    ranks = Ranks(rank, 2, dist.new_group(backend="gloo"))
    everything(bases, out, ranks)
    for stage in TRAINED:
        train(stage, bases, out / stage / "whole", ranks, **SOME_STEPS)
        with pytest.raises(SystemExit):
            train(stage, bases, out / stage / "stopped", ranks, Log(stops_at=2 if rank == 1 else None), **SOME_STEPS)
        assert newest(out / stage, "stopped").name == "step-000002"
        train(stage, bases, out / stage / "stopped", ranks, **SOME_STEPS)
    loaded_and_saved(newest(bases, "pretrain"), out / "taken over", ranks)
    a_number_that_only_rank_1_sees(ranks, out)
    dist.destroy_process_group()


def a_number_that_only_rank_1_sees(ranks: Ranks, out: Path) -> None:
    model = sharded(trunk_and_head(), ranks, "cpu")
    seen = torch.tensor([1.0, float("nan") if ranks.rank == 1 else 2.0])
    with pytest.raises(NonFiniteError, match="step 7: score nan"):
        Guard("cpu", ranks=ranks).check({"score": seen}, Replay(out, 7, model, uneven_batch()._asdict()))
    (out / f"stopped-{ranks.rank}").touch()


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> Path:
    """A finished stage each, made by one rank: what the next one starts from, whoever makes it."""
    out = tmp_path_factory.mktemp("bases")
    for stage in ("pretrain", "sft", "reward"):
        train(stage, out, out / stage, ALONE, steps=4)
    return out


@pytest.fixture(scope="module")
def alone(bases, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("alone")
    everything(bases, out, ALONE)
    return out


@pytest.fixture(scope="module")
def two(bases, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("two")
    torch.multiprocessing.spawn(two_ranks, (bases, out), nprocs=2)
    return out


def first_step(out: Path, stage: str) -> dict[str, Tensor]:
    """Gradients of the first step: an optimiser's first averages hold them times 1 − β."""
    found = load_file(newest(out / stage, "first") / "optimizer.safetensors")
    shares = {"exp_avg": 1 - PRETRAIN.optimizer.adamw_betas[0], "momentum_buffer": 1 - 0.95}
    return {name: tensor / shares[slot] for name, tensor in found.items() if (slot := name.rsplit(".", 1)[1]) in shares}


def logged(out: Path, stage: str, rank: int = 0) -> list[dict]:
    """What a rank said of its first step."""
    return json.loads((out / f"{stage}-{rank}.json").read_text())


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


# ---- rows


def test_the_rows_of_all_ranks_are_the_batch_none_twice_and_none_left_out():
    whole = uneven_batch()
    for size in (1, 2, 4):
        shares = [Ranks(rank, size).own_rows(whole) for rank in range(size)]
        assert all(len(share.ids) == 4 // size for share in shares)
        for name, tensor in whole._asdict().items():
            rows = [row.tolist() for share in shares for row in getattr(share, name)]
            assert sorted(rows) == sorted(tensor.tolist())


@pytest.mark.parametrize("stage", TRAINED)
def test_rows_that_cannot_be_shared_equally_are_refused_with_their_key(stage, bases, tmp_path):
    key = {"ppo": "ppo.update.rows"}.get(stage, f"{stage}.rows")
    with pytest.raises(BatchError, match=f"{key}: 4 rows .* 3 ranks; use a multiple of 3"):
        train(stage, bases, tmp_path, Ranks(1, 3))


@pytest.mark.parametrize("stage", TRAINED)
def test_one_rank_asks_nobody(stage, bases, tmp_path, monkeypatch):
    def said(*_, **__):
        raise AssertionError("a word to another rank")

    monkeypatch.setattr(dist, "all_reduce", said)
    train(stage, bases, tmp_path, ALONE, **ONE_STEP)
    assert not dist.is_initialized()


# ---- two against one


@pytest.mark.parametrize("stage", ["pretrain", "sft", "reward"])
def test_the_first_loss_and_gradients_of_one_and_two_ranks_are_equal(stage, alone, two):
    """Seen: 2e-7."""
    one, other = (next(record["loss"] for record in logged(out, stage) if "loss" in record) for out in (alone, two))
    assert abs(one - other) <= 1e-6
    found = first_step(two, stage)
    assert largest_difference(first_step(alone, stage), found) <= 1e-6
    assert max(tensor.abs().max() for tensor in found.values()) > 1e-3


def test_each_counted_token_weighs_the_same_on_whichever_rank_it_lies(alone, two):
    one, other = (load_file(out / "uneven.safetensors") for out in (alone, two))
    assert largest_difference(one, other) <= 1e-6
    model, whole = trunk_and_head(), uneven_batch()
    means = [batch_loss(EAGER, ALONE)(model, Ranks(rank, 2).own_rows(whole)).item() for rank in range(2)]
    assert abs(sum(means) / 2 - one["loss"].item()) > 0.01  # what a mean of means would have been


def test_ten_steps_of_adamw_drift_apart_by_rounding_only(alone, two):
    """Seen: 1.2e-6, of weights that moved by up to .03."""
    one, other = (load_file(out / "adamw.safetensors") for out in (alone, two))
    assert largest_difference(one, other) < 1e-5
    assert largest_difference(one, {name: tensor.detach() for name, tensor in trunk_and_head().state_dict().items()}) > 0.01


@pytest.mark.parametrize("stage", TRAINED)
def test_two_ranks_that_are_stopped_end_the_same_to_the_byte(stage, two):
    """Asked at rank 1 alone, both stop at the same step."""
    whole, stopped = (newest(two / stage, name) for name in ("whole", "stopped"))
    assert whole.name == stopped.name == "step-000004"
    assert all((whole / name).read_bytes() == (stopped / name).read_bytes() for name in FILES)


def test_a_checkpoint_of_one_rank_is_taken_over_by_two_to_the_byte(bases, two):
    before, after = newest(bases, "pretrain"), newest(two, "taken over")
    assert all((before / name).read_bytes() == (after / name).read_bytes() for name in FILES)


@pytest.mark.parametrize("stage", TRAINED)
def test_a_checkpoint_of_two_ranks_goes_on_alone(stage, bases, two, tmp_path):
    source = newest(two / stage, "first")
    (tmp_path / stage).mkdir()
    os.symlink(source, tmp_path / stage / source.name)
    log = Log()
    train(stage, bases, tmp_path / stage, ALONE, log, steps=2, checkpoint_every=1)
    assert [record["step"] for record in log if "step" in record and "lr" in record or "kl" in record] == [2]


def test_a_checkpoint_of_two_ranks_is_taken_over_by_one_to_the_byte(two, tmp_path):
    before = newest(two / "pretrain", "whole")
    loaded_and_saved(before, tmp_path, ALONE)
    assert all((before / name).read_bytes() == (states.newest_step(tmp_path) / name).read_bytes() for name in FILES)


def test_ppo_of_two_ranks_has_one_experience_and_one_policy(alone, two):
    """Each rank logged what it had. Before the first update the ratio is 1 and the KL 0, to the bit, there too."""
    first, second, one = logged(two, "ppo", rank=0), logged(two, "ppo", rank=1), logged(alone, "ppo")
    assert first == second
    for ours, theirs in zip(first, one, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    assert [record["kl"] for record in first if "kl" in record] == [0.0]


def test_what_one_rank_sees_stops_both_with_one_replay_bundle(two):
    assert (two / "stopped-0").exists() and (two / "stopped-1").exists()
    bundle = two / "replay-000007"
    assert same(load_file(bundle / "weights.safetensors"), trunk_and_head().state_dict())
    assert torch.equal(load_file(bundle / "batch.safetensors")["ids"], uneven_batch().ids)  # the rows of both


# ---- the command


def torchrun(out: Path, *arguments: str) -> subprocess.Popen:
    root = Path(__file__).parent.parent
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pharmgpt")
    return subprocess.Popen([*launcher, "run", str(RECIPE), "--out", str(out), *arguments], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=eager_environment() | {"PYTHONPATH": str(root)})


def workers(launcher: subprocess.Popen) -> Iterator[tuple[int, int]]:
    """(rank, process) of those that torchrun started."""
    for child in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split():
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        yield from ((int(each[5:]), int(child)) for each in variables if each.startswith(b"RANK="))


def test_the_whole_line_under_torchrun_is_one_finished_run(tmp_path, command):
    process = torchrun(tmp_path / "run")
    said, told = process.communicate(timeout=120)
    assert process.returncode == 0, told[-2000:]
    assert set(json.loads((tmp_path / "run/results.json").read_text())["stages"]) == {"pretrain", "experts", "sft", "reward", "ppo"}
    assert said.count("report:") == said.count("2 ranks") == 1  # the leader alone speaks
    again = command("run", RECIPE, "--out", tmp_path / "run")
    assert again.code == 0 and again.out.count("finished before") == 12


def test_a_killed_rank_ends_the_job(tmp_path):
    process = torchrun(tmp_path / "run", "--set", "pretrain.steps=100000", "--set", "pretrain.dev_every=100000")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "run/pretrain").glob("step-*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(dict(workers(process))[1], signal.SIGKILL)
    killed = time.monotonic()
    _, told = process.communicate(timeout=60)
    assert process.returncode != 0 and time.monotonic() - killed < 30
    assert "rank 0 cannot go on: another rank ended" in told and "Traceback" not in told.partition("another rank ended")[0]
