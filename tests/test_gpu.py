"""What only a GPU can show; left out where there is none. With one, test_kill and test_tiny train on it too."""
import shutil

import pytest
import torch
from test_pretrain import ListLog, same, weights
from test_pretrain import tokenizer as tokenizer  # a fixture

from pharmgpt.model.device import choose_device
from pharmgpt.model.generate import generate
from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.text.records import Document
from pharmgpt.train.pretrain import PretrainConfig, pretrain

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

MODEL = ModelConfig(vocab_size=300, d_model=256, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=128, d_ff=512, max_positions=256)
DOCUMENTS = [Document(f"d{n}", f"Drug number {n} is avoided in everybody whose eGFR is below {n % 60}. " * 8, "note") for n in range(200)]


def test_the_compiled_trunk_has_the_gradients_of_the_eager_one():
    device = choose_device()
    model = Transformer.initialise(MODEL, 0).to("cuda")
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data.normal_(0, 0.1)
    ids = torch.randint(0, 300, (8, 256), device="cuda")

    def gradients(run):
        model.zero_grad()
        with device.autocast():
            hidden = run(model, ids)
        hidden.square().sum().backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}

    eager, compiled = gradients(Transformer.hidden), gradients(device.compiled(Transformer.hidden))
    for name, gradient in eager.items():
        assert (compiled[name] - gradient).norm() <= 0.03 * gradient.norm(), name


@pytest.mark.parametrize("compile", [False, True])
def test_two_trainings_of_one_seed_end_with_the_same_bits(compile, tokenizer, tmp_path):
    config = PretrainConfig(model=MODEL, steps=30, rows=16, row_tokens=256, dev_every=30, checkpoint_every=30)
    one, other = (weights(pretrain(config, tokenizer, DOCUMENTS, [], out=tmp_path / name, log=ListLog(), seed=0,
                                   device=choose_device(compile=compile))) for name in ("one", "other"))
    assert same(one, other)


def test_a_resumed_training_ends_with_the_same_bits(tokenizer, tmp_path):
    """Its graphs are captured at another step."""
    config = PretrainConfig(model=MODEL, steps=30, rows=16, row_tokens=256, dev_every=30, checkpoint_every=15)
    last = pretrain(config, tokenizer, DOCUMENTS, [], out=tmp_path, log=ListLog(), seed=0, device=choose_device())
    uninterrupted = weights(last)
    shutil.rmtree(last)
    assert same(uninterrupted, weights(pretrain(config, tokenizer, DOCUMENTS, [], out=tmp_path, log=ListLog(), seed=0,
                                                device=choose_device())))


def test_greedy_answers_are_those_of_the_cpu():
    model = Transformer.initialise(MODEL, 0)
    prompts = [[1, 2, 3], [4, 5, 6, 7, 8], [9]]
    with torch.no_grad():
        model.lm_head.weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    here = generate(model, prompts, max_new_tokens=24, end_id=0)
    choose_device()
    torch.set_float32_matmul_precision("highest")
    assert generate(model.to("cuda"), prompts, max_new_tokens=24, end_id=0) == here
