"""Answers in the terminal: each streams as it is written, then come its reward and its claims against the knowledge base."""
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from pharmgpt.serve.session import Answer, Session
from pharmgpt.text.records import Message

MARK = {"supported": "[green]✓[/]", "contradicted": "[red]✗[/]", "unknown": "[yellow]?[/]"}
NOT_ADVICE = "A teaching model, often wrong. Not medical advice: ask a pharmacist or physician."


def answer_aloud(session: Session, messages: Sequence[Message], stage: str, console: Console) -> Answer:
    """Show one stage's greedy answer while it is written; loading the judge and checking claims waits until it stands."""
    pieces = []
    for piece in session.stream(messages, stage):
        pieces.append(piece)
        console.print(piece, end="", markup=False, highlight=False)
    text = "".join(pieces).strip()
    console.print("" if text else "(no text)")
    answer = session.judged(messages, text, stage)
    if answer.reward is not None:
        console.print(f"  reward {answer.reward:+.2f}", highlight=False)
    for sentence, status, facts in answer.sentences():
        found = f"  [dim]{', '.join(facts)}[/]" if facts else ""
        console.print(f"  {MARK[status]} {status}: {escape(sentence)}{found}", highlight=False)
    return answer


def chat(session: Session, stage: str, console: Console) -> None:
    """Read questions until an empty line or the end of input; earlier turns stay in view of the model."""
    console.print(f"[dim]{NOT_ADVICE} Empty line or Ctrl-D to leave.[/]")
    history: list[Message] = []
    while prompt := _read(console):
        history.append(Message("user", prompt))
        history.append(Message("assistant", answer_aloud(session, history, stage, console).answer))


def _read(console: Console) -> str:
    try:
        return console.input("[bold cyan]you[/] ").strip()
    except EOFError:
        return ""
