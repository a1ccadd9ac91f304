"""Chat in the terminal: the answer streams, then its reward and its claims against the knowledge base."""
import torch
from rich.console import Console
from rich.markup import escape

from pharmgpt.serve.session import Answer, Session
from pharmgpt.text.records import Message

MARK = {"supported": "[green]✓[/]", "contradicted": "[red]✗[/]", "unknown": "[yellow]?[/]"}
NOT_ADVICE = "A teaching model, often wrong. Not medical advice: ask a pharmacist or physician."


def show_answer(answer: Answer, console: Console) -> None:
    """One stage's answer with its score and its checked claims."""
    score = "" if answer.reward is None else f"   reward {answer.reward:+.2f}"
    console.print(f"[bold]{answer.stage}[/]{score}", highlight=False)
    console.print(answer.answer or "(no text)", markup=False, highlight=False)
    show_checks(answer, console)


def show_checks(answer: Answer, console: Console) -> None:
    for text, status, facts in answer.sentences():
        found = f"  [dim]{', '.join(facts)}[/]" if facts else ""
        console.print(f"  {MARK[status]} {status}: {escape(text)}{found}", highlight=False)


def chat(session: Session, stage: str, console: Console, seed: int = 0) -> None:
    """Read questions until an empty line or the end of input; earlier turns stay in view of the model."""
    console.print(f"[dim]{NOT_ADVICE} Empty line or Ctrl-D to leave.[/]")
    generator = torch.Generator().manual_seed(seed)
    history: list[Message] = []
    while prompt := _read(console):
        history.append(Message("user", prompt))
        pieces = []
        for piece in session.stream(history, stage, temperature=0.0, generator=generator):
            pieces.append(piece)
            console.print(piece, end="", markup=False, highlight=False)
        console.print()
        text = "".join(pieces).strip()
        history.append(Message("assistant", text))
        show_checks(session.judged(history[:-1], text, stage), console)


def _read(console: Console) -> str:
    try:
        return console.input("[bold cyan]you[/] ").strip()
    except EOFError:
        return ""
