"""Reading a knowledge base, and names as people write them."""
import shutil
import subprocess
import sys

import pytest
from pydantic import ValidationError

from pharmgpt.knowledge import load as load_module
from pharmgpt.knowledge.load import PACKAGED, KnowledgeError, load
from pharmgpt.knowledge.medication_list import find_term, read_list
from pharmgpt.knowledge.names import find_drugs, resolve
from pharmgpt.knowledge.schema import RenalRule, Term

KB = load()


@pytest.fixture
def copy(tmp_path):
    """Our own base, to be broken."""
    return shutil.copytree(PACKAGED, tmp_path / "base")


def broken(folder, file, old, new):
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(KnowledgeError) as error:
        load(folder)
    return str(error.value)


# Reading

def test_our_base_holds_more_than_four_hundred_drugs_and_each_fact_names_a_known_source():
    assert len(KB.drugs) > 400 and set(KB.fact_ids().values()) <= KB.sources.keys()
    assert KB.fact_ids()["metformin.renal.0"] == "metformin_label"
    assert KB.fact_ids()["simvastatin.enzyme.CYP3A4.substrate"] == "fda_ddi_table"


def test_a_drugs_own_label_is_a_source_without_being_listed():
    assert KB.sources["tacrolimus_label"].title == "Tacrolimus: prescribing information"


def test_a_fact_in_a_word_equals_a_fact_in_full(copy):
    short = load(copy).drugs["warfarin"]
    path = copy / "drugs" / "warfarin.toml"
    text = path.read_text(encoding="utf-8")
    assert 'boxed_warnings = ["bleeding"]' in text
    path.write_text(text.replace('boxed_warnings = ["bleeding"]', 'boxed_warnings = [{ effect = "bleeding", source = "warfarin_label" }]'),
                    encoding="utf-8")
    assert _read_anew(copy).drugs["warfarin"] == short


def test_the_cached_base_equals_the_parsed_one_and_a_changed_fact_is_another(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    parsed, cached = _read_anew(copy), _read_anew(copy)
    assert parsed is not cached and vars(parsed) == vars(cached) and len(list((tmp_path / "cache").rglob("knowledge-*.json"))) == 1
    (copy / "drugs" / "warfarin.toml").write_text((copy / "drugs" / "warfarin.toml").read_text().replace('"Jantoven"', '"Marevan"'))
    assert _read_anew(copy).drugs["warfarin"].brands == ("Coumadin", "Marevan")


def test_a_damaged_cache_is_read_around(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    parsed = _read_anew(copy)
    for file in (tmp_path / "cache").rglob("knowledge-*.json"):
        file.write_bytes(file.read_bytes()[:1000])
    assert vars(_read_anew(copy)) == vars(parsed)


def _read_anew(folder):
    load_module._load.cache_clear()
    return load(folder)


def test_an_unknown_key_is_named_with_its_file(copy):
    message = broken(copy, "drugs/metformin.toml", "mechanism =", "mechansm =")
    assert "metformin.toml" in message and "mechan" in message and "schema.py" in message


def test_a_wrong_value_is_shown_with_its_key(copy):
    message = broken(copy, "drugs/metformin.toml", 'action = "avoid"', 'action = "never"')
    assert "renal.0.action" in message and "'never'" in message and "'avoid'" in message


def test_a_fact_without_source_is_refused(copy):
    message = broken(copy, "drugs/metformin.toml", 'source = "metformin_label"', "")
    assert "metformin.toml" in message and "source" in message and "required" in message


def test_broken_toml_names_the_file_and_line(copy):
    assert "line 1" in broken(copy, "drugs/metformin.toml", 'name = "metformin"', 'name = metformin"')


def test_a_missing_file_and_a_wrong_folder_are_named(copy, tmp_path):
    (copy / "effects.toml").unlink()
    with pytest.raises(KnowledgeError, match="effects.toml.*no such file"):
        load(copy)
    with pytest.raises(KnowledgeError, match="no folder drugs"):
        load(tmp_path)


def test_an_id_that_stands_twice_is_an_error(copy):
    with open(copy / "effects.toml", "a", encoding="utf-8") as file:
        file.write('\n[[term]]\nid = "bleeding"\nname = "bleeding"\n')
    with pytest.raises(KnowledgeError, match="'bleeding' stands twice"):
        load(copy)


def test_another_table_in_a_vocabulary_is_an_error(copy):
    with open(copy / "effects.toml", "a", encoding="utf-8") as file:
        file.write('\n[[terms]]\nid = "x"\nname = "x"\n')
    with pytest.raises(KnowledgeError, match="'terms'"):
        load(copy)


def test_the_content_hash_tells_bases_apart(copy):
    path = copy / "drugs" / "metformin.toml"
    path.write_text(path.read_text(encoding="utf-8") + "\n# a remark\n", encoding="utf-8")
    assert load(copy).content_hash != KB.content_hash


def test_nouns_are_frozen_and_strict():
    with pytest.raises(ValidationError):
        KB.drugs["metformin"].name = "sugar"
    with pytest.raises(ValidationError):
        Term(id="a", name="a", colour="red")
    with pytest.raises(ValidationError):
        RenalRule(measure="creatinine", action="avoid", source="x")


def test_reading_and_screening_need_no_torch():
    code = "import sys, pharmgpt.kb_cli\nfrom pharmgpt.knowledge import audit, pairs, screen\nprint('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


# Names

@pytest.mark.parametrize("written, drug, how", [
    ("warfarin", "warfarin", "name"), ("WARFARIN ", "warfarin", "name"), ("insulin glargine", "insulin_glargine", "name"),
    ("insulin_glargine", "insulin_glargine", "name"), ("Coumadin", "warfarin", "brand"), ("advil", "ibuprofen", "brand"),
    ("toprol xl", "metoprolol", "brand"), ("paracetamol", "acetaminophen", "spelling"),
    ("TMP/SMX", "trimethoprim_sulfamethoxazole", "spelling"),
    ("co trimoxazole", "trimethoprim_sulfamethoxazole", "spelling"), ("metfornin", "metformin", "close"),
    ("simvastatine", "simvastatin", "spelling"),
    ("amiodraone", "amiodarone", "close")])
def test_a_name_is_read_and_how_is_told(written, drug, how):
    found = resolve(KB, written)
    assert (found.drug_id, found.how) == (drug, how)


@pytest.mark.parametrize("written", ["", "aspi", "water", "xylophone"])
def test_what_is_no_drug_stays_unknown(written):
    assert resolve(KB, written).drug_id is None


def test_a_name_near_two_drugs_shows_both_and_guesses_neither():
    found = resolve(KB, "sinagliptin")  # one letter from linagliptin, one from sitagliptin
    assert (found.drug_id, found.candidates) == (None, ("linagliptin", "sitagliptin"))
    assert find_drugs(KB, "Is sinagliptin safe?") == []


@pytest.mark.parametrize("written, drug", [("metfornin", "metformin"), ("amiodraone", "amiodarone"), ("metfrmin", "metformin"),
                                           ("amiodarrone", "amiodarone"), ("mitfarmon", None)])
def test_letters_lost_doubled_changed_or_swapped_are_forgiven_up_to_a_limit(written, drug):
    assert resolve(KB, written).drug_id == drug


def test_drugs_are_found_in_a_sentence_in_order_and_the_longest_name_wins():
    text = "Is Bactrim DS safe with coumadin and metfornin?"
    found = find_drugs(KB, text)
    assert [(each.drug_id, text[each.start:each.end], each.how) for each in found] == [
        ("trimethoprim_sulfamethoxazole", "Bactrim DS", "brand"), ("warfarin", "coumadin", "brand"), ("metformin", "metfornin", "close")]


def test_a_word_inside_a_word_is_no_drug():
    assert find_drugs(KB, "An aspirinlike feeling, isms and asada.") == []


@pytest.mark.parametrize("name",
                         ["bromazepam", "nitrendipine", "maprotiline", "etofenamate", "Josamycin", "protriptyline", "sertindole",
                          "flunitrazepam"])
def test_another_drug_is_never_taken_for_a_misspelling(name):
    assert resolve(KB, name).drug_id is None
    assert read_list(KB, f"{name} 5 mg daily")[0].drug_id is None


def test_a_list_is_read_with_doses_and_nothing_is_dropped():
    found = read_list(KB, "Coumadin 5 mg daily, advil; sulfamethoxazole and trimethoprim + foobarin\n"
                          "metformin and aspirin, warfarin blockbuster")
    assert [(each.text, each.drug_id) for each in found] == [
        ("Coumadin 5 mg daily", "warfarin"), ("advil", "ibuprofen"), ("sulfamethoxazole and trimethoprim", "trimethoprim_sulfamethoxazole"),
        ("foobarin", None), ("metformin", "metformin"), ("aspirin", "aspirin"), ("warfarin blockbuster", None)]
    assert found[3].candidates == () and read_list(KB, "fentanyl citrat salt")[0].candidates[0] == "fentanyl"


def test_a_condition_is_found_by_its_synonyms_and_else_the_nearest_are_shown():
    assert find_term(KB.conditions, "High Blood Pressure") == ("hypertension", ())
    id, near = find_term(KB.conditions, "hart failure")
    assert id is None and "heart failure" in near
