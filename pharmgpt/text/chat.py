"""Conversation ↔ ids and loss mask: the only place that knows the format.

    <|system|> …<|user|> …<|assistant|> …<|end|><|user|> …<|assistant|> …<|end|>          a conversation
    <|reference|>…<|user|> …<|assistant|> …<|end|>                                         what the reward model reads
A document is its text and <|endoftext|>. <|end|> closes answers only: it is what a model must learn to say. Messages begin with a space,
as words inside documents do: "Metformin" and " Metformin" are different tokens, and a name that no answer has held can only be copied
as it has been read.
"""
from collections.abc import Sequence
from typing import NamedTuple

from pharmgpt.text.records import Message
from pharmgpt.text.tokenizer import Tokenizer

# The same format for transformers and llama.cpp; a test holds the two together.
JINJA = ("{%- for message in messages -%}"
         "{{- '<|' + message['role'] + '|> ' + message['content'] -}}"
         "{%- if message['role'] == 'assistant' -%}{{- '<|end|>' -}}{%- endif -%}"
         "{%- endfor -%}"
         "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}")


class Rendered(NamedTuple):
    ids: list[int]
    is_response: list[bool]  # True for the tokens of assistant messages and their <|end|>: what SFT is scored on


def render(messages: Sequence[Message], tokenizer: Tokenizer) -> Rendered:
    ids, is_response = [], []
    for message in messages:
        content = spoken(message.content, tokenizer)
        answers = message.role == "assistant"
        said = content + [tokenizer.end_id] if answers else content
        ids += [_role_id(message.role, tokenizer), *said]
        is_response += [False, *[answers] * len(said)]
    return Rendered(ids, is_response)


def spoken(content: str, tokenizer: Tokenizer) -> list[int]:
    """A message's text as its ids stand behind the role."""
    return tokenizer.encode(f" {content}")


def render_prompt(messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
    """Ids up to and with <|assistant|>: what generation continues."""
    return render(messages, tokenizer).ids + [tokenizer.assistant_id]


def as_call(question: str) -> str:
    """How documents write a question: what a base model, which has seen no role, is given to continue."""
    return f"Caller: {question} Pharmacist:"


def render_judged(reference: str | None, messages: Sequence[Message], answer: str, tokenizer: Tokenizer) -> list[int]:
    """Ids of an answer with its prompt, behind the handbook excerpt if there is one; ends with <|end|>."""
    return render_reference(reference, tokenizer) + render([*messages, Message("assistant", answer)], tokenizer).ids


def render_reference(reference: str | None, tokenizer: Tokenizer) -> list[int]:
    """Ids of the handbook excerpt, if there is one, as it stands before the conversation."""
    return [tokenizer.reference_id, *tokenizer.encode(reference)] if reference else []


def _role_id(role: str, tokenizer: Tokenizer) -> int:
    return {"system": tokenizer.system_id, "user": tokenizer.user_id, "assistant": tokenizer.assistant_id}[role]
