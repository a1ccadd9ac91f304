"""Handbook cards: the right facts for a prompt, from its text alone, in few words."""
from statistics import mean

import pytest

from pharmgpt.corpus.cases import DECISIONS
from pharmgpt.corpus.handbook import NO_ENTRY, excerpt
from pharmgpt.corpus.questions import prompt_text, questions
from pharmgpt.corpus.routing import conditions_in
from pharmgpt.corpus.split import split_drugs
from pharmgpt.knowledge.load import load
from pharmgpt.knowledge.subset import named_set
from pharmgpt.knowledge.schema import Drug, Interaction, KnowledgeBase, Term


def term(id, name=None, *terms):
    return Term(id=id, name=name or id.replace("_", " "), terms=terms)


def table(*terms):
    return {each.id: each for each in terms}


@pytest.fixture(scope="module")
def small():
    """Two drugs that clash and one to put in place of either."""
    def drug(id, **fields):
        given = {"id": id, "name": id, "classes": ("class_a",), "indications": ("pain",), "mechanism": "works", "source": "s", **fields}
        return Drug.model_validate(given)
    first = drug("firstol", brands=("Onebrand",), spellings=("fristol",),
                 renal=[{"measure": "eGFR", "below": 30, "action": "avoid", "effect": "bleeding", "source": "s"},
                        {"measure": "eGFR", "at_least": 30, "below": 45, "action": "reduce", "source": "s"}],
                 pregnancy={"action": "avoid", "effect": "fetal_harm", "source": "s"},
                 contraindications=[{"condition": "asthma", "effect": "bleeding", "source": "s"}],
                 serious_effects=[{"effect": "bleeding", "source": "s"}], monitoring=[{"parameter": "egfr", "source": "s"}],
                 alternatives=[{"problem": "any", "drugs": ["otherine"], "source": "s"}])
    second, other = drug("secondam"), drug("otherine", pregnancy={"action": "none", "source": "s"})
    rule = Interaction(id="r", a="drug:firstol", b="drug:secondam", severity="major", action="avoid", effect="bleeding", mechanism="m",
                       management="m",
                       monitoring=("egfr",), alternatives_b=("otherine",), source="s")
    return KnowledgeBase(drugs={each.id: each for each in (first, second, other)}, sources={}, classes=table(term("class_a")),
                         effects=table(term("bleeding"), term("fetal_harm")),
                         conditions=table(term("asthma", "asthma", "asthmatic"), term("gout"), term("pain")),
                         parameters=table(term("egfr", "eGFR")), interactions=(rule,), content_hash="")


@pytest.mark.parametrize(("prompt", "cards"), [
    ("Can I use Firstol if my eGFR is 28?",
     "firstol renal: eGFR below 30 avoid; eGFR 30 to 45 reduce; eGFR 45 and above no change. effect bleeding."
     " instead otherine. check eGFR."),
    ("Weak kidneys, on otherine", "otherine renal: no limit, no change."),
    ("Is onebrand safe in pregnancy?", "firstol pregnancy: avoid. effect fetal harm. instead otherine."),
    ("otherine for a pregnant woman?", "otherine pregnancy: safe."),
    ("secondam while pregnant?", "secondam pregnancy: nothing listed."),
    ("May fristol be given to an asthmatic?",
     "firstol contraindications: asthma. asthma listed, avoid. effect bleeding. instead otherine."),
    ("Does gout rule out firstol?", "firstol contraindications: asthma. gout not listed, safe."),
    ("What should be monitored with firstol?", "firstol monitoring: check eGFR. effect bleeding."),
    ("firstol and secondam?", "firstol + secondam: major, avoid. effect bleeding. instead of secondam otherine. check eGFR."),
    ("secondam with otherine, please", "secondam + otherine: no interaction listed, safe."),
    ("I take firstol, otherine and secondam.",
     "firstol + secondam: major, avoid. effect bleeding. instead of secondam otherine. check eGFR.\nother pairs: no interaction listed."),
    ("On firstol I have unusual bruising", "firstol symptoms: unusual bruising is bleeding, emergency."),
    ("On secondam I have unusual bruising", "secondam symptoms: none listed."),
    ("My child swallowed a pack of firstol", "firstol overdose: emergency number or poison centre now."),
    ("Tell me about firstol", "firstol: class a. effect bleeding.\nfirstol contraindications: asthma."),
    ("Can I take Zolbavir?", "zolbavir: no handbook entry."),
    ("I am on firstol. May I add Zolbavir?",
     "zolbavir: no handbook entry.\nfirstol: class a. effect bleeding.\nfirstol contraindications: asthma."),
    ("Tell me more", NO_ENTRY),
    ("", NO_ENTRY),
])
def test_cards(small, prompt, cards):
    assert excerpt(small, prompt) == cards


def test_a_drug_that_may_not_be_named_is_absent_also_as_alternative_and_partner(small):
    allowed = frozenset(("firstol",))
    assert "otherine" not in excerpt(small, "Can I use firstol if my eGFR is 28?", allowed)
    assert excerpt(small, "firstol and secondam?", allowed).startswith("firstol: ")
    assert excerpt(small, "secondam in pregnancy?", allowed) == NO_ENTRY


def test_alternatives_in_a_renal_card_may_be_used_at_the_prompts_value():
    kb = named_set(load(), "classroom")
    card = excerpt(kb, "Dabigatran with CrCl 10: what else?")
    assert "instead" in card and "dabigatran" not in card.split("instead")[1]


def test_a_card_holds_the_facts_that_keys_ask_for():
    """Any keyed number and name of these families stands in the excerpt of its question, in the words of the knowledge base; the
    router that opens the card may misread one prompt in two hundred. A condition that the prompt names in other words than the
    knowledge base's cannot stand there, nor can what follows from it alone: such a prompt opens the drug's whole list."""
    kb = named_set(load(), "classroom")
    split = split_drugs(kb, 14, 0)
    asked = questions(kb, split, "exam", "held_drugs", 1, per_family=30) + questions(kb, split, "train", "seen", 1, per_family=30)
    missing, lengths, checked, renamed, asked_in_other_words = {}, [], 0, 0, 0
    for question in asked:
        card = excerpt(kb, prompt_text(question))
        lengths.append(len(card))
        if question.family not in ("renal", "interaction", "contraindication", "pregnancy", "monitoring", "medication_list", "symptom"):
            continue
        checked += 1
        if question.family == "contraindication" and question.asked["condition"] not in conditions_in(kb, prompt_text(question)):
            renamed += "contraindications: " in card and card.endswith(" safe.")
            asked_in_other_words += 1
            continue
        for element in question.key:
            if not any(_stated(kb, element.name, value, card) for value in element.accepts):
                missing.setdefault((question.family, element.name), []).append((prompt_text(question), card, element.accepts))
    misread = {prompt for examples in missing.values() for prompt, *_ in examples}
    assert len(misread) <= checked / 200, {kind: examples[:2] for kind, examples in missing.items()}
    assert asked_in_other_words > 15 and renamed >= .85 * asked_in_other_words
    assert mean(lengths) < 250 and max(lengths) < 500


def _stated(kb, element, value, card):
    if element == "decision":
        words = {"avoid": ("avoid",), "reduce": ("reduce",), "monitor": ("monitor",),
                 "safe": ("safe", "no change", "none", "not listed", "nothing listed"), "emergency": ("emergency",)}
        assert value in DECISIONS.values() or value == "emergency"
        return any(word in card for word in words[value])
    if element == "pair":
        return all(kb.drugs[drug].name in card for drug in value.split("+"))
    return (kb.name(value) if not value.replace(".", "").isdigit() else value) in card
