"""Messages to token ids through a model's chat template, with untrusted text kept as text.

A user's `<|im_end|>` must not become the token that ends a turn. The template is rendered once with
the real contents and once with private marks in their place; whatever lies between the marks is the
template's own and may hold control tokens. Where the contents bring no control word of their own,
the ids are those of the tokenizer's own `apply_chat_template`; where they do, they are split inside
every control word before they are tokenised.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from selaras.core.errors import ModelError, one_line
from selaras.core.records import Conversation, Message

_MARK = "\ue000{}\ue001"
_MARKS = re.compile("\ue000(\\d+)\ue001")
_PRIVATE = str.maketrans({"\ue000": "\ufffd", "\ue001": "\ufffd"})


Span = tuple[int, int]
_Token = tuple[int, int, int]  # id, and the characters [start, end) that it stands for


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's ids with the characters [start, end) of each; a character may have several ids."""

    text: str
    ids: tuple[int, ...]
    offsets: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation as the model reads it, up to its reply.

    `contents` holds where each message (after `fold_system`) lies in the text, and `trimmed` how
    many of its first characters the template took off. What lies elsewhere is the template's own;
    `control` are the places of control words in it.
    """

    tokens: Tokens
    contents: tuple[Span, ...]
    trimmed: tuple[int, ...]
    control: tuple[Span, ...]


class ChatTokenizer:
    """A fast tokenizer with its chat template and its control words."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        added = {token.content: i for i, token in tokenizer.added_tokens_decoder.items()}
        # Runs of blanks and line ends, which some vocabularies add, control nothing.
        self._words = {w: i for w, i in added.items() if len(w) > 1 and w.strip(" \t\n\u2581")}
        self._control_ids = frozenset(self._words.values())
        longest_first = sorted(self._words, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        # A look-ahead finds overlapping words too: each is cut after its first character.
        self._cuts = re.compile(f"(?=({self._control.pattern}))")

    @property
    def control_words(self) -> frozenset[str]:
        """The words of the vocabulary that are control tokens."""
        return frozenset(self._words)

    @cached_property
    def has_system_role(self) -> bool:
        """Whether the chat template accepts a system message and shows it to the model."""
        said = _MARK.format(0)
        probe = [{"role": "system", "content": said}, {"role": "user", "content": "u"}]
        try:
            shown: str = self.tokenizer.apply_chat_template(probe, tokenize=False)
        except Exception:  # noqa: BLE001 - templates raise whatever their author chose
            return False
        return said in shown

    @property
    def preamble(self) -> str:
        """What the template puts before the first user turn (a hidden system prompt, say)."""
        if not getattr(self.tokenizer, "chat_template", None):
            return ""
        return _MARKS.split(self._render((Message(role="user", content=_MARK.format(0)),)))[0]

    def prompt_ids(self, conversation: Conversation) -> list[int]:
        """Return the ids of a conversation, ready for the model's reply.

        Raises ModelError where the template refuses the conversation, leaves a message out, or
        changes contents in a way that cannot be followed.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            return self._with_bos(self.text_ids(_joined(conversation)))
        skeleton, whole, contents = self._laid_out(conversation)
        ids = self._plain_ids(whole)
        if self._trusted(skeleton, whole, ids):
            return ids
        ids = []
        for trusted, text in self._stretches(skeleton, contents):
            ids += self._plain_ids(text) if trusted else self.text_ids(text)
        return ids

    def stretches_told(self, conversation: Conversation) -> list[tuple[int | None, str]]:
        """Return the prompt as text, in order: (message number, content) and (None, the chat
        template's own text), the system message folded where the template has no place for it.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            told: list[tuple[int | None, str]] = []
            for number, message in enumerate(conversation):
                told += [(None, "\n")] if number else []
                told.append((number, message.content.translate(_PRIVATE)))
            return told
        skeleton, _, contents = self._laid_out(conversation)
        return [
            (int(part), contents[int(part)]) if i % 2 else (None, part)
            for i, part in enumerate(_MARKS.split(skeleton))
            if i % 2 or part
        ]

    def token_starts(self, text: str) -> list[int]:
        """Return the character at which each token of a prompt begins."""
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return [int(start) for start, _ in found["offset_mapping"]]

    def prompt(self, conversation: Conversation) -> ChatPrompt:
        """Return what `prompt_ids` returns, with where every id and every message lies.

        Raises ModelError as it does, and where the tokenizer is not a fast one.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            tokens = self.text_tokens(_joined(conversation))
            begun = tuple(self._with_bos([]))
            tokens = Tokens(
                tokens.text, (*begun, *tokens.ids), ((0, 0),) * len(begun) + tokens.offsets
            )
            places = _places("\n".join(_MARK.format(i) for i in range(len(conversation))),
                             [message.content for message in conversation])  # fmt: skip
            return ChatPrompt(tokens, places, (0,) * len(places), ())
        skeleton, whole, contents = self._laid_out(conversation)
        found = list(self._plain(whole, 0))
        if not self._trusted(skeleton, whole, [i for i, _, _ in found]):
            found, at = [], 0
            for trusted, text in self._stretches(skeleton, contents):
                found += self._plain(text, at) if trusted else self._untrusted(text, at)
                at += len(text)
        folded = fold_system(conversation, self.has_system_role)
        return ChatPrompt(
            _tokens(whole, found),
            _places(skeleton, contents),
            tuple(
                m.content.index(c[:1]) if c else 0 for m, c in zip(folded, contents, strict=True)
            ),
            tuple(self._template_control(skeleton, contents)),
        )

    def reply_ids(self, text: str) -> list[int]:
        """Return the ids of a whole reply, ended by the token that ends the model's turn."""
        return [*self.text_ids(text), int(self.tokenizer.eos_token_id)]

    def text_ids(self, text: str) -> list[int]:
        """Return the ids of untrusted text: no control word in it becomes a control token."""
        ids: list[int] = []
        for part in self._split(text):
            found = self._plain_ids(part)
            if not self._control_ids.isdisjoint(found):
                # A tokenizer that rewrites text first (NFC, lower case) made a control word of it.
                found = [i for character in part for i in self._plain_ids(character)]
            ids += found
        return ids

    def text_tokens(self, text: str) -> Tokens:
        """Return the ids of `text_ids` with the characters that each stands for."""
        return _tokens(text, self._untrusted(text.translate(_PRIVATE), 0))

    def _untrusted(self, text: str, at: int) -> Iterator[_Token]:
        for part in self._split(text):
            found = list(self._plain(part, at))
            if not self._control_ids.isdisjoint(i for i, _, _ in found):
                found = [t for n, c in enumerate(part, at) for t in self._plain(c, n)]
            yield from found
            at += len(part)

    def _laid_out(self, conversation: Conversation) -> tuple[str, str, list[str]]:
        """Return the rendering with marks for contents, the real one, and the contents in it."""
        clean = tuple(
            message.model_copy(update={"content": message.content.translate(_PRIVATE)})
            for message in fold_system(conversation, self.has_system_role)
        )
        skeleton = self._render(
            tuple(m.model_copy(update={"content": _MARK.format(i)}) for i, m in enumerate(clean))
        )
        whole = self._render(clean)
        return skeleton, whole, _contents(clean, skeleton, whole)

    def _split(self, text: str) -> Iterator[str]:
        start = 0
        for match in self._cuts.finditer(text):
            yield text[start : match.start() + 1]
            start = match.start() + 1
        yield text[start:]

    def _plain_ids(self, text: str) -> list[int]:
        if not text:
            return []
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _plain(self, text: str, at: int) -> Iterator[_Token]:
        if not text:
            return
        if not self.tokenizer.is_fast:
            raise ModelError("the tokenizer tells no offsets: debugging needs a fast tokenizer")
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        for token, (start, end) in zip(found["input_ids"], found["offset_mapping"], strict=True):
            yield token, at + start, at + end

    def _with_bos(self, ids: list[int]) -> list[int]:
        bos = self.tokenizer.bos_token_id
        return ids if bos is None else [int(bos), *ids]

    def _trusted(self, skeleton: str, whole: str, ids: Sequence[int]) -> bool:
        """Return whether every control token of the whole text is the template's own."""
        own = [self._words[word] for word in self._control.findall(skeleton)]
        brought_in = self._cuts.findall(whole) != self._cuts.findall(skeleton)
        return not brought_in and [i for i in ids if i in self._control_ids] == own

    def _template_control(self, skeleton: str, contents: Sequence[str]) -> Iterator[Span]:
        at = 0
        for i, piece in enumerate(_MARKS.split(skeleton)):
            if i % 2:
                at += len(contents[int(piece)])
                continue
            yield from ((at + m.start(), at + m.end()) for m in self._control.finditer(piece))
            at += len(piece)

    def _stretches(self, skeleton: str, contents: Sequence[str]) -> Sequence[tuple[bool, str]]:
        """Return (trusted, text) in order, cut only where a control token divides the text anyway.

        Text of the template that touches a content is joined to it (tokens may span the border) up
        to the nearest control word, as the tokenizer itself would see it.
        """
        stretches: list[tuple[bool, str]] = []
        text = ""
        for i, piece in enumerate(_MARKS.split(skeleton)):
            if i % 2:
                text += contents[int(piece)]
                continue
            position = 0
            for match in self._control.finditer(piece):
                stretches += [
                    (False, text + piece[position : match.start()]),
                    (True, match.group()),
                ]
                text, position = "", match.end()
            text += piece[position:]
        stretches.append((False, text))
        return [(trusted, text) for trusted, text in stretches if text]

    def _render(self, conversation: Conversation) -> str:
        messages = [message.model_dump() for message in conversation]
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except Exception as error:
            reason = one_line(str(error), 200)
            raise ModelError(f"the chat template refuses these messages ({reason})") from error
        return text


def _joined(conversation: Conversation) -> str:
    """Return the prompt of a model that has no chat template: the contents, one after the other."""
    return "\n".join(message.content for message in conversation).translate(_PRIVATE)


def _tokens(text: str, found: Iterable[_Token]) -> Tokens:
    ids, starts, ends = [*zip(*found, strict=True)] or ((), (), ())
    return Tokens(text, ids, tuple(zip(starts, ends, strict=True)))


def _places(skeleton: str, contents: Sequence[str]) -> tuple[Span, ...]:
    """Return where each content lies in the text that the skeleton becomes."""
    places: dict[int, Span] = {}
    at = 0
    for i, piece in enumerate(_MARKS.split(skeleton)):
        text = contents[int(piece)] if i % 2 else piece
        if i % 2:
            places.setdefault(int(piece), (at, at + len(text)))
        at += len(text)
    return tuple(places[i] for i in range(len(contents)))


def _contents(conversation: Conversation, skeleton: str, whole: str) -> list[str]:
    """Return the contents as the template writes them (some templates trim them)."""
    shown = {int(number) for number in _MARKS.findall(skeleton)}
    for i, message in enumerate(conversation):
        if i not in shown:
            raise ModelError(f"the chat template leaves out message {i + 1} ({message.role})")
    for contents in (
        [message.content for message in conversation],
        [message.content.strip() for message in conversation],
    ):
        if _MARKS.sub(lambda match: contents[int(match.group(1))], skeleton) == whole:  # noqa: B023
            return contents
    raise ModelError("the chat template changes message contents; give a plainer template")


def fold_system(conversation: Conversation, has_system_role: bool) -> Conversation:
    """Return the conversation with its system text in the first user turn where it has no role.

    >>> talk = (Message(role="system", content="Be brief."), Message(role="user", content="Hi"))
    >>> [m.content for m in fold_system(talk, has_system_role=False)]
    ['Be brief.\\n\\nHi']
    """
    if has_system_role or not conversation or conversation[0].role != "system":
        return conversation
    system, *rest = conversation
    if not rest:
        return (Message(role="user", content=system.content),)
    first = Message(role=rest[0].role, content=f"{system.content}\n\n{rest[0].content}")
    return (first, *rest[1:])
