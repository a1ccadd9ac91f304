"""Byte-level BPE, trained on one's own text and kept in one tokenizer.json that training, serving and export share.

NFC, no lower-casing, Qwen2's pre-tokenizer: digits stand singly, so that 28 and 30 are compared digit by digit.
Text never becomes a special token: a user who types <|end|> gets its characters, so a prompt cannot forge a turn.
"""
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

PAD, END_OF_TEXT, USER, ASSISTANT, SYSTEM, END, REFERENCE = SPECIALS = (
    "<|pad|>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|reference|>")
# Qwen2's pattern, byte for byte: converters (llama.cpp) know tokenizers by it.
QWEN2_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SMALLEST_VOCABULARY = 256 + len(SPECIALS)  # every byte, so that no text is unknown


class TokenizerError(ValueError):
    """A tokenizer that cannot be trained or read: the message names what was found and the fix."""


class Tokenizer:
    """Text ↔ ids. Wraps tokenizers.Tokenizer (`backend`)."""

    def __init__(self, backend: tokenizers.Tokenizer):
        missing = [token for token in SPECIALS if backend.token_to_id(token) is None]
        if missing:
            raise TokenizerError(f"the tokenizer lacks the special tokens {', '.join(missing)}; train it with train_tokenizer.")
        backend.encode_special_tokens = True  # specials in text are plain characters
        self.backend = backend
        self.pad_id, self.end_of_text_id, self.user_id, self.assistant_id, self.system_id, self.end_id, self.reference_id = (
            backend.token_to_id(token) for token in SPECIALS)

    @property
    def vocab_size(self) -> int:
        return self.backend.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        return self.backend.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int], skip_specials: bool = True) -> str:
        return self.backend.decode(list(ids), skip_special_tokens=skip_specials)

    def token_bytes(self) -> list[int]:
        """Bytes of text that each id stands for; 0 for specials. Bits per byte divide by it."""
        pieces = (self.backend.id_to_token(index) for index in range(self.vocab_size))
        return [0 if piece in SPECIALS else len(piece) for piece in pieces]  # byte-level: one character a byte

    def save(self, path: Path) -> None:
        """Write tokenizer.json into the folder `path`, or to `path` itself if it ends in .json."""
        path = _file(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.backend.to_str(pretty=True), encoding="utf-8")  # backend.save turns a full disk into a bare Exception

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        path = _file(path)
        if not path.is_file():
            raise TokenizerError(f"{path}: no such file. Run the tokenizer stage, or point to a folder that holds tokenizer.json.")
        try:
            backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises bare Exception
            raise TokenizerError(f"{path}: not a tokenizer.json ({error}). Delete it and run the tokenizer stage again.") from None
        return cls(backend)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train on `texts`. The result may be smaller than `vocab_size` when the text runs out of pairs to merge."""
    if vocab_size < SMALLEST_VOCABULARY:
        raise TokenizerError(f"vocab_size is {vocab_size}; every byte and special token needs {SMALLEST_VOCABULARY}.")
    backend = tokenizers.Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIALS), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return Tokenizer(backend)


def _file(path: Path) -> Path:
    path = Path(path)
    return path if path.suffix == ".json" else path / "tokenizer.json"
