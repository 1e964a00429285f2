"""A rendered prompt as the model reads it: every stretch with its origin and its tokens.

The chat template's own text is a stretch as well: control words, and the system prompt that some
templates put in without saying so.
"""

from dataclasses import dataclass
from typing import Literal

from selaras.core.records import Role
from selaras.models.local_chat import ChatTokenizer
from selaras.models.local_open import base_folder
from selaras.models.local_torch import transformers
from selaras.models.names import Place
from selaras.template import Rendered, Segment
from selaras.template.segment import Origin

JOINED = "\n\n"


@dataclass(frozen=True, slots=True)
class Told:
    """A stretch of the prompt; `origin` is `chat_template` for what the model's template adds."""

    origin: Origin | Literal["chat_template"]
    role: Role | None
    name: str | None
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class ToldPrompt:
    """The whole prompt. `folded` says that the system text went into the first user turn, and
    `hidden` is what the template says to the model that nobody wrote (a silent system prompt).
    """

    parts: tuple[Told, ...]
    folded: bool
    hidden: str

    @property
    def tokens(self) -> int:
        """All tokens of the prompt."""
        return sum(part.tokens for part in self.parts)


def open_chat(name: str, place: Place) -> ChatTokenizer:
    """Return a local model's tokenizer with its chat template, without opening its weights."""
    folder = base_folder(name, place)
    return ChatTokenizer(
        transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    )


def told_prompt(chat: ChatTokenizer, rendered: Rendered) -> ToldPrompt:
    """Return the rendered messages as they reach the model, token by token accounted for.

    A token counts to the stretch in which it begins. Raises ModelError where the chat template
    refuses the messages.
    """
    folded = (
        bool(getattr(chat.tokenizer, "chat_template", None))
        and not chat.has_system_role
        and rendered.messages[0].role == "system"
    )
    pieces: list[tuple[str, Segment | None]] = []
    for number, text in chat.stretches_told(rendered.messages):
        if number is None:
            pieces.append((text, None))
        else:
            pieces += _own(rendered, number, text, folded)
    starts = chat.token_starts("".join(text for text, _ in pieces))
    parts: list[Told] = []
    end, counted = 0, 0
    for text, segment in pieces:
        end += len(text)
        before, counted = counted, sum(start < end for start in starts)
        tokens = counted - before
        if segment and any(word in text for word in chat.control_words):
            # Its control words reach the model as plain text, in pieces.
            tokens = len(chat.text_ids(text))
        parts.append(
            Told(
                segment.origin if segment else "chat_template",
                segment.role if segment else None,
                segment.name if segment else None,
                text,
                tokens,
            )
        )
    system = any(message.role == "system" for message in rendered.messages)
    return ToldPrompt(tuple(parts), folded, "" if system else _hidden(chat))


def _own(
    rendered: Rendered, number: int, text: str, folded: bool
) -> list[tuple[str, Segment | None]]:
    """Return a message's content as its segments; the template may have trimmed its ends."""
    numbers = ([0, 1] if number == 0 else [number + 1]) if folded else [number]
    numbers = [i for i in numbers if i < len(rendered.messages)]
    pieces: list[tuple[str, Segment | None]] = []
    for i in numbers:
        pieces += [(JOINED, None)] if i != numbers[0] else []
        pieces += [(rendered.text(s), s) for s in rendered.segments if s.message == i]
    whole = "".join(piece for piece, _ in pieces)
    left = len(whole) - len(whole.lstrip()) if len(text) < len(whole) else 0
    kept: list[tuple[str, Segment | None]] = []
    position = -left
    for piece, segment in pieces:
        start, end = max(0, position), min(len(text), position + len(piece))
        position += len(piece)
        if end > start:
            kept.append((text[start:end], segment))
    return kept


def _hidden(chat: ChatTokenizer) -> str:
    """Return the words in the template's preamble, without its control words and role names."""
    text = chat.preamble
    for word in sorted(chat.control_words, key=len, reverse=True):
        text = text.replace(word, "\n")
    roles = {"system", "user", "model", "assistant"}
    return "\n".join(line for line in text.splitlines() if line.strip() and line not in roles)
