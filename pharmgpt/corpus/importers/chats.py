"""Conversations as people keep them → Conversation: chat messages, several turns, ShareGPT, Alpaca, prompt and completion.

A conversation is an optional system message, then user and assistant in turn, and ends with an answer; what is not so is dropped by reason.
"""
from collections.abc import Iterable, Iterator

from pharmgpt.corpus.importers.ledger import ImportRefused, Ledger, Unusable, keys_of, plain, quoted
from pharmgpt.corpus.importers.pieces import clean, mend
from pharmgpt.corpus.importers.reading import Entry
from pharmgpt.text.records import Conversation, Message

IMPORTED = "imported"
ROLES = {"user": "user", "human": "user", "prompter": "user", "assistant": "assistant", "gpt": "assistant", "model": "assistant",
         "bot": "assistant", "chatgpt": "assistant", "system": "system"}
LAYOUTS = ("messages", "conversations", "instruction and output", "prompt and completion")


def conversations(entries: Iterable[Entry], ledger: Ledger) -> Iterator[Conversation]:
    """One conversation an entry; the unusable and the malformed are counted."""
    for entry in entries:
        ledger.read += 1
        try:
            yield conversation(entry.name, _turns(entry, ledger))
        except Unusable as reason:
            ledger.drop(str(reason))
        except ImportRefused as error:
            ledger.drop_bad(str(error))


def conversation(name: str, messages: list[Message]) -> Conversation:
    """The messages as a demonstration to learn from; raises Unusable."""
    check_turns(messages)
    if messages[-1].role != "assistant":
        raise Unusable("does not end with an answer")
    return Conversation(id=name, messages=tuple(messages), template_id=IMPORTED)


def check_turns(messages: list[Message]) -> None:
    """An optional system message, then user and assistant in turn, none empty."""
    turns = messages[1:] if messages and messages[0].role == "system" else messages
    if not turns:
        raise Unusable("no messages")
    for at, message in enumerate(turns):
        if not message.content:
            raise Unusable("empty answer" if message.role == "assistant" else "empty question")
        if message.role != ("user", "assistant")[at % 2]:
            raise Unusable("user and assistant do not take turns")


def read_messages(value: object, place: str, ledger: Ledger) -> list[Message]:
    """A list of {"role", "content"} or ShareGPT's {"from", "value"}."""
    if not isinstance(value, list):
        raise ImportRefused(f"{place}: expected a list of messages; found {quoted(value)}. "
                            "Write [{\"role\": …, \"content\": …}, …].")
    return [_message(each, f"{place}, message {number}", ledger) for number, each in enumerate(value, start=1)]


def said(value: object, place: str, ledger: Ledger) -> str:
    """A message's text; typed parts ({"type": "text", "text": …}) are joined."""
    if isinstance(value, list) and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in value):
        value = "\n".join(part["text"] for part in value)
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise ImportRefused(f"{place}: expected a text; found {quoted(value)}. Write it as a JSON string.")
    return clean(mend(value, ledger))


def _turns(entry: Entry, ledger: Ledger) -> list[Message]:
    record, place = entry.value, entry.place
    if not isinstance(record, dict):
        raise ImportRefused(f"{place}: expected a conversation; found {type(record).__name__}. Write {{\"messages\": [ … ]}}.")
    for key in ("messages", "conversations"):
        if key in record:
            return read_messages(record[key], f"{place}, {key}", ledger)
    if "instruction" in record and "output" in record:
        return _alpaca(record, place, ledger)
    if "prompt" in record and "completion" in record:
        return _side(record["prompt"], "user", place, ledger) + _side(record["completion"], "assistant", place, ledger)
    raise ImportRefused(f"{place}: expected {', '.join(LAYOUTS)}; found {keys_of(record)}. "
                        "Write {\"messages\": [ … ]}.")


def _message(value: object, place: str, ledger: Ledger) -> Message:
    role = (value.get("role", value.get("from")) if isinstance(value, dict) else None)
    if not isinstance(role, str):
        raise ImportRefused(f"{place}: expected role and content (or from and value); found {quoted(value)}. Name who speaks.")
    if role.lower() not in ROLES:
        raise Unusable(f"a role we do not teach ({plain(role[:20])})")
    return Message(ROLES[role.lower()], said(value.get("content", value.get("value")), place, ledger))


def _alpaca(record: dict, place: str, ledger: Ledger) -> list[Message]:
    asked = [said(record.get(key), f"{place}, {key}", ledger) for key in ("instruction", "input")]
    system = said(record.get("system"), f"{place}, system", ledger)
    return ([Message("system", system)] if system else []) + [
        Message("user", "\n\n".join(filter(None, asked))), Message("assistant", said(record["output"], f"{place}, output", ledger))]


def _side(value: object, role: str, place: str, ledger: Ledger) -> list[Message]:
    """A prompt or completion, as a string or as messages."""
    if isinstance(value, list):
        return read_messages(value, place, ledger)
    return [Message(role, said(value, f"{place}, {role}", ledger))]
