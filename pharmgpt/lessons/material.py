"""What the class reads: ten medical sequences, five questions with their experts, and the words they are written in.

A question's key is the truth: for each element of a complete answer the one sentence that states it. Experts are imperfect: each
names some elements of the key and none names all, so there is something that imitating them cannot teach. Not medical advice.
"""
from types import MappingProxyType
from typing import NamedTuple

START, END = "<start>", "<end>"

SEQUENCES = (
    "fever with body aches cough and fatigue suggests viral infection .",
    "chest pain with sweating and short breath suggests heart attack .",
    "thirst with weight loss and high glucose suggests diabetes .",
    "metformin with egfr 28 carries risk of lactic acidosis .",
    "ibuprofen with warfarin carries risk of stomach bleeding .",
    "lisinopril in pregnancy carries risk of fetal harm .",
    "morphine with diazepam carries risk of slow breathing .",
    "citalopram with amiodarone carries risk of long qt interval .",
    "simvastatin with clarithromycin carries risk of muscle damage .",
    "spironolactone with lisinopril carries risk of high potassium .",
)

# The same facts in an order of words that training never shows: what was learnt beyond the sentence itself.
REORDERED = (
    "fatigue and cough with fever suggests viral infection .",
    "warfarin with ibuprofen carries risk of stomach bleeding .",
    "diazepam with morphine carries risk of slow breathing .",
    "amiodarone with citalopram carries risk of long qt interval .",
    "clarithromycin with simvastatin carries risk of muscle damage .",
)


class Question(NamedTuple):
    """`experts` say, by name, which elements of the key each one mentions, in that order."""

    id: str
    wording: str
    held_out_wording: str
    permits: bool  # the truth about the decision
    opposite: str  # the sentence that decides the other way
    key: MappingProxyType[str, str]
    experts: MappingProxyType[str, tuple[str, ...]]

    def answer_of(self, expert: str) -> str:
        return " ".join(self.key[element] for element in self.experts[expert])


def _question(id: str, wordings: tuple[str, str], truth: tuple[bool, str], key: dict[str, str],
              experts: dict[str, tuple[str, ...]]) -> Question:
    return Question(id, *wordings, *truth, MappingProxyType(key), MappingProxyType(experts))


EXPERTS = ("pharmacist", "physician", "resident", "nurse")
QUESTIONS = (
    _question(
        "metformin_28", ("can i use metformin if my egfr is 28 ?", "my egfr is 28 should i take metformin ?"),
        (False, "yes use metformin ."),
        {"decision": "avoid metformin .", "threshold": "egfr is below 30 .", "reason": "risk of lactic acidosis .",
         "alternative": "use insulin instead ."},
        {"pharmacist": ("decision", "threshold", "reason"), "physician": ("decision", "reason", "alternative"),
         "resident": ("decision", "reason"), "nurse": ("decision", "alternative")}),
    _question(
        "metformin_85", ("can i use metformin if my egfr is 85 ?", "my egfr is 85 should i take metformin ?"),
        (True, "avoid metformin ."),
        {"decision": "yes use metformin .", "threshold": "egfr is above 45 .", "dose": "no dose change .",
         "monitoring": "check egfr each year ."},
        {"pharmacist": ("decision", "threshold", "dose"), "physician": ("decision", "dose", "monitoring"),
         "resident": ("decision", "dose"), "nurse": ("decision", "monitoring")}),
    _question(
        "warfarin_ibuprofen", ("can i take ibuprofen with warfarin ?", "on warfarin should i use ibuprofen ?"),
        (False, "yes use ibuprofen ."),
        {"decision": "avoid ibuprofen .", "reason": "risk of bleeding .", "alternative": "use acetaminophen instead .",
         "monitoring": "check inr ."},
        {"pharmacist": ("decision", "reason", "monitoring"), "physician": ("decision", "reason", "alternative"),
         "resident": ("decision", "reason"), "nurse": ("decision", "alternative")}),
    _question(
        "lisinopril_pregnancy", ("can i take lisinopril in pregnancy ?", "should a pregnant patient use lisinopril ?"),
        (False, "yes use lisinopril ."),
        {"decision": "avoid lisinopril .", "reason": "risk of fetal harm .", "alternative": "use labetalol instead .",
         "monitoring": "check blood pressure ."},
        {"pharmacist": ("decision", "reason", "alternative"), "physician": ("decision", "alternative", "monitoring"),
         "resident": ("decision", "reason"), "nurse": ("decision", "alternative")}),
    _question(
        "morphine_diazepam", ("can i take morphine with diazepam ?", "is it safe to take diazepam and morphine together ?"),
        (False, "yes use both ."),
        {"decision": "avoid taking both .", "reason": "risk of slow breathing .", "dose": "if needed use lowest dose .",
         "monitoring": "watch breathing ."},
        {"pharmacist": ("decision", "reason", "monitoring"), "physician": ("decision", "reason", "dose"),
         "resident": ("decision", "reason"), "nurse": ("decision", "dose")}),
)


def _words() -> tuple[str, ...]:
    texts = [*SEQUENCES, *REORDERED]
    for question in QUESTIONS:
        texts += [question.wording, question.held_out_wording, *question.key.values()]
    return (START, END, *sorted({word for text in texts for word in text.split()}))


VOCABULARY = _words()  # V words; a word's place in it is its token, in every process and on every machine
TOKENS = MappingProxyType({word: token for token, word in enumerate(VOCABULARY)})
