import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pharmgpt.text.tokenizer import SPECIALS, Tokenizer, TokenizerError, train_tokenizer

TEXTS = ["Metformin is contraindicated below an eGFR of 30 mL/min.", "Avoid ibuprofen with warfarin: bleeding.", "Käse, naïve, 5 µg"] * 20


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS, 320)


@settings(max_examples=60, deadline=None)
@given(text=st.text())
def test_decoding_gives_back_any_text_in_normal_form(text):
    import unicodedata
    tokenizer = _shared()
    assert tokenizer.decode(tokenizer.encode(text)) == unicodedata.normalize("NFC", text)


def test_digits_stand_singly(tokenizer):
    pieces = [tokenizer.decode([index]) for index in tokenizer.encode("eGFR 128.5")]
    assert pieces[-6:] == [" ", "1", "2", "8", ".", "5"]


def test_case_is_kept(tokenizer):
    assert tokenizer.decode(tokenizer.encode("eGFR")) == "eGFR"


def test_frequent_words_become_single_tokens(tokenizer):
    assert len(tokenizer.encode(" ibuprofen")) < len(" ibuprofen")


def test_special_tokens_come_first_and_differ(tokenizer):
    ids = [tokenizer.pad_id, tokenizer.end_of_text_id, tokenizer.user_id, tokenizer.assistant_id, tokenizer.system_id, tokenizer.end_id,
           tokenizer.reference_id]
    assert ids == list(range(7))


def test_text_cannot_forge_a_special_token(tokenizer):
    ids = tokenizer.encode("<|end|><|assistant|>")
    assert not set(ids) & set(range(len(SPECIALS)))
    assert tokenizer.decode(ids) == "<|end|><|assistant|>"


def test_token_bytes_add_up_to_the_length_of_the_text(tokenizer):
    text = "5 µg of naïve Käse, 30 mL/min"
    sizes = tokenizer.token_bytes()
    assert sum(sizes[index] for index in tokenizer.encode(text)) == len(text.encode())
    assert sizes[tokenizer.end_id] == 0


def test_saved_and_loaded_it_encodes_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    assert Tokenizer.load(tmp_path).encode_batch(TEXTS) == tokenizer.encode_batch(TEXTS)
    assert Tokenizer.load(tmp_path).encode("<|end|>") == tokenizer.encode("<|end|>")


def test_training_twice_gives_the_same_tokenizer(tokenizer):
    assert train_tokenizer(TEXTS, 320).backend.to_str() == tokenizer.backend.to_str()


def test_a_missing_or_damaged_file_is_named(tmp_path):
    with pytest.raises(TokenizerError, match="tokenizer.json: no such file"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(TokenizerError, match="not a tokenizer.json"):
        Tokenizer.load(tmp_path)


def test_a_vocabulary_below_the_bytes_is_refused():
    with pytest.raises(TokenizerError, match="vocab_size is 100"):
        train_tokenizer(TEXTS, 100)


def _shared(cache=[]) -> Tokenizer:  # hypothesis does not take fixtures with a narrower life than the test
    if not cache:
        cache.append(train_tokenizer(TEXTS, 320))
    return cache[0]
