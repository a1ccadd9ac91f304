"""Hugging Face's workers: `python hf.py train-best|train-default|generate JSON`, in an environment that has no pharmgpt.

Best: compiled, memory kept, fused AdamW, on a CPU eager attention (SDPA is slow backward in bf16 there). Default: as people run it. Both in
bf16 where the JSON says so; both random ids, because what tokens mean costs nothing.
"""
import json
import sys
import tempfile

import torch
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM, Trainer, TrainerCallback, TrainingArguments
from worker import Turns, keep_memory

ENDLESS = 10**6  # steps
DATA_ROWS = 65_536  # so many that no epoch ends within a benchmark


def qwen3_config(model: dict, **more: object) -> Qwen3Config:
    """The same numbers under transformers' names."""
    return Qwen3Config(
        vocab_size=model["vocab_size"], hidden_size=model["d_model"], num_hidden_layers=model["n_layers"],
        num_attention_heads=model["n_heads"], num_key_value_heads=model["n_kv_heads"], head_dim=model["head_dim"],
        intermediate_size=model["d_ff"], rms_norm_eps=model["rms_norm_eps"], max_position_embeddings=model["max_positions"],
        tie_word_embeddings=model["tied_embeddings"], rope_parameters={"rope_type": "default", "rope_theta": model["rope_theta"]}, **more)


class RandomRows(torch.utils.data.Dataset):
    def __init__(self, vocab_size: int, row_tokens: int):
        self.ids = torch.randint(vocab_size, (DATA_ROWS, row_tokens))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.ids[index], "labels": self.ids[index]}


class LapEverySteps(TrainerCallback):
    def __init__(self, steps: int, lap):
        self.steps, self.lap = steps, lap

    def on_step_end(self, args, state, control, **_) -> None:
        if state.global_step % self.steps == 0:
            self.lap()


def train(work: dict, turns: Turns, best: bool) -> None:
    attention = "eager" if best and work["device"] == "cpu" else "sdpa"
    model = Qwen3ForCausalLM(qwen3_config(work["model"], attn_implementation=attention, use_cache=False))
    tokens = work["steps"] * work["rows"] * work["row_tokens"]
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            output_dir=out, max_steps=ENDLESS, per_device_train_batch_size=work["rows"], bf16=work["dtype"] == "bf16",
            use_cpu=work["device"] == "cpu", torch_compile=best, optim="adamw_torch_fused" if best else "adamw_torch",
            learning_rate=1e-3, lr_scheduler_type="constant", logging_steps=ENDLESS, save_strategy="no", report_to=[], disable_tqdm=True)
        Trainer(model=model, args=arguments, train_dataset=RandomRows(work["model"]["vocab_size"], work["row_tokens"]),
                callbacks=[LapEverySteps(work["steps"], lambda: turns.lap(tokens))]).train()


@torch.inference_mode()
def generate(work: dict, turns: Turns) -> None:
    """Weights in the compute dtype, sampling at temperature 1 from the whole vocabulary, no end token: every answer has its full length."""
    dtype = torch.bfloat16 if work["dtype"] == "bf16" else torch.float32
    model = Qwen3ForCausalLM(qwen3_config(work["model"])).to(work["device"], dtype).eval()
    prompts = torch.randint(work["model"]["vocab_size"], (work["answers"], work["prompt_tokens"]), device=work["device"])
    config = GenerationConfig(max_new_tokens=work["new_tokens"], do_sample=True, temperature=1.0, top_k=0, top_p=1.0, eos_token_id=None,
                              pad_token_id=0)
    while True:
        said = model.generate(prompts, attention_mask=torch.ones_like(prompts), generation_config=config)
        turns.lap(said.numel() - prompts.numel())


def main() -> None:
    kind, work = sys.argv[1], json.loads(sys.argv[2])
    if kind != "train-default":
        keep_memory()
        torch.set_flush_denormal(True)  # as ours
    if work["device"] == "cuda":
        torch.set_float32_matmul_precision("high")  # as ours
    turns = Turns(torch.cuda.synchronize if work["device"] == "cuda" else lambda: None)
    if kind == "generate":
        generate(work, turns)
    else:
        train(work, turns, best=kind == "train-best")


if __name__ == "__main__":
    main()
