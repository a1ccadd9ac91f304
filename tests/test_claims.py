"""Claims read from hand-written prose, and checked against the knowledge base."""

import time
import tomllib
from pathlib import Path

import pytest

from pharmgpt.knowledge.claims import check_claims, read_claims, read_context
from pharmgpt.knowledge.lexicon import normalise, split_sentences
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.verdict import decide

KB = load()
GROUPS = tomllib.loads((Path(__file__).parent / "data" / "claims.toml").read_text(encoding="utf-8"))["group"]
ROWS = [(group["prompt"], *row) for group in GROUPS for row in group["rows"]]


def claims_of(prompt, text):
    return read_claims(KB, text, read_context(KB, prompt).drugs)


@pytest.mark.parametrize(("prompt", "text", "decision", "expected"), ROWS, ids=[f"{row[1][:60]}" for row in ROWS])
def test_a_sentence_says_what_a_reader_takes_from_it(prompt, text, decision, expected):
    context, claims = read_context(KB, prompt), claims_of(prompt, text)
    assert decide(KB, claims, context, context.drugs, prompt).decision == (decision or None)
    said = {f"{'-' if claim.negated else ''}{claim.kind}:{claim.value.replace(' ', '_')}" for claim in claims}
    wanted = expected.split()
    assert {each for each in wanted if not each.startswith("!")} <= said
    assert not {each[1:] for each in wanted if each.startswith("!")} & said


def test_the_table_is_large():
    assert len(ROWS) >= 120


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


def test_reading_takes_less_than_a_millisecond_an_answer():
    answers = [
        f"Metformin has an eGFR cut-off of 30, and {n % 30} is below 30. Avoid metformin, patient {n}. The risk is lactic acidosis ({n})."
        for n in range(200)
    ]
    start = time.process_time()
    for answer in answers:
        read_claims(KB, answer, ("metformin",))
    assert (time.process_time() - start) / len(answers) < 0.003  # measured .6 ms; room for a busy machine
