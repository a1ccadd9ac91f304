"""Whatever is not a finite number stops the run before the update, in its words, with a replay bundle. And loss spikes are told."""
import io
import json
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from pharmgpt.model.checkpoint import load_model
from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.run.metrics import MetricLog, read_metrics
from pharmgpt.train import ppo as ppo_module
from pharmgpt.train import reward as reward_module
from pharmgpt.train import state as states
from pharmgpt.train.optimizer import Guard, NonFiniteError, OptimizerConfig, Replay, make_optimizers
from pharmgpt.train.ppo import Measured
from pharmgpt.train.spikes import ENOUGH, SpikeWatch
from test_ppo import DOCUMENTS, Records, bits, folders  # noqa: F401
from test_ppo import run as run_ppo
from test_reward import start  # noqa: F401
from test_reward import train as train_reward


def spoilt(name: str, value: float, where_action: bool):
    """`measure`, with one number of one of its tensors replaced."""
    measure = ppo_module.measure

    def measured(*arguments):
        found, is_action = measure(*arguments), arguments[3].is_target.bool()
        place = (is_action == where_action).nonzero()[0]
        tensor = getattr(found, name).clone()
        tensor[tuple(place)] = value
        return found._replace(**{name: tensor})
    return measured


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", Measured._fields)
def test_one_non_finite_number_of_a_rollout_stops_ppo_before_any_update(folders, tmp_path, monkeypatch, name, value):  # noqa: F811
    monkeypatch.setattr(ppo_module, "measure", spoilt(name, value, where_action=True))
    said = name.replace("_", " ")
    with pytest.raises(NonFiniteError, match=rf"step 0: .*{said} (nan|inf).*the weights were not updated.*replay-000000"):
        run_ppo(folders, tmp_path / "out")
    assert bits(tmp_path / "out/replay-000000") == bits(folders[0]) and not list((tmp_path / "out").glob("step-*"))


def test_a_value_that_is_no_number_stops_ppo_before_any_update(folders, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(ppo_module, "estimate", lambda critic, batch, *_: torch.where(batch.is_target.bool(), float("nan"), 0.0))
    with pytest.raises(NonFiniteError, match="step 0: .*values nan.*replay-000000"):
        run_ppo(folders, tmp_path / "out")


def test_pretraining_text_that_is_no_number_stops_ppo_and_its_bundle_holds_the_text(folders, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(ppo_module, "text_gradient", lambda *_: {"pretraining_loss": torch.tensor(float("nan"))})
    with pytest.raises(NonFiniteError, match="step 1: .*pretraining loss nan.*the weights were not updated.*replay-000001"):
        run_ppo(folders, tmp_path / "out", documents=DOCUMENTS)
    held = load_file(tmp_path / "out/replay-000001/batch.safetensors")
    assert {"ids", "text_ids"} <= held.keys() and bits(tmp_path / "out/replay-000001") == bits(folders[0])


@pytest.mark.parametrize("value", [float("nan"), 1.0])
def test_what_a_device_holds_back_changes_no_weight(value):
    model = Transformer.initialise(ModelConfig(vocab_size=20, d_model=16, n_layers=1, n_heads=2, n_kv_heads=2, head_dim=8, d_ff=16), 0)
    optimizers = make_optimizers(model, OptimizerConfig(muon_weight_decay=0.1, adamw_weight_decay=0.1))
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for held, same in ((torch.ones(()), True), (torch.zeros(()), False)):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, value if same else 1.0)
        for optimizer in optimizers.values():
            optimizer.found_inf = held
            optimizer.step()
        assert all(torch.equal(before[name], parameter) == same for name, parameter in model.named_parameters())


class OnADevice(Guard):
    """A guard that hears of a check at the next one, as a GPU's does."""

    def __init__(self, watch=None):
        super().__init__("cpu", watch)
        self.held = torch.zeros(())


def test_a_guard_that_hears_late_holds_updates_back_at_once_and_tells_at_the_next_check(tmp_path, monkeypatch):
    monkeypatch.setattr("pharmgpt.train.optimizer._on_its_way", lambda x: (x, SimpleNamespace(synchronize=lambda: None)))
    seen = []
    guard = OnADevice(lambda step, loss: seen.append((step, loss)))
    model = torch.nn.Linear(1, 1)
    model.config, model.kind = ModelConfig(), "linear"
    replays = [Replay(tmp_path, step, model, {"x": torch.full((1,), float(step))}) for step in range(4)]
    guard.check({"loss": torch.tensor(2.0)}, replays[0])
    assert seen == [] and guard.held == 0
    guard.check({"loss": torch.tensor(float("nan"))}, replays[1])
    assert seen == [(1, 2.0)] and guard.held == 1
    with pytest.raises(NonFiniteError, match="step 1: loss nan.*replay-000001"):
        guard.check({"loss": torch.tensor(1.0)}, replays[2])
    assert guard.held == 1  # what follows is held back as well


def test_a_guard_that_hears_late_is_asked_before_a_checkpoint(monkeypatch, tmp_path):
    monkeypatch.setattr("pharmgpt.train.optimizer._on_its_way", lambda x: (x, SimpleNamespace(synchronize=lambda: None)))
    guard, model = OnADevice(), torch.nn.Linear(1, 1)
    model.config, model.kind = ModelConfig(), "linear"
    guard.check({"loss": torch.tensor(float("inf"))}, Replay(tmp_path, 0, model, {}))
    with pytest.raises(NonFiniteError, match="step 0: loss inf"):
        states.save_when(True, tmp_path / "out", states.TrainState(model, {}), SimpleNamespace(stop_asked=lambda: False), guard)
    assert not (tmp_path / "out").exists()


def test_what_stands_where_nothing_was_chosen_stops_nobody(folders, tmp_path, monkeypatch):  # noqa: F811
    plain, _ = run_ppo(folders, tmp_path / "plain")
    monkeypatch.setattr(ppo_module, "measure", spoilt("entropy", float("nan"), where_action=False))
    assert bits(run_ppo(folders, tmp_path / "out")[0]) == bits(plain)


def test_a_score_that_is_infinite_stops_ppo_and_is_named(folders, tmp_path, monkeypatch):  # noqa: F811
    score = ppo_module.score
    monkeypatch.setattr(ppo_module, "score", lambda judge, items, device: [float("inf"), *score(judge, items, device=device)[1:]])
    with pytest.raises(NonFiniteError, match="score inf, reward inf"):
        run_ppo(folders, tmp_path / "out")


def test_an_infinite_score_stops_the_judge_though_its_loss_is_finite(start, tmp_path, monkeypatch):  # noqa: F811
    """−log σ(∞) = 0: the loss alone would not tell."""
    answer_scores = reward_module.answer_scores

    def infinite(*arguments):
        r = answer_scores(*arguments)
        return torch.cat((r[:1] + float("inf"), r[1:]))

    monkeypatch.setattr(reward_module, "answer_scores", infinite)
    with pytest.raises(NonFiniteError, match="score inf"):
        train_reward(start, tmp_path / "out", Records())
    assert json.loads((tmp_path / "out/replay-000000/replay.json").read_text())["score"] == "inf"


def test_the_replay_of_a_critic_that_failed_holds_the_critic(folders, tmp_path, monkeypatch):  # noqa: F811
    loss = ppo_module.clipped_value_loss
    monkeypatch.setattr(ppo_module, "clipped_value_loss", lambda *arguments: loss(*arguments) * float("nan"))
    with pytest.raises(NonFiniteError, match="loss nan"):
        run_ppo(folders, tmp_path / "out")
    assert load_model(tmp_path / "out/replay-000000").kind == "value"


# ---- spikes


def curve(length: int) -> list[float]:
    """A loss as it falls, with noise of a twentieth."""
    noise = torch.randn(length, generator=torch.Generator().manual_seed(0))
    return [(2 + 5 / (1 + step / 5)) * (1 + 0.05 * float(noise[step])) for step in range(length)]


def watched(losses: list[float]) -> list[dict]:
    log = Records()
    watch = SpikeWatch(log)
    for step, loss in enumerate(losses, start=1):
        watch.see(step, loss)
    return list(log)


def test_a_loss_far_above_its_running_median_is_told_with_both_numbers():
    losses = curve(60)
    losses[40] *= 3
    (told,) = watched(losses)
    assert told["step"] == 41 and told["spike"] == losses[40] and 1.8 < told["running_median"] < 3.5


def test_an_ordinary_noisy_curve_and_the_first_losses_are_no_spikes():
    assert watched(curve(300)) == [] and watched([1.0] * (ENOUGH - 1) + [100.0]) == []
    assert watched([0.1, 0.3] * 40) == []  # as noisy as a judge's


def test_the_console_says_a_spike_at_once_and_metrics_hold_it(tmp_path):
    shown = io.StringIO()
    log = MetricLog(tmp_path / "metrics.jsonl", "sft", 40, Console(file=shown, width=120))
    for step in (1, 2):
        log.write({"step": step, "loss": 2.5})
    log.write({"step": 3, "spike": 9.0, "running_median": 2.5})
    assert shown.getvalue().splitlines()[-1] == "sft step 3: the loss 9 is far above its running median 2.5"
    assert read_metrics(log.path)[-1] == {"step": 3, "spike": 9.0, "running_median": 2.5}
