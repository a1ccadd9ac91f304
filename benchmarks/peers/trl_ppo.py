"""TRL's last PPO trainer, as a worker: `python trl_ppo.py JSON`. One lap is one iteration: sample, score, learn for some epochs.

One update an epoch over all answers. Better than its defaults: memory kept, activations not computed twice, no sample tables printed.
"""
import json
import sys
import tempfile

import torch
from datasets import Dataset
from hf import ENDLESS, LapEverySteps, qwen3_config
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM, Qwen3ForSequenceClassification
from trl.experimental.ppo import PPOConfig, PPOTrainer
from worker import Turns, keep_memory

PAD, END = 0, 1
PROMPTS = 4096


def tokenizer_of(vocab_size: int) -> PreTrainedTokenizerFast:
    """Words t0, t1, …: the trainer wants a tokenizer, though the prompts come as ids."""
    words = Tokenizer(models.WordLevel({f"t{index}": index for index in range(vocab_size)}, unk_token=f"t{END}"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token=f"t{PAD}", eos_token=f"t{END}", padding_side="left")


def ppo(work: dict, turns: Turns) -> None:
    shape = work["model"]
    policy = Qwen3ForCausalLM(qwen3_config(shape, pad_token_id=PAD, eos_token_id=END))
    reference = Qwen3ForCausalLM(qwen3_config(shape, pad_token_id=PAD, eos_token_id=END))
    reference.load_state_dict(policy.state_dict())
    reward, value = (Qwen3ForSequenceClassification(qwen3_config(shape, pad_token_id=PAD, num_labels=1)) for _ in range(2))
    prompts = torch.randint(END + 1, shape["vocab_size"], (PROMPTS, work["prompt_tokens"])).tolist()
    tokens = work["answers"] * (work["prompt_tokens"] + work["new_tokens"])
    with tempfile.TemporaryDirectory() as out:
        config = PPOConfig(
            output_dir=out, total_episodes=ENDLESS, per_device_train_batch_size=work["answers"], gradient_accumulation_steps=1,
            num_mini_batches=1, num_ppo_epochs=work["epochs"], local_rollout_forward_batch_size=work["answers"],
            response_length=work["new_tokens"], temperature=1.0, num_sample_generations=0, gradient_checkpointing=False,
            bf16=work["dtype"] == "bf16", use_cpu=work["device"] == "cpu", logging_steps=ENDLESS, save_strategy="no", report_to=[],
            disable_tqdm=True)
        PPOTrainer(args=config, processing_class=tokenizer_of(shape["vocab_size"]), model=policy, ref_model=reference, reward_model=reward,
                   value_model=value, train_dataset=Dataset.from_dict({"input_ids": prompts}),
                   eval_dataset=Dataset.from_dict({"input_ids": prompts[:work["answers"]]}),
                   callbacks=[LapEverySteps(1, lambda: turns.lap(tokens))]).train()


def main() -> None:
    work = json.loads(sys.argv[1])
    keep_memory()
    torch.set_flush_denormal(True)  # as ours
    if work["device"] == "cuda":
        torch.set_float32_matmul_precision("high")  # as ours
    ppo(work, Turns(torch.cuda.synchronize if work["device"] == "cuda" else lambda: None))


if __name__ == "__main__":
    main()
