"""A question's text → what it states: drugs, names nobody knows, kidney function, pregnancy, conditions."""

import re
from dataclasses import dataclass
from functools import lru_cache

from pharmgpt.knowledge.lexicon import COMMON, DRUG_LIKE, Masked, lexicon_of
from pharmgpt.knowledge.numbers import NOT_KIDNEY
from pharmgpt.knowledge.schema import KnowledgeBase

SLOT = re.compile(
    r"\b(?:take|taking|took|takes|use|using|swallow\w*|on|is|start(?:ed|ing)?|add|given|give|gave me|called|about|with|of"
    r"|prescribed|says|by|bought|and|plus|"
    r"stop|than|does|do|combine|replace) ([a-z]{5,})\b"
)
MORE_COMMON = frozenset("""
control patrol medium stadium plane often airplane salmon routine within examine determine imagine combine begin certain martin cabin
captain examined medicine machine vaccine magazine marine mine fine pain again abandon done condone melatonin caffeine nicotine mime time
dime someone sometime overtime bedtime lifetime latin satin protein skin thin something amine tampon role whole hole console vole soft
step spam exam
""".split())
NUMBER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Context:
    """What a prompt states. `egfr` in mL/min/1.73 m², `crcl` (Cockcroft-Gault) in mL/min; `conditions` include those that follow."""

    drugs: tuple[str, ...] = ()
    unknown_names: tuple[str, ...] = ()
    egfr: float | None = None
    crcl: float | None = None
    pregnant: bool = False
    breastfeeding: bool = False
    conditions: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()  # harms that the prompt names

    @property
    def kidney_function(self) -> float | None:
        return self.egfr if self.egfr is not None else self.crcl


@lru_cache(maxsize=20_000)
def read_context(kb: KnowledgeBase, prompt: str) -> Context:
    """Read the user's words; of several turns pass the user's, joined by newlines."""
    masked = lexicon_of(kb).mask(prompt)
    drugs = tuple(dict.fromkeys(spot.meanings["drug"] for spot in masked.spots if "drug" in spot.meanings))
    measure, value = _kidney_value(masked)
    conditions = _conditions(masked) + (("severe_renal_impairment",) if value is not None and value < 30 else ())
    pregnant = (
        "pregnancy" in conditions
        or re.search(r"\b(?:expecting|unborn" r"|pregnan\w+)\b", masked.plain) is not None
        and "not pregnant" not in masked.plain
    )
    return Context(
        drugs,
        unknown_names(kb, prompt),
        value if measure == "eGFR" else None,
        value if measure == "CrCl" else None,
        pregnant,
        "breastfeeding" in conditions or re.search(r"\b(?:breast ?feed\w*|nursing|lactat\w+)\b", masked.plain) is not None,
        tuple(dict.fromkeys(conditions + (("pregnancy",) if pregnant else ()))),
        tuple(dict.fromkeys(spot.meanings["effect"] for spot in masked.spots if "effect" in spot.meanings)),
    )


def _kidney_value(masked: Masked) -> tuple[str, float | None]:
    """The first number without another unit after a word for kidney function, else the one before it."""
    for number, spot in enumerate(masked.spots):
        if spot.meanings.get("parameter") != "egfr":
            continue
        measure = "CrCl" if "clearance" in spot.words or "crcl" in spot.words else "eGFR"
        at = masked.text.index(f"V{number}")
        after = [hit for hit in NUMBER.finditer(masked.text, at) if not NOT_KIDNEY.match(masked.text, hit.end())]
        before = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)(?: (?:of|for|in|as|the|is|my))* $", masked.text[:at])
        if after or before:
            return measure, float(after[0].group(1) if after else before.group(1))
    return "eGFR", None


def _conditions(masked: Masked) -> tuple[str, ...]:
    found = []
    for number, spot in enumerate(masked.spots):
        before = masked.text[: masked.text.index(f"{'D' if 'drug' in spot.meanings else 'V'}{number}")]
        if "condition" in spot.meanings and not re.search(r"\b(?:no|not|without|never had)(?: (?:an?|any|history of|have))* ?$", before):
            found.append(spot.meanings["condition"])
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=20_000)
def unknown_names(kb: KnowledgeBase, text: str, slot: re.Pattern[str] = SLOT) -> tuple[str, ...]:
    """Words that stand where a drug's name would (`slot`), or end like one, and are none that we know."""
    masked = lexicon_of(kb).mask(text)
    words = set(re.findall(r"\b[a-z]{6,}\b", masked.text))
    like = {word for word in words if DRUG_LIKE.search(word)} | {
        word for hit in slot.finditer(masked.text) for word in hit.groups() if word
    }
    return tuple(sorted(word for word in like if not _ordinary(kb, word)))


def _ordinary(kb: KnowledgeBase, word: str) -> bool:
    return (
        word in COMMON
        or word in MORE_COMMON
        or word in lexicon_of(kb).words
        or word.endswith(("ing", "ly", "ed", "ion", "ions", "ness", "ment"))
    )
