"""Pairs of drugs: what a rule says, in both orders, how it follows from what each drug does, and pairs with nothing between them.

A pair without a rule is stated about as often as one with a rule: otherwise "interaction" would be the safe guess for any two names.
"""
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from random import Random

from pharmgpt.corpus.facts import FactBook, instead_names, instead_slots
from pharmgpt.corpus.frames import Case, Topic, Varied, by_name, step
from pharmgpt.corpus.phrasing import capital, listed, plural, with_article
from pharmgpt.corpus.sentences import VERDICTS, pair_fact, pairs_in_turn
from pharmgpt.knowledge.rules import Finding
from pharmgpt.knowledge.schema import Drug, KnowledgeBase

DrugPairs = Sequence[tuple[str, str]]

WORD = VERDICTS | {"none": "safe, no action"}
STATE = {"avoid": "is avoided", "reduce": "needs a reduced dose", "monitor": "is monitored", "none": "is safe"}
ORDER = {"avoid": "avoid the pair", "reduce": "give a reduced dose", "monitor": "monitor both", "none": "carry on, it is safe"}

PAIR = {
    "interaction_bulletin": ("{A} with {b} {state}: {effect}.", "{A} and {b}. Grade: {severity}. Harm: {effect}. Step: {word}.",
                             "Pair alert: {a} plus {b} can end in {effect}; the pair {state}.",
                             "Between {a} and {b} there is a {severity} interaction, {effect}. {Word}."),
    "monograph": ("{A} given beside {b} raises the chance of {effect}: {order}.",
                  "Interactions of {a}: with {b}, {word}, because of {effect}."),
    "case_note": ("{person} on {a}, now also {b}. A {severity} pair, {effect}: {order}.",
                  "{place}: {a} charted with {b}. That pair {state} for {effect}.",
                  "{person} takes {a}. {B} was asked for. {A} with {b} {state}, since {effect} can follow."),
    "dialogue": ("Nurse: {A} is running, may I give {b}? Pharmacist: {effect} can follow, so {order}.",
                 "Student: {A} together with {b}? Registrar: {Word}. Think of {effect}."),
    "leaflet": ("If you take {a}, mind {b}: the pair {state} because of {effect}.",),
    "exam_note": ("{A} meets {b}: name the harm. {effect}. Step: {word}.", "Pair to know: {a}, {b}, {effect}, {word}."),
    "table_row": ("{a} | {b} | {severity} | {effect} | {word}", "{a} + {b} | {word} | {effect}"),
}
CHAIN = {
    "interaction_bulletin": ("{A} {trait_a}. {B} {trait_b}. Together that means {effect}: {order}.",
                             "{A} {trait_a}, and {b} {trait_b}. The pair {state} for {effect}."),
    "exam_note": ("Why not {a} with {b}? {A} {trait_a}; {b} {trait_b}. Result: {effect}. {Word}.",),
    "case_note": ("{person} on {a}, {b} planned. {A} {trait_a}. {B} {trait_b}. {effect} is the danger, so {order}.",),
    "dialogue": ("Student: How do {a} and {b} clash? Pharmacist: {A} {trait_a}, {b} {trait_b}, so {effect}. {Word}.",),
}
INSTEAD = ("{instead} could replace {a} here.", "Beside {b} choose {instead} over {a}.", "With {b}, {a} gives way to {instead}.")
TESTS = ("Follow {tests}.", "{tests} would be checked.")

FREE = {
    "interaction_bulletin": ("{A} with {b}: no interaction of note.", "{A} and {b} may be given together, nothing is listed.",
                             "Pair check, {a} plus {b}: no rule, safe together.",
                             "{A} is {class_a}, {b} is {class_b}. No rule sets {a} against {b}: safe together."),
    "monograph": ("Interactions of {a}: with {b}, none listed.", "{A} given beside {b} raises no known problem."),
    "case_note": ("{person} on {a}, now also {b}. No interaction listed: both are safe to continue.",
                  "{place}: {a} charted with {b}. That pair is safe, nothing listed.",
                  "{person} takes {a}. {B} was asked for. {A} with {b} is safe, since no rule names them."),
    "dialogue": ("Nurse: {A} is running, may I give {b}? Pharmacist: Yes, no interaction of note.",
                 "Student: {A} together with {b}? Registrar: Safe. Nothing is listed."),
    "leaflet": ("If you take {a}, {b} is safe beside it.",),
    "exam_note": ("{A} meets {b}: name the harm. None listed. Safe.", "Pair to know: {a}, {b}, no interaction, safe."),
    "table_row": ("{a} | {b} | none | nothing listed | safe", "{a} + {b} | safe | no interaction"),
}

DIGEST = {
    "interaction_bulletin": ("{Drug} with other drugs: {rows}.", "Interaction digest, {drug}. {rows}."),
    "monograph": ("What goes with {drug}? {rows}.",),
    "table_row": ("{drug} | {bars}",),
}
CHECK = {
    "interaction_bulletin": ("Pairs checked. {rows}", "{rows}"),
}
ASKED = {"interaction_bulletin": ("{row}",)}
CLASS_RULE = {
    "interaction_bulletin": ("{Drug} is {a_class}; {classes} with {partner}: {effect}, {word}.",
                             "{Classes}, {drug} among them, clash with {partner}: {effect}. {Word}."),
    "class_overview": ("For {classes} ({drug} is one) with {partner}: {word}, {effect}.",),
}

LIST = {
    "case_note": ("Medication list: {list}. Pairs checked. {A} with {b} {state}: {effect}. The rest: nothing listed.",
                  "{person} takes {list}. One pair stands out, {a} and {b}: {effect}, so {order}.",
                  "Chart review, {place}. Drugs: {list}. Problem pair: {a} plus {b}, {effect}. Step: {word}."),
    "dialogue": ("Nurse: The list is {list}. Pharmacist: Look at {a} with {b}: {effect}. {Word}.",),
    "exam_note": ("Find the pair: {list}. It is {a} and {b}, {effect}, {word}.",),
    "table_row": ("list | {list} | pair | {a} + {b} | {effect} | {word}",),
}
SAFE_LIST = {
    "case_note": ("Medication list: {list}. Pairs checked. Nothing is listed between them: safe together.",
                  "{person} takes {list}. No pair stands out, all safe.",
                  "Chart review, {place}. Drugs: {list}. Problem pair: none."),
    "dialogue": ("Nurse: The list is {list}. Pharmacist: No pair there is listed. Safe.",),
    "exam_note": ("Find the pair: {list}. There is none, safe.",),
}


def topics(book: FactBook) -> dict[str, Topic]:
    ruled, free = book.unordered(book.ruled), book.unordered(book.free)
    pairs = [[_pair(book, a, b), _pair(book, b, a)] for a, b in ruled]
    tail = (step("i", INSTEAD, 0.3), step("m", TESTS, 0.25))
    return by_name(
        Topic("pair", pairs, {"pair": (step("p", PAIR), *tail)}),
        Topic("pair_chain", [list(_chains(book, a, b)) for a, b in ruled], {"pair": (step("c", CHAIN), *tail)}),
        Topic("pair_free", [[_free(book, a, b), _free(book, b, a)] for a, b in free], {"free": (step("f", FREE),)}),
        Topic("pair_digest", [[_digest(book, drug)] for drug in book.kb.drugs.values()], {"digest": (step("d", DIGEST),)}, _rows(book),
              frozenset(("rows", "bars"))),
        Topic("pair_check", [[Case("check", (), {})]], {"check": (step("k", CHECK),)}, _checked(ruled, free, book), frozenset(("rows",))),
        Topic("pair_asked", [[Case("asked", (), {})]], {"asked": (step("q", ASKED),)}, _asked(ruled, free, book), frozenset(("row",)),
              called=1.0),
        Topic("list_asked", [[Case("asked", (), {})]], {"asked": (step("q", ASKED),)}, _asked_list(ruled, free, book), frozenset(("row",)),
              called=1.0),
        Topic("class_rule", [list(_class_rules(book, drug)) for drug in book.kb.drugs.values()], {"rule": (step("r", CLASS_RULE),)}),
        Topic("list", pairs, {"pair": (step("l", LIST), *tail[:1])}, _list(book), frozenset(("list",))),
        Topic("list_free", [[_free(book, a, b)] for a, b in free], {"free": (step("s", SAFE_LIST),)}, _list(book), frozenset(("list",))),
    )


def _names(book: FactBook, a: str, b: str) -> dict[str, str]:
    name_a, name_b = book.name("drugs", a), book.name("drugs", b)
    class_a, class_b = (with_article(book.name("classes", book.kb.drugs[drug].classes[0])) for drug in (a, b))
    return {"a": name_a, "A": capital(name_a), "b": name_b, "B": capital(name_b), "class_a": class_a, "class_b": class_b}


def _verdict(book: FactBook, finding: Finding) -> dict[str, str]:
    word = WORD[finding.action]
    return {"severity": finding.severity, "effect": book.name("effects", finding.effect), "word": word, "Word": capital(word),
            "state": STATE[finding.action],
            "order": ORDER[finding.action]}


def _pair(book: FactBook, a: str, b: str) -> Case:
    finding = book.pairs.findings(a, b)[0]
    others = book.pairs.alternatives(a, b)
    slots = {**_names(book, a, b), **_verdict(book, finding), **instead_slots(book, others)}
    if finding.monitoring and finding.action != "avoid":
        slots["tests"] = listed(book.names("parameters", finding.monitoring))
    return Case("pair", (a, b), slots, {"": tuple(finding.fact_ids)}, names=instead_names(others))


def _chains(book: FactBook, a: str, b: str) -> Iterator[Case]:
    for x, y in ((a, b), (b, a)):
        case, finding = _pair(book, x, y), book.pairs.findings(x, y)[0]
        for trait_x, trait_y in _traits(book, finding, x, y):
            yield replace(case, slots={**case.slots, "trait_a": trait_x, "trait_b": trait_y})


def _free(book: FactBook, a: str, b: str) -> Case:
    return Case("free", (a, b), _names(book, a, b))


def _traits(book: FactBook, finding: Finding, a: str, b: str) -> Iterator[tuple[str, str]]:
    """What each drug does that makes the rule speak: as the rule selects them, and as harms that both can do."""
    rule = next(rule for rule in book.kb.interactions if rule.id == finding.rule)
    harm = f"hazard:{finding.effect}"
    for side_a, side_b in dict.fromkeys(((rule.a, rule.b), (rule.b, rule.a), (harm, harm))):
        traits = trait(book.kb, book.kb.drugs[a], side_a), trait(book.kb, book.kb.drugs[b], side_b)
        if all(traits):
            yield traits


def trait(kb: KnowledgeBase, drug: Drug, selector: str) -> str:
    """The selector as a predicate of the drug ("can cause bleeding"), "" where it does not hold or only names the drug's class."""
    kind, _, value = selector.partition(":")
    if kind == "drug" and value == drug.id:
        return f"is {with_article(kb.classes[drug.classes[0]].name)}"
    if kind == "class" and value in drug.classes:
        return f"is {with_article(kb.classes[value].name)}"
    if kind == "hazard" and any(entry.effect == value for entry in drug.hazards):
        return f"carries a risk of {kb.effects[value].name}"
    return _enzyme_trait(drug, *value.split(":")) if kind == "cyp" else ""


def _enzyme_trait(drug: Drug, enzyme: str, role: str, *strengths: str) -> str:
    found = next((each for each in drug.enzymes if each.enzyme == enzyme and each.role == role
                  and (not strengths or each.strength in strengths)), None)
    if found is None:
        return ""
    return f"is cleared through {enzyme}" if role == "substrate" else f"is a {found.strength} {enzyme} {role}"


def _digest(book: FactBook, drug: Drug) -> Case:
    return Case("digest", (drug.id,), {"drug": drug.name, "Drug": capital(drug.name)})


def _rows(book: FactBook):
    """Five to ten partners in mixed order, three of five with a rule: the densest text there is about what a pair does."""
    def vary(case: Case, rng: Random) -> Varied:
        drug = case.drugs[0]
        count = rng.randint(5, 10)
        ruled, free = book.ruled[drug], book.free[drug]
        partners = rng.sample(ruled, min(len(ruled), 3 * count // 5))
        partners += rng.sample(free, min(len(free), count - len(partners)))
        rng.shuffle(partners)
        rows, facts = [], []
        for partner in partners:
            found = book.pairs.findings(drug, partner)
            rows.append(f"{book.name('drugs', partner)}, {WORD[found[0].action]}, {book.name('effects', found[0].effect)}" if found
                        else f"{book.name('drugs', partner)}, safe")
            facts += found[0].fact_ids if found else ()
        return Varied({"rows": "; ".join(rows), "bars": " | ".join(rows)}, tuple(partners), tuple(facts))
    return vary


def _checked(ruled: DrugPairs, free: DrugPairs, book: FactBook):
    """Four to six pairs of any drugs, half of them with a rule, in the words in which an answer states a pair."""
    def vary(case: Case, rng: Random) -> Varied:
        drawn = [_drawn(ruled, free, rng) for _ in range(rng.randint(4, 6))]
        rows = (_with_effect(book, pair_fact(book.pairs, *pair), *pair) for pair in drawn)
        return Varied({"rows": " ".join(rows)}, tuple(chain(*drawn)), tuple(chain(*(_facts(book, *pair) for pair in drawn))))
    return vary


def _asked(ruled: DrugPairs, free: DrugPairs, book: FactBook):
    """One pair, in those words and in the order of the question before it: to answer is to copy both names, and a held drug's are
    seldom copied elsewhere."""
    def vary(case: Case, rng: Random) -> Varied:
        a, b = _drawn(ruled, free, rng)
        return Varied({**_names(book, a, b), "row": _with_effect(book, pair_fact(book.pairs, a, b), a, b)}, (a, b), _facts(book, a, b))
    return vary


def _asked_list(ruled: DrugPairs, free: DrugPairs, book: FactBook):
    """The same of a list, pair by pair up to the one that matters."""
    beside = _list(book)

    def vary(case: Case, rng: Random) -> Varied:
        pair = _drawn(ruled, free, rng)
        named = [*pair, *beside(Case("list", pair, {}), rng).drugs]
        shuffled = rng.sample(named, len(named))
        row = _with_effect(book, pairs_in_turn(book.pairs, shuffled), *pair)
        typed = listed([book.typed(name, rng) for name in book.names("drugs", shuffled)])
        return Varied({"list": typed, "row": row}, tuple(named), _facts(book, *pair))
    return vary


def _drawn(ruled: DrugPairs, free: DrugPairs, rng: Random) -> tuple[str, str]:
    """Half of the pairs have a rule; in either order."""
    a, b = rng.sample(rng.choice(ruled if rng.random() < .5 else free), 2)
    return a, b


def _with_effect(book: FactBook, said: str, a: str, b: str) -> str:
    found = book.pairs.findings(a, b)
    if not found or found[0].action == "none":
        return said
    return f"{said[:-1]}, {book.name('effects', found[0].effect)}."


def _facts(book: FactBook, a: str, b: str) -> tuple[str, ...]:
    return tuple(fact for finding in book.pairs.findings(a, b)[:1] for fact in finding.fact_ids)


def _class_rules(book: FactBook, drug: Drug) -> Iterator[Case]:
    """Rules written for a class of this drug, with the other side as a class or drug."""
    for rule in book.kb.interactions:
        for mine, other in ((rule.a, rule.b), (rule.b, rule.a)):
            kind, _, value = mine.partition(":")
            partner = _partner(book.kb, drug, other)
            if kind == "class" and value in drug.classes and partner and drug.id not in rule.except_drugs:
                name = book.name("classes", value)
                slots = {"drug": drug.name, "Drug": capital(drug.name), "a_class": with_article(name), "classes": plural(name),
                         "Classes": capital(plural(name)),
                         "partner": partner, "effect": book.name("effects", rule.effect), "word": WORD[rule.action],
                         "Word": capital(WORD[rule.action])}
                yield Case("rule", (drug.id,), slots, {"": (f"interaction.{rule.id}",)},
                           names={"partner": (other[5:],) if other.startswith("drug:") else ()})


def _partner(kb: KnowledgeBase, drug: Drug, selector: str) -> str:
    kind, _, value = selector.partition(":")
    if kind == "drug" and value in kb.drugs and value != drug.id:
        return kb.drugs[value].name
    return plural(kb.classes[value].name) if kind == "class" and value in kb.classes and value not in drug.classes else ""


def _list(book: FactBook):
    """One or two drugs beside the pair, unrelated to it and to each other; their order is mixed."""
    def vary(case: Case, rng: Random) -> Varied:
        named: list[str] = list(case.drugs)
        for _ in range(1 if rng.random() < 0.5 else 2):
            fitting = [other for other in book.free[named[-1]] if other not in named
                       and all(book.pairs.unrelated(other, each) for each in named)]
            named += [rng.choice(fitting)] if fitting else []
        shuffled = rng.sample(named, len(named))
        return Varied({"list": ", ".join(book.names("drugs", shuffled))}, tuple(named[2:]))
    return vary
