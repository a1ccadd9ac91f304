"""What a run's own numbers say, in sentences made from them: where it began, where it ended, and what would have been a warning."""
import math

from pharmgpt.lessons.material import VOCABULARY
from pharmgpt.lessons.pairs import HELD_OUT, PAIRS
from pharmgpt.lessons.ppo import PPORun
from pharmgpt.lessons.pretraining import PretrainingRun
from pharmgpt.lessons.reward import Judge, RewardRun, length_accuracy
from pharmgpt.lessons.sft import SFTRun
from pharmgpt.lessons.true_score import Marks, expert_scores

LN_V, LN_2 = math.log(len(VOCABULARY)), math.log(2)

PREDICT = {
    "pretraining": "100 words, and a model that knows nothing: what is its first loss? Ten sentences, read again and again: can the loss "
                   "reach 0? And what will the same facts cost in another order of words?",
    "sft": "four experts answer each of five questions, and the model may only imitate: will it be as good as the best of them, as their "
           "mean, or worse? Will its loss be lower than pretraining's, and if so, does that make it the better model?",
    "reward": "fifteen pairs, each a better and a worse answer: where does −log σ(r(pref) − r(dispref)) begin, and which way must it go? "
              "Will the judge also rank five pairs right that it has never seen?",
    "ppo": "the judge's score will rise, because that is what PPO climbs. Will the true score, which PPO never sees, rise with it? Will "
           "the policy pass the best expert it was taught by? And with --kl 0?",
}
WHICH_LEARNS = "which of these columns learns? Which number would have told you first that another does not?"


def read_pretraining(run: PretrainingRun) -> list[str]:
    first, last = run.epochs[0], run.epochs[-1]
    best = min(run.epochs, key=lambda epoch: epoch.reordered_loss)
    return [
        f"Start {first.loss:.3f}: ln {len(VOCABULARY)} = {LN_V:.3f} is the loss of guessing evenly among {len(VOCABULARY)} words.",
        f"End {last.loss:.3f}: " + _against_bounds(last.loss, run),
        f"P(lactic) is {last.p_next:.2f} after the metformin sentence and {last.p_elsewhere:.2f} after the warfarin one. Both end in "
        f"“carries risk of”, so " + ("it is the drugs that decide: the context is read." if last.p_next > 2 * last.p_elsewhere else
                                     "a model that tells them no better apart does not read its context: a warning."),
        f"The same facts in another order of words: {first.reordered_loss:.3f} → {last.reordered_loss:.3f}. " + (
            f"Lowest ({best.reordered_loss:.3f}) at epoch {best.epoch}, then rising: from there on it learns the sentences by heart."
            if best.epoch < last.epoch else "Still falling: it has not begun to learn the sentences by heart."),
        "A warning would be: a loss that stays at ln V (nothing is read), that rises, or that falls below the floor (the answer is leaking "
        "into the context). That lactic acidosis is a harm appears in none of these numbers.",
    ]


def _against_bounds(loss: float, run: PretrainingRun) -> str:
    if loss > run.unigram:
        return (f"still above {run.unigram:.3f}, which word frequencies alone would reach, so nothing shows yet that the context is used. "
                "More --epochs?")
    return (f"below {run.unigram:.3f}, the best that is possible without reading the context; {loss - run.floor:.3f} above "
            f"{run.floor:.3f}, the best that is possible with it (nobody can know which of the ten sequences will begin).")


def read_sft(run: SFTRun) -> list[str]:
    first, last, experts = run.epochs[0], run.epochs[-1], expert_scores()
    best, mean = max(experts.values()), sum(experts.values()) / len(experts)
    start = ("above it, so pretraining made the model sure of words that these answers do not use" if first.loss > LN_V + 1e-3 else
             "below it: pretraining already helps" if first.loss < LN_V - 1e-3 else "the same: these weights prefer no word to any other")
    return [
        f"Start {first.loss:.3f}, against ln {len(VOCABULARY)} = {LN_V:.3f}: {start}.",
        f"End {last.loss:.3f}; the floor is {run.floor:.3f}, because four experts answer each question and none can know whose turn it is. "
        "Within an answer almost every word follows from those before: that, not safety, is why the number is small, and why it "
        "cannot be compared with pretraining's loss: other texts, another floor.",
        f"True score, sampled: {_with_error(last.marks)}; the four experts' mean is {mean:.3f}, the best one's {best:.3f}. " + (
            "Imitating all alike leads to their mean, less the slips of the imitation." if last.marks.sampled < mean else
            "It has passed the mean of those it imitates."),
        f"Greedy {last.marks.greedy:.2f}, and {last.marks.held_out_wording:.2f} when the same questions come in words never trained on: "
        "five questions are too few to call either number a skill.",
        "A warning would be: a loss below the floor, a true score that falls while the loss falls, or a wide gap between trained and new "
        "wordings.",
    ]


def read_reward(run: RewardRun) -> list[str]:
    last, unseen = run.epochs[-1], PAIRS[-HELD_OUT:]
    right = [run.judge.score(pair.chosen) > run.judge.score(pair.rejected) for pair in unseen]
    low, high = wilson(sum(right), len(right))
    missed = [f"“{pair.prompt}” ({pair.flaw})" for pair, is_right in zip(unseen, right, strict=True) if not is_right]
    surest = min(run.epochs, key=lambda epoch: epoch.held_out.loss)
    return [
        f"Start {run.epochs[0].train.loss:.3f} = ln 2: no opinion, each pair a coin toss. End {last.train.loss:.3f} on those trained on.",
        f"Held out: {sum(right)} of {len(right)} pairs right, 95% interval {low:.0%} to {high:.0%}; always taking the longer answer would "
        f"be right in {length_accuracy(unseen):.0%}. So few pairs can show that a judge is bad, never that it is good.",
        "Missed: " + ("; ".join(missed) + ". It reads no question, so it likes the style it knows wherever it stands." if missed else
                      "none."),
        f"It likes {', '.join(_words(run.judge, -5))}; it dislikes {', '.join(_words(run.judge, 5))}. That is all it knows.",
        f"Held-out loss is lowest ({surest.held_out.loss:.3f}) at epoch {surest.epoch} and {last.held_out.loss:.3f} at the end" + (
            ": the ranking stays, but it grows surer of its mistakes than it should be." if surest.epoch < last.epoch else "."),
        "Only the difference of two scores means anything: add 7 to both and no number but r(pref) and r(dispref) changes.",
        f"A warning would be: a loss above {LN_2:.3f}, a margin below 0, accuracy under 50%, or both scores drifting the same way.",
    ]


def _words(judge: Judge, n: int) -> list[str]:
    """The n most disliked words, or the −n best liked, each with its weight."""
    ranked = sorted(judge.words, key=lambda word: (judge.w[judge.words[word]], word))
    chosen = ranked[:n] if n > 0 else ranked[n:][::-1]
    return [f"{word} {judge.w[judge.words[word]]:+.2f}" for word in chosen]


def wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95% interval of a share (1927)."""
    centre, half = successes + z**2 / 2, z * math.sqrt(successes * (n - successes) / n + z**2 / 4)
    return (centre - half) / (n + z**2), (centre + half) / (n + z**2)


def read_ppo(run: PPORun) -> list[str]:
    first, last = run.epochs[0], run.epochs[-1]
    gain = run.after.sampled - run.before.sampled
    error = math.hypot(run.before.margin_of_error, run.after.margin_of_error)
    return [
        f"Epoch 1: KL {first.kl:.3f}, because nothing has been updated yet. End: {last.kl:.2f} nats an answer away from the SFT policy.",
        f"The judge's reward went {first.reward:+.2f} → {last.reward:+.2f} (units: the SFT policy's standard deviation).",
        f"True score, sampled: SFT {_with_error(run.before)}, PPO {_with_error(run.after)}, gain {gain:+.3f} ± {error:.3f}. "
        + _verdict(gain, error),
        _against_expert(run.after),
        f"In wordings never trained on, greedy: SFT {run.before.held_out_wording:.2f}, PPO {run.after.held_out_wording:.2f}.",
        f"The critic explains {last.explained_variance:.0%} of what answers turn out to be worth; clip fraction {last.clip_fraction:.3f}.",
        "A warning would be: reward up and true score down (over-optimisation: try --kl 0), a KL that keeps growing, a clip fraction "
        "above .3, or a critic that explains nothing. Without a true score, which real projects lack, only KL and reading answers would "
        "tell.",
    ]


def _verdict(gain: float, error: float) -> str:
    if gain > error:
        return "The judge pointed the right way."
    return "Worse, whatever the reward says: the judge was obeyed beyond what it knows." if gain < -error else "No change is shown."


def _against_expert(after: Marks) -> str:
    expert, best = max(expert_scores().items(), key=lambda item: item[1])
    sampled = ("passed" if after.sampled - after.margin_of_error > best else
               "not passed" if after.sampled + after.margin_of_error < best else "neither passed nor missed")
    greedy = "passed" if after.greedy > best + 1e-9 else "equalled" if after.greedy > best - 1e-9 else "not passed"
    return f"Best expert ({expert}): {best:.3f}. PPO's sampled answers: {sampled}. Its greedy answers ({after.greedy:.2f}): {greedy}."


def _with_error(marks: Marks) -> str:
    return f"{marks.sampled:.3f} ± {marks.margin_of_error:.3f}"


# ---- beside what was published


def read_published_pretraining(rows: list[dict[str, float]]) -> list[str]:
    losses, repaired = [row["published_a"] for row in rows[1:]], rows[-1]["loss"]
    return [
        f"As published: {losses[0]:.4f} → {losses[-1]:.4f}, never outside {min(losses):.3f} to {max(losses):.3f}, around ln 100 = "
        f"{LN_V:.3f}. Repaired: {rows[0]['loss']:.3f} → {repaired:.3f} on the same ten sequences.",
        f"The text prints 4.5943 → 4.6149 and calls it a slight improvement: a loss that rose by .0206. Ten draws of noise of size .1 move "
        f"their mean by .1/√10 = .032 anyway, so all five of its figures say the same: {LN_V:.3f}.",
    ]


def read_published_sft(first: dict[str, float], last: dict[str, float]) -> list[str]:
    return [
        f"First loss: {first['published_loss']:.3f} as published (= ln 100: these weights were never changed), {first['loss']:.3f} "
        "repaired.",
        f"Last loss: {last['published_loss']:.3f} and {last['loss']:.3f}; true score, sampled: {last['published_sampled']:.3f} and "
        f"{last['sampled']:.3f} (each ± {last['margin_of_error']:.3f}). Here the missing pretraining hardly shows: ten sentences hold "
        "little that five answers need. That it matters in earnest needs the real line: see `pharmgpt lesson claims`.",
        "The text prints .2061 → .1900 and no code. Two equally good choices cost ln 2 = .693 and three ln 3 = 1.099, so a first figure of "
        ".21 is no guess among two or three answers: the number was small before anything had been learnt.",
    ]


def read_published_reward(last: dict[str, float], epochs: int) -> list[str]:
    expected = 20 * 0.01 * 0.5 * epochs
    return [
        f"As published: loss {LN_2:.4f} → {last['published_loss']:.4f}, margin 0 → {last['published_margin']:+.4f}, accuracy 50% → "
        f"{last['published_accuracy']:.0%}. The text prints .6945 → .7032, −.003 → −.020 and 50% → 25%.",
        f"The same words, the same step size, the sign alone repaired: loss → {last['sign_loss']:.4f}, accuracy → "
        f"{last['sign_accuracy']:.0%}. So the features were not too simple; the step went the wrong way.",
        f"r(pref) {last['published_r_chosen']:+.2f} and r(dispref) {last['published_r_rejected']:+.2f}: a bias that takes 20 wrong steps "
        f"of .01 × ½ an epoch would reach −{expected:.2f}. With the sign repaired it drifts up as far. Either way it cancels in the margin "
        "and teaches nothing.",
        f"Process A and B differ only in the salt of hash(): {last['published_loss']:.5f} and {last['process_b_loss']:.5f}.",
    ]


def read_published_ppo(run: PPORun, misled: PPORun) -> list[str]:
    return [
        f"Judge as published: reward {misled.epochs[0].reward:+.2f} → {misled.epochs[-1].reward:+.2f}, true score, sampled, "
        f"{_with_error(misled.before)} → {_with_error(misled.after)}.",
        f"Judge repaired: reward {run.epochs[0].reward:+.2f} → {run.epochs[-1].reward:+.2f}, true score, sampled, "
        f"{_with_error(run.before)} → {_with_error(run.after)}.",
        "Both rewards rise: PPO did its work in both. Whether that helps anybody was decided when the judge was trained, and its "
        "accuracy is what could have told.",
        _against_expert(run.after),
    ]
