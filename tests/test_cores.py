import pytest
import torch

from pharmgpt.model.cores import Halves, side_by_side
from pharmgpt.model.device import Device
from pharmgpt.model.transformer import Transformer, run_trunk
from pharmgpt.train.batches import Batch
from pharmgpt.train.losses import language_model_loss
from test_transformer import CONFIG, random_model


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def some_batch(rows: int, seed: int) -> Batch:
    random = torch.Generator().manual_seed(seed)
    ids, targets = torch.randint(CONFIG.vocab_size, (2, rows, 24), generator=random)
    segment_ids = (torch.arange(24) > 10).long().expand(rows, 24) + 1
    positions = torch.arange(24).expand(rows, 24) - 11 * (segment_ids - 1)
    return Batch(ids, targets, segment_ids, positions, torch.ones(rows, 24))


def loss_and_gradients(model: Transformer, batch: Batch, run=run_trunk) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model.model.run_trunk = run
    loss = language_model_loss(model, *batch.language_model_inputs("cpu"), None)
    return loss.detach(), torch.autograd.grad(loss, list(model.parameters()))


@pytest.mark.parametrize("rows", (1, 2, 5))
@pytest.mark.parametrize("tied", (True, False))
def test_two_halves_give_the_loss_and_gradients_of_the_whole(rows, tied):
    model, halves = random_model(CONFIG.model_copy(update={"tied_embeddings": tied})), Halves(run_trunk)
    for seed in (0, 1):  # the first time one after the other, then at once
        batch = some_batch(rows, seed)
        torch.testing.assert_close(loss_and_gradients(model, batch, halves), loss_and_gradients(model, batch), rtol=1e-5, atol=1e-6)


def test_two_halves_repeat_to_the_bit():
    model, halves, batch = random_model(), Halves(run_trunk), some_batch(4, 0)
    first, *others = (loss_and_gradients(model, batch, halves) for _ in range(4))
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=0)


def test_a_half_computes_in_the_dtype_that_its_caller_asked_for():
    model, batch, seen = random_model(), some_batch(4, 0), []
    model.model.layers[0].mlp.up_proj.register_forward_hook(lambda module, given, made: seen.append((made.dtype, torch.get_num_threads())))
    model.model.run_trunk = Halves(run_trunk)
    language_model_loss(model, *batch.language_model_inputs("cpu"), torch.bfloat16)
    assert seen == [(torch.bfloat16, 1)] * 2


def test_frozen_weights_stay_without_gradient():
    model, batch = random_model(), some_batch(4, 0)
    model.model.embed_tokens.weight.requires_grad_(False)
    model.model.run_trunk = Halves(run_trunk)
    language_model_loss(model, *batch.language_model_inputs("cpu"), None).backward()
    assert {name for name, weight in model.named_parameters() if weight.grad is None} == {"model.embed_tokens.weight"}


def test_what_fails_in_a_half_comes_out_of_the_call():
    model = random_model()
    model.model.run_trunk = Halves(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(torch.zeros(2, 4, dtype=torch.int64))


def test_only_two_threads_take_a_half_each_and_only_while_the_compiled_function_runs(two_threads, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    model, seen = random_model(), []
    for threads in (2, 1, 3):
        torch.set_num_threads(threads)
        Device("cpu", compile=True).compiled(lambda model: seen.append(isinstance(model.model.run_trunk, Halves)))(model)
        assert model.model.run_trunk is run_trunk
    assert seen == [True, False, False]


def test_work_side_by_side_keeps_its_order():
    assert list(side_by_side(lambda item: (item, torch.get_num_threads()), [3, 1, 2], 2)) == [(3, 1), (1, 1), (2, 1)]
