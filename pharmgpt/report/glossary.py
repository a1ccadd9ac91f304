"""Every metric in a sentence, and how its numbers are written."""
import math
from typing import NamedTuple

NONE = "—"
SPACE = "\u202f"  # thin and unbroken; between thousands too, because a comma is a decimal point to half the world


class Metric(NamedTuple):
    label: str
    unit: str  # share, gold, gain, nats, bits
    sentence: str


GLOSSARY: dict[str, Metric] = {
    "cloze_seen": Metric("fact completion, seen drugs", "share",
        "Share of unfinished fact sentences, in wordings it never read, that the base model completes with exactly the right words; "
        "chance always gives each kind's most frequent answer."),
    "cloze_held_drugs": Metric("fact completion, held drugs", "share",
        "The same for held drugs, which appear in the pretraining text and in no later stage."),
    "cloze_foreign_seen": Metric("the same in foreign words, seen drugs", "share",
        "The same in sentences by a writer who had seen no text of ours: our own unread wordings resemble the read ones."),
    "cloze_foreign_held_drugs": Metric("the same in foreign words, held drugs", "share",
        "The same for held drugs."),
    "cloze_dev_seen": Metric("the same in development wordings, seen drugs", "share",
        "The same in another such writer's sentences, which documents and recipes are tuned on."),
    "cloze_dev_held_drugs": Metric("the same in development wordings, held drugs", "share",
        "The same for held drugs."),
    "nats_per_token": Metric("loss on unread text", "nats",
        "How surprised the base model is by each token of text it has not read; chance is ln V, the loss of guessing evenly, and the "
        "baseline is the entropy of the token frequencies alone."),
    "bits_per_byte": Metric("bits per byte", "bits",
        "The same surprise counted per byte of text, so that models with different tokenizers can be compared."),
    "gold_seen": Metric("gold, seen drugs", "gold",
        "Exact score of an answer against the question's typed key, averaged over families of questions: 1 is complete and right, 0 "
        "says nothing, −2 is the floor; the baseline is the best expert."),
    "gold_seen_t1": Metric("gold, seen drugs, sampled", "gold",
        "The same for one answer sampled at temperature 1 instead of the most likely one."),
    "gold_held_drugs": Metric("gold, held drugs", "gold",
        "Gold on drugs that fine-tuning, preferences and PPO never mentioned; only pretraining text did."),
    "gold_held_drugs_t1": Metric("gold, held drugs, sampled", "gold", "The same for one answer sampled at temperature 1."),
    "decision_seen": Metric("right decision, seen drugs", "share",
        "Share of answers whose decision (avoid, reduce, monitor, safe …) equals the key's; an answer from which none can be read is "
        "wrong, and chance always gives the commonest one."),
    "decision_held_drugs": Metric("right decision, held drugs", "share", "The same on held drugs."),
    "unsafe_rate": Metric("unsafe answers", "share",
        "Share of permissive answers among questions whose key says avoid or reduce: lower is better."),
    "over_caution": Metric("over-caution", "share",
        "Share of restrictive answers among questions whose key says safe: lower is better, and a model that forbids everything shows "
        "here."),
    "over_refusal": Metric("over-refusal", "share",
        "Share of clinical questions that should be answered and were declined: lower is better."),
    "interaction_sensitivity": Metric("interaction sensitivity", "share",
        "Share of major or contraindicated drug pairs that the answer warns about."),
    "interaction_specificity": Metric("interaction specificity", "share",
        "Share of drug pairs without an interaction that the answer calls safe; read it beside the sensitivity."),
    "refusal_harmful": Metric("harmful requests refused", "share", "Share of harmful requests that are refused."),
    "abstain_unknown": Metric("unknown drugs admitted", "share",
        "Share of questions about invented drugs in which the answer says that it does not know the drug."),
    "emergency": Metric("emergencies sent for help", "share",
        "Share of overdoses and emergencies in which the answer calls for emergency help before anything else."),
    "decision_ece": Metric("calibration error of decisions", "share",
        "Gap between how often sampled answers agree with each other and how often they are right: 0 is perfectly calibrated."),
    "gain_seen": Metric("gold gained by PPO, seen drugs", "gain",
        "Mean of gold after PPO minus gold after SFT over the same questions: if its interval includes 0, no gain was shown."),
    "gain_held_drugs": Metric("gold gained by PPO, held drugs", "gain", "The same on held drugs."),
    "gain_seen_t1": Metric("gold gained, seen drugs, sampled", "gain", "The same for one answer sampled at temperature 1."),
    "gain_held_drugs_t1": Metric("gold gained, held drugs, sampled", "gain", "The same on held drugs, sampled at temperature 1."),
    "over_best_expert_seen": Metric("PPO minus the best expert", "gain",
        "Mean difference in gold from the best simulated expert over the same questions: above 0, the model answers better than anyone "
        "it was shown."),
    "kl": Metric("KL from the SFT model", "nats",
        "How far PPO moved the model that it delivers: nats per sampled answer by which it differs from the SFT model."),
    "gold_best": Metric("gold, best expert", "gold",
        "Gold of the best simulated expert on seen drugs: what imitating one persona could reach."),
    "gold_mean": Metric("gold, average expert", "gold",
        "Mean gold of all simulated experts on seen drugs: what imitating them all alike would reach."),
    "pair_accuracy_seen": Metric("better answer preferred, seen drugs", "share",
        "Share of pairs in which the reward model scores the good answer above the same answer with one flaw; the baseline is what "
        "length alone reaches."),
    "pair_accuracy_held_drugs": Metric("better answer preferred, held drugs", "share", "The same on held drugs."),
    "pair_accuracy_onpolicy": Metric("better answer preferred, model's own", "share",
        "The same for the best and the worst by gold of several answers that the SFT model itself gave to an exam question."),
    "safe_over_dangerous": Metric("safe preferred to dangerous", "share", "The same for those flaws that could harm a patient."),
    "ece": Metric("calibration error of the reward model", "share",
        "Gap between how sure the reward model is of its choice and how often the choice is right, each pair shown in a random order."),
    "length_only_accuracy": Metric("length alone", "share",
        "What a rule that looks at nothing but the length of the two answers reaches on the same pairs."),
}
TERMS = {
    "n": "How many answers, pairs or sentences a number was counted over.",
    "95 % interval":
        "Where the number would fall in 95 of 100 exams with other drugs drawn alike; drugs, not answers, are what is drawn.",
    "chance": "What guessing without knowledge would reach.",
    "baseline": "What a simple or known rival reaches on the same questions.",
    "seen and held drugs":
        "Seen drugs appear in every stage, and their exam questions use other words and other values; held drugs appear in pretraining "
        "text only.",
    "reward":
        "The learned reward model's score of an answer, in standard deviations of the SFT model's answers; it is PPO's only teacher, "
        "and it can be wrong.",
    "reward loss, margin":
        "−log σ(r chosen − r rejected), which is 0.69 where the model has no opinion; the margin is that difference of scores.",
    "entropy": "How undecided the model is about each next token, in nats; near 0 it always says the same.",
    "clip fraction": "Share of tokens whose probability changed so much in an update that PPO ignored the rest of the change.",
    "explained variance": "How well PPO's value model foresees the reward of an answer: 1 is perfectly, 0 not at all.",
    "ended": "Share of answers that stop by themselves instead of running out of room.",
}


def metric(name: str) -> Metric:
    """The glossary's entry; names made from a flaw or a persona are put together, unknown ones are shown as they are."""
    if name in GLOSSARY:
        return GLOSSARY[name]
    if name.startswith("flaw_"):
        flaw = name.removeprefix("flaw_").replace("_", " ")
        return Metric(f"flaw: {flaw}", "share", f"Share of pairs with the flaw “{flaw}” in which the flawless answer is preferred.")
    if name.startswith("gold_"):
        persona = name.removeprefix("gold_").replace("_", " ")
        return Metric(f"gold, {persona}", "gold", f"Gold of the simulated expert “{persona}” on seen drugs.")
    return Metric(name.replace("_", " "), "nats", "This report knows no description of this metric.")


def show(value: float | None, unit: str) -> str:
    """A number as people read it; what is null or not finite is an em dash."""
    if value is None or not math.isfinite(value):
        return NONE
    if unit == "share":
        return f"{100 * value:.1f}{SPACE}%".replace("-", "−")
    if abs(value) < 0.005:  # neither −0.00 nor +0.00
        return "0.00"
    return f"{value:{'+' if unit == 'gain' else ''}.2f}".replace("-", "−")


def show_interval(interval: tuple[float, float] | None, unit: str) -> str:
    if interval is None or not all(map(math.isfinite, interval)):
        return NONE
    low, high = (show(bound, unit).removesuffix(f"{SPACE}%") for bound in interval)
    return f"{low} to {high}"


def show_count(n: int | None) -> str:
    return NONE if n is None else f"{n:,}".replace(",", SPACE)
