"""Pretraining documents: true, evenly about all drugs, deterministic, and in sentences of their own."""
import re
from collections import Counter
from importlib.resources import files
from itertools import groupby, product
from random import Random
from statistics import mean

import pytest

from pharmgpt.corpus.cases import part_of_value
from pharmgpt.corpus.conversations import demonstrations
from pharmgpt.corpus.documents import WEIGHTS, WITH_ACCOUNTS, cloze_items, documents, topics
from pharmgpt.corpus.facts import fact_book
from pharmgpt.corpus.pairs import Pairs
from pharmgpt.corpus.phrasing import Band, band_text, bands, capital, limits, listed, slip, with_article
from pharmgpt.corpus.questions import questions
from pharmgpt.corpus.split import split_drugs
from pharmgpt.corpus.topics.renal import comparison, values_in
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.names import resolve
from pharmgpt.knowledge.subset import named_set
from pharmgpt.knowledge.rules import renal_finding
from pharmgpt.knowledge.schema import Drug, RenalRule

COUNT = 16_000  # of the 83,000 of classroom


@pytest.fixture(scope="module")
def kb():
    return named_set(load(), "classroom")


@pytest.fixture(scope="module")
def split(kb):
    return split_drugs(kb, 14, 0)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "with_accounts"])
def made(kb, split, request):
    return list(documents(kb, split, COUNT, seed=3, accounts=request.param))


@pytest.fixture(scope="module")
def mask(kb):
    """Replaces every name and number, so that what is left is the frame."""
    words = {form for table in (kb.drugs, kb.classes, kb.effects, kb.conditions, kb.parameters) for term in table.values()
             for form in (term.name, f"{term.name}s")}
    longest_first = sorted(words, key=lambda word: (word[0].lower(), -len(word)))
    by_letter = ((letter, "|".join(re.escape(word[1:]) for word in group)) for letter, group in
                 groupby(longest_first, lambda word: word[0].lower()))
    any_word = "|".join(f"{re.escape(letter)}(?:{rests})" for letter, rests in by_letter)  # else each word is tried at each place
    pattern = re.compile(rf"(?<!\w)(?:{any_word})(?!\w)|\d+(?:\.\d+)?", re.I)
    return lambda text: pattern.sub("_", text).lower()


@pytest.fixture(scope="module")
def frames_made(made, mask):
    return [mask(document.text) for document in made]


def grams(text, size):
    words = re.findall(r"\w+", text)
    return {tuple(words[at:at + size]) for at in range(len(words) - size + 1)}


def sentences(text):
    return {sentence.strip(" .?!") for sentence in re.split(r"(?<=[.?!])\s+|\n", text)}


def typed_in(kb, text):
    """The drugs that single words of a text mean, slips of the keyboard forgiven."""
    return {resolve(kb, word).drug_id for word in re.findall(r"[a-z]+", text)}


# ---- phrasing


def test_bands_cover_every_value_and_a_gap_is_unrestricted():
    rules = (RenalRule(measure="eGFR", below=30, action="avoid", source="s"),
             RenalRule(measure="eGFR", at_least=45, below=60, action="reduce", source="s"))
    drug = Drug(id="x", name="x", classes=("c",), indications=(), mechanism="m", source="s", renal=rules)
    assert [(band.at_least, band.below, band.action, band.numbers) for band in bands(drug)] == [
        (0, 30, "avoid", (0,)), (30, 45, "none", ()), (45, 60, "reduce", (1,)), (60, None, "none", ())]
    assert [(low.action, high.action, low.below) for low, high in limits(drug)] == [("avoid", "none", 30), ("none", "reduce", 45),
        ("reduce", "none", 60)]


def test_neighbouring_rules_with_one_action_are_one_band():
    rules = (RenalRule(measure="CrCl", below=10, action="reduce", dose="a quarter", source="s"),
             RenalRule(measure="CrCl", at_least=10, below=60, action="reduce", dose="half", effect="rash", source="s"))
    drug = Drug(id="x", name="x", classes=("c",), indications=(), mechanism="m", source="s", renal=rules)
    assert bands(drug) == (Band("CrCl", 0, 60, "reduce", (0, 1), "", "rash"), Band("CrCl", 60, None, "none", ()))


def test_words_for_bands_lists_articles_and_capitals():
    assert [band_text(Band("CrCl", low, high, "avoid", (0,))) for low, high in ((0, 30), (30, 45.5), (45, None), (0, None))] == [
        "CrCl below 30", "CrCl 30 to 45.5", "CrCl 45 and above", "any CrCl"]
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "or")) == ("a", "a and b", "a, b or c")
    assert [with_article(noun) for noun in ("NSAID", "statin", "ACE inhibitor", "DPP-4 inhibitor", "urinary tract infection", "opioid",
                                            "RAAS inhibitor")] == [
        "an NSAID", "a statin", "an ACE inhibitor", "a DPP-4 inhibitor", "a urinary tract infection", "an opioid", "a RAAS inhibitor"]
    assert (capital("metformin"), capital("eGFR below 30")) == ("Metformin", "eGFR below 30")


@pytest.mark.parametrize(("low", "high", "value", "said"),
                         [(0, 30, 28, "28 is below 30"), (30, 45, 38, "38 is above 30 and below 45"), (45, None, 62, "62 is above 45")])
def test_a_comparison_names_the_edges_around_the_value(low, high, value, said):
    assert comparison(Band("eGFR", low, high, "avoid", (0,)), value) == said


def test_values_lie_strictly_inside_their_band_and_belong_to_training():
    values, near = values_in("metformin", Band("eGFR", 30, 45, "reduce", 1))
    assert set(near) <= set(values) <= set(range(31, 45)) and all(part_of_value("metformin", value) == "train" for value in values)
    assert 28 not in values_in("metformin", Band("eGFR", 0, 30, "avoid", (0,)))[0]


def test_a_slip_changes_a_name_by_one_typing_error():
    slips = {slip("metformin", Random(seed)) for seed in range(60)}
    assert "metfromin" in slips and all(8 <= len(each) <= 10 and each[:2] == "me" for each in slips)
    assert slip("MMF", Random(0)) == "MMF"


# ---- documents


def test_one_seed_gives_one_corpus_and_another_seed_another(kb, split, made):
    assert list(documents(kb, split, 300, seed=3)) != list(documents(kb, split, 300, seed=4))
    accounts = any("account" in document.template_id for document in made)
    assert list(documents(kb, split, COUNT, seed=3, accounts=accounts)) == made


def test_a_split_of_another_base_is_refused(kb, split):
    with pytest.raises(ValueError, match="disagree about warfarin"):
        next(documents(kb, split._replace(seen=tuple(drug for drug in split.seen if drug != "warfarin")), 1, 0))


def test_a_list_of_names_gives_each_its_drug(kb, made):
    lists = [document.text.lower() for document in made if document.template_id.startswith("name_list")]
    entries = [entry.split(" = ") for text in lists if "=" in text for entry in text.removeprefix("names | ").split(" | ")]
    brands = {brand.lower(): drug.name for drug in kb.drugs.values() for brand in drug.brands}
    assert all(name == brands.get(other, name) and other != name for other, name in entries)
    assert len({other for other, _ in entries} & brands.keys()) > 0.6 * len(brands)


def test_every_document_names_its_drugs_facts_and_template(kb, made):
    known = kb.fact_ids()
    for document in made:
        assert document.template_id and document.genre and set(document.fact_ids) <= known.keys(), document
        text = document.text.lower()
        named = {drug.id for drug in kb.drugs.values() if drug.name.lower() in text and re.search(rf"(?<!\w){drug.name}(?!\w)", text, re.I)}
        for drug in set(document.drugs) - named:  # a list may name a drug only as its caller types it
            assert any(brand.lower() in text for brand in kb.drugs[drug].brands) or drug in typed_in(kb, text), document
        # "aspirin allergy", "lithium toxicity", "turned into morphine"
        assert named - set(document.drugs) <= {"aspirin", "lithium", "digoxin", "methotrexate", "morphine"}, document
        told = document.text.split("Pharmacist:")[-1]  # people may say "None of the letters …"
        assert "{" not in document.text and "  " not in document.text and "None" not in told.replace("None listed", ""), document


def test_documents_are_short_and_many_genres_share_them(made):
    lengths = sorted(len(document.text) for document in made)
    assert lengths[int(0.99 * COUNT)] < 520 and 100 < mean(lengths) < 260  # a caller may tell a story first
    assert sum(count > COUNT / 200 for count in Counter(document.genre for document in made).values()) >= 10


def test_held_drugs_are_read_as_often_as_seen_ones(split, made):
    met = Counter(drug for document in made for drug in document.drugs)
    assert 0.75 < mean(met[drug] for drug in split.held) / mean(met[drug] for drug in split.seen) < 1.33
    assert min(met.values()) > 0.4 * mean(met.values())


def test_every_renal_pregnancy_and_monitoring_fact_is_met_many_times(kb, made):
    met = Counter(fact for document in made for fact in document.fact_ids)
    for drug in kb.drugs.values():
        restricted = [f"{drug.id}.renal.{number}" for number, rule in enumerate(drug.renal) if rule.action != "none"]
        for fact in restricted + ([f"{drug.id}.pregnancy"] if drug.pregnancy else []):
            assert met[fact] >= 10, fact
        for fact in [f"{drug.id}.monitoring.{entry.parameter}"
                     for entry in drug.monitoring] + [f"{drug.id}.contraindication.{entry.condition}"
                                                                                            for entry in drug.contraindications]:
            assert met[fact] >= 4, fact
    pairs = Pairs(kb)
    worst = {pairs.findings(a, b)[0].fact_ids[0] for a in kb.drugs for b in kb.drugs if a < b and pairs.findings(a, b)}
    assert len(worst - met.keys()) <= 0.02 * len(worst)


def test_worked_cases_agree_with_the_rules(kb, made):
    """Read the verdict back out of the prose and ask the rules: "…, eGFR 28, due for metformin. … so metformin is avoided."."""
    pattern = re.compile(r"(egfr|crcl) (\d+), due for ([a-z\- ]+)\. .*?, so \3 is (avoided|reduced|monitored|unchanged)\b")
    actions = {"avoided": "avoid", "reduced": "reduce", "monitored": "monitor", "unchanged": "none"}
    names = {drug.name: drug for drug in kb.drugs.values()}
    checked = Counter()
    for document in made:
        for measure, value, name, said in pattern.findall(document.text.lower()):
            found = renal_finding(names[name], {"egfr": "eGFR", "crcl": "CrCl"}[measure], float(value))
            assert actions[said] == (found[0].action if found else "none"), document
            checked[said] += 1
    assert len(checked) == 4 and checked.total() > 80


def test_comparisons_in_documents_are_arithmetic(made):
    for document in made:
        for value, side, limit in re.findall(r"\b(\d+) is (above|below) (\d+)", document.text):
            assert (int(value) < int(limit)) == (side == "below"), document


def test_no_value_of_a_dev_or_exam_question_is_written(made):
    for document in made:
        if document.template_id.startswith(("renal_case", "renal_drill")) and " " not in document.template_id:
            for value in re.findall(r"(\d+) is (?:above|below)", document.text):
                assert part_of_value(document.drugs[0], int(value)) == "train", document


def test_pairs_said_to_be_free_have_no_rule_and_pairs_said_to_be_avoided_have(kb, made):
    pairs = Pairs(kb)
    for document in made:
        if document.template_id.startswith(("pair_free", "list_free")):
            assert all(not pairs.findings(a, b) for a in document.drugs for b in document.drugs if a != b), document
        if document.template_id.startswith("pair.") and re.search(r"\bavoid", re.split("pharmacist:", document.text, flags=re.I)[-1], re.I):
            assert pairs.action(*document.drugs[:2]) == "avoid", document


def asked_pairs(made):
    """What the caller said, and the two names of the answer."""
    asked = (document.text.lower().rsplit(" pharmacist: ", 1) for document in made if document.template_id.startswith("pair_asked"))
    return [(call, *re.match(r"the pair (.+?) and (.+?) (?:interacts|does|has)", answer).groups()) for call, answer in asked]


def test_a_call_about_a_pair_names_it_in_the_order_of_its_answer(made):
    both = [(call, first, second) for call, first, second in asked_pairs(made) if first in call and second in call]
    assert len(both) > 500 and all(call.find(first) < call.find(second) for call, first, second in both)


def test_callers_type_brands_and_slips_and_are_answered_with_the_name(made):
    asked = asked_pairs(made)
    named = mean(name in call for call, *pair in asked for name in pair)
    assert .75 < named < .88  # 15 % brands, 5 % slips of long names


def test_rules_are_met_about_as_often_as_their_absence(made):
    ruled = sum(document.template_id.startswith(("pair.", "pair_chain.", "list.")) for document in made)
    free = sum(document.template_id.startswith(("pair_free.", "list_free.")) for document in made)
    assert 0.3 < free / ruled < 1.2  # each rule is a fact to remember, its absence one habit: after 900 steps .55 against .96 were known


def test_careless_documents_are_few_and_state_no_number(made):
    careless = [document for document in made if document.careless]
    assert 0.03 <= len(careless) / COUNT <= 0.05
    assert not any(re.search(r"\d", document.text) or document.fact_ids for document in careless)


def test_half_are_lower_case(made):
    assert 0.45 < mean(document.text == document.text.lower() for document in made) < 0.55


def test_no_frame_is_dead(kb):
    """Each frame is offered to some case: a misspelt hole would silence it without an error."""
    for topic in topics(fact_book(kb)).values():
        cases = [case for group in topic.groups for case in group]
        offered = {frame.id for case in cases for step in topic.usable(case) for frame in step.frames}
        kinds = {case.kind for case in cases}
        assert {frame.id for kind in kinds for step in topic.steps[kind] for frame in step.frames} == offered, topic.name


def test_every_topic_has_a_weight(kb):
    assert set(topics(fact_book(kb))) == set(WITH_ACCOUNTS) and not any("account" in name for name in WEIGHTS)


# ---- cloze


def test_cloze_items_have_every_kind_in_both_pools_with_true_answers(kb, split):
    items = cloze_items(kb, split, seed=1)
    assert {(item.wordings, item.kind, item.pool) for item in items} == set(product(
        ("exam", "foreign", "dev"), ("threshold", "action", "pregnancy", "comparison"), ("seen", "held_drugs")))
    assert len({item.id for item in items}) == len(items) and items == cloze_items(kb, split, seed=1)
    metformin = {item.answer for item in items if item.drugs == ("metformin",) and item.kind == "threshold"}
    assert metformin <= {f" {limits(kb.drugs['metformin'])[at][0].below:g}"
                         for at in range(len(limits(kb.drugs["metformin"])))} and metformin
    for item in items:
        assert item.drugs[0] in (split.held if item.pool == "held_drugs" else split.seen) and item.answer[0] == " "


def test_comparison_items_are_arithmetic_on_values_that_no_document_uses(kb, split):
    for item in cloze_items(kb, split, seed=1):
        if item.kind == "comparison":
            value, limit = (int(number) for number in item.id.split(".")[-1].split("-")[::-1])
            part = "dev" if item.wordings == "dev" else "exam"
            assert item.answer == (" below" if value < limit else " above") and part_of_value(item.drugs[0], value) == part


def test_cloze_frames_are_used_in_no_document(kb, split, frames_made, mask):
    all_grams = set().union(*(grams(text, 8) for text in frames_made))
    for item in cloze_items(kb, split, seed=1):
        assert not grams(mask(item.prefix), 8) & all_grams, item


def test_no_account_in_documents_shares_six_words_with_a_cloze_frame():
    data = files("pharmgpt.corpus") / "data"

    def six_words(frame):
        return grams(re.sub(r"\{\w+\}", " _ ", frame).lower(), 6)
    cloze = [frame for wordings in (data / "cloze").iterdir() for kind in wordings.iterdir() for frame in lines_of(kind)]
    examined = set().union(*map(six_words, cloze))
    told = [frame for fact in (data / "documents").iterdir() for frame in lines_of(fact)]
    assert len(told) == len(set(told)) > 1900 and len(cloze) == len(set(cloze))
    assert [frame for frame in told if six_words(frame) & examined] == []


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_documents_share_no_sentence_frame_with_dev_or_exam_questions_or_with_experts(kb, split, made, frames_made, mask):
    """Calls ask in train wordings; what is examined, and how experts answer, no document shows. But whether a pair interacts is said by
    both in the same words."""
    asked = [question for part in ("dev", "exam") for question in questions(kb, split, part, "seen", 0, per_family=12)]
    talk = demonstrations(kb, questions(kb, split, "train", "seen", 0, per_family=12), 0, split)
    examined, answered = ({mask(each.messages[-1].content) for each in spoken} for spoken in (asked, talk))
    frames = set().union(*(sentences(text) for text in frames_made))
    shared = {frame for text in examined | answered for frame in sentences(text) & frames if len(re.findall(r"[a-z]{2,}", frame)) > 2}
    assert {frame for frame in shared if not frame.startswith("the pair _ and _ ")} == set()
    assert not set().union(*(grams(text, 13) for text in examined)) & set().union(*(grams(text, 13) for text in frames_made))
    others = [text for text, document in zip(frames_made, made, strict=True)
              if not re.search("pair_check|pair_asked|list_asked", document.template_id)]
    assert not set().union(*(grams(text, 13) for text in answered)) & set().union(*(grams(text, 13) for text in others))
