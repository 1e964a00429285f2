"""A closed question to a model: one label out of a few, read from its first token or from JSON.

Where a model gives log-probabilities, the shares of the labels among its first tokens are the score
(as ShieldGemma does, arXiv:2407.21772). Otherwise, and where the labels hold less than half of the
probability, it is asked for JSON, and once more where that is not JSON. A model that still says
something else has not answered: that is `unscored`, never a guess.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from selaras.core.fingerprint import fingerprint
from selaras.core.records import Conversation, Message
from selaras.judge.refusal import refusal_rules
from selaras.judge.verdict import Status
from selaras.models.answer import EMPTY
from selaras.models.protocol import Generation

PARSER = 1  # raised when the reading of replies changes
LEAST_SHARE = 0.5
JSON_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, ending before the instruction how to answer, and the labels there are."""

    text: str
    labels: tuple[str, ...]

    def in_a_word(self) -> Conversation:
        """Return the question, to be answered by a label alone."""
        return _user(f"{self.text}\n\nAnswer with one word: {_either(self.labels)}.")

    def in_json(self) -> Conversation:
        """Return the question, to be answered by a JSON object."""
        return _user(f"{self.text}\n\n{_json_wanted(self.labels)}")

    def again(self, said: str) -> Conversation:
        """Return the question with an answer that could not be read, asking for JSON once more."""
        return (
            *self.in_json(),
            Message(role="assistant", content=said or "(nothing)"),
            Message(role="user", content=f"That was not it. {_json_wanted(self.labels)}"),
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """A label with the labels' shares (none where unknown), or the reason why there is none."""

    label: str | None
    shares: tuple[float, ...] = ()
    status: Status = "scored"
    reason: str | None = None


def delimited(**texts: str) -> str:
    """Return texts between marks that none of them can hold, since each mark has its text's hash.

    >>> print(delimited(query="Hi"))
    <query-b5695ebc>
    Hi
    </query-b5695ebc>
    """
    marked = []
    for name, text in texts.items():
        mark = f"{name}-{fingerprint([name, text], 8)}"
        marked.append(f"<{mark}>\n{text}\n</{mark}>")
    return "\n\n".join(marked)


def read_first(labels: Sequence[str], generation: Generation) -> Reply | None:
    """Return the label that a first token names; None where it names none.

    >>> first = (("Yes", math.log(0.6)), (" no", math.log(0.2)), ("I", math.log(0.1)))
    >>> found = read_first(("Yes", "No"), Generation(0, "Yes", first=first))
    >>> found.label, round(found.shares[0], 2)
    ('Yes', 0.75)
    """
    if generation.status == "error":
        if (generation.error or "").startswith(EMPTY):
            return None
        return Reply(None, status="error", reason=generation.error)
    if not generation.first:
        label = _named(generation.text, labels)
        return Reply(label) if label else None
    held = dict.fromkeys(labels, 0.0)
    for token, log_probability in generation.first:
        if label := _named(token, labels):
            held[label] += math.exp(log_probability)
    total = sum(held.values())
    if total < LEAST_SHARE:
        return None
    shares = tuple(held[label] / total for label in labels)
    return Reply(labels[max(range(len(labels)), key=shares.__getitem__)], shares)


def read_json(labels: Sequence[str], text: str) -> str | None:
    """Return the label of `{"answer": LABEL}`, with or without a fence or words around it.

    >>> read_json(("Yes", "No"), 'Sure: {"answer": "no"}'), read_json(("Yes", "No"), "Maybe.")
    ('No', None)
    """
    if label := _named(text, labels):
        return label
    found = {label for value in json_objects(text) if (label := _answer(value, labels))}
    return found.pop() if len(found) == 1 else None


def unread(said: str) -> Reply:
    """Return the reply of a model that named no label, even when asked again."""
    refused = refusal_rules.judge("", said).value in {"full", "partial"}
    reason = "the judge refused to judge" if refused else "the judge named no label"
    return Reply(None, status="unscored", reason=f"{reason}: {said[:120]!r}")


def _user(text: str) -> Conversation:
    return (Message(role="user", content=text),)


def _either(labels: Sequence[str]) -> str:
    return ", ".join(labels[:-1]) + f" or {labels[-1]}"


def _json_wanted(labels: Sequence[str]) -> str:
    shown = _either([json.dumps({"answer": label}) for label in labels])
    return f"Answer with one JSON object and nothing else: {shown}"


def _named(text: str, labels: Sequence[str]) -> str | None:
    word = text.strip().strip("\"'*`.:,()[]").casefold()
    return next((label for label in labels if label.casefold() == word), None)


def json_objects(text: str, strict: bool = True) -> list[object]:
    """Return the JSON objects that a text holds, with whatever words around them.

    Not `strict`, a string may hold line breaks, as small models write them.

    >>> json_objects('Here: {"a": 1} and {"b": ')
    [{'a': 1}]
    """
    decoder, found, position = json.JSONDecoder(strict=strict), list[object](), 0
    while (start := text.find("{", position)) >= 0:
        try:
            value, position = decoder.raw_decode(text, start)
            found.append(value)
        except (ValueError, RecursionError):
            position = start + 1
    return found


def _answer(value: object, labels: Sequence[str]) -> str | None:
    said = value.get("answer") if isinstance(value, dict) else None
    if isinstance(said, bool):
        said = "Yes" if said else "No"
    return _named(str(said), labels) if isinstance(said, str | int) else None
