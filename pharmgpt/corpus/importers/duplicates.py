"""Texts met before, across all files of one import: the same, or nearly so.

Near-duplicates are repackagers' labels: MinHash (Broder 1997) over word 5-grams, in locality-sensitive bands. `datasketch` hashes; its own
index is not used, because it holds about 2 kB a text in dicts and sets, and a gigabyte of labels is some 300,000 sections. Here a band is
an array of slots that hold the newest text with that band's hash, and a text is 64 bytes: the low byte of each minimum, enough to verify a
candidate (two different minima share a low byte once in 256). Past a million texts old slots are overwritten, so distant repeats may stay.
Two texts that differ in one dose are near-duplicates to this measure too: an import thins texts, it does not compare labels.
"""
import hashlib
import zlib

import numpy as np

PERMUTATIONS, BANDS, SEED = 64, 8, 20260101
ROWS = PERMUTATIONS // BANDS
SHINGLE_WORDS = 5
THRESHOLD = 0.9
SLOTS = 1 << 20
MAX_SHINGLES = 20_000  # hashed at once


class ExactDuplicates:
    """Called with a text: True if the same one was met before."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def __call__(self, text: str) -> bool:
        digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).digest()
        before = len(self._seen)
        self._seen.add(digest)
        return len(self._seen) == before


class NearDuplicates:
    """Called with a text: True if one met before shares about nine tenths of its word 5-grams."""

    def __init__(self) -> None:
        from datasketch import MinHash  # here, or whoever asks a question waits for it
        self._empty = MinHash(PERMUTATIONS, seed=SEED, hashfunc=zlib.crc32)
        self._slots = np.zeros((BANDS, SLOTS), dtype=np.uint32)  # text number + 1; 0 is free
        self._low_bytes = np.empty((1024, PERMUTATIONS), dtype=np.uint8)
        self._count = 0

    def __call__(self, text: str) -> bool:
        minima = self._minima(text)
        at = [(band, zlib.crc32(minima[band * ROWS:(band + 1) * ROWS].tobytes()) % SLOTS) for band in range(BANDS)]
        low = minima.astype(np.uint8)
        candidates = {int(self._slots[place]) - 1 for place in at} - {-1}
        if any(np.mean(self._low_bytes[each] == low) >= THRESHOLD for each in candidates):
            return True
        self._remember(low, at)
        return False

    def _minima(self, text: str) -> np.ndarray:
        words = text.casefold().split()
        shingles = [" ".join(words[start:start + SHINGLE_WORDS]).encode(errors="surrogatepass")
                    for start in range(max(1, len(words) - SHINGLE_WORDS + 1))]
        sketch = self._empty.copy()
        for start in range(0, len(shingles), MAX_SHINGLES):
            sketch.update_batch(shingles[start:start + MAX_SHINGLES])
        return sketch.hashvalues  # (PERMUTATIONS,)

    def _remember(self, low: np.ndarray, at: list[tuple[int, int]]) -> None:
        if self._count == len(self._low_bytes):
            self._low_bytes = np.concatenate([self._low_bytes, np.empty_like(self._low_bytes)])
        self._low_bytes[self._count] = low
        self._count += 1
        for place in at:
            self._slots[place] = self._count


class Repeats:
    """Called with a text: "exact duplicate", "near-duplicate", or "" for one that is new."""

    def __init__(self) -> None:
        self._same, self._near = ExactDuplicates(), NearDuplicates()

    def __call__(self, text: str) -> str:
        if self._same(text):
            return "exact duplicate"
        return "near-duplicate" if self._near(text) else ""
