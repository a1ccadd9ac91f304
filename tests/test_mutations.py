"""Spoilt input is read, dropped and counted, or refused in one line: a sample of mutations.py, and each defect that it has found."""
import gzip
import json
import zipfile

import openpyxl
import pyarrow.parquet as pq
import pytest

from inputs import FORMATS, small_base
from mutations import DEFECTS, mutate
from pharmgpt import pipeline
from pharmgpt.corpus.importers.importing import import_files
from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger
from pharmgpt.corpus.importers.reading import CHUNK, encoding_of
from pharmgpt.corpus.importers.sniff import sniff
from pharmgpt.corpus.importers.text import read_extra
from pharmgpt.knowledge.load import KnowledgeError, load
from pharmgpt.knowledge.pairs import PairsError, judge_file
from pharmgpt.knowledge.rules import interactions
from pharmgpt.run.recipe import RecipeError
from pharmgpt.text.parquet import read_parquet, write_parquet
from pharmgpt.text.records import BadRecord, Document, Question, read_jsonl
from samples import BASE, CHATS, PAIRS, RECIPE, SECTION, SPL_HEAD, TABLE

ROWS = 100
ASKED = '{"question": "Is it safe?", "answer": "No, it is not."}'


@pytest.mark.parametrize("name", FORMATS)
def test_spoilt_rows_are_read_dropped_or_refused(name, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tally = mutate(FORMATS[name], ROWS, name, tmp_path)
    assert not tally.defects, "\n".join(tally.defects.values())
    assert tally.rows >= ROWS and not any(tally.outcomes[each] for each in DEFECTS)
    assert tally.outcomes["read"] and tally.outcomes["refused"], "a mutation that all or none survive tests nothing"


def write(path, content):
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return path


def dropped(tmp_path, kind, name, *rows):
    """The ledger of an import of rows."""
    return import_files(kind, [write(tmp_path / name, "\n".join(rows))], tmp_path / "out").total


# -- the command: each error ends in one line and exit code 2 --------------------------------------------------------------------------

@pytest.mark.parametrize(("arguments", "name", "content"), [
    (("data", "import", "qa", "{file}", "--out", "{out}"), "a.jsonl", "{broken"),
    (("data", "import", "text", "{file}", "--out", "{out}"), "a.parquet", b"PAR1" * 9),
    (("data", "inspect", "{file}"), "a.xml", "<document>"),
    (("kb", "pairs", "{file}", "--out", "{out}"), "a.csv", "drug_a\nx\n"),
    (("kb", "screen", "warfarin", "--base", "{folder}"), "effects.toml", "term = 5"),
    (("run", "{file}", "--out", "{out}"), "a.toml", "seed = " + "9" * 5000),
    (("run", "tiny", "--out", "{out}", "--set", "name=\udcff"), "a.toml", ""),
    (("ask", "--file", "{file}"), "a.jsonl", '{"id": 1}'), (("reward", "--file", "{file}"), "a.jsonl", "[]"),
])
def test_every_kind_of_bad_input_is_one_line_and_exit_code_2(command, tmp_path, arguments, name, content):
    base = small_base(tmp_path)
    file = write((base if name.startswith("effects") else tmp_path) / name, content)
    done = command(*(each.format(file=file, out=tmp_path / "out", folder=base) for each in arguments))
    assert done.code == 2 and "Traceback" not in done.err and len(done.err.strip().splitlines()) == 1
    assert str(file) in done.err or "--set" in done.err


# -- JSON ------------------------------------------------------------------------------------------------------------------------------

def test_a_number_of_thousands_of_digits_drops_its_line(tmp_path):
    ledger = dropped(tmp_path, "qa", "a.jsonl", ASKED, '{"question": "Why?", "answer": ' + "9" * 5000 + "}")
    assert (ledger.kept, ledger.dropped["malformed"]) == (1, 1) and "line 2: Exceeds the limit (4300 digits)" in ledger.bad[0]


def test_a_number_of_thousands_of_digits_in_an_array_does_not_kill_the_process(tmp_path):
    file = write(tmp_path / "a.json", f"[{ASKED},\n" + '{"question": "Why?", "answer": ' + "9" * 5000 + "}]")
    with pytest.raises(ImportRefused, match="a.json: not JSON after item 0: .*integer overflow"):
        import_files("qa", [file], tmp_path / "out")


def test_half_a_character_drops_its_line_wherever_it_stands(tmp_path):
    half = [ASKED.replace("safe", r"\ud83d"), ASKED.replace("}", r', "\udc00": 1}'), ASKED.replace("safe", r"\ud83d\ude00")]
    ledger = dropped(tmp_path, "qa", "a.jsonl", ASKED, *half)
    assert (ledger.kept, ledger.dropped["malformed"]) == (2, 2) and r"line 2: half of a surrogate pair, '\ud83d'" in ledger.bad[0]
    with pytest.raises(ImportRefused, match="a.json: not JSON"):
        import_files("qa", [write(tmp_path / "a.json", f"[{ASKED.replace('safe', chr(92) + 'udc00 half')}]")], tmp_path / "out")


def test_an_array_nested_without_end_is_refused_before_it_fills_the_memory(tmp_path):
    with pytest.raises(ImportRefused, match="a.json: JSON nested too deeply"):
        sniff(write(tmp_path / "a.json", f"[{ASKED},\n" + "[" * 50_000))


def test_what_is_nested_a_thousand_deep_can_still_be_quoted(tmp_path):
    deep = "[" * 480 + "]" * 480
    ledger = dropped(tmp_path, "chats", "a.json", f"[{json.dumps(CHATS[0])}",
                     f', {{"messages": [{deep}]}}, {{"messages": [{{"role": "user", "content": {deep}}}]}}]')
    assert ledger.kept == 1 and "item 1, messages, message 1: expected role and content" in ledger.bad[0]


def test_a_message_quotes_keys_on_one_line(tmp_path):
    with pytest.raises(ImportRefused) as refusal:
        sniff(write(tmp_path / "a.jsonl", json.dumps({"\n\x1b[31m": 1, "x" * 5000: 2})))
    assert str(refusal.value).isprintable() and len(str(refusal.value)) < 400


# -- text and tables -------------------------------------------------------------------------------------------------------------------

def test_a_file_of_white_space_of_any_kind_is_empty(tmp_path):
    for content in ("\ufeff", "\xa0\x85", "\u2028 \x1c"):
        with pytest.raises(ImportRefused, match="the file is empty"):
            sniff(write(tmp_path / "a.csv", content))


def test_a_file_cut_within_a_letter_at_a_whole_megabyte_is_noticed(tmp_path):
    file = write(tmp_path / "a.txt", b"a" * (CHUNK - 1) + "é".encode()[:1])
    assert encoding_of(file, Ledger()) == "cp1252"


def test_a_file_whose_name_is_not_utf_8_is_to_be_renamed(tmp_path):
    file = write(tmp_path / "caf\udce9.txt", "Four words are here.")
    for read in (sniff, lambda path: list(read_extra(path))):
        with pytest.raises(ImportRefused, match="name is not UTF-8. Rename it."):
            read(file)


def test_lines_of_damaged_utf_16_are_refused_for_pretraining(tmp_path):
    file = write(tmp_path / "a.jsonl", '{"text": "One two three four."}'.encode("utf-16") + b"\x00\xd8a")
    with pytest.raises(ImportRefused, match="a.jsonl: starts like UTF-16, but byte"):
        list(read_extra(file))


def test_a_quotation_mark_left_open_cannot_swallow_rows(tmp_path):
    head, rows = "drug_a,drug_b,severity", ["warfarin,aspirin,major", "lithium,ibuprofen,minor"]
    with pytest.raises(ImportRefused, match="a.csv, line 3: a quotation mark takes 1 lines below"):
        dropped(tmp_path, "interactions", "a.csv", head, rows[0], 'x,y,"major', rows[1])
    ledger = dropped(tmp_path, "interactions", "a.csv", head, rows[0], 'x,"y"z,major', "x" * 140_000 + ",y,", rows[1])
    assert (ledger.read, ledger.kept, ledger.dropped) == (4, 2, {"malformed": 2}) and "a.csv, line 3: ',' expected" in ledger.bad[0]


def test_pairs_count_lines_as_editors_do(tmp_path):
    file = write(tmp_path / "a.csv", "drug_a,drug_b\nwarfarin\x0b,aspirin\x85\nx,y,z\n")
    with pytest.raises(PairsError, match="line 3: 3 cells"):
        judge_file(load(small_base(tmp_path)), file, tmp_path / "out.csv")


def test_a_prefix_that_nobody_declared_is_refused_with_its_line(tmp_path):
    """In a long label its section is read before the parser comes to say so."""
    for length in (0, 100_000):
        label = SPL_HEAD + SECTION.replace("may be", "may <b:c>be</b:c>") + "<!---->" * length + "</structuredBody></component></document>"
        with pytest.raises(ImportRefused, match="a.xml, line 1: not well-formed XML: Namespace prefix b on c is not defined"):
            dropped(tmp_path, "spl", "a.xml", label)


# -- Excel and Parquet -----------------------------------------------------------------------------------------------------------------

def workbook(path):
    book = openpyxl.Workbook()
    for row in TABLE:
        book.active.append(row)
    book.save(path)
    return path.read_bytes()


def test_a_sheet_damaged_within_is_refused_with_the_row(tmp_path):
    workbook(tmp_path / "good.xlsx")
    with zipfile.ZipFile(tmp_path / "good.xlsx") as good, zipfile.ZipFile(tmp_path / "bad.xlsx", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, good.read(name).replace(b"</row></sheetData>", b"</sheetData>") if "sheet1" in name else good.read(name))
    with pytest.raises(ImportRefused, match=r"bad.xlsx: not an Excel file that can be read behind row 3: .*Save it as .xlsx or .csv again"):
        import_files("interactions", [tmp_path / "bad.xlsx"], tmp_path / "out")


def test_an_archive_with_a_damaged_directory_is_refused(tmp_path):
    whole = workbook(tmp_path / "good.xlsx")
    with pytest.raises(ImportRefused, match="bad.xlsx: a damaged zip or Excel file"):
        sniff(write(tmp_path / "bad.xlsx", whole.replace(b"PK\x01\x02", b"PK\x01\x03")))
    with pytest.raises(ImportRefused, match="a gzip archive"):
        sniff(write(tmp_path / "a.jsonl.gz", gzip.compress(ASKED.encode())[:-5]))


def test_damaged_parquet_is_bad_input_and_not_a_failing_disk(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(path, [Document(f"a.{number}", "Text of ours.", "note") for number in range(9)], Document)
    whole = path.read_bytes()
    for start in (4, len(whole) - 60):
        with pytest.raises(BadRecord, match="a.parquet: not a whole Parquet file"):
            list(read_parquet(write(path, whole[:start] + b"\xff" * 40 + whole[start + 40:]), Document))


# -- ledgers ---------------------------------------------------------------------------------------------------------------------------

def test_a_label_section_that_is_no_text_is_counted(tmp_path):
    ledger = dropped(tmp_path, "openfda", "a.ndjson", '{"set_id": "1", "warnings": ["One two three four.", 5, null]}', '{"set_id": 3}')
    assert (ledger.read, ledger.kept) == (4, 1) and ledger.dropped == {"section that is no text": 2, "result that is no label": 1}


def test_the_pieces_of_a_long_text_are_accounted_for(tmp_path):
    text = " ".join(f"Sentence {at} has exactly seven words here." for at in range(40))
    ledger = dropped(tmp_path, "text", "a.txt", text)
    assert (ledger.read, ledger.kept, ledger.notes) == (1, 3, {"pieces of long texts beyond the first": 2})


# -- preferences -----------------------------------------------------------------------------------------------------------------------

def test_answers_that_part_before_the_last_message_are_dropped_by_reason(tmp_path):
    ask, other, answer = ({"role": role, "content": text} for role, text in (("user", "Is it?"), ("user", "Why?"), ("assistant", "No.")))
    parted = json.dumps({"chosen": [ask, answer, ask, answer], "rejected": [other, answer, ask, answer]})
    ledger = dropped(tmp_path, "preferences", "a.jsonl", json.dumps(PAIRS[1]), parted)
    assert ledger.kept == 1 and ledger.dropped == {"no prompt, and none that the answers share": 1}


def test_a_grade_that_no_float_can_hold_is_none(tmp_path):
    big = json.dumps({**PAIRS[1], "chosen_score": 10 ** 400})
    graded = '{"question": "Is it?", "answer": "No.", "score": %s}' % 10 ** 400
    ledger = dropped(tmp_path, "preferences", "a.jsonl", big, graded)
    assert (ledger.read, ledger.kept, ledger.dropped["malformed"]) == (2, 1, 1)
    assert pq.read_table(tmp_path / "out" / "preferences.parquet")["gold_chosen"].to_pylist() == [None]


# -- knowledge and recipes -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("name", "text", "says"), [
    ("effects.toml", "term = 5", r"effects.toml: term: found '5', not \[\[term\]\] tables"),
    ("effects.toml", '[term]\nid = "x"\nname = "x"\n', r"begin each entry with \[\[term\]\]"),
    ("sources.toml", "source = " + "9" * 5000, "sources.toml: not valid TOML: Exceeds the limit"),
    ("limits.toml", "limit = " + "[" * 3000, "limits.toml: not valid TOML: maximum recursion"),
    ("drugs/warfarin.toml", BASE["drugs/warfarin.toml"].replace('"warfarin"', '""', 1), "warfarin.toml: name: "),
])
def test_a_base_that_is_none_is_refused_with_file_and_fix(tmp_path, monkeypatch, name, text, says):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (small_base(tmp_path) / name).write_text(text)
    with pytest.raises(KnowledgeError, match=says):
        load(tmp_path / "base")


def test_rules_whose_effect_no_vocabulary_holds_can_be_asked(tmp_path, monkeypatch):
    """The audit reports the effect; screening must not fall over it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rules = BASE["interactions.toml"].replace('effect = "bleeding"', 'effect = "no_such"', 1)
    (small_base(tmp_path) / "interactions.toml").write_text(rules)
    assert [each.effect for each in interactions(load(tmp_path / "base"), "warfarin", "ibuprofen")] == ["no_such", "bleeding"]


@pytest.mark.parametrize("text", ["seed = " + "9" * 5000, "seed = " + "[" * 3000])
def test_a_recipe_beyond_what_toml_reads_is_refused(tmp_path, text):
    with pytest.raises(RecipeError, match="mine.toml: not valid TOML"):
        pipeline.read_recipe(str(write(tmp_path / "mine.toml", text)), (), None)


@pytest.mark.parametrize("setting", ["ppo.kl.target_nats=inf", 'name="a\\u007fb"'])
def test_a_recipe_that_a_run_keeps_reads_back(tmp_path, setting):
    found = pipeline.read_recipe(str(write(tmp_path / "mine.toml", RECIPE)), [setting], None)
    assert pipeline.read_recipe(str(write(tmp_path / "kept.toml", found.to_toml())), (), None) == found


@pytest.mark.parametrize("setting", ["name=\udcff", "ppo.\x1bx=1"])
def test_a_setting_that_is_no_text_is_refused(tmp_path, setting):
    with pytest.raises(RecipeError, match="holds a character that no recipe can"):
        pipeline.read_recipe(str(write(tmp_path / "mine.toml", RECIPE)), [setting], None)


def test_a_wrong_value_is_quoted_short(tmp_path):
    with pytest.raises(RecipeError) as refusal:
        pipeline.read_recipe(str(write(tmp_path / "mine.toml", RECIPE)), ["pretrain.steps=" + "x" * 100_000], None)
    assert len(str(refusal.value)) < 300


def test_a_corpus_line_of_a_huge_number_names_its_line(tmp_path):
    with pytest.raises(BadRecord, match="q.jsonl, line 1: "):
        list(read_jsonl(write(tmp_path / "q.jsonl", '{"id": %s}' % ("9" * 5000)), Question))
