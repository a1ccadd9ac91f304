"""One lesson, run and laid out: what to predict, the numbers epoch by epoch, the reading, the faults of the text, the curves to draw.

For each lesson two functions, the lesson itself and the same beside what the text published. How a sheet looks on a terminal, as JSON or as
a picture is not known here.
"""
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pydantic import BaseModel

from pharmgpt.lessons import published, readings
from pharmgpt.lessons.language_model import Model, sample, text_of, tokens_of
from pharmgpt.lessons.material import QUESTIONS
from pharmgpt.lessons.ppo import PPOConfig, PPORun, ppo
from pharmgpt.lessons.pretraining import PretrainingConfig, pretraining
from pharmgpt.lessons.published import Fault
from pharmgpt.lessons.reward import Judge, Measured, RewardConfig, RewardEpoch, reward
from pharmgpt.lessons.sft import SFTConfig, SFTRun, sft
from pharmgpt.lessons.true_score import expert_scores, true_score

Row = dict[str, float]  # of one epoch; what does not apply to it is absent
SALTS = (0, 1)  # two starts of Python


class Column(NamedTuple):
    """One number of an epoch: its key for programs, its heading for people, how it is written."""

    key: str
    heading: str
    pattern: str


class Panel(NamedTuple):
    title: str
    series: dict[str, list[tuple[float, float]]]  # name → (epoch, value)
    levels: dict[str, float]  # horizontal lines that mean something


class Sheet(NamedTuple):
    lesson: str
    config: BaseModel
    predict: str
    columns: tuple[Column, ...]
    rows: list[Row]  # every epoch that was measured
    every: int  # epochs between two rows that are shown
    reading: list[str]
    panels: list[Panel]
    answers: tuple[str, ...] = ()  # what the model now says to each question, and what that is worth
    faults: tuple[Fault, ...] = ()


# ---- what each lesson stands on


def tuned_policy(seed: int) -> Model:
    """The model of the lessons `pretraining` and `sft`, marked only at the end."""
    config = SFTConfig(seed=seed)
    return sft(config.model_copy(update={"every": config.epochs}), pretraining(PretrainingConfig(seed=seed)).model).model


def trained_judge(seed: int) -> Judge:
    return reward(RewardConfig(seed=seed)).judge


# ---- pretraining


def pretraining_sheet(config: PretrainingConfig) -> Sheet:
    run = pretraining(config)
    rows = [epoch._asdict() for epoch in run.epochs]
    columns = (Column("loss", "loss", ".3f"), Column("reordered_loss", "loss, reordered", ".3f"),
               Column("p_next", "P(lactic | metformin…)", ".3f"), Column("p_elsewhere", "P(lactic | warfarin…)", ".3f"))
    panel = Panel("pretraining loss, nats a word", curves(rows, {"loss": "loss", "reordered": "reordered_loss"}),
                  {"ln 100": readings.LN_V, "floor": run.floor})
    return Sheet("pretraining", config, readings.PREDICT["pretraining"], columns, rows, one_of(10, config.epochs),
                 readings.read_pretraining(run), [panel])


def pretraining_as_published(config: PretrainingConfig) -> Sheet:
    sheet = pretraining_sheet(config)
    for key, salt in zip(("published_a", "published_b"), SALTS, strict=True):
        for row, loss in zip(sheet.rows[1:], published.published_pretraining(config, salt), strict=True):
            row[key] = loss
    columns = (Column("published_a", "as published, process A", ".4f"), Column("published_b", "as published, process B", ".4f"),
               Column("loss", "repaired", ".4f"))
    panel = Panel("pretraining loss, nats a word", curves(sheet.rows, {"as published": "published_a", "repaired": "loss"}),
                  {"ln 100": readings.LN_V})
    return sheet._replace(predict=readings.WHICH_LEARNS, columns=columns, panels=[panel],
                          faults=(published.NOISE_FAULT, published.TABLE_FAULT, published.HASH_FAULT),
                          reading=readings.read_published_pretraining(sheet.rows))


# ---- supervised fine-tuning


def sft_sheet(config: SFTConfig) -> Sheet:
    run = sft(config, pretraining(PretrainingConfig(seed=config.seed)).model)
    rows = [sft_row(run, place) for place in range(len(run.epochs))]
    columns = (Column("loss", "loss", ".3f"), Column("sampled", "true score, sampled", "+.3f"), Column("greedy", "greedy", "+.2f"),
               Column("held_out_wording", "greedy, new wording", "+.2f"))
    best = max(expert_scores().values())
    panels = [Panel("SFT loss, nats a word", curves(rows, {"loss": "loss"}), {"ln 100": readings.LN_V, "floor": run.floor}),
              Panel("true score", curves(rows, {"sampled": "sampled", "greedy": "greedy"}), {"best expert": best})]
    return Sheet("sft", config, readings.PREDICT["sft"], columns, rows, 1, readings.read_sft(run), panels, said_by(run.model))


def sft_row(run: SFTRun, place: int) -> Row:
    epoch = run.epochs[place]
    return {"epoch": epoch.epoch, "loss": epoch.loss, **epoch.marks._asdict()}


def sft_as_published(config: SFTConfig) -> Sheet:
    sheet, run = sft_sheet(config), published.published_sft(config)
    for place, row in enumerate(sheet.rows):
        row |= {f"published_{key}": value for key, value in sft_row(run, place).items() if key != "epoch"}
    columns = (Column("published_loss", "loss, as published", ".3f"), Column("loss", "repaired", ".3f"),
               Column("published_sampled", "true score, as published", "+.3f"), Column("sampled", "repaired", "+.3f"),
               Column("published_held_out_wording", "new wording, as published", "+.2f"), Column("held_out_wording", "repaired", "+.2f"))
    panel = Panel("SFT loss, nats a word", curves(sheet.rows, {"as published": "published_loss", "repaired": "loss"}),
                  {"ln 100": readings.LN_V})
    return sheet._replace(predict=readings.WHICH_LEARNS, columns=columns, panels=[panel], faults=(published.START_FAULT,),
                          answers=said_by(run.model), reading=readings.read_published_sft(sheet.rows[0], sheet.rows[-1]))


# ---- reward model


def reward_sheet(config: RewardConfig) -> Sheet:
    run = reward(config)
    rows = [reward_row(epoch) for epoch in run.epochs]
    columns = (*measured_columns(""), Column("held_out_accuracy", "held-out acc.", ".0%"), Column("held_out_loss", "held-out loss", ".4f"))
    panels = [Panel("Bradley-Terry loss", curves(rows, {"trained": "loss", "held out": "held_out_loss"}), {"ln 2": readings.LN_2}),
              Panel("mean score", curves(rows, {"preferred": "r_chosen", "dispreferred": "r_rejected"}), {})]
    return Sheet("reward", config, readings.PREDICT["reward"], columns, rows, one_of(5, config.epochs), readings.read_reward(run), panels)


def reward_row(epoch: RewardEpoch) -> Row:
    held_out = {f"held_out_{key}": value for key, value in epoch.held_out._asdict().items()}
    return {"epoch": epoch.epoch, **epoch.train._asdict(), **held_out}


def measured_columns(prefix: str) -> tuple[Column, ...]:
    return (Column(f"{prefix}loss", "loss", ".4f"), Column(f"{prefix}margin", "margin", "+.3f"), Column(f"{prefix}accuracy", "acc.", ".0%"),
            Column(f"{prefix}r_chosen", "r(pref)", "+.2f"), Column(f"{prefix}r_rejected", "r(dispref)", "+.2f"))


def reward_as_published(config: RewardConfig) -> Sheet:
    """As the text has it (processes A and B), the same with its sign alone repaired, and ours."""
    sheet = reward_sheet(config)
    published_epochs, other_process = (published.published_reward(salt, config.epochs)[1] for salt in SALTS)
    one_sign = published.published_reward(SALTS[0], config.epochs, sign_repaired=True)[1]
    for row, as_was, elsewhere, repaired in zip(sheet.rows, published_epochs, other_process, one_sign, strict=True):
        row |= measured_row("published_", as_was) | measured_row("process_b_", elsewhere) | measured_row("sign_", repaired)
    columns = (*measured_columns("published_"), Column("process_b_loss", "| B: loss", ".4f"), Column("sign_loss", "| sign: loss", ".4f"),
               Column("sign_accuracy", "acc.", ".0%"), Column("loss", "| repaired: loss", ".4f"), Column("accuracy", "acc.", ".0%"),
               Column("held_out_accuracy", "held out", ".0%"))
    names = {"as published": "published_loss", "sign alone repaired": "sign_loss", "repaired": "loss"}
    panels = [Panel("Bradley-Terry loss", curves(sheet.rows, names), {"ln 2": readings.LN_2}),
              Panel("r(pref)", curves(sheet.rows, {name: key.replace("loss", "r_chosen") for name, key in names.items()}), {})]
    return sheet._replace(predict=readings.WHICH_LEARNS, columns=columns, panels=panels,
                          faults=(published.SIGN_FAULT, published.BIAS_FAULT, published.WORD_FAULT),
                          reading=readings.read_published_reward(sheet.rows[-1], config.epochs))


def measured_row(prefix: str, measured: Measured) -> Row:
    return {f"{prefix}{key}": value for key, value in measured._asdict().items()}


# ---- PPO


def ppo_sheet(config: PPOConfig) -> Sheet:
    return _ppo_sheet(config, ppo(config, tuned_policy(config.seed), trained_judge(config.seed)))


def _ppo_sheet(config: PPOConfig, run: PPORun) -> Sheet:
    rows = [epoch._asdict() for epoch in run.epochs]
    columns = (Column("reward", "reward", "+.3f"), Column("kl", "KL", ".3f"), Column("clip_fraction", "clip fraction", ".3f"),
               Column("true_score", "true score", "+.3f"), Column("explained_variance", "critic explains", ".0%"),
               Column("words", "words", ".1f"))
    panels = [Panel("reward (judge) and true score", curves(rows, {"reward": "reward", "true score": "true_score"}),
                    {"best expert": max(expert_scores().values())}), Panel("KL, nats an answer", curves(rows, {"KL": "kl"}), {})]
    return Sheet("ppo", config, readings.PREDICT["ppo"], columns, rows, one_of(8, config.epochs), readings.read_ppo(run), panels,
                 said_by(run.model))


def ppo_as_published(config: PPOConfig) -> Sheet:
    policy = tuned_policy(config.seed)
    run, misled = ppo(config, policy, trained_judge(config.seed)), published.published_ppo(config, policy, SALTS[0])
    sheet = _ppo_sheet(config, run)
    for row, epoch in zip(sheet.rows, misled.epochs, strict=True):
        row |= {f"published_{key}": value for key, value in epoch._asdict().items() if key != "epoch"}
    columns = (Column("published_reward", "published: reward", "+.3f"), Column("published_kl", "KL", ".3f"),
               Column("published_true_score", "true score", "+.3f"), Column("reward", "| repaired: reward", "+.3f"),
               Column("kl", "KL", ".3f"), Column("true_score", "true score", "+.3f"))
    panel = Panel("true score", curves(sheet.rows, {"as published": "published_true_score", "repaired": "true_score"}),
                  {"best expert": max(expert_scores().values())})
    return sheet._replace(predict=readings.WHICH_LEARNS, columns=columns, panels=[panel], faults=(published.JUDGE_FAULT,),
                          answers=said_by(misled.model), reading=readings.read_published_ppo(run, misled))


# ---- small change


def said_by(model: Model) -> tuple[str, ...]:
    """The greedy answer to each question with its true score."""
    answers = [text_of(answer) for answer in sample(model, [tokens_of(question.wording) for question in QUESTIONS], None)]
    return tuple(f"{true_score(question, answer):+.2f}  {question.wording} {answer}"
                 for question, answer in zip(QUESTIONS, answers, strict=True))


def curves(rows: Iterable[Row], names: dict[str, str]) -> dict[str, list[tuple[float, float]]]:
    """Each name's values over the epochs that have one."""
    return {name: [(row["epoch"], row[key]) for row in rows if key in row] for name, key in names.items()}


def one_of(parts: int, epochs: int) -> int:
    """Epochs between two rows shown, for so many rows."""
    return max(1, epochs // parts)


class Lesson(NamedTuple):
    config: type[BaseModel]
    sheet: Callable[..., Sheet]
    as_published: Callable[..., Sheet]


LESSONS = {
    "pretraining": Lesson(PretrainingConfig, pretraining_sheet, pretraining_as_published),
    "sft": Lesson(SFTConfig, sft_sheet, sft_as_published),
    "reward": Lesson(RewardConfig, reward_sheet, reward_as_published),
    "ppo": Lesson(PPOConfig, ppo_sheet, ppo_as_published),
}
