"""The model against a plain slow reference, and against transformers where that is installed."""
import math

import pytest
import torch

from pharmgpt.model.device import Device, choose_device
from pharmgpt.model.scalar_head import RewardModel
from pharmgpt.model.transformer import ModelConfig, Transformer

CONFIG = ModelConfig(vocab_size=50, d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=8, d_ff=24, max_positions=64)


def random_model(config: ModelConfig = CONFIG, seed: int = 0) -> Transformer:
    """Every weight random, norms and zero-initialised projections too, so that nothing hides behind a 0 or a 1."""
    model, generator = Transformer.initialise(config, seed), torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3 + (1.0 if parameter.ndim == 1 else 0.0)
    return model


def random_ids(rows: int, tokens: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, CONFIG.vocab_size, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def rms(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x / math.sqrt((x * x).mean() + 1e-6) * weight


def turned(x: torch.Tensor, position: int, theta: float) -> torch.Tensor:
    half = len(x) // 2
    out = torch.empty_like(x)
    for i in range(half):
        angle = position * theta ** (-2 * i / len(x))
        out[i] = x[i] * math.cos(angle) - x[i + half] * math.sin(angle)
        out[i + half] = x[i + half] * math.cos(angle) + x[i] * math.sin(angle)
    return out


def slow_logits(model: Transformer, ids: list[int]) -> torch.Tensor:
    """One token, one head, one key at a time, from the papers."""
    c, w = model.config, {name: value.double() for name, value in model.state_dict().items()}
    xs = [w["model.embed_tokens.weight"][i] for i in ids]
    for n in range(c.n_layers):
        p = f"model.layers.{n}."
        hs = [rms(x, w[p + "input_layernorm.weight"]) for x in xs]
        keys, values, out = [], [], []
        for t, h in enumerate(hs):
            split = lambda name, heads: (w[p + f"self_attn.{name}_proj.weight"] @ h).view(heads, c.head_dim)
            keys.append([turned(rms(k, w[p + "self_attn.k_norm.weight"]), t, c.rope_theta) for k in split("k", c.n_kv_heads)])
            values.append(split("v", c.n_kv_heads))
            heads = []
            for j, q in enumerate(split("q", c.n_heads)):
                g = j // (c.n_heads // c.n_kv_heads)
                q = turned(rms(q, w[p + "self_attn.q_norm.weight"]), t, c.rope_theta)
                weights = torch.stack([q @ keys[s][g] / math.sqrt(c.head_dim) for s in range(t + 1)]).softmax(0)
                heads.append(sum(a * values[s][g] for s, a in enumerate(weights)))
            out.append(w[p + "self_attn.o_proj.weight"] @ torch.cat(heads))
        xs = [x + o for x, o in zip(xs, out, strict=True)]
        for t, x in enumerate(xs):
            h = rms(x, w[p + "post_attention_layernorm.weight"])
            gate = w[p + "mlp.gate_proj.weight"] @ h
            xs[t] = x + w[p + "mlp.down_proj.weight"] @ (gate * torch.sigmoid(gate) * (w[p + "mlp.up_proj.weight"] @ h))
    head = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    return torch.stack([head @ rms(x, w["model.norm.weight"]) for x in xs])


@pytest.mark.parametrize("tied", [False, True])
def test_logits_equal_the_slow_reference(tied):
    model = random_model(CONFIG.model_copy(update={"tied_embeddings": tied}))
    ids = random_ids(1, 7)
    torch.testing.assert_close(model(ids)[0].double(), slow_logits(model, ids[0].tolist()), rtol=1e-4, atol=1e-4)


def test_logits_equal_those_of_transformers_qwen3():
    transformers = pytest.importorskip("transformers")
    model = random_model()
    theirs = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=24,
        rope_theta=CONFIG.rope_theta, rms_norm_eps=CONFIG.rms_norm_eps, max_position_embeddings=64, tie_word_embeddings=False))
    theirs.load_state_dict(model.state_dict(), strict=True)
    ids = random_ids(2, 20)
    torch.testing.assert_close(model(ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)


def test_packed_rows_equal_separate_documents():
    model = random_model()
    first, second = random_ids(1, 5, 1), random_ids(1, 6, 2)
    ids = torch.cat([first, second, torch.zeros(1, 3, dtype=torch.long)], 1)
    segments = torch.tensor([[1] * 5 + [2] * 6 + [0] * 3])
    positions = torch.tensor([[*range(5), *range(6), 0, 1, 2]])
    packed = model(ids, segments, positions)
    torch.testing.assert_close(packed[:, :5], model(first), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(packed[:, 5:11], model(second), rtol=1e-5, atol=1e-5)
    assert packed.isfinite().all()


def test_the_future_changes_nothing():
    model, ids = random_model(), random_ids(1, 8)
    changed = ids.clone()
    changed[0, 5] = (ids[0, 5] + 1) % 50
    torch.testing.assert_close(model(ids)[:, :5], model(changed)[:, :5], rtol=0, atol=0)
    assert not torch.equal(model(ids)[:, 5:], model(changed)[:, 5:])


def test_the_first_loss_is_ln_v():
    model = Transformer.initialise(CONFIG, 0)
    logprobs = model(random_ids(2, 8)).log_softmax(-1)
    torch.testing.assert_close(logprobs, torch.full((2, 8, 50), -math.log(50)))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    def weights(seed):
        return Transformer.initialise(CONFIG, seed).state_dict()["model.layers.0.mlp.up_proj.weight"]
    assert torch.equal(weights(3), weights(3)) and not torch.equal(weights(3), weights(4))


def test_every_weight_gets_a_gradient():
    model = random_model()
    model(random_ids(2, 8)).logsumexp(-1).sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()] == []


def test_a_row_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match="65 tokens in a row"):
        random_model()(random_ids(1, 65))


@pytest.mark.parametrize("change", [{"n_kv_heads": 3}, {"head_dim": 7}, {"d_modle": 16}])
def test_an_impossible_config_is_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        ModelConfig(**(CONFIG.model_dump() | change))


def test_a_scalar_model_scores_each_position_in_fp32_under_autocast():
    model = RewardModel.from_transformer(random_model())
    torch.nn.init.normal_(model.head.score.weight, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(random_ids(2, 8))
    assert scores.shape == (2, 8) and scores.dtype == torch.float32
    assert not torch.equal(scores, scores.bfloat16().float())


def test_a_scalar_model_starts_as_a_copy_and_scores_zero():
    transformer = random_model()
    model = RewardModel.from_transformer(transformer)
    assert not model(random_ids(2, 8)).any()
    model.model.norm.weight.data.zero_()
    assert transformer.model.norm.weight.any()


def test_compiling_changes_how_blocks_run_during_the_call_only(monkeypatch):
    called = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(torch, "compile", lambda function, **_: lambda *arguments: called.append(1) or function(*arguments))
    model, ids = random_model(), random_ids(2, 8)
    fast = Device("cpu", compile=True).compiled(lambda model, ids: model(ids))
    assert torch.equal(fast(model, ids), model(ids)) and len(called) == CONFIG.n_layers


@pytest.mark.parametrize(("type", "ranks", "part", "captured"), [
    ("cpu", False, "run_block", False), ("cuda", False, "run_trunk", True), ("cuda", True, "run_block", False)])
def test_one_gpu_captures_the_trunk_and_all_else_compiles_a_block(monkeypatch, type, ranks, part, captured):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, dynamic, mode=None: compiled.append((function.__name__, mode)) or function)
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: ranks)
    device = Device(type, compile=True)
    device.compiled(Transformer.hidden)
    assert compiled == [(part, "reduce-overhead" if captured else None)]
    assert device.captures is captured


@pytest.mark.parametrize(("amx", "avx512_bf16", "dtype"), [
    (True, True, torch.bfloat16), (False, True, torch.bfloat16), (False, False, None)])
def test_a_cpu_trains_in_bf16_where_it_multiplies_bf16(monkeypatch, amx, avx512_bf16, dtype):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: avx512_bf16)
    assert choose_device(compile=False).autocast_dtype == dtype


def test_compiled_bf16_gradients_are_the_eager_ones_at_the_judges_row_length():
    device = choose_device(compile=True)
    if not device.compile:
        return  # no C++ compiler: nothing is compiled here
    model = Transformer.initialise(ModelConfig(vocab_size=64, d_model=256, n_layers=1, n_heads=4, n_kv_heads=4, head_dim=64, d_ff=64), 0)
    model.model.layers[0].self_attn.o_proj.weight.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    ids = torch.randint(0, 64, (16, 256), generator=torch.Generator().manual_seed(2))

    def gradients(run):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            hidden = run(model, ids)
        hidden.square().sum().backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}

    eager, compiled = gradients(Transformer.hidden), gradients(device.compiled(Transformer.hidden))
    for name, gradient in eager.items():
        assert (compiled[name] - gradient).norm() <= 0.03 * gradient.norm(), name  # NaN fails too
