"""A language model of one hidden layer, small enough to read: the next word from the last two words and from all the words so far.

    h = tanh(x E)        logits = h U + b        P(w_t | w_<t) = softmax(logits)

After Bengio et al. 2003, eq. 1 (their tanh layer over word features, without the direct connection), with one more feature than theirs:
which words have been seen at all. Without it nothing but the last two words could tell "metformin … risk of" from "warfarin … risk of".
U and b begin at 0, so the first loss is exactly ln V. The gradients are written out, because a class can follow them; a test checks
every entry by finite differences.

Shapes: N states (a state is a place where a word is to be chosen), V words, D hidden units, F = 3V features
"""
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray as Array

from pharmgpt.lessons.material import END, START, TOKENS, VOCABULARY


class Model(NamedTuple):
    """All that is learnt; a gradient has the same three fields."""

    E: Array  # (F, D) embeddings: of the last word, of the one before it, and of each word seen so far
    U: Array  # (D, V)
    b: Array  # (V,)


class Text(NamedTuple):
    """A text to learn, as tokens: the prompt is read, the words and the <end> after them are learnt."""

    prompt: tuple[int, ...]
    words: tuple[int, ...]


class States(NamedTuple):
    """The places of a text where a word is to be learnt: what had been read there, and which word came."""

    x: Array  # (N, F)
    targets: Array  # (N,) tokens


class Forward(NamedTuple):
    """One pass through the model, with what its gradient needs."""

    h: Array  # (N, D)
    logprobs: Array  # (N, V)


class DivergedError(ArithmeticError):
    """The loss is no number any more."""


def new_model(rng: np.random.Generator, words: int = len(VOCABULARY), width: int = 32) -> Model:
    return Model(rng.normal(0, 0.2, (3 * words, width)), np.zeros((width, words)), np.zeros(words))


def words_of(text: str) -> list[str]:
    return text.lower().replace("?", " ?").split()


def tokens_of(text: str) -> tuple[int, ...]:
    return tuple(TOKENS[word] for word in words_of(text))


def text_of(tokens: Sequence[int]) -> str:
    return " ".join(VOCABULARY[token] for token in tokens if VOCABULARY[token] != END)


def first_state(rows: int, words: int = len(VOCABULARY)) -> Array:
    """(N, F): nothing read but the start, twice."""
    x = np.zeros((rows, 3 * words))
    x[:, [TOKENS[START], words + TOKENS[START]]] = 1
    return x


def read_on(x: Array, tokens: Array) -> Array:
    """The states after one more word each: (N, F), (N,) → (N, F). The only place that knows what a state is made of."""
    words = x.shape[1] // 3
    after = np.zeros_like(x)
    after[:, words:2 * words] = x[:, :words]
    after[:, 2 * words:] = x[:, 2 * words:]
    rows = np.arange(len(x))
    after[rows, tokens] = after[rows, 2 * words + tokens] = 1
    return after


def states_of(text: Text, words: int = len(VOCABULARY)) -> States:
    """The states in which each word and the <end> were chosen. Nobody chose the prompt: it is context, and does not count in the loss."""
    x = [first_state(1, words)]
    for token in (*text.prompt, *text.words):
        x.append(read_on(x[-1], np.array([token])))
    return States(np.concatenate(x[len(text.prompt):]), np.array([*text.words, TOKENS[END]]))


def run(model: Model, x: Array) -> Forward:
    h = np.tanh(x @ model.E)
    logits = h @ model.U + model.b
    logits -= logits.max(axis=1, keepdims=True)  # no exp can overflow
    return Forward(h, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def gradient(model: Model, x: Array, forward: Forward, d_logits: Array) -> Model:
    """From ∂L/∂logits (N, V) to ∂L/∂(E, U, b): the chain rule, backwards through the two layers. tanh' = 1 − tanh²."""
    d_h = d_logits @ model.U.T * (1 - forward.h**2)
    return Model(x.T @ d_h, forward.h.T @ d_logits, d_logits.sum(axis=0))


def loss_and_gradient(model: Model, states: States) -> tuple[float, Model]:
    """L = −(1/N) Σ log P(w_t | w_<t), nats a counted word, and its gradient: ∂L/∂logits = (P − onehot(w_t)) / N."""
    forward, rows = run(model, states.x), np.arange(len(states.targets))
    d_logits = np.exp(forward.logprobs)
    d_logits[rows, states.targets] -= 1
    loss = -forward.logprobs[rows, states.targets].mean()
    return float(loss), gradient(model, states.x, forward, d_logits / len(rows))


def together(texts: Sequence[States]) -> States:
    return States(*(np.concatenate(parts) for parts in zip(*texts, strict=True)))


def loss_of(model: Model, texts: Sequence[States]) -> float:
    """Nats a word over several texts."""
    return loss_and_gradient(model, together(texts))[0]


def descend(model: Model, slope: Model, lr: float) -> Model:
    """One step DOWN the gradient."""
    return Model(*(parameter - lr * g for parameter, g in zip(model, slope, strict=True)))


def train_epoch(model: Model, texts: Sequence[States], lr: float, rng: np.random.Generator) -> Model:
    """A step a text, in a fresh order."""
    for place in rng.permutation(len(texts)):
        _, slope = loss_and_gradient(model, texts[place])
        model = descend(model, slope, lr)
    return model


def finite(loss: float, lr: float) -> float:
    """The loss, if it is a number."""
    if not np.isfinite(loss):
        raise DivergedError(f"the loss is {loss}: steps of --lr {lr:g} are too long for this model; try a tenth of it")
    return loss


class Step(NamedTuple):
    """One more word for every text that has not ended: A of them."""

    rows: Array  # (A,) which texts
    x: Array  # (A, F)
    tokens: Array  # (A,)
    logprobs: Array  # (A,) of those tokens


def walk(model: Model, prompts: Sequence[tuple[int, ...]], rng: np.random.Generator | None, max_words: int = 26) -> Iterator[Step]:
    """Continue each prompt word by word until its <end>; rng None takes the likeliest word each time."""
    after = {prompt: states_of(Text(prompt, ())).x for prompt in dict.fromkeys(prompts)}
    x, rows = np.concatenate([after[prompt] for prompt in prompts]), np.arange(len(prompts))
    for _ in range(max_words):
        logprobs = run(model, x).logprobs
        tokens = logprobs.argmax(axis=1) if rng is None else draw(np.exp(logprobs), rng)
        yield Step(rows, x, tokens, logprobs[np.arange(len(rows)), tokens])
        goes_on = tokens != TOKENS[END]
        if not goes_on.any():
            return
        x, rows = read_on(x[goes_on], tokens[goes_on]), rows[goes_on]


def sample(model: Model, prompts: Sequence[tuple[int, ...]], rng: np.random.Generator | None) -> list[list[int]]:
    """One continuation a prompt, <end> included where it was reached."""
    texts: list[list[int]] = [[] for _ in prompts]
    for step in walk(model, prompts, rng):
        for row, token in zip(step.rows, step.tokens, strict=True):
            texts[row].append(int(token))
    return texts


def draw(probabilities: Array, rng: np.random.Generator) -> Array:
    """A token a row: (N, V) → (N,)."""
    cumulative = probabilities.cumsum(axis=1)
    return (cumulative < rng.random((len(cumulative), 1)) * cumulative[:, -1:]).sum(axis=1)
