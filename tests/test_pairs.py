"""CSV files of pairs: every row comes out, judged, whatever spreadsheet wrote it."""
import csv
import time

import pytest
from typer.testing import CliRunner

from pharmgpt.kb_cli import NOT_ADVICE, app
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.pairs import ADDED, PairsError, judge, judge_file

KB = load()


def judged(tmp_path, content, name="pairs.csv"):
    source, out = tmp_path / name, tmp_path / "out.csv"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    counts = judge_file(KB, source, out)
    with open(out, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(counts.values()) == len(rows)
    return rows


def refused(tmp_path, content):
    with pytest.raises(PairsError) as error:
        judged(tmp_path, content)
    assert "pairs.csv" in str(error.value) and not (tmp_path / "out.csv").exists()
    return str(error.value)


def test_a_pair_is_judged_by_its_worst_rule():
    verdict = judge(KB, "Coumadin", "advil")
    assert (verdict.known_a, verdict.known_b, verdict.severity, verdict.rule) == (True, True, "major", "anticoagulant_nsaid")
    assert verdict.mechanism


def test_none_and_unknown_are_told_apart(tmp_path):
    rows = judged(tmp_path, "drug_a,drug_b\nmetformin,lisinopril\nmetformin,foobarin\nfoobarin,barfoo\nbromazepam,morphine\n")
    assert [(row["known_a"], row["known_b"], row["severity"]) for row in rows] == [
        ("true", "true", "none"), ("true", "false", "unknown"), ("false", "false", "unknown"), ("false", "true", "unknown")]
    assert all(row["rule"] == row["mechanism"] == "" for row in rows)


def test_a_drug_with_itself_has_no_rule(tmp_path):
    assert judged(tmp_path, "drug_a,drug_b\nibuprofen,Advil\n")[0]["severity"] == "none"


def test_byte_order_mark_windows_line_ends_and_a_missing_last_line_end(tmp_path):
    rows = judged(tmp_path, b"\xef\xbb\xbfdrug_a,drug_b\r\nwarfarin,ibuprofen\r\nsildenafil,isosorbide mononitrate")
    assert [row["severity"] for row in rows] == ["major", "contraindicated"]


def test_other_columns_stay_and_keep_their_order(tmp_path):
    rows = judged(tmp_path, 'id,drug_b, Drug_A ,note\n7,ibuprofen,warfarin,"a, b"\n')
    assert list(rows[0]) == ["id", "drug_b", " Drug_A ", "note", *ADDED]
    assert (rows[0]["id"], rows[0]["note"], rows[0]["severity"]) == ("7", "a, b", "major")


def test_its_own_output_can_be_judged_again(tmp_path):
    first = judged(tmp_path, "drug_a,drug_b\nwarfarin,ibuprofen\n")
    assert judged(tmp_path, (tmp_path / "out.csv").read_bytes()) == first


def test_an_empty_name_is_unknown_and_blank_lines_are_no_rows(tmp_path):
    rows = judged(tmp_path, "drug_a,drug_b\n\nwarfarin,\n  \n")
    assert [(row["known_b"], row["severity"]) for row in rows] == [("false", "unknown")]


def test_names_with_commas_and_line_breaks_in_quotes(tmp_path):
    rows = judged(tmp_path, 'drug_a,drug_b\n"warfarin, oral",ibuprofen\n"oral\nwarfarin",ibuprofen\n')
    assert [row["severity"] for row in rows] == ["major", "unknown"]


def test_a_missing_column_names_file_line_found_and_fix(tmp_path):
    message = refused(tmp_path, "drug_a,drugB\nwarfarin,ibuprofen\n")
    assert all(words in message for words in ("line 1", "missing column drug_b", "found drug_a, drugB", "name the two columns"))


def test_semicolons_an_empty_file_and_a_doubled_column_are_explained(tmp_path):
    assert "separate the columns with commas" in refused(tmp_path, "drug_a;drug_b\nwarfarin;ibuprofen\n")
    assert "found nothing" in refused(tmp_path, "")
    assert "stands twice" in refused(tmp_path, "drug_a,drug_b,drug_b\nx,y,z\n")


def test_a_ragged_row_names_its_line(tmp_path):
    assert "line 3" in refused(tmp_path, "drug_a,drug_b\nwarfarin,ibuprofen\nwarfarin, oral,ibuprofen\n")
    assert "line 2" in refused(tmp_path, "drug_a,drug_b\nwarfarin\n")


def test_an_open_quotation_mark_and_foreign_bytes_name_their_line(tmp_path):
    assert "quotation mark" in refused(tmp_path, 'drug_a,drug_b\n"warfarin,ibuprofen\n')
    assert "line 3" in refused(tmp_path, b"drug_a,drug_b\nwarfarin,ibuprofen\nw\xe4rfarin,ibuprofen\n")


def test_a_hundred_thousand_rows_take_seconds_not_minutes(tmp_path):
    names = [name for drug in KB.drugs.values() for name in (drug.name, *drug.brands)] + [f"otherdrug{number}" for number in range(200)]
    content = "drug_a,drug_b\n" + "".join(f"{names[i * 7 % len(names)]},{names[i * 13 % len(names)]}\n" for i in range(100_000))
    began = time.perf_counter()
    assert len(judged(tmp_path, content)) == 100_000
    assert time.perf_counter() - began < 20


def test_the_command_writes_the_file_and_counts(tmp_path):
    (tmp_path / "in.csv").write_text("drug_a,drug_b\nwarfarin,ibuprofen\nmetformin,nosuch\n")
    result = CliRunner().invoke(app, ["pairs", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv")])
    assert result.exit_code == 0 and "major" in result.output and "unknown" in result.output
    assert result.output.strip().splitlines()[-1] == NOT_ADVICE and (tmp_path / "out.csv").read_text().count("\n") == 3


@pytest.mark.parametrize("content", [None, "a,b\n1,2\n"])
def test_the_command_ends_with_2_on_bad_input(tmp_path, content):
    if content:
        (tmp_path / "in.csv").write_text(content)
    result = CliRunner().invoke(app, ["pairs", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv")])
    assert result.exit_code == 2 and "in.csv" in result.output and "Traceback" not in result.output
