"""Numbers of kidney function in masked prose: comparisons ("28 is below 30"), bounds ("not below 30"), patient values; and doses."""

import math
import re
from typing import NamedTuple

from pharmgpt.knowledge.lexicon import Masked

N = r"(?<![\w.])(\d+(?:\.\d+)?)(?!\d|\.\d)"  # not the digit of a placeholder, and no half of a number
SOME_NUMBER = re.compile(r"(?<![DV\d])\d")
BELOW = (
    r"(?:at or below|less than or equal to|at most|no more than|below|under(?:neath)?|beneath|less than|lower than|smaller than"
    r"|fewer than|short of)"
)
ABOVE = (
    r"(?:at or above|greater than or equal to|at least|no less than|above|over|more than|greater than|higher than|larger than"
    r"|exceeds?|exceeding|beyond|past|down to)"
)
LIMIT = r"(?:cut ?off(?: point)?|threshold|limit|minimum|floor|boundary|lower bound|mark|line)"
FILLER = r"(?: (?:the|this|its|a|an|that|your|D\d+|V\d+|of|value|lower|" + LIMIT + r"|is|at))*"
NOT_KIDNEY = re.compile(
    r" ?(?:mg|g|mcg|micro\w*|milli\w*|grams?|units?|tablets?|capsules?|times|days?|weeks?|months?|years?|hours?"
    r"|minutes?|%|percent|mmol|meq|ms|beats|bpm|kg|ng|drinks?)\b|%"
)
COMPARISON = re.compile(
    N + r"(?:,?(?: which| that| and that| and it)? (?:is|are|was|lies|falls|being|sits|would be)"
    r"|)(?: (not))?(?: (?:well|just|far|clearly|also|still|slightly|already|much|indeed|therefore))*"
    r" (" + BELOW + "|" + ABOVE + r"|equal to)(?:" + FILLER + " " + N + r"|(?: the| this| that"
    r"| its)? (?:V\d+ )?" + LIMIT + r"\b)"
)
BETWEEN_THEM = re.compile(
    N + r",? (?:which )?(?:is|lies|falls|sits)(?: (not))? (?:between|in between|within)(?: (?:them|the two|these" r"|those|both))\b"
)
WITHIN = re.compile(
    N + r" (?:is|lies|falls|sits)(?: (not))? (?:between|in|within)(?: the)?(?: (?:range"
    r"|band))?(?: of)?(?: from)? " + N + r" (?:and|to) " + N
)
VALUE = re.compile(r"(V\d+)(?: (?:here|now|today|value))?(?: (?:is|of|was|at|equals|around|about|only))*(?: ?[=:,])? ?" + N)
AT = re.compile(r"\b(?:at|with)(?: (?:an?|the|your|this))?(?: (V\d+))?(?: of| value of)? " + N)
YOURS = re.compile(r"\b(?:yours|you are|you have)()(?: (?:is|at|of))?(?: ?[:,=])? " + N + r"(?= ?[.;,)]|$)")
OF_LIMIT = re.compile(r"\b(?:down to|" + LIMIT + r"s?)(?: ?:)?(?: (?:is|are|of|an?|the|at|for|lies|stands))* ?$")
STATED_LIMIT = re.compile(
    r"\b" + LIMIT + r"s?:?(?: (?!\d)[\w~]+){0,6}? " + N + r"(?:(?:,| and|, and| or) " + N + r"(?! ?(?:is|are" r"|lies)\b))?"
)
NO_LIMIT = re.compile(r"\bno (?:\w+ ){0,3}" + LIMIT)
BETWEEN = re.compile(r"(?:\b(?:between|from) )?" + N + r" (?:and|to) " + N + r"(?! ?" + NOT_KIDNEY.pattern + ")")
BOUND = re.compile(
    r"(?:\b(not) (?:be |to )?(?:(?:fall|drop|go|dip|sink|rise|climb|get|come|stay)\w* )?)?\b(" + BELOW + "|" + ABOVE + r""
    r"|from)(?: (?:an?|the|your|its|V\d+|of|value|about))* " + N
)
OR_MORE = re.compile(N + r" (?:(?:or|and) )?(more|above|higher|over|greater|upwards?|up|below|less|lower|under|downwards?)\b(?! \d| V\d)")
MORE = ("more", "above", "higher", "over", "greater", "up", "upward", "upwards")
CONDITIONAL = re.compile(r"\b(?:if|when|once|where|whose|unless|whenever|until|provided|as long as|while|only)\b[^,;]*$")
ASSERTED = re.compile(r"\b(?:is|lies|falls|being|stays|it|this|that|which|sits)(?: (?:not|well|just|far|clearly|already|still))* ?$")
DOSE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?) ?(mg|g|mcg|micrograms?|milligrams?|grams?|units?)\b")


USUAL = r"(?:usual|normal|standard|full|ordinary|regular|customary)"
INSTEAD_OF = r"(?:instead of|rather than|in place of|not|down from|reduced from|lowered from|as opposed to)"
LOWERED = re.compile(  # two doses, the first given instead of the second; or one instead of the usual
    DOSE.pattern + r"(?: (?!" + INSTEAD_OF + r"\b)[\w.]+){0,6}?,? " + INSTEAD_OF + r" (?:the |your |a )?(?:" + USUAL + r" )?"
    r"(?:" + DOSE.pattern + r"|(" + USUAL + r" (?:dos\w+|amount|one)))"
)
FROM_TO = re.compile(r"\bfrom " + DOSE.pattern + r"(?: [\w.]+){0,4}? to " + DOSE.pattern)
NOT_BUT = re.compile(r"\b" + INSTEAD_OF + r" (?:\w+ ){0,3}?" + DOSE.pattern + r"[^;]{0,20}?,? (?:but |give |take "
    r"|use )(?:only )?" + DOSE.pattern)


def lowered_doses(text: str) -> list[tuple[int, int]]:
    """Where a sentence puts a smaller dose in the place of a larger one, or of the usual one."""
    spans = [hit.span() for hit in LOWERED.finditer(text) if hit.group(5) or _smaller(hit.groups()[:4])]
    for pattern in (FROM_TO, NOT_BUT):
        spans += [hit.span() for hit in pattern.finditer(text) if _smaller(hit.groups()[2:] + hit.groups()[:2])]
    return spans


def _smaller(doses: tuple[str, ...]) -> bool:
    number, unit, other, other_unit = doses
    return unit[:2] == other_unit[:2] and float(number) < float(other)


class Comparison(NamedTuple):
    """`left` op `right`; left is None for "your eGFR is below 30" and right is None for "28 is below the cut-off"."""

    left: float | None
    low: float  # what is said: low ≤ left < high, with right one of the two
    high: float
    right: float | None
    start: int


class Bound(NamedTuple):
    """A condition on kidney function, low ≤ eGFR < high; low == high for "at 50"."""

    low: float
    high: float
    start: int
    end: int


class Numbers(NamedTuple):
    comparisons: tuple[Comparison, ...]
    limits: tuple[float, ...]  # every threshold named; nan where it is said that there is none
    bounds: tuple[Bound, ...]  # those that condition what is said
    values: tuple[tuple[float, int, bool], ...]  # kidney functions, where, and whether said to be the patient's ("at an eGFR of 50" is not)
    doses: tuple[tuple[str, str], ...]


def span_of(operator: str, negated: bool, number: float) -> tuple[float, float]:
    """The half-open range that "(not) below 30" means."""
    below = re.fullmatch(BELOW, operator) is not None
    return (-math.inf, number) if below != negated else (number, math.inf)


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + "~" * (end - start) + text[end:]


def _other_parameter(masked: Masked, text: str, position: int) -> bool:
    """Does the number belong to potassium, INR or an age, by the nearest term before it?"""
    before = text[:position]
    if re.search(r"\b(?:aged?|older|younger|years)\b[^,;]*$", before):
        return True
    last = re.findall(r"V(\d+)", before[-60:])
    return (
        bool(last) and "parameter" in masked.spots[int(last[-1])].meanings and masked.spots[int(last[-1])].meanings["parameter"] != "egfr"
    )


def read_numbers(masked: Masked) -> Numbers:
    """All that a sentence says about kidney-function numbers and doses; each number is read once."""
    text = masked.text
    if not SOME_NUMBER.search(text):
        return Numbers((), (math.nan,) if NO_LIMIT.search(text) else (), (), (), ())
    doses = tuple((hit.group(1), hit.group(2)) for hit in DOSE.finditer(text))
    for hit in DOSE.finditer(text):
        text = _blank(text, hit.start(), hit.end())
    comparisons, limits, text = _comparisons(masked, text)
    between = _between_them(text)
    values, bounds, text = _patient_values(masked, text)
    more_limits, more_bounds, asserted = _bounds(masked, text)
    comparisons += [Comparison(value, *sorted(more_limits)[:2], None, start) for value, start in between if len(more_limits) == 2]
    return Numbers(tuple(comparisons + asserted), tuple(limits + more_limits), tuple(bounds + more_bounds), tuple(values), doses)


def _between_them(text: str) -> list[tuple[float, int]]:
    """ "cut-offs of 30 and 45, and 40 is between them": the values so placed."""
    return [(float(hit.group(1)), hit.start()) for hit in BETWEEN_THEM.finditer(text) if not hit.group(2)]


def _comparisons(masked: Masked, text: str) -> tuple[list[Comparison], list[float], str]:
    found, limits = [], []
    for hit in list(WITHIN.finditer(text)):
        low, high = float(hit.group(3)), float(hit.group(4))
        if not hit.group(2):
            found.append(Comparison(float(hit.group(1)), low, high, None, hit.start()))
        limits += [low, high]
        text = _blank(text, hit.start(), hit.end())
    for hit in list(COMPARISON.finditer(text)):
        if _other_parameter(masked, text, hit.start()) or NOT_KIDNEY.match(text, hit.end()):
            continue
        right = float(hit.group(4)) if hit.group(4) else None
        low, high = (
            span_of(hit.group(3), bool(hit.group(2)), right or 0.0)
            if hit.group(3) != "equal to"
            else (right, math.nextafter(right, math.inf))
        )
        found.append(Comparison(float(hit.group(1)), low, high, right, hit.start()))
        limits += [] if right is None else [right]
        text = _blank(text, hit.start(), hit.end())
    return found, limits, text


def _patient_values(masked: Masked, text: str) -> tuple[list[tuple[float, int, bool]], list[Bound], str]:
    """ "eGFR 28" is the patient's; "at 50", "at an eGFR of 50" and "if the eGFR is 50" are conditions."""
    values, bounds = [], []
    for pattern in (AT, VALUE, YOURS):
        for hit in list(pattern.finditer(text)):
            spot = masked.spots[int(hit.group(1)[1:])] if hit.group(1) else None
            if (
                NOT_KIDNEY.match(text, hit.end())
                or OF_LIMIT.search(text[: hit.start()])
                or (spot and spot.meanings.get("parameter") != "egfr")
                or re.match(r" (?:to|and|or) \d" r"| or (?:more|above|higher|below|less)", text[hit.end() :])
            ):
                continue
            value = float(hit.group(2))
            if pattern is AT or CONDITIONAL.search(text[: hit.start()]):
                bounds.append(Bound(value, value, hit.start(), hit.end()))
                if pattern is AT and spot:
                    values.append((value, hit.start(), False))
            else:
                values.append((value, hit.start(), True))
            text = _blank(text, hit.start(), hit.end())
    return values, bounds, text


def _bounds(masked: Masked, text: str) -> tuple[list[float], list[Bound], list[Comparison]]:
    limits, bounds, asserted = [], [], []
    for hit in list(STATED_LIMIT.finditer(text)):
        if NOT_KIDNEY.match(text, hit.end()) or _other_parameter(masked, text, hit.start(1)):
            continue
        limits += [float(number) for number in hit.groups() if number]
        text = _blank(text, hit.start(), hit.end())
    for hit in list(BETWEEN.finditer(text)):
        if _other_parameter(masked, text, hit.start()):
            continue
        low, high = float(hit.group(1)), float(hit.group(2))
        limits += [low, high]
        bounds.append(Bound(low, high + (high % 5 == 4), hit.start(), hit.end()))  # "30-44" is written for 30 to below 45
        text = _blank(text, hit.start(), hit.end())
    for hit, low, high in _one_sided(text):
        number = low if math.isfinite(low) else high
        if NOT_KIDNEY.match(text, hit.end()) or _other_parameter(masked, text, hit.start()):
            continue
        limits.append(number)
        before = text[: hit.start()]
        if ASSERTED.search(before) and not CONDITIONAL.search(before):
            asserted.append(Comparison(None, low, high, number, hit.start()))
        elif re.search(r"\b(?:unless|until)\b[^,;]*$", before):  # what is said holds on the other side
            low, high = (high, math.inf) if math.isinf(low) else (-math.inf, low)
            bounds.append(Bound(low, high, hit.start(), hit.end()))
        else:
            bounds.append(Bound(low, high, hit.start(), hit.end()))
    return limits, bounds, asserted


def _one_sided(text: str):
    for hit in OR_MORE.finditer(text):
        more = hit.group(2) in MORE
        yield hit, *((float(hit.group(1)), math.inf) if more else (-math.inf, float(hit.group(1)) + 1))
    for hit in BOUND.finditer(text):
        if OR_MORE.match(text, hit.start(3)) is None:
            yield hit, *span_of("above" if hit.group(2) == "from" else hit.group(2), bool(hit.group(1)), float(hit.group(3)))
