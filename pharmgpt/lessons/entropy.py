"""Losses that no training can go below: what the next word's uncertainty leaves, given all that was read, or nothing at all.

H(w | context) = −Σ P(context, w) log P(w | context), from the counts of the texts themselves: nats a word (Shannon 1948, section 6).
"""
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pharmgpt.lessons.language_model import Text
from pharmgpt.lessons.material import END, TOKENS


def floor_of(texts: Sequence[Text]) -> float:
    """Given everything read so far. Above 0 where one beginning goes on in several ways: then none can know which."""
    return _entropy([(text.prompt + text.words[:t], word) for text in texts for t, word in enumerate((*text.words, TOKENS[END]))])


def unigram_entropy(texts: Sequence[Text]) -> float:
    """Given nothing: a model that knows how often each word comes, and no context, stops here."""
    return _entropy([((), word) for text in texts for word in (*text.words, TOKENS[END])])


def _entropy(choices: Sequence[tuple[tuple[int, ...], int]]) -> float:
    contexts = Counter(context for context, _ in choices)
    return float(-sum(n * np.log(n / contexts[context]) for (context, _), n in Counter(choices).items()) / len(choices))
