"""Messages to token ids through a model's chat template, with untrusted text kept as text.

A user's `<|im_end|>` must not become the token that ends a turn. The template is rendered once with
the real contents and once with private marks in their place; whatever lies between the marks is the
template's own and may hold control tokens, the rest is split inside every control word before it
is tokenised. For ordinary text the ids equal those of the tokenizer's own `apply_chat_template`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from selaras.core.errors import ModelError
from selaras.core.records import Conversation, Message

_MARK = "\ue000{}\ue001"
_MARKS = re.compile("\ue000(\\d+)\ue001")
_PRIVATE = str.maketrans({"\ue000": "\ufffd", "\ue001": "\ufffd"})


class ChatTokenizer:
    """A fast tokenizer with its chat template and its control words."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        words = {token.content for token in tokenizer.added_tokens_decoder.values()}
        longest_first = sorted((w for w in words if len(w) > 1), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        # A look-ahead finds overlapping words too: each is cut after its first character.
        self._cuts = re.compile(f"(?=(?:{self._control.pattern}))")

    @property
    def has_system_role(self) -> bool:
        """Whether the chat template accepts a system message."""
        probe = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
        try:
            self.tokenizer.apply_chat_template(probe, tokenize=False)
        except Exception:  # noqa: BLE001 - templates raise whatever their author chose
            return False
        return True

    @property
    def preamble(self) -> str:
        """What the template puts before the first user turn (a hidden system prompt, say)."""
        if not getattr(self.tokenizer, "chat_template", None):
            return ""
        return _MARKS.split(self._render((Message(role="user", content=_MARK.format(0)),)))[0]

    def prompt_ids(self, conversation: Conversation) -> list[int]:
        """Return the ids of a conversation, ready for the model's reply.

        Raises ModelError where the template changes contents in a way that cannot be followed.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            text = "\n".join(message.content for message in conversation)
            return self._with_bos(self.text_ids(text.translate(_PRIVATE)))
        ids: list[int] = []
        for trusted, text in self._stretches(conversation):
            ids += self._plain_ids(text) if trusted else self.text_ids(text)
        return ids

    def reply_ids(self, text: str) -> list[int]:
        """Return the ids of a whole reply, ended by the token that ends the model's turn."""
        return [*self.text_ids(text), int(self.tokenizer.eos_token_id)]

    def text_ids(self, text: str) -> list[int]:
        """Return the ids of untrusted text: no control word in it becomes a control token."""
        ids: list[int] = []
        for part in self._split(text):
            ids += self._plain_ids(part)
        return ids

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

    def _with_bos(self, ids: list[int]) -> list[int]:
        bos = self.tokenizer.bos_token_id
        return ids if bos is None else [int(bos), *ids]

    def _stretches(self, conversation: Conversation) -> Sequence[tuple[bool, str]]:
        """Return (trusted, text) in order, cut only where a control token divides the text anyway.

        Text of the template that touches a content is joined to it (tokens may span the border) up
        to the nearest control word, as the tokenizer itself would see it.
        """
        clean = fold_system(conversation, self.has_system_role)
        clean = tuple(
            m.model_copy(update={"content": m.content.translate(_PRIVATE)}) for m in clean
        )
        marked = tuple(
            m.model_copy(update={"content": _MARK.format(i)}) for i, m in enumerate(clean)
        )
        skeleton = self._render(marked)
        contents = self._contents(clean, skeleton)
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
            raise ModelError(f"the chat template refuses these messages ({error})") from error
        return text

    def _contents(self, conversation: Conversation, skeleton: str) -> list[str]:
        """Return the contents as the template writes them (some templates trim them)."""
        real = self._render(conversation)
        for contents in (
            [message.content for message in conversation],
            [message.content.strip() for message in conversation],
        ):
            if _MARKS.sub(lambda match: contents[int(match.group(1))], skeleton) == real:  # noqa: B023
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
