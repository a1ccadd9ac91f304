"""Our workers: `python -m benchmarks.ours train|generate|ppo JSON`. The real stages run; their log is where they take turns."""
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks import workload
from benchmarks.peers.worker import Turns
from benchmarks.workload import Answering, Training
from pharmgpt.model.checkpoint import save_model
from pharmgpt.model.device import Device, choose_device
from pharmgpt.model.generate import generate
from pharmgpt.model.scalar_head import RewardModel
from pharmgpt.model.transformer import ModelConfig, Transformer
from pharmgpt.train.judge import Judge, judge_facts
from pharmgpt.train.ppo import PPOConfig, StepConfig, ppo
from pharmgpt.train.pretrain import PretrainConfig, pretrain

ENDLESS = 10**6  # steps: the orchestrator says when it is enough
NO_TOKEN = -1  # an end token that no model says, so that every answer has its full length


class TurnLog:
    """A stage's log. Each record that holds `key` ends a round, and the stage waits inside `write` until the next may begin."""

    def __init__(self, key: str, lap: Callable[[dict], None]):
        self.key, self.lap = key, lap

    def write(self, record: dict) -> None:
        if self.key in record:
            self.lap(record)

    def truncate(self, after_step: int) -> None:
        pass

    def stop_asked(self) -> bool:
        return False


def train(work: Training, device: Device, out: Path, lap: Callable[[float], None]) -> None:
    """`pretrain` itself, without development texts and checkpoints. `lap` is called with the tokens of each `work.steps` steps."""
    config = PretrainConfig(model=work.model, steps=ENDLESS, rows=work.rows, row_tokens=work.row_tokens, log_every=work.steps,
                            dev_every=ENDLESS, checkpoint_every=ENDLESS)
    log = TurnLog("tokens_per_second", lambda record: lap(work.steps * work.tokens))
    pretrain(config, workload.tokenizer_of(work.model.vocab_size), workload.documents(), [], out=out, log=log, device=device, seed=0)


def generate_rounds(work: Answering, device: Device, out: Path, lap: Callable[[float], None]) -> None:
    generator = torch.Generator().manual_seed(0)
    model = Transformer.initialise(work.model, 0).to(device.type)
    prompts = torch.randint(work.model.vocab_size, (work.answers, work.prompt_tokens), generator=generator).tolist()
    while True:
        said = generate(model, prompts, max_new_tokens=work.new_tokens, end_id=NO_TOKEN, temperature=1.0, generator=generator,
                        dtype=device.autocast_dtype)
        lap(sum(len(completion.ids) for completion in said))


def ppo_rounds(work: Answering, device: Device, out: Path, lap: Callable[[float], None]) -> None:
    """`ppo` itself on an untrained policy and judge, one update an epoch, as the peer does. A few answers end early: tokens are counted."""
    tokenizer = workload.tokenizer_of(work.model.vocab_size)
    policy = Transformer.initialise(work.model, 0)
    judge = Judge(RewardModel.from_transformer(policy), tokenizer)
    save_model(policy, out / "sft")
    save_model(judge.model, out / "reward", judge=judge_facts(judge))
    row_tokens = work.prompt_tokens + work.new_tokens
    update = StepConfig(epochs=work.epochs, rows=work.answers, row_tokens=row_tokens, critic_rows=work.answers,
                        critic_row_tokens=row_tokens)
    config = PPOConfig(update=update, iterations=ENDLESS, prompts=work.answers, max_new_tokens=work.new_tokens, critic_warmup=0,
                       dev_every=ENDLESS, checkpoint_every=ENDLESS)
    log = TurnLog("kl_coefficient", lambda record: lap(work.answers * (work.prompt_tokens + record["length"])))
    ppo(config, tokenizer, workload.questions(tokenizer, work.prompt_tokens), (), policy_dir=out / "sft", reward_dir=out / "reward",
        dev_questions=[], monitor=lambda *_: {"gold": 0.0}, out=out / "ppo", log=log, device=device, seed=0)


WORKERS = {"train": (train, Training), "generate": (generate_rounds, Answering), "ppo": (ppo_rounds, Answering)}


def main() -> None:
    worker, kind = WORKERS[sys.argv[1]]
    given = json.loads(sys.argv[2])
    model = ModelConfig(**given.pop("model"))
    work = kind(model=model, **{name: value for name, value in given.items() if name not in ("device", "dtype")})
    device = choose_device()
    turns = Turns(torch.cuda.synchronize if device.type == "cuda" else lambda: None)
    with tempfile.TemporaryDirectory() as out:
        worker(work, device, Path(out), turns.lap)


if __name__ == "__main__":
    main()
