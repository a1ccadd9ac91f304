"""What is measured, in numbers that ours and a peer are both given: the classroom model, and how much of it a round does.

Also the material for ours: random words that a tokenizer of the recipe's vocabulary is trained on. Peers get random ids.
"""
import json
import random
from dataclasses import asdict, dataclass

from pharmgpt import pipeline
from pharmgpt.model.device import Device
from pharmgpt.model.transformer import ModelConfig
from pharmgpt.text.records import Document, Message, Question
from pharmgpt.text.tokenizer import Tokenizer, train_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Training:
    model: ModelConfig
    rows: int
    row_tokens: int
    steps: int  # a round

    @property
    def tokens(self) -> int:
        """A step's."""
        return self.rows * self.row_tokens


@dataclass(frozen=True)
class Answering:
    """`epochs` is PPO's; generation has none."""

    model: ModelConfig
    answers: int
    prompt_tokens: int = 64
    new_tokens: int = 64
    epochs: int = 4


def classroom_training(steps: int) -> Training:
    recipe = pipeline.read_recipe("classroom", (), None)
    pretrain = recipe["pretrain"]
    model = pretrain.model.model_copy(update={"vocab_size": recipe["tokenizer"].vocab_size})
    return Training(model, pretrain.rows, pretrain.row_tokens, steps)


def as_argument(work: Training | Answering, device: Device) -> str:
    """One JSON argument: all that a worker, ours or a peer's, has to know."""
    where = {"device": device.type, "dtype": "fp32" if device.autocast_dtype is None else "bf16"}
    return json.dumps(asdict(work) | {"model": work.model.model_dump()} | where)


def words(count: int = 1500, seed: int = 0) -> list[str]:
    """Made of letters at random, the same ones each time."""
    draw = random.Random(seed)
    return ["".join(draw.choices(LETTERS, k=draw.randint(2, 6))) for _ in range(count)]


def tokenizer_of(vocab_size: int) -> Tokenizer:
    """Trained on the words; all of `vocab_size` is used, or the model would not have the recipe's shape."""
    draw = random.Random(1)
    made = train_tokenizer([" " + " ".join(draw.choices(words(), k=20_000))], vocab_size)
    assert made.vocab_size == vocab_size, f"{made.vocab_size} tokens came out of the words, {vocab_size} were asked for"
    return made


def documents(count: int = 60, length: int = 3000) -> list[Document]:
    """Texts far longer than a row: cut to rows, all but each one's last piece is full."""
    draw, known = random.Random(2), words()
    return [Document(f"d{number}", " ".join(draw.choices(known, k=length)), "noise") for number in range(count)]


def questions(tokenizer: Tokenizer, prompt_tokens: int, count: int = 64) -> list[Question]:
    """Prompts of exactly `prompt_tokens` ids: words of one token each, between the two role tokens."""
    draw = random.Random(3)
    single = [word for word in words() if len(tokenizer.encode(f" {word}")) == 1]
    texts = [" ".join(draw.choices(single, k=prompt_tokens - 2)) for _ in range(count)]
    return [Question(id=f"q{number}", family="noise", messages=(Message("user", text),), key=(), decision="", severity="", part="train",
                     pool="seen") for number, text in enumerate(texts)]
