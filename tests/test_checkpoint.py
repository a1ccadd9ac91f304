import json

import pytest
import torch

from pharmgpt.model.checkpoint import CheckpointError, atomic_folder, load_model, save_model
from pharmgpt.model.scalar_head import RewardModel, ValueModel
from pharmgpt.train import state as states
from pharmgpt.train.optimizer import OptimizerConfig, make_optimizers
from pharmgpt.train.state import TrainState
from test_transformer import random_ids, random_model


def trained_state(seed: int = 0, steps: int = 2) -> TrainState:
    model = random_model(seed=seed)
    value = ValueModel.from_transformer(model)
    state = TrainState(model, make_optimizers(model, OptimizerConfig()), {"value": value}, {"rollout": torch.Generator().manual_seed(seed)})
    for step in range(steps):
        model(random_ids(2, 6, step)).square().mean().backward()
        for optimizer in state.optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    state.step, state.extra = steps, {"kl_coefficient": 0.1 + 0.2}
    return state


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("kind", [None, RewardModel, ValueModel])
def test_a_model_read_back_is_the_same_kind_with_the_same_weights(tmp_path, kind):
    model = random_model() if kind is None else kind.from_transformer(random_model())
    save_model(model, tmp_path / "m")
    read = load_model(tmp_path / "m")
    assert type(read) is type(model) and read.config == model.config and same(read.state_dict(), model.state_dict())
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["model.json", "weights.safetensors"]


def test_a_flipped_bit_in_the_weights_is_noticed_and_named(tmp_path):
    save_model(random_model(), tmp_path)
    path = tmp_path / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="weights.safetensors: damaged"):
        load_model(tmp_path)


def test_a_truncated_description_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="model.json: no such file"):
        load_model(tmp_path)
    save_model(random_model(), tmp_path)
    (tmp_path / "model.json").write_text('{"kind": "tran')
    with pytest.raises(CheckpointError, match="model.json: not JSON"):
        load_model(tmp_path)


def test_weights_of_another_shape_are_named(tmp_path):
    save_model(random_model(), tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    description["config"]["d_ff"] = 32
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match="down_proj.weight is 16×24, but model.json describes 16×32"):
        load_model(tmp_path)


def test_an_unknown_key_in_the_description_is_named(tmp_path):
    save_model(random_model(), tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    description["config"]["d_fff"] = 32
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match="config.d_fff"):
        load_model(tmp_path)


def test_a_folder_whose_writing_fails_never_appears(tmp_path):
    with pytest.raises(OSError):
        with atomic_folder(tmp_path / "step-000001") as folder:
            (folder / "half").write_text("x")
            raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


def test_a_resume_restores_weights_optimizers_generators_and_extra_bit_for_bit(tmp_path):
    state = trained_state()
    states.save(tmp_path, state)
    expected = torch.rand(3, generator=state.generators["rollout"])
    other = trained_state(seed=5, steps=1)
    assert states.resume(tmp_path, other) == 2
    assert same(other.model.state_dict(), state.model.state_dict())
    assert same(other.modules["value"].state_dict(), state.modules["value"].state_dict())
    assert torch.equal(torch.rand(3, generator=other.generators["rollout"]), expected)
    assert other.extra == {"kl_coefficient": 0.1 + 0.2}
    for name, optimizer in state.optimizers.items():
        for index, slots in optimizer.state_dict()["state"].items():
            assert same(slots, other.optimizers[name].state_dict()["state"][index])


def test_a_damaged_step_is_named_and_the_one_before_it_used(tmp_path, caplog):
    state = trained_state()
    states.save(tmp_path, state)
    expected = {key: tensor.clone() for key, tensor in state.model.state_dict().items()}
    state.step = 3
    states.save(tmp_path, state)
    (tmp_path / "step-000003" / "optimizer.safetensors").write_bytes(b"torn")
    other = trained_state(seed=5)
    assert states.resume(tmp_path, other) == 2 and same(other.model.state_dict(), expected)
    assert "step-000003" in caplog.text and "optimizer.safetensors: damaged" in caplog.text


def test_only_the_newest_two_steps_are_kept(tmp_path):
    state = trained_state()
    for state.step in (9, 10, 11):
        states.save(tmp_path, state)
    assert [path.name for path in states.step_folders(tmp_path)] == ["step-000010", "step-000011"]
    assert states.newest_step(tmp_path).name == "step-000011"


def test_nothing_to_resume_is_step_zero_and_no_result_is_an_error(tmp_path):
    assert states.resume(tmp_path, trained_state(steps=1)) == 0
    with pytest.raises(CheckpointError, match="holds no step"):
        states.newest_step(tmp_path)
