"""A prompt as the model reads it, cut into segments that know their role and origin.

Everything that the chat template adds is shown, too: its tokens (never deleted) and the system
prompt that some templates write silently (origin `silent`). Tokens are assigned to segments by the
fast tokenizer's offsets; no id is ever made by joining strings. A character that several tokens
spell (an emoji) is never divided.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from selaras.core.errors import InputError
from selaras.core.records import Role
from selaras.debug.cuts import CUTTERS, UNITS, Cutter, by_regex
from selaras.models.local_chat import ChatPrompt, ChatTokenizer, Tokens
from selaras.template import Rendered

Origin = Literal["system", "few_shot", "user", "variable", "model", "silent", "template"]
_ROLE_LINE = re.compile(r"\s*(?:system|user|assistant|model|developer)?[ \t]*\n?")
_SILENT_WORDS = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the rendered prompt: characters [start, end), and the places of its tokens.

    `message` numbers the message as it was given (None for the template's own text); `name` is the
    variable's, where it is one.
    """

    role: Role | Literal["template"]
    origin: Origin
    start: int
    end: int
    tokens: tuple[int, ...] = ()
    ablatable: bool = True
    message: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class PromptView:
    """A rendered prompt with its tokens and its stretches (the coarsest segments), in order."""

    tokens: Tokens
    stretches: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """The whole text that the model reads, the template's own included."""
        return self.tokens.text

    def text_of(self, segment: Segment) -> str:
        """Return the text of one of its segments."""
        return self.text[segment.start : segment.end]


def view_prompt(chat: ChatTokenizer, rendered: Rendered) -> PromptView:
    """Return the prompt as the model reads it; raises ModelError where the template refuses it."""
    prompt = chat.prompt(rendered.messages)
    own = sorted(_own(rendered, prompt, chat.has_system_role), key=lambda s: s.start)
    # Ids that stand for no character (a mark of the beginning) are the template's, too.
    unseen = any(start == end for start, end in prompt.tokens.offsets)
    whole = [Segment("template", "template", 0, 0, ablatable=False)] if unseen else []
    at = 0
    for segment in own:
        whole += _between(prompt, at, segment.start)
        whole.append(segment)
        at = segment.end
    whole += _between(prompt, at, len(prompt.tokens.text))
    return PromptView(prompt.tokens, tuple(with_tokens(prompt.tokens, whole)))


def cut(view: PromptView, unit: str, regex: str | None = None) -> tuple[Segment, ...]:
    """Return the view's segments of a unit (see `cuts.UNITS`), the template's stretches among them.

    `example` joins a few-shot question with its answer; `regex` cuts by a pattern. Raises
    InputError for an unknown unit.
    """
    if unit not in UNITS or (unit == "regex") != (regex is not None):
        raise InputError(
            f"no unit {unit!r}" if unit not in UNITS else "regex and its pattern go together",
            field="unit", fix=f"use one of: {', '.join(UNITS)} (regex with a pattern)",
        )  # fmt: skip
    if unit == "example":
        return _examples(view)
    if unit == "token":
        return tuple(s for stretch in view.stretches for s in _token_segments(view, stretch))
    cutter = by_regex(regex) if regex is not None else CUTTERS.get(unit, lambda _: iter((0,)))
    found: list[Segment] = []
    for stretch in view.stretches:
        if not stretch.ablatable:
            found.append(stretch)
            continue
        text = view.text_of(stretch)
        borders = _borders(text, cutter)
        found += [
            replace(stretch, start=stretch.start + a, end=stretch.start + b)
            for a, b in pairwise(borders)
        ]
    return tuple(with_tokens(view.tokens, found))


def _borders(text: str, cutter: Cutter) -> list[int]:
    """Return the borders of a text's units: white space goes to the unit that follows it."""
    inner = {_before_space(text, place) for place in cutter(text)}
    end = _before_space(text, len(text))
    return [0, *sorted(place for place in inner if 0 < place < end), len(text)]


def _before_space(text: str, place: int) -> int:
    while place and text[place - 1].isspace():
        place -= 1
    return place


def ablatable(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return the segments that may be deleted: not the template's own, and not without tokens."""
    return tuple(s for s in segments if s.ablatable and s.tokens)


def _own(rendered: Rendered, prompt: ChatPrompt, has_system: bool) -> Iterator[Segment]:
    """Yield the segments of messages, at their places in the rendered text."""
    first = rendered.messages[0]
    folds = not has_system and first.role == "system" and len(prompt.contents) < len(
        rendered.messages
    )  # fmt: skip
    shift = len(first.content) + 2 if folds else 0
    for segment in rendered.segments:
        number = segment.message - 1 if folds and segment.message else segment.message
        offset = shift if folds and segment.message == 1 else 0
        begin, finish = prompt.contents[number]
        start, end = (
            min(max(place + offset - prompt.trimmed[number] + begin, begin), finish)
            for place in (segment.start, segment.end)
        )
        if start < end:
            spoken = segment.role == "assistant" and segment.origin == "user"
            origin: Origin = "model" if spoken else segment.origin
            yield Segment(segment.role, origin, start, end, (), True, segment.message, segment.name)


def _between(prompt: ChatPrompt, start: int, end: int) -> Iterator[Segment]:
    """Yield the template's own text between two places; a silent system prompt stands apart."""
    control = [span for span in prompt.control if start <= span[0] and span[1] <= end]
    borders = [start, *(place for span in control for place in span), end]
    at = start
    for a, b in pairwise(borders):
        if (a, b) in control:
            continue
        text = prompt.tokens.text[a:b]
        head = _ROLE_LINE.match(text)
        begun = a + (head.end() if head else 0)
        if len(prompt.tokens.text[begun:b].split()) >= _SILENT_WORDS:
            if at < begun:
                yield Segment("template", "template", at, begun, ablatable=False)
            yield Segment("system", "silent", begun, b)
            at = b
    if at < end:
        yield Segment("template", "template", at, end, ablatable=False)


def with_tokens(tokens: Tokens, segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments with their tokens: each goes where its last visible character lies."""
    owned: list[list[int]] = [[] for _ in segments]
    at = 0
    for place, (start, end) in enumerate(tokens.offsets):
        if start == end and segments and not segments[0].end:
            owned[0].append(place)
            continue
        piece = tokens.text[start:end]
        anchor = start + max(len(piece.rstrip()) - 1, 0)
        while at < len(segments) - 1 and segments[at].end <= anchor:
            at += 1
        while at and segments[at].start > anchor:
            at -= 1
        if segments:
            owned[at].append(place)
    return [replace(s, tokens=tuple(own)) for s, own in zip(segments, owned, strict=True)]


def _token_segments(view: PromptView, stretch: Segment) -> Iterator[Segment]:
    """Yield one segment a token; tokens that spell one character together are one segment."""
    if not stretch.ablatable or not stretch.tokens:
        yield stretch
        return
    begun = stretch.start
    group: list[int] = []
    for place, after in zip(stretch.tokens, (*stretch.tokens[1:], None), strict=True):
        group.append(place)
        if after is not None and view.tokens.offsets[after][0] < view.tokens.offsets[place][1]:
            continue
        end = stretch.end if after is None else max(begun, view.tokens.offsets[after][0])
        yield replace(stretch, start=begun, end=end, tokens=tuple(group))
        begun, group = end, []


def _examples(view: PromptView) -> tuple[Segment, ...]:
    """Return the messages, each few-shot answer joined to its question (the template between too).

    The template's tokens within an example go with it: an answer without its question is no prompt
    that a model has seen.
    """
    joined: list[Segment] = []
    for stretch in _messages(view):
        question = next((i for i in (-1, -2) if _is_shot(joined, i, "user")), None)
        if stretch.origin == "few_shot" and stretch.role == "assistant" and question is not None:
            parts = [*joined[question:], stretch]
            del joined[question:]
            tokens = tuple(t for part in parts for t in part.tokens)
            joined.append(replace(parts[0], end=stretch.end, tokens=tokens))
        else:
            joined.append(stretch)
    return tuple(joined)


def _is_shot(joined: Sequence[Segment], place: int, role: str) -> bool:
    if len(joined) < -place:
        return False
    return joined[place].origin == "few_shot" and joined[place].role == role


def _messages(view: PromptView) -> Iterator[Segment]:
    """Yield the stretches with those of one few-shot message joined (text and variables in it)."""
    held: Segment | None = None
    for stretch in view.stretches:
        same = held is not None and stretch.message is not None and held.message == stretch.message
        if held is not None and same:
            origin = stretch.origin if held.origin == "variable" else held.origin
            tokens = (*held.tokens, *stretch.tokens)
            held = replace(held, origin=origin, end=stretch.end, tokens=tokens)
            continue
        if held is not None:
            yield held
        held = stretch
    if held is not None:
        yield held
