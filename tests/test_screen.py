"""A medication list and a patient → findings, worst first."""
import json

import pytest
from typer.testing import CliRunner

from pharmgpt.kb_cli import NOT_ADVICE, app
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.screen import Patient, ScreenError, conditions_that_hold, fits, screen

KB = load()


def found(drugs, kind=None, **patient):
    return [each for each in screen(KB, drugs.split(), Patient(**patient)) if kind in (None, each.kind)]


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


# Kidneys

def test_metformin_at_28_is_contraindicated_and_at_85_is_silent():
    low = found("metformin", egfr_ml_min_173=28)
    assert [(each.kind, each.severity, each.action) for each in low] == [("renal", "contraindicated", "avoid")]
    assert low[0].effect == "lactic_acidosis"
    assert low[0].fact_ids[:2] == ("metformin.renal.0", "metformin.contraindication.severe_renal_impairment")
    assert set(low[0].alternatives["metformin"]) == {"linagliptin", "insulin_glargine"}
    assert found("metformin", egfr_ml_min_173=85) == []


def test_an_unknown_egfr_is_not_taken_for_a_normal_one_nor_a_low_one():
    assert found("metformin") == []


def test_a_crcl_rule_is_judged_by_egfr_where_only_that_is_known_and_says_so():
    by_egfr, = found("dabigatran", egfr_ml_min_173=12)
    assert by_egfr.action == "avoid" and "the rule is in CrCl" in by_egfr.mechanism
    by_crcl, = found("dabigatran", egfr_ml_min_173=12, crcl_ml_min=20)
    assert by_crcl.action == "reduce" and "the rule is in" not in by_crcl.mechanism


def test_severe_kidney_disease_without_a_value_still_speaks():
    finding, = found("lithium", conditions=("severe_renal_impairment",))
    assert finding.kind == "renal" and finding.action == "avoid" and "give the value" in finding.mechanism


# Pregnancy, breastfeeding, conditions

def test_warfarin_in_pregnancy_is_one_contraindication_with_both_facts():
    finding, = found("warfarin", pregnant=True)
    assert (finding.kind, finding.severity) == ("pregnancy", "contraindicated")
    assert finding.fact_ids == ("warfarin.pregnancy", "warfarin.contraindication.pregnancy")
    assert found("warfarin", conditions=("pregnancy",)) == [finding]


def test_codeine_is_avoided_while_breastfeeding():
    finding, = found("codeine", breastfeeding=True)
    assert (finding.kind, finding.severity, finding.effect) == ("lactation", "major", "respiratory_depression")


def test_a_condition_contraindicates():
    finding, = found("ibuprofen", "contraindication", conditions=("peptic_ulcer",))
    assert (finding.severity, finding.effect) == ("contraindicated", "gi_bleeding")
    assert found("ibuprofen", conditions=("hypertension",)) == []


def test_a_narrower_condition_counts_as_its_broader_one():
    assert "asthma" in conditions_that_hold(KB, Patient(conditions=("acute_severe_asthma",)))
    assert found("metoprolol", conditions=("acute_severe_asthma",))[0].fact_ids == ("metoprolol.contraindication.asthma",)
    assert found("metformin", conditions=("decompensated_liver_disease",))[0].rule == "metformin.hepatic"


# Lists

def test_findings_come_worst_first():
    gravity = [each.gravity() for each in found("warfarin ibuprofen metformin amoxicillin", egfr_ml_min_173=20)]
    assert len(gravity) >= 3 and gravity == sorted(gravity)


def test_an_alternative_is_shown_only_if_it_suits_the_list_and_the_patient():
    assert found("ibuprofen warfarin", "interaction")[0].alternatives["ibuprofen"] == ("acetaminophen",)
    bad_liver = found("ibuprofen warfarin", "interaction", conditions=("decompensated_liver_disease",))[0]
    assert "ibuprofen" not in bad_liver.alternatives
    assert not fits(KB, "clarithromycin", ("simvastatin",), Patient())
    assert fits(KB, "amoxicillin", ("simvastatin",), Patient())
    assert not fits(KB, "amoxicillin", (), Patient(conditions=("penicillin_allergy",)))


def test_no_alternative_is_already_taken_or_brings_a_major_finding():
    drugs = "metformin ibuprofen lisinopril simvastatin clarithromycin"
    patient = Patient(egfr_ml_min_173=25, pregnant=True)
    for finding in screen(KB, drugs.split(), patient):
        for drug, offered in finding.alternatives.items():
            assert not set(offered) & set(drugs.split())
            rest = tuple(each for each in drugs.split() if each != drug)
            assert all(fits(KB, each, rest, patient) for each in offered)


def test_every_fact_of_every_finding_exists_in_the_base():
    known = KB.fact_ids()
    patient = Patient(egfr_ml_min_173=9, crcl_ml_min=9, pregnant=True, breastfeeding=True, conditions=tuple(KB.conditions))
    findings = screen(KB, KB.drugs, patient)
    assert len(findings) > 400 and all(fact in known for finding in findings for fact in finding.fact_ids)


@pytest.mark.parametrize("values", [{"egfr_ml_min_173": -1}, {"crcl_ml_min": float("nan")}, {"age_years": 200}])
def test_an_impossible_value_is_refused(values):
    with pytest.raises(ScreenError, match=next(iter(values))):
        Patient(**values)


def test_an_unknown_id_is_refused_not_ignored():
    with pytest.raises(ScreenError, match="aspirinol"):
        screen(KB, ["aspirinol"])
    with pytest.raises(ScreenError, match="sadness"):
        screen(KB, ["aspirin"], Patient(conditions=("sadness",)))


# Commands

def test_kb_screen_tells_how_it_read_each_name_and_ends_with_not_advice():
    result = run("screen", "Coumadin, advil", "--egfr", "28")
    assert result.exit_code == 0 and "brand Coumadin" in result.output and "contraindicated" in result.output
    assert result.output.strip().splitlines()[-1] == NOT_ADVICE


def test_kb_screen_json_is_json_and_complete():
    answer = json.loads(run("screen", "warfarin, ibuprofen", "--json").stdout)
    finding, = answer["findings"]
    assert finding["severity"] == "major" and finding["rule"] and finding["alternatives"] == {"ibuprofen": ["acetaminophen"]}
    assert [each["how"] for each in answer["drugs"]] == ["name", "name"]


def test_an_unrecognised_name_is_reported_and_the_exit_code_says_incomplete():
    result = run("screen", "warfarin, bromazepam, foobarin, ibuprofen", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 2 and len(answer["findings"]) == 1
    assert [each["text"] for each in answer["drugs"] if each["drug_id"] is None] == ["bromazepam", "foobarin"]
    assert "does not cover" in answer["notes"][0] and "not recognised" in answer["notes"][1]


def test_a_drug_named_twice_is_told():
    notes = json.loads(run("screen", "Advil, ibuprofen", "--json").stdout)["notes"]
    assert notes == ["NAMED TWICE: Advil, ibuprofen are all ibuprofen"]


def test_an_unknown_condition_is_reported():
    result = run("screen", "warfarin", "--condition", "hart failure")
    assert result.exit_code == 2 and "heart failure" in result.output


@pytest.mark.parametrize("arguments",
                         [("screen", ""), ("screen", "warfarin", "--egfr", "-5"), ("show", "bromazepam"), ("list", "--base", "/nowhere")])
def test_bad_input_ends_with_exit_code_2_and_no_traceback(arguments):
    result = run(*arguments)
    assert result.exit_code == 2 and "Traceback" not in result.output


@pytest.mark.parametrize("command", [("list",), ("show", "Glucophage"), ("audit",), ("screen", "warfarin, ibuprofen")])
def test_each_command_speaks_to_people_and_to_programs(command):
    people, programs = run(*command), run(*command, "--json")
    assert people.exit_code == programs.exit_code == 0
    assert people.output.strip().splitlines()[-1] == NOT_ADVICE and json.loads(programs.stdout)


# Age, QTc, potassium, and the kidney value that a drug's own band decides

def test_a_band_of_the_drug_decides_over_the_general_word_severe():
    at = {crcl: found("dofetilide", "renal", crcl_ml_min=crcl)[0].severity for crcl in (15, 25)}
    assert at == {15: "contraindicated", 25: "moderate"}
    assert not found("dofetilide", "contraindication", crcl_ml_min=25)
    assert found("dofetilide", "contraindication", conditions=("severe_renal_impairment",))


def test_age_decides_where_the_base_has_a_limit():
    assert [each.severity for each in found("tramadol", "patient", age_years=10)] == ["contraindicated"]
    assert found("glyburide", "patient", age_years=80)[0].effect == "hypoglycaemia" and not found("glyburide", "patient", age_years=50)


def test_a_long_qtc_and_a_high_or_low_potassium_speak_of_the_drugs_that_make_them_dangerous():
    assert found("sotalol", "patient", qtc_ms=510)[0].severity == "contraindicated" and not found("sotalol", "patient", qtc_ms=430)
    assert found("lisinopril", "patient", potassium_mmol_l=5.7)[0].severity == "major"
    assert found("digoxin", "patient", potassium_mmol_l=3.1)[0].effect == "digoxin_toxicity"


def test_a_patient_that_cannot_be_is_refused():
    with pytest.raises(ScreenError, match="qtc_ms is 41.*200 to 800"):
        Patient(qtc_ms=41)


def test_a_combination_product_is_screened_for_each_of_its_drugs():
    answer = json.loads(run("screen", "Percocet 5/325, Xanax", "--age", "80", "--json").stdout)
    assert [entry["drug_id"] for entry in answer["drugs"]] == ["oxycodone", "acetaminophen", "alprazolam"]
    assert {"opioid_benzodiazepine", "limit.older_benzodiazepine"} <= {finding["rule"] for finding in answer["findings"]}


def test_care_in_kidney_disease_without_a_number_speaks_of_reduced_function_only():
    assert KB.drugs["trihexyphenidyl"].renal[0].below is None
    assert found("trihexyphenidyl", "renal", egfr_ml_min_173=45)[0].action == "monitor"
    assert found("trihexyphenidyl", "renal", egfr_ml_min_173=90) == []


def test_such_a_rule_hides_no_contraindication():
    assert found("acenocoumarol", "contraindication", egfr_ml_min_173=20)[0].severity == "contraindicated"
