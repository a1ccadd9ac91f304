"""Claims read from hand-written prose, and checked against the knowledge base."""

import time
import tomllib
from pathlib import Path

import pytest

from pharmgpt.knowledge.claims import check_claims, read_claims, read_context
from pharmgpt.knowledge.lexicon import normalise, split_sentences
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.names import find_drugs, misspelt
from pharmgpt.knowledge.verdict import decide

KB = load()


def rows_of(name):
    groups = tomllib.loads((Path(__file__).parent / "data" / f"{name}.toml").read_text(encoding="utf-8"))["group"]
    return [(group["prompt"], *row) for group in groups for row in group["rows"]]


ROWS, MISREAD = rows_of("claims") + rows_of("claims_prose"), rows_of("claims_misread")


def claims_of(prompt, text):
    return read_claims(KB, text, read_context(KB, prompt).drugs)


def as_expected(prompt, text, decision, expected):
    context, claims = read_context(KB, prompt), claims_of(prompt, text)
    said = {f"{'-' if claim.negated else ''}{claim.kind}:{claim.value.replace(' ', '_')}" for claim in claims}
    wanted = {each for each in expected.split() if not each.startswith("!")}
    forbidden = {each[1:] for each in expected.split() if each.startswith("!")}
    read = decide(KB, claims, context, context.drugs, prompt).decision
    return (read, wanted - said, forbidden & said) == (decision or None, set(), set())


@pytest.mark.parametrize(("prompt", "text", "decision", "expected"), ROWS, ids=[f"{row[1][:60]}" for row in ROWS])
def test_a_sentence_says_what_a_reader_takes_from_it(prompt, text, decision, expected):
    assert as_expected(prompt, text, decision, expected)


def test_what_is_known_to_be_misread_is_all_that_is_misread():
    """Of 400 sentences by somebody who never saw the reader; one that is read at last moves to claims_prose.toml."""
    assert [row[1] for row in MISREAD if as_expected(*row)] == [] and len(MISREAD) <= 40


def test_the_table_is_large():
    assert len(ROWS) >= 800


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("28 is below 30.", True),
        ("28 is above 30.", False),
        ("28 is not below 30.", False),
        ("28 is at least 25.", True),
        ("28 is between 15 and 30.", True),
        ("85 is above 30.", False),
        ("Your eGFR is above 30.", False),
    ],
)
def test_arithmetic_is_checked_and_the_number_must_be_the_patients(sentence, holds):
    [check] = [check for check in check_claims(KB, "Can I use metformin if my eGFR is 28?", sentence) if check.claim.kind == "comparison"]
    assert (check.status == "supported") == holds


def test_each_claim_is_supported_contradicted_or_unknown_with_its_facts():
    found = {
        (check.claim.kind, check.claim.value): check
        for check in check_claims(
            KB,
            "Can I use metformin if my eGFR is 28?",
            "The cut-off is 30. Metformin can be used. The risk is bleeding. Linagliptin is an alternative. It is an NSAID.",
        )
    }
    assert found["threshold", "30"].status == "supported" and found["threshold", "30"].fact_ids[0] == "metformin.renal.0"
    assert found["decision", "safe"].status == "contradicted" and "metformin.renal.0" in found["decision", "safe"].fact_ids
    assert found["effect", "bleeding"].status == "unknown"
    assert found["alternative", "linagliptin"].status == "supported"


def test_that_two_drugs_do_not_interact_is_no_word_about_the_kidneys():
    checks = check_claims(KB, "Can I use metformin if my eGFR is 28?", "Allopurinol and morphine do not interact.")
    assert checks and {check.status for check in checks} == {"unknown"}


def test_denying_a_listed_harm_is_contradicted():
    [check] = [
        check for check in check_claims(KB, "Is metformin safe?", "Metformin never causes lactic acidosis.") if check.claim.kind == "effect"
    ]
    assert check.status == "contradicted"


def test_a_conditional_decision_is_checked_at_its_own_kidney_function():
    checks = check_claims(KB, "Tell me about metformin.", "Metformin is contraindicated below 30. Metformin is safe below 30.")
    assert [check.status for check in checks if check.claim.kind == "decision"] == ["supported", "contradicted"]


def test_every_fact_id_of_a_check_exists():
    facts = KB.fact_ids()
    checks = check_claims(
        KB, "Can I take warfarin with ibuprofen?", "Avoid ibuprofen. The risk is bleeding. Acetaminophen is an alternative. Check INR."
    )
    assert any(check.fact_ids for check in checks)
    assert {fact for check in checks for fact in check.fact_ids} <= set(facts)


@pytest.mark.parametrize(
    ("prompt", "field", "value"),
    [
        ("Can I use metformin if my eGFR is 28?", "egfr", 28),
        ("creatinine clearance 45, dabigatran ok", "crcl", 45),
        ("CrCl fell to 33. Apixaban?", "crcl", 33),
        ("I am 70 years old, eGFR 55", "egfr", 55),
        ("Can I use metformin with weak kidneys?\nThe last one was 41.", "egfr", 41),
        ("Is metformin safe?", "egfr", None),
        ("I am pregnant. Is ramipril all right?", "pregnant", True),
        ("My wife is expecting and was handed ramipril.", "pregnant", True),
        ("I am not pregnant.", "pregnant", False),
        ("patient on eliquis, can i add naproxen", "drugs", ("apixaban", "naproxen")),
        ("Is metfromin ok?", "drugs", ("metformin",)),
        ("Can I take Zolbavir with warfarin?", "unknown_names", ("zolbavir",)),
        ("Can I take warfarin with food?", "unknown_names", ()),
        ("I have gout. Is aspirin fine?", "conditions", ("gout",)),
    ],
)
def test_a_prompt_states(prompt, field, value):
    assert getattr(read_context(KB, prompt), field) == value


def test_sentences_end_where_sentences_end():
    assert split_sentences("Avoid metformin. The risk, e.g. acidosis, is real. C. difficile infection is rare.\nStop") == [
        "Avoid metformin.",
        "The risk, e.g. acidosis, is real.",
        "C. difficile infection is rare.",
        "Stop",
    ]


def test_normalising_opens_contractions_and_drops_units():
    assert normalise("It’s ≥30 mL/min/1.73 m² – don't, can't") == "it is at least 30; do not, can not"


def test_schedules_end_no_sentence_unless_a_capital_follows():
    sentences = ["Take 5 mg b.i.d. with food.", "Give 1 g p.o.", "Stop then."]
    assert split_sentences(" ".join(sentences)) == sentences


def test_bullets_list_numbers_and_pictograms_are_no_words():
    assert [normalise(line) for line in ("- **Avoid:** it", "2. Stop it", "❌ Stop it", "28 is low")] == [
        "avoid: it",
        "stop it",
        "stop it",
        "28 is low",
    ]


@pytest.mark.parametrize("word", "ability chance program systolic estimate tested aspiring singular cortisone secobarbital".split())
def test_an_english_word_or_another_drug_is_no_misspelt_name(word):
    assert misspelt(KB, word) is None
    assert [each for each in find_drugs(KB, f"There is a {word} here.") if each.how == "close"] == []


@pytest.mark.parametrize(
    ("word", "drug"),
    [("metfromin", "metformin"), ("clarithromicyn", "clarithromycin"), ("elequis", "apixaban"), ("hydrslazine", "hydralazine")],
)
def test_a_slip_in_a_name_is_still_forgiven(word, drug):
    assert misspelt(KB, word) == drug


def test_abbreviations_that_are_words_count_in_capitals_and_verbs_are_no_effects():
    effects = {
        text: {claim.value for claim in claims_of("Is heparin safe?", text) if claim.kind == "effect"}
        for text in ("The INR may hit 6.", "Heparin can cause HIT.", "If the eGFR falls below 30, call us.", "Heparin can cause falls.")
    }
    assert list(effects.values()) == [set(), {"heparin_induced_thrombocytopenia"}, set(), {"falls"}]


def test_a_kidney_function_supposed_need_not_be_the_patients():
    prompt = "Can I use metformin if my eGFR is 28?"
    said = [
        [(check.claim.value, check.status) for check in check_claims(KB, prompt, text) if check.claim.kind == "value"]
        for text in ("With an eGFR of 28 it is out.", "At an eGFR of 50 it is fine.", "Your eGFR is 50.")
    ]
    assert said == [[("28", "supported")], [("50", "unknown")], [("50", "contradicted")]]


def test_reading_takes_less_than_a_millisecond_an_answer():
    answers = [
        f"Metformin has an eGFR cut-off of 30, and {n % 30} is below 30. Avoid metformin, patient {n}. The risk is lactic acidosis ({n})."
        for n in range(200)
    ]
    start = time.process_time()
    for answer in answers:
        read_claims(KB, answer, ("metformin",))
    assert (time.process_time() - start) / len(answers) < 0.003  # measured .6 ms; room for a busy machine
