"""Pairs that any pharmacist would stop at, and everyday pairs that must stay quiet. Written from clinical knowledge, not from the file."""
import pytest

from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.rules import interactions, of_three, renal_finding, selected
from pharmgpt.knowledge.schema import SEVERITIES

KB = load()

ALARMS = """
contraindicated  sildenafil isosorbide_mononitrate | simvastatin clarithromycin
major  warfarin ibuprofen | warfarin naproxen | warfarin celecoxib | warfarin aspirin | warfarin fluconazole | warfarin amiodarone
major  warfarin trimethoprim_sulfamethoxazole | warfarin apixaban | apixaban ibuprofen | rivaroxaban naproxen | dabigatran rivaroxaban
major  apixaban carbamazepine | rivaroxaban carbamazepine | dabigatran carbamazepine | apixaban clopidogrel | warfarin clopidogrel
major  atorvastatin clarithromycin | simvastatin amiodarone | clopidogrel omeprazole | lithium ibuprofen | lithium hydrochlorothiazide
major  lithium lisinopril | lithium losartan | methotrexate trimethoprim_sulfamethoxazole | azathioprine allopurinol | digoxin amiodarone
major  digoxin clarithromycin | morphine diazepam | codeine lorazepam | tramadol diazepam | morphine gabapentin | tramadol sertraline
major  tramadol fluoxetine | citalopram amiodarone | citalopram fluconazole | lisinopril losartan | ramipril spironolactone
major  spironolactone trimethoprim_sulfamethoxazole | metoprolol diltiazem | amiodarone clarithromycin | carbamazepine clarithromycin
moderate  warfarin clarithromycin | warfarin ciprofloxacin | warfarin sertraline | warfarin levothyroxine | warfarin allopurinol
moderate  warfarin prednisone
moderate  warfarin carbamazepine | dabigatran amiodarone | dabigatran clarithromycin | simvastatin amlodipine | simvastatin diltiazem
moderate  simvastatin fluconazole | simvastatin carbamazepine | lithium furosemide | methotrexate ibuprofen | methotrexate omeprazole
moderate  methotrexate amoxicillin | digoxin furosemide | digoxin diltiazem | digoxin hydrochlorothiazide | metoprolol fluoxetine
moderate  codeine fluoxetine | amitriptyline fluoxetine | citalopram omeprazole | lisinopril ibuprofen | furosemide ibuprofen
moderate  lisinopril trimethoprim_sulfamethoxazole | glipizide fluconazole | glipizide clarithromycin | glipizide ciprofloxacin
moderate  glipizide insulin_glargine | glipizide trimethoprim_sulfamethoxazole | prednisone ibuprofen | prednisone insulin_glargine
moderate  sertraline ibuprofen | fluoxetine aspirin | ciprofloxacin prednisone | carbamazepine diltiazem | carbamazepine valproate
moderate  sildenafil clarithromycin | diazepam fluconazole | azathioprine trimethoprim_sulfamethoxazole | aspirin methotrexate
moderate  tramadol carbamazepine | clopidogrel ibuprofen | aspirin ibuprofen | valproate lorazepam | ciprofloxacin citalopram
minor  levothyroxine omeprazole | insulin_glargine metoprolol | spironolactone digoxin | atorvastatin diltiazem
"""

QUIET = """
metformin lisinopril | metformin atorvastatin | metformin warfarin | metformin apixaban | metformin omeprazole | metformin levothyroxine
metformin insulin_glargine | metformin empagliflozin | metformin sildenafil | metformin fluconazole | metformin atenolol
metformin amlodipine
warfarin acetaminophen | warfarin amoxicillin | warfarin metoprolol | warfarin lisinopril | warfarin omeprazole | warfarin gabapentin
apixaban acetaminophen | apixaban metoprolol | apixaban amlodipine | apixaban atorvastatin | lithium acetaminophen | lithium amlodipine
lithium lorazepam | lithium amoxicillin | ibuprofen acetaminophen | ibuprofen amoxicillin | ibuprofen levothyroxine | aspirin atorvastatin
aspirin metoprolol | aspirin clopidogrel | aspirin acetaminophen | lisinopril amlodipine | lisinopril hydrochlorothiazide
lisinopril furosemide
lisinopril metoprolol | losartan amlodipine | losartan hydrochlorothiazide | furosemide spironolactone | metoprolol amlodipine
simvastatin azithromycin | simvastatin lisinopril | pravastatin clarithromycin | rosuvastatin clarithromycin | rosuvastatin amlodipine
simvastatin doxycycline | methotrexate prednisone | methotrexate acetaminophen | azathioprine prednisone | digoxin amoxicillin
digoxin lisinopril
digoxin linagliptin | sertraline lorazepam | sertraline levothyroxine | sertraline amlodipine | morphine acetaminophen
codeine acetaminophen
gabapentin acetaminophen | prednisone acetaminophen | linagliptin insulin_glargine | linagliptin clarithromycin | doxycycline lisinopril
nitrofurantoin lisinopril | amoxicillin allopurinol | clopidogrel atorvastatin | sildenafil amlodipine | omeprazole acetaminophen
diltiazem lisinopril | isosorbide_mononitrate metoprolol | isosorbide_mononitrate aspirin | carbamazepine acetaminophen | valproate lithium
"""


def _pairs(line: str) -> list[tuple[str, str]]:
    return [tuple(pair.split()) for pair in line.split("|")]


ALARMING = [(line.split()[0], a, b) for line in ALARMS.strip().splitlines() for a, b in _pairs(line.split(maxsplit=1)[1])]
EVERYDAY = [pair for line in QUIET.strip().splitlines() for pair in _pairs(line)]


@pytest.mark.parametrize("severity, a, b", ALARMING)
def test_a_dangerous_pair_alarms_at_least_this_loudly(severity, a, b):
    found = interactions(KB, a, b)
    assert found and SEVERITIES.index(found[0].severity) <= SEVERITIES.index(severity), [(each.rule, each.severity) for each in found]


@pytest.mark.parametrize("a, b", EVERYDAY)
def test_an_everyday_pair_does_not_alarm_at_major(a, b):
    assert {a, b} <= KB.drugs.keys()
    assert [each.rule for each in interactions(KB, a, b) if each.severity in ("contraindicated", "major")] == []


def test_order_of_asking_changes_only_the_order_of_the_drugs():
    for _, a, b in ALARMING:
        there, back = interactions(KB, a, b), interactions(KB, b, a)
        assert [each.rule for each in there] == [each.rule for each in back]
        assert there[0].drugs == (a, b) and back[0].drugs == (b, a)
        assert there[0].alternatives == back[0].alternatives


def test_a_drug_does_not_interact_with_itself():
    assert all(interactions(KB, drug, drug) == [] for drug in KB.drugs)


def test_findings_come_worst_first_and_carry_their_fact():
    for _, a, b in ALARMING:
        found = interactions(KB, a, b)
        assert found == sorted(found, key=lambda each: each.gravity())
        assert all(each.fact_ids[0] in KB.fact_ids() for each in found)


def test_a_class_rule_speaks_for_each_member_and_no_other():
    assert selected(KB, "class:nsaid") == {drug.id for drug in KB.drugs.values() if "nsaid" in drug.classes}
    assert {"ibuprofen", "naproxen", "celecoxib"} <= selected(KB, "class:nsaid") and "acetaminophen" not in selected(KB, "class:nsaid")
    assert "diltiazem" not in selected(KB, "class:dihydropyridine_ccb")
    strong = {drug.id for drug in KB.drugs.values() for role in drug.enzymes
              if (role.enzyme, role.role, role.strength) == ("CYP3A4", "inhibitor", "strong")}
    assert selected(KB, "cyp:CYP3A4:inhibitor:strong") == strong and {"clarithromycin", "ritonavir"} <= strong
    assert {"clarithromycin", "diltiazem"} <= selected(KB, "cyp:CYP3A4:inhibitor")
    assert selected(KB, "planet:mars") == frozenset()


@pytest.mark.parametrize("egfr, action", [(0, "avoid"), (29.9, "avoid"), (30, "reduce"), (44.9, "reduce"), (45, "none"), (120, "none")])
def test_a_renal_band_holds_from_its_lower_bound_up_to_below_its_upper_one(egfr, action):
    rule, fact = renal_finding(KB.drugs["metformin"], "eGFR", egfr)
    assert rule.action == action and KB.fact_ids()[fact] == rule.source


def test_a_rule_in_another_measure_does_not_answer():
    assert renal_finding(KB.drugs["metformin"], "CrCl", 20) is None


# Which rule speaks

def test_a_rule_of_the_pair_silences_the_general_one_about_the_same_harm():
    assert [finding.rule for finding in interactions(KB, "simvastatin", "diltiazem")] == ["simvastatin_diltiazem"]


def test_a_milder_rule_of_the_pair_does_not_hide_a_graver_one_about_another_harm():
    severities = {finding.effect: finding.severity for finding in interactions(KB, "oxycodone", "alprazolam")}
    assert severities["respiratory_depression"] == "major" and severities["sedation"] == "moderate"


def test_parts_of_a_selector_must_all_hold():
    narrow = selected(KB, "cyp:CYP3A4:substrate & class:narrow_therapeutic_index")
    assert narrow == selected(KB, "cyp:CYP3A4:substrate") & selected(KB, "class:narrow_therapeutic_index") and "tacrolimus" in narrow


def test_a_raised_level_does_what_the_substrate_says_it_does():
    finding, = (each for each in interactions(KB, "amiodarone", "celecoxib") if each.rule.startswith("cyp2c9"))
    assert finding.effect == "gi_bleeding" and "celecoxib" in finding.mechanism and "amiodarone" in finding.mechanism


def test_no_sentence_of_a_finding_leaves_a_name_unsaid():
    for a in ("warfarin", "simvastatin", "tacrolimus", "oxycodone", "phenelzine", "ciprofloxacin"):
        for b in KB.drugs:
            for finding in interactions(KB, a, b):
                assert not {"{", "}"} & set(finding.mechanism + finding.management), finding.rule


def test_three_drugs_together_raise_what_no_pair_of_them_does():
    finding, = of_three(KB, ["ibuprofen", "lisinopril", "furosemide"])
    assert (finding.rule, finding.severity, finding.drugs) == ("triple_whammy", "major", ("lisinopril", "furosemide", "ibuprofen"))
    assert of_three(KB, ["acetaminophen", "lisinopril", "furosemide"]) == of_three(KB, ["aspirin", "lisinopril", "furosemide"]) == []
