import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pharmgpt.model.decoder import MORE_SLOTS, Decoder, GraphDecoder, choose
from pharmgpt.model.generate import compute_copy, generate, stream
from test_transformer import CONFIG, random_model

PROMPTS = [[3, 9, 4], [7], [5, 5, 8, 1, 2, 6, 30], [11, 12]]
NEVER = -1


def uncached(model, prompt, tokens, end_id=NEVER):
    """Greedy, by running the whole sequence again for every token."""
    ids = list(prompt)
    for _ in range(tokens):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        if ids[-1] == end_id:
            break
    return ids[len(prompt):]


def sampled(model, seed=0, **more):
    random = torch.Generator().manual_seed(seed)
    return generate(model, PROMPTS, max_new_tokens=12, temperature=1.0, generator=random, **{"end_id": 9} | more)


def test_cached_generation_equals_uncached_beyond_the_slots_that_a_cache_begins_with():
    model, tokens = random_model(), MORE_SLOTS + 8
    completions = generate(model, PROMPTS, max_new_tokens=tokens, end_id=NEVER)
    assert [completion.ids for completion in completions] == [uncached(model, prompt, tokens) for prompt in PROMPTS]


def test_cached_logits_equal_uncached_to_1e_5():
    model, said = random_model(), list(range(5, MORE_SLOTS + 13))
    decoder = Decoder(model, PROMPTS, 1, len(said))
    with torch.inference_mode():
        cached = [decoder.prefill()] + [decoder.step(torch.tensor([token] * 4)) for token in said]
        for row, prompt in enumerate(PROMPTS):
            whole = model(torch.tensor([prompt + said]))[0, len(prompt) - 1:]
            torch.testing.assert_close(torch.stack([logits[row] for logits in cached]), whole, rtol=1e-5, atol=1e-5)


def test_generation_stops_at_the_end_token_and_says_so():
    model = random_model()
    free = uncached(model, PROMPTS[0], 10)
    end_id = free[4]
    completion = generate(model, PROMPTS[:1], max_new_tokens=10, end_id=end_id)[0]
    assert completion.ids == free[:free.index(end_id) + 1] and completion.finished
    assert not generate(model, PROMPTS[:1], max_new_tokens=3, end_id=NEVER)[0].finished


def test_rows_that_end_early_do_not_disturb_the_others():
    model = random_model()
    for end_id in range(CONFIG.vocab_size):
        completions = generate(model, PROMPTS, max_new_tokens=8, end_id=end_id)
        assert [completion.ids for completion in completions] == [uncached(model, prompt, 8, end_id) for prompt in PROMPTS]


def test_a_sample_does_not_depend_on_batch_size_or_neighbours():
    model = random_model()
    assert sampled(model, batch_size=64) == sampled(model, batch_size=1) == sampled(model, batch_size=3)


def test_cores_side_by_side_say_what_one_says_and_give_their_threads_back():
    model, alone = random_model(), torch.get_num_threads()
    many = {"samples_per_prompt": 8, "end_id": NEVER}
    wanted = sampled(model, **many)
    try:
        torch.set_num_threads(3)
        assert sampled(model, **many) == wanted
        assert torch.get_num_threads() == 3 == in_a_new_thread(torch.get_num_threads)
        with pytest.raises(TypeError):  # what goes wrong in a core's thread comes out here
            generate(model, PROMPTS * 8, max_new_tokens=2, end_id=NEVER, temperature="hot", generator=torch.Generator())
    finally:
        torch.set_num_threads(alone)


def in_a_new_thread(question):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(question).result()


def test_the_same_generator_gives_the_same_samples_and_another_one_others():
    model = random_model()
    assert sampled(model, 1) == sampled(model, 1) != sampled(model, 2)


def test_samples_of_a_shared_prompt_stand_together_and_differ():
    model = random_model()
    together = sampled(model, samples_per_prompt=5, end_id=NEVER)
    assert len(together) == 20 and len({tuple(completion.ids) for completion in together[:5]}) > 1
    alone = generate(model, [prompt for prompt in PROMPTS for _ in range(5)], max_new_tokens=12, end_id=NEVER, temperature=1.0,
                     generator=torch.Generator().manual_seed(0))
    assert together == alone


@pytest.mark.parametrize("temperature", (0, 1.0))
@pytest.mark.parametrize("copies", (1, 3))
def test_the_steps_that_a_gpu_captures_say_what_compacted_ones_say(temperature, copies):
    model = random_model()
    uniforms = torch.rand(4 * copies, 20, generator=torch.Generator().manual_seed(0)) if temperature else None
    with torch.inference_mode():
        graph = GraphDecoder(model, 3, copies, 7, 20, temperature)
        found = [ids for few, rows in ((PROMPTS[:3], slice(0, 3 * copies)), (PROMPTS[3:], slice(3 * copies, None)))
                 for ids in graph.complete(few, None if uniforms is None else uniforms[rows], end_id=9)]
    wanted = generate(model, PROMPTS, max_new_tokens=20, end_id=9, temperature=temperature, samples_per_prompt=copies,
                      generator=torch.Generator().manual_seed(0))
    assert [ids[:ids.index(9) + 1] if 9 in ids else ids for ids in found] == [completion.ids for completion in wanted]


def test_streaming_says_what_generation_says():
    model = random_model()
    end_id = uncached(model, PROMPTS[2], 10)[-1]
    settings = {"max_new_tokens": 10, "end_id": end_id, "temperature": 0.8}
    completion = generate(model, [PROMPTS[2]], generator=torch.Generator().manual_seed(4), **settings)[0]
    streamed = list(stream(model, PROMPTS[2], generator=torch.Generator().manual_seed(4), **settings))
    assert streamed == [index for index in completion.ids if index != end_id]


def test_choosing_inverts_the_cumulative_probability():
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log().repeat(5, 1)
    assert choose(logits, 1.0, torch.tensor([0.0, 0.49, 0.51, 0.76, 0.999999])).tolist() == [0, 0, 1, 2, 2]
    assert choose(logits[:2], 0.5, torch.tensor([0.66, 0.67])).tolist() == [0, 1]  # squared: 4/6, 1/6, 1/6
    assert choose(logits[:1], 0, None).tolist() == [0]


def test_the_bf16_copy_leaves_the_model_and_the_rope_tables_in_fp32():
    model = random_model()
    copied = compute_copy(model, torch.bfloat16)
    assert model.lm_head.weight.dtype == torch.float32 and copied.lm_head.weight.dtype == torch.bfloat16
    assert copied.model.rope_cos.dtype == torch.float32
    assert len(generate(model, PROMPTS, max_new_tokens=4, end_id=NEVER, dtype=torch.bfloat16)) == 4


def test_sampling_without_a_generator_and_bad_prompts_are_refused():
    model = random_model()
    with pytest.raises(ValueError, match="needs a generator"):
        generate(model, PROMPTS, max_new_tokens=2, end_id=NEVER, temperature=1.0)
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        generate(model, [[1], []], max_new_tokens=2, end_id=NEVER)
    with pytest.raises(ValueError, match="64 positions"):
        generate(model, [[1] * 60], max_new_tokens=5, end_id=NEVER)


def test_saying_a_token_on_a_cpu_loads_no_compiler():
    """It takes longer to load than to answer."""
    said = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True)
    assert said.stdout.strip() == "False", said.stderr


SAY = """
import sys
from pharmgpt.model.generate import generate
from pharmgpt.model.transformer import ModelConfig, Transformer
model = Transformer.initialise(ModelConfig(vocab_size=32, d_model=16, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=16, d_ff=16), 0)
generate(model, [[1, 2]], max_new_tokens=2, end_id=0)
print("torch._inductor" in sys.modules)
"""
