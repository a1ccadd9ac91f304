"""Imported texts: what is read, cut, dropped and refused, on look-alikes of real files' traps."""
import json

import pytest

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger
from pharmgpt.corpus.importers.pieces import pieces
from pharmgpt.corpus.importers.text import read_extra

LABEL = {
    "set_id": "1", "version": "3", "openfda": {"generic_name": ["X"]},
    "boxed_warning": ["WARNING: BLEEDING Stopping early raises the risk of clots [see Warnings and Precautions (5.1)] ."],
    "warnings": ["5 WARNINGS Serious bleeding can\n occur   in anyone ( 5.2 ) . Stop before surgery."],
    "warnings_table": ["<table><tr><td>Dose</td></tr></table>"],
    "package_label_principal_display_panel": ["PRINCIPAL DISPLAY PANEL 30 tablets"],
}


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def texts(path, ledger=None):
    return [document.text for document in read_extra(path, ledger)]


def test_a_label_gives_its_prose_without_tables_panels_and_cross_references(tmp_path):
    ledger = Ledger()
    found = list(read_extra(write(tmp_path / "label.json", json.dumps({"meta": {}, "results": [LABEL]})), ledger))
    assert [document.text for document in found] == [
        "WARNING: BLEEDING Stopping early raises the risk of clots .",
        "5 WARNINGS Serious bleeding can occur in anyone . Stop before surgery."]
    assert {document.genre for document in found} == {"imported"} and found[0].id == "label.json#0.boxed_warning.0"
    assert (ledger.read, ledger.kept, dict(ledger.dropped)) == (2, 2, {"table field": 1})


def test_labels_one_a_line_read_like_a_download_and_repeats_are_dropped_once_counted(tmp_path):
    ledger = Ledger()
    found = texts(write(tmp_path / "labels.ndjson", f"{json.dumps(LABEL)}\n\n{json.dumps(LABEL)}\n"), ledger)
    assert len(found) == 2 and ledger.dropped["exact duplicate"] == 2 and ledger.read == 4


def test_text_lines_and_own_documents_both_pass(tmp_path):
    own = {"id": "a.1", "text": "Our own short text.", "genre": "note", "drugs": ["metformin"]}
    found = list(read_extra(write(tmp_path / "mix.jsonl", json.dumps({"text": "One two three four."}) + "\n" + json.dumps(own))))
    assert [(document.id, document.genre) for document in found] == [("mix.jsonl#1.0", "imported"), ("a.1", "note")]
    assert found[1].drugs == ("metformin",)


def test_a_byte_order_mark_is_not_part_of_the_first_word(tmp_path):
    assert texts(write(tmp_path / "bom.txt", "Take with food every day.", "utf-8-sig")) == ["Take with food every day."]
    assert texts(write(tmp_path / "bom.jsonl", '{"text": "Take with food every day."}', "utf-8-sig")) == ["Take with food every day."]


def test_windows_1252_is_decoded_and_noted(tmp_path):
    ledger = Ledger()
    assert texts(write(tmp_path / "old.txt", "Bleeding – stop it at once.", "cp1252"), ledger) == ["Bleeding – stop it at once."]
    assert ledger.notes["decoded as Windows-1252"] == 1


@pytest.mark.parametrize(("name", "data", "reason"), [
    ("bytes.txt", b"four words \x81 here now", "byte 0x81 at offset 11 is neither UTF-8 nor Windows-1252"),
    ("zip.txt", b"PK\x03\x04\x00\x00", "zero byte at offset 4"),
    ("odd.txt", b"\xff\xfea\x00b", "starts like UTF-16"),
    ("cut.jsonl", b'{"text": "a b c d"}\n{"text": "a', "line 2: not JSON"),
    ("keys.jsonl", b'{"prompt": "a", "answer": "b"}', "line 1: expected .* found prompt, answer"),
    ("type.jsonl", b'{"text": 5}', "found text"),
    ("own.jsonl", b'{"id": 1, "text": "a b", "genre": "x"}', "line 1: id: "),
    ("cache.json", b'{"drug_name": "x", "sections": {}}', "found drug_name, sections"),
    ("list.json", b"[1, 2]", "found list"),
    ("deep.jsonl", b"[" * 100_000, "line 1: "),
    ("page.html", b"<p>hello</p>", "is not a format we read"),
])
def test_what_cannot_be_read_is_refused_with_file_place_and_fix(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImportRefused, match=reason) as refusal:
        list(read_extra(tmp_path / name))
    assert name in str(refusal.value)


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(ImportRefused, match="no such file"):
        list(read_extra(tmp_path / "nowhere"))


def test_a_folder_is_read_in_name_order_and_counts_what_it_leaves(tmp_path):
    (tmp_path / "b").mkdir()
    write(tmp_path / "b" / "two.txt", "Second text of the folder.")
    write(tmp_path / "a.txt", "First text of the folder.")
    write(tmp_path / "c.txt", "   \n ")
    write(tmp_path / "d.txt", "Too short.")
    write(tmp_path / "picture.png", "not text")
    write(tmp_path / ".hidden.txt", "Hidden text is not ours.")
    ledger = Ledger()
    assert texts(tmp_path, ledger) == ["First text of the folder.", "Second text of the folder."]
    assert dict(ledger.dropped) == {"empty": 1, "fewer than 4 words": 1, "file of another format (.png)": 1}


def test_a_special_token_spelled_out_in_a_text_is_broken_up(tmp_path):
    assert "<|" not in texts(write(tmp_path / "trap.txt", "He wrote <|end|> and then <|assistant|> below it."))[0]


def test_pieces_end_at_sentences_and_lose_no_word():
    text = " ".join(f"Sentence {at} has exactly seven words here." for at in range(40))
    cut = list(pieces(text))
    assert [len(piece.split()) for piece in cut] == [98, 98, 84] and " ".join(cut) == text
    assert all(piece.endswith(".") for piece in cut)


def test_a_run_without_a_full_stop_is_cut_at_a_comma():
    words = ["word"] * 250
    words[79] = "word,"
    assert [len(piece.split()) for piece in pieces(" ".join(words))] == [80, 100, 70]


def test_abbreviations_and_decimals_do_not_end_a_sentence():
    text = "Give e.g. Aspirin at 1.5 mg. Stop then."
    assert list(pieces(text, 6)) == ["Give e.g. Aspirin at 1.5 mg.", "Stop then."]


def test_a_ledger_is_plain_data():
    ledger = Ledger(read=3, kept=1)
    ledger.drop("table field", 2)
    assert json.loads(json.dumps(ledger.as_json())) == {"read": 3, "kept": 1, "dropped": {"table field": 2}, "repaired": {}, "notes": {}}
