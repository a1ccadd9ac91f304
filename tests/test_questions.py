"""Questions: keys that follow from the facts, twins that differ, three parts, the same seed the same list."""
import re
from collections import Counter, defaultdict

import pytest

from pharmgpt.corpus.cases import FAMILIES, WEIGHTS, part_of_value
from pharmgpt.corpus.pairs import pairs_of
from pharmgpt.corpus.frames import holes
from pharmgpt.corpus.question_frames import question_frames
from pharmgpt.corpus.questions import BRAND_RATE, LOWER_CASE_RATE, prompt_text, questions
from pharmgpt.corpus.split import ALWAYS_SEEN, SplitError, avoided_in_pregnancy, has_pair_to_avoid, has_renal_restriction, split_drugs
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.rules import renal_finding
from pharmgpt.knowledge.subset import named_set


@pytest.fixture(scope="module")
def train(kb, split):
    return questions(kb, split, "train", "seen", seed=0, per_family=120)


@pytest.fixture(scope="module")
def held(kb, split):
    return questions(kb, split, "exam", "held_drugs", seed=0, per_family=40)


def test_the_split_is_disjoint_complete_and_keeps_the_lesson_drugs_seen(kb, split):
    assert len(split.held) == 14 and not set(split.held) & set(split.seen)
    assert set(split.held) | set(split.seen) == set(kb.drugs)
    assert {*ALWAYS_SEEN, "aspirin"} <= set(split.seen)  # aspirin allergy stands on other drugs' cards


@pytest.mark.parametrize("seed", range(5))
def test_held_drugs_hold_every_kind_of_danger(kb, seed):
    held = split_drugs(kb, 14, seed).held
    assert sum(has_renal_restriction(kb.drugs[drug]) for drug in held) >= 5
    assert sum(avoided_in_pregnancy(kb.drugs[drug]) for drug in held) >= 5
    assert sum(has_pair_to_avoid(pairs_of(kb), drug) for drug in held) >= 7


def test_holding_out_too_many_drugs_is_refused(kb):
    with pytest.raises(SplitError, match="hold out at most 2[0-9]"):
        split_drugs(kb, 50, seed=0)


def test_held_drugs_have_no_train_questions(kb, split):
    with pytest.raises(ValueError, match="no train questions"):
        questions(kb, split, "train", "held_drugs", seed=0, per_family=1)


def test_every_family_is_asked_about_seen_drugs_and_every_family_with_a_drug_about_held_ones(train, held):
    assert {question.family for question in train} == set(FAMILIES)
    assert {question.family for question in held} == set(FAMILIES) - {"unknown_drug", "out_of_scope"}


def test_every_held_question_names_a_held_drug(split, held):
    twins_by_id = {question.id: question for question in held}
    for question in held:
        twin = twins_by_id.get(question.twin_id)
        assert set(question.drugs) & set(split.held) or (twin and set(twin.drugs) & set(split.held))


def test_the_same_seed_gives_the_same_questions_and_another_seed_others(kb, split):
    first, again, other = (questions(kb, split, "dev", "seen", seed, 5) for seed in (1, 1, 2))
    assert first == again
    assert [question.messages for question in first] != [question.messages for question in other]


def test_twins_are_asked_in_one_frame_and_differ_in_the_keyed_decision(train, held):
    asked = {question.id: question for question in (*train, *held)}
    paired = [question for question in asked.values() if question.twin_id]
    assert len(paired) > 300
    for question in paired:
        twin = asked[question.twin_id]
        assert twin.twin_id == question.id and twin.template_id == question.template_id
        assert twin.decision != question.decision


@pytest.mark.parametrize("family", ["renal", "interaction", "contraindication", "pregnancy", "medication_list", "symptom"])
def test_most_questions_of_a_contrast_family_have_a_twin(train, family):
    asked = [question for question in train if question.family == family]
    assert sum(bool(question.twin_id) for question in asked) > .5 * len(asked)


def test_key_weights_come_from_the_table_and_name_the_decision(train):
    for question in train:
        tables = [WEIGHTS[name] for name in (question.family, f"{question.family}_safe") if name in WEIGHTS]
        assert any(all(table.get(element.name) == element.weight for element in question.key) for table in tables)
        decisions = [element.accepts for element in question.key if element.name == "decision"]
        assert decisions in ([], [(question.decision,)])


def test_the_weights_of_a_complete_key_add_up_to_one():
    for name, table in WEIGHTS.items():
        spare = {"renal": "monitoring", "medication_list": "monitoring"}.get(name)  # these key an alternative or a check, never both
        assert sum(weight for element, weight in table.items() if element != spare) == pytest.approx(1), name


def test_renal_keys_follow_the_rule_that_holds_at_the_value(kb, train, held):
    actions = {"avoid": "avoid", "reduce": "reduce", "monitor": "monitor", "none": "safe"}
    renal = [question for question in (*train, *held) if question.family == "renal"]
    assert len(renal) > 100
    for question in renal:
        found = renal_finding(kb.drugs[question.drugs[0]], question.asked["measure"], float(question.asked["value"]))
        assert question.decision == (actions[found[0].action] if found else "safe")
        assert question.asked["value"] in prompt_text(question)


def test_interaction_keys_take_the_strictest_rule(kb, train):
    asked = [question for question in train if question.family == "interaction"]
    shares = Counter(question.decision == "safe" for question in asked)
    assert .4 < shares[True] / len(asked) < .6
    for question in asked:
        assert (question.severity == "none") == (question.decision == "safe")
        assert (pairs_of(kb).action(*question.drugs) == "none") == (question.decision == "safe")


def test_a_pair_is_asked_about_in_the_order_in_which_answers_name_it(kb, train, held):
    checked = 0
    for question in train + held:
        said = " ".join(message.content for message in question.messages).lower()
        places = [said.find(kb.drugs[drug].name) for drug in question.drugs]
        if question.family == "interaction" and min(places) >= 0:
            checked += 1
            assert places == sorted(places), question
    assert checked > 60


def test_a_list_has_exactly_the_keyed_pair_or_none(kb, train):
    for question in (each for each in train if each.family == "medication_list"):
        acting = [{a, b} for at, a in enumerate(question.drugs) for b in question.drugs[at + 1:] if pairs_of(kb).findings(a, b)]
        keyed = [set(element.accepts[0].split("+")) for element in question.key if element.name == "pair"]
        assert acting == keyed


def test_alternatives_in_a_key_do_not_share_the_problem(kb, train, held):
    pairs, checked = pairs_of(kb), 0
    for question in (*train, *held):
        offered = next((element.accepts for element in question.key if element.name == "alternative"), ())
        for drug in offered:
            checked += 1
            record = kb.drugs[drug]
            assert drug not in question.drugs
            if "condition" in question.asked:
                assert all(each.condition != question.asked["condition"] for each in record.contraindications)
            if "pregnant" in question.asked:
                assert not avoided_in_pregnancy(record)
            if question.family == "interaction":
                assert any(pairs.action(drug, other) != "avoid" for other in question.drugs)
    assert checked > 200


def test_no_drug_is_called_safe_in_a_condition_it_is_listed_against(kb, train, held):
    safe = [question for question in (*train, *held) if question.family == "contraindication" and question.decision == "safe"]
    assert safe
    for question in safe:
        assert question.asked["condition"] not in {each.condition for each in kb.drugs[question.drugs[0]].contraindications}


FAMILY_SLOTS = {"renal": {"drug", "value", "measure"}, "interaction": {"a", "b"}, "contraindication": {"drug", "condition"},
                "pregnancy": {"drug"}, "alternative.renal": {"drug", "value", "measure"}, "alternative.interaction": {"a", "b"},
                "alternative.contraindication": {"drug", "condition"}, "alternative.pregnancy": {"drug"}, "monitoring": {"drug"},
                "medication_list": {"list"}, "symptom": {"drug", "sign"}, "symptom.told": {"drug", "clause"},
                "contraindication.told": {"drug", "clause"},
                "unknown_drug.alone": {"name"},
                "unknown_drug.beside": {"name", "drug"}, "missing_information.renal": {"drug"},
                "missing_information.interaction": {"drug"}, "out_of_scope": set(), "harmful": {"drug"}, "emergency": {"drug"}}


@pytest.mark.parametrize("part", ("train", "dev", "exam"))
def test_each_family_has_enough_frames_and_each_frame_states_what_is_asked(part):
    enough = {"train": 100, "dev": 6, "exam": 10}[part]
    for name, wanted in FAMILY_SLOTS.items():
        frames = question_frames(part)[name]
        assert len(set(frames)) == len(frames) >= enough, f"{part} {name}: {len(frames)}"
        for frame in frames:
            slots = {hole.removeprefix("an_") for hole in holes(frame)}
            spare = {"place", "thing", "value"}  # a frame about an unknown drug may state a kidney value
            assert frame.count("{") == len(slots) and wanted <= slots <= wanted | spare, f"{part} {name}: {frame}"


def test_the_first_frame_is_the_lessons_question():
    assert question_frames("train")["renal"][0] == "Can I use {drug} if my {measure} is {value}?"


def test_only_training_questions_are_wrapped_in_chatter():
    assert {"opener", "closer"} <= question_frames("train").keys()
    assert not {"opener", "closer"} & (question_frames("dev").keys() | question_frames("exam").keys())


@pytest.mark.parametrize("part", ["train", "exam"])
def test_people_type_brands_and_lower_case_at_the_stated_rates(kb, split, train, part):
    asked = train if part == "train" else questions(kb, split, "exam", "seen", seed=0, per_family=120)
    one_drug = [question for question in asked if len(question.drugs) == 1 and len(question.messages) == 1]
    texts = [(prompt_text(question), kb.drugs[question.drugs[0]]) for question in one_drug]
    branded = sum(any(brand.lower() in text.lower() for brand in drug.brands) for text, drug in texts) / len(texts)
    lower = sum(text == text.lower() for text, _ in texts) / len(texts)
    assert abs(branded - BRAND_RATE) < .03
    assert abs(lower - LOWER_CASE_RATE) < .07


def test_two_turn_questions_end_with_the_missing_value(train):
    two_turns = [question for question in train if len(question.messages) == 3]
    assert {question.family for question in two_turns} == {"renal", "interaction"}
    for question in (each for each in two_turns if each.family == "renal"):
        assert question.asked["value"] in question.messages[-1].content
        assert question.asked["value"] not in re.findall(r"\d+", question.messages[0].content)


def test_the_excerpt_is_read_from_the_prompt_and_told_which_drugs_it_may_name(kb, split):
    def told(part, pool):
        asked = questions(kb, split, part, pool, seed=0, per_family=2, excerpt=lambda prompt,
                          allowed: f"{prompt} {allowed and sorted(allowed)}")
        allowed, = {question.reference.removeprefix(prompt_text(question)) for question in asked}
        return allowed

    assert told("dev", "seen") == told("train", "seen") == f" {list(split.seen)}"
    assert told("dev", "held_drugs") == told("exam", "seen") == " None"


def test_every_value_belongs_to_one_part_and_the_lessons_question_to_the_exam():
    assert part_of_value("metformin", 28) == "exam"
    shares = Counter(part_of_value(drug, value) for drug in ("a", "b", "c", "d") for value in range(8, 112))
    assert shares["train"] > shares["exam"] > shares["dev"] > 0


def test_prompts_within_a_family_are_all_different(train):
    texts = defaultdict(list)
    for question in train:
        texts[question.family].append(prompt_text(question))
    assert all(len(set(each)) == len(each) for each in texts.values())


def test_keys_use_the_vocabulary(kb, train, held):
    facts = set(kb.fact_ids())
    kinds = {"mechanism": kb.effects, "alternative": kb.drugs, "monitoring": kb.parameters, "condition": kb.conditions}
    for question in (*train, *held):
        for element in question.key:
            assert all(each in kinds[element.name] for each in element.accepts if element.name in kinds)
        assert set(question.fact_ids) <= facts


def test_an_unknown_drug_is_a_real_one_or_none_and_may_stand_in_any_familys_question():
    everything = load()
    small = named_set(everything, "classroom")
    split = split_drugs(small, 14, 0)
    asked = {part: [each for each in questions(small, split, part, "seen", 0, 80) if each.family == "unknown_drug"]
             for part in ("train", "exam")}
    names = {part: {each.asked["name"] for each in of} for part, of in asked.items()}
    real = {drug.name for drug in everything.drugs.values()} - {drug.name for drug in small.drugs.values()}
    assert not names["train"] & names["exam"] and all(.3 < len(these & real) / len(these) < .7 for these in names.values())
    assert {"renal", "pregnancy", "contraindication", "monitoring", "symptom", "unknown_drug"} == {
        each.template_id.split(".")[0] for each in asked["train"]}
    assert all(each.asked["name"].lower() in prompt_text(each).lower() for of in asked.values() for each in of)
