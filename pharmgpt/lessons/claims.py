"""What the classroom text claims with a number or a because, and what becomes of it here: verdict, reason, and the command that shows it.

A claim that the simulators cannot decide names the command of the real line and the figure of its results.json; it is marked so.
docs/claims.md is `pharmgpt lesson claims --markdown`; a test holds the two equal, and another measures every verdict.
"""
from typing import Literal, NamedTuple

from pharmgpt.lessons.layout import NOT_ADVICE, wrapped

Verdict = Literal["true", "partly", "false", "depends"]


class Claim(NamedTuple):
    id: str
    verdict: Verdict
    says: str  # the text's claim in our words
    reason: str  # two sentences
    command: str
    real_line: str = ""  # the figure of results.json that decides it, where no simulator can


REPAIRED, PUBLISHED = "pharmgpt lesson {}", "pharmgpt lesson {} --as-published"
CLAIMS = (
    # pretraining
    Claim("high_loss", "partly",
          "Pretraining loss is about 4.6 because the model guesses among 100 tokens.",
          "ln 100 = 4.605 is indeed what guessing costs. A model that reads its context leaves it in the first epoch, so a loss that "
          "stays there is a defect and no property of pretraining.",
          PUBLISHED.format("pretraining")),
    Claim("slight_improvement", "false",
          "From 4.5943 to 4.6149 the model improves slightly: it is learning.",
          "The loss rose, by .0206. Ten draws of the noise that it was fed spread their mean by .032, so nothing happened at all.",
          PUBLISHED.format("pretraining")),
    Claim("few_sequences", "false",
          "With only ten sequences there can be little improvement.",
          "The same ten sequences bring the repaired model from 4.605 to about .29. What ten sequences cannot do is teach the facts in "
          "another order of words: there the loss stays near 1.8.",
          REPAIRED.format("pretraining")),
    Claim("no_harm", "true",
          "Pretraining learns patterns and has no notion of harm.",
          "Nothing in the loss tells a warning from any other next word. The model that completes the metformin sentence goes on just "
          "as readily when it is asked a question, with words that answer nothing.",
          "pharmgpt lesson trace"),
    Claim("skip_pretraining", "depends",
          "SFT cannot start without pretraining.",
          "Here it can: ten sequences hold little that five answers need, and both starts end alike. In the real line pretraining is "
          "where the facts come from, so compare its SFT with and without.",
          "pharmgpt run classroom --set pretrain.steps=1 --out runs/no-pretraining", "sft.gold_held_drugs"),
    # supervised fine-tuning
    Claim("sft_lower", "partly",
          "SFT loss is lower (.19 to .21) because matching two or three good answers is easier than choosing among 100 tokens.",
          "Every word is still a choice among the same 100, but within an answer almost all of them follow from the words before: that "
          "lowers the mean. A guess between two answers would cost ln 2 = .693, so a first figure of .2061 is not explained by it.",
          REPAIRED.format("sft")),
    Claim("sft_safety", "false",
          "The lower SFT loss demonstrates that safety is being learnt.",
          "The loss measures imitation, and is near its floor. What the answers are worth is another number, and it is below the mean "
          "of the experts that were imitated.",
          REPAIRED.format("sft")),
    Claim("compare_losses", "true",
          "Losses of different stages cannot be compared; look at trends within a stage.",
          "Other texts have other floors: .215 for the ten sequences, .125 for the experts' answers. The text breaks its own rule when "
          "it calls SFT's task easier because its number is smaller.",
          REPAIRED.format("sft")),
    Claim("sft_capped", "partly",
          "SFT is capped by the quality of its experts.",
          "Nothing in its loss rewards what no expert says. But the cap is lower than the best expert: sampled answers approach the "
          "mean of all experts alike, less the slips of imitation.",
          REPAIRED.format("sft")),
    Claim("sft_mismatch", "true",
          "SFT is trained on the experts' words and must go on from its own.",
          "Its loss on experts' words is within .04 of the floor. Left to its own words it slips, and its answers score below the mean "
          "expert.",
          REPAIRED.format("sft")),
    # reward model
    Claim("bradley_terry", "true",
          "The Bradley-Terry loss is low when the preferred answer scores higher, and reads as a probability.",
          "It is −log σ(margin): .693 at margin 0, less above, more below. σ(margin) is the probability that the preferred answer wins.",
          REPAIRED.format("reward")),
    Claim("loss_increase_normal", "false",
          "A loss that rises from .6945 to .7032 is normal in Bradley-Terry training.",
          "The step had the wrong sign. With that sign alone repaired, the same words and step size bring the loss below .693.",
          PUBLISHED.format("reward")),
    Claim("sigmoid_raises", "false",
          "The sigmoid makes the loss larger as both scores become more negative and separated.",
          "The loss sees only the difference of the scores. Shift both by any amount and it does not change; separate them the right "
          "way and it falls.",
          PUBLISHED.format("reward")),
    Claim("negative_drift", "false",
          "Both scores drifting down shows that the model learns to differentiate.",
          "What is common to both scores cancels in the margin, so it differentiates nothing. The drift of .1 an epoch is a bias "
          "stepping 20 × .01 × ½ the wrong way.",
          PUBLISHED.format("reward")),
    Claim("margin_grows", "false",
          "The margin grows from −.003 to −.020, so separation increases as it should.",
          "It grows below zero: the worse answer is ranked higher, ever more clearly. Accuracy says the same when it falls under 50%.",
          PUBLISHED.format("reward")),
    Claim("loss_fine_if_margin", "false",
          "A rising loss is no problem while the margin grows too.",
          "For one pair it cannot happen: the loss falls whenever the margin grows. As a mean over pairs it can, and is a warning: here "
          "the held-out loss and margin both rise after epoch 11, because one pair is ranked wrong with ever more confidence.",
          "pharmgpt lesson reward --json"),
    Claim("simple_features", "false",
          "Accuracy falls to 25% because the features are too simple.",
          "The same features with the sign repaired rank 19 of 20 pairs right. A judge that is right less often than a coin does not "
          "lack features; it has the answer upside down.",
          PUBLISHED.format("reward")),
    Claim("dimensions", "depends",
          "With 768 dimensions and a real network accuracy would be 80 to 95%.",
          "No number of dimensions repairs a sign, and about a hundred word features rank every training pair here. What richer "
          "features buy shows on held-out pairs, in the real line.",
          "pharmgpt exam --stage reward", "reward.pair_accuracy_held_drugs"),
    Claim("held_out_80", "depends",
          "80 to 90% on held-out pairs is good.",
          "Four of five is 80%, and its interval runs from 38% to 96%. It matters what length alone reaches and which pair was missed: "
          "here a dangerous habit, preferring a wrong decision in a familiar style.",
          REPAIRED.format("reward")),
    Claim("safe_above_dangerous", "partly",
          "If the judge scores safe answers above dangerous ones, it works.",
          "It is needed, and ours does so on most pairs. But PPO does not stay among those pairs: without a leash it finds answers that "
          "score high and are worth little.",
          "pharmgpt lesson ppo --kl 0"),
    # PPO and the whole
    Claim("ppo_beats_experts", "depends",
          "PPO makes answers better than any expert in the training set.",
          "Here sampled answers gain over SFT and do not reach the best expert; the greedy ones equal him. In the real line it is "
          "measured against the best single expert on the same questions.",
          "pharmgpt exam --stage ppo", "ppo.over_best_expert_seen"),
    Claim("all_stages", "depends",
          "Only pretraining, SFT, reward model and PPO together give a safe and capable model.",
          "Each repaired stage adds something here, yet a stage can also take away: PPO without a leash falls below SFT. Whether the "
          "last one helped is a measured gain with an interval, not a matter of the plan.",
          "pharmgpt exam --stage ppo", "ppo.gain_seen"),
    Claim("scale", "depends",
          "Pretraining needs billions of tokens, SFT tens of thousands of examples, a reward model thousands of pairs.",
          "Such figures describe large general models; InstructGPT used about 13 thousand SFT prompts and 33 thousand for its reward "
          "model. For a narrow subject a small model gets far with less, which the real line shows with its own counts.",
          "pharmgpt exam --stage reward", "reward.pair_accuracy_seen"),
    # drug facts
    Claim("metformin_28", "true",
          "Metformin is contraindicated below an eGFR of 30, for the risk of lactic acidosis.",
          "So says its label. An eGFR of 28 is below 30.",
          "pharmgpt kb screen metformin --egfr 28"),
    Claim("universal_dosing", "false",
          "eGFR 30 to 59: 75% of the dose; below 30: 50%.",
          "There is no such rule for all drugs: each has its own limits and actions. Metformin is avoided below 30 instead of halved, "
          "and linagliptin needs no change at any eGFR.",
          "pharmgpt kb show linagliptin"),
    Claim("sglt2", "partly",
          "At eGFR 28 an SGLT2 inhibitor can stand in for metformin, like insulin or a GLP-1 agonist.",
          "Insulin can. SGLT2 inhibitors hardly lower glucose below an eGFR of 30: they may be given there for heart or kidney, which "
          "is another decision.",
          "pharmgpt kb show empagliflozin"),
)


HEADING = """# What the classroom text claims

This project began as a teaching text of three simulators. Its claims, in our words, each with what becomes of it here. Made by
`pharmgpt lesson claims --markdown`; `tests/test_lesson_claims.py` measures every verdict. **Real line**: no simulator can decide
it; the command needs a finished run (`pharmgpt run`), and the figure is in its `results.json`. Figures quoted are those of seed 0.
Not medical advice.
"""


def as_markdown() -> str:
    """docs/claims.md."""
    rows = [f"| {claim.says} | **{claim.verdict}** | {claim.reason} | `{claim.command}`{_figure(claim)} |" for claim in CLAIMS]
    return "\n".join([HEADING, "| the text says | here | why | shown by |", "|---|---|---|---|", *rows, ""])


def _figure(claim: Claim) -> str:
    return f" → `{claim.real_line}` (real line)" if claim.real_line else ""


def as_text() -> str:
    """One block a claim, folded for a terminal."""
    return "\n\n".join(["What the classroom text claims, in our words; why it holds or not; the command that shows it.",
                        *(_block(claim) for claim in CLAIMS), NOT_ADVICE])


def _block(claim: Claim) -> str:
    says = wrapped(claim.says, f"{claim.verdict.upper():<9}")
    return "\n".join([says, wrapped(claim.reason, " " * 9), f"{' ' * 9}$ {claim.command}{_figure(claim)}"])
