"""Memory: refused before the start where it cannot do, told with advice where it runs out."""
import pytest
import torch

from conftest import RECIPE
from pharmgpt import pipeline, stages
from pharmgpt.model.transformer import Transformer
from pharmgpt.train.memory import (
    OutOfMemory, available_bytes, held_a_token, memory_trouble_told, needed_bytes, parameter_count, require_memory,
)


@pytest.mark.parametrize("name", ["tiny", "classroom", str(RECIPE)])
def test_parameters_are_counted_as_the_model_has_them_but_for_norms(name):
    recipe = pipeline.read_recipe(name, [], None)
    shape = recipe["pretrain"].model.model_copy(update={"vocab_size": recipe["tokenizer"].vocab_size})
    real = sum(parameter.numel() for parameter in Transformer(shape).parameters() if parameter.ndim == 2)
    assert parameter_count(recipe) == real


def test_the_need_of_pretraining_by_hand():
    """The fixture recipe: 4 rows of 128 tokens, 512 words, one layer of width 32, MLP 64, 2 heads; 45,056 parameters."""
    recipe = pipeline.read_recipe(str(RECIPE), [], None)
    assert parameter_count(recipe) == 512 * 32 * 2 + 32 * (2 * 2 + 2 * 1) * 16 + 3 * 32 * 64
    a_token = 16 * 32 + 5 * 64 + 3 * 2 * 128
    assert held_a_token(recipe["pretrain"].model, 128, "cpu") == a_token
    assert needed_bytes(recipe, "cpu")["pretrain"] == 4 * (3 * parameter_count(recipe) + 4 * 128 * (4 * 512 + a_token))


def test_a_run_that_cannot_fit_is_refused_with_both_numbers_and_the_keys():
    require_memory({"pretrain": 10, "ppo": 20}, 20)
    require_memory({"pretrain": 10}, None)
    require_memory({}, 0)
    with pytest.raises(OutOfMemory, match=r"ppo needs at least 3\.0 GB of memory and 2\.0 GB are free: .*pretrain\.rows"):
        require_memory({"pretrain": 1 * 10**9, "ppo": 3 * 10**9}, 2 * 10**9)


def test_this_machine_says_what_it_has():
    assert 10**8 < available_bytes("cpu") < 10**14


def test_the_command_refuses_before_it_makes_anything(command, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "available_bytes", lambda device: 10**6)
    done = command("run", RECIPE, "--out", tmp_path / "run")
    assert done.code == 1 and done.err.startswith("pharmgpt: ") and "needs at least" in done.err and "Traceback" not in done.err
    assert not (tmp_path / "run/corpus").exists()


def test_a_finished_run_needs_no_memory_to_be_shown_again(line, command, monkeypatch):
    monkeypatch.setattr(pipeline, "available_bytes", lambda device: 0)
    assert command("run", RECIPE, "--out", line).code == 0


def cpu_refuses():
    torch.empty(2**62, dtype=torch.int8)


def python_refuses():
    raise MemoryError


def gpu_refuses():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("refuse", [cpu_refuses, python_refuses, gpu_refuses])
def test_memory_that_runs_out_in_a_stage_ends_in_one_line_with_advice(line, command, monkeypatch, refuse):
    (line / "exam/ppo/manifest.json").unlink()
    monkeypatch.setitem(stages.WORK, "exam/ppo", lambda *_: refuse())
    done = command("run", RECIPE, "--out", line)
    assert done.code == 1 and done.err.startswith("pharmgpt: exam/ppo ran out of memory") and "pretrain.rows" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_another_error_is_left_as_it_is():
    with pytest.raises(RuntimeError, match="shapes"), memory_trouble_told("sft"):
        raise RuntimeError("shapes do not match")
