"""What a format of alignment data is: how a record is read to a row's fields, and written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.records import Example, Message, Preference, Query

Fields = Mapping[str, Any]
RowFields = dict[str, Any]
# A turn as JSON has it: reading makes records of it once, at the end.
Turn = dict[str, str]
Reader = Callable[[Fields], RowFields]
Writer = Callable[[Query], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Format:
    """A format by its name: what it is for, the columns that tell it, how it is read and written.

    `read` raises ValueError with what is wrong with a record, `write` with why a row cannot be
    said in the format. A format that is only read has no `write`. `suffix` is that of its files.
    `ours` says that it has a place for every field of a row.
    """

    name: str
    about: str
    columns: tuple[frozenset[str], ...]
    read: Reader
    write: Writer | None = None
    suffix: str = ".jsonl"
    ours: bool = False

    def fits(self, fields: Fields) -> bool:
        """Return whether a record has the columns by which the format is known."""
        return any(columns <= set(fields) for columns in self.columns)


def columns(*names: str) -> tuple[frozenset[str], ...]:
    """Return one set of columns that tells a format.

    >>> columns("chosen", "rejected") == (frozenset({"chosen", "rejected"}),)
    True
    """
    return (frozenset(names),)


def text_of(fields: Fields, name: str, *, empty: bool = False) -> str:
    """Return a text field; raises ValueError where it is missing, empty or no text."""
    value = fields.get(name)
    if value is None:
        raise ValueError(f"no {name!r}")
    if not isinstance(value, str):
        raise ValueError(f"{name!r} is {type(value).__name__}, not text")
    if not empty and not value.strip():
        raise ValueError(f"{name!r} is empty")
    return value


def turn(role: str, content: str) -> Turn:
    """Return a turn."""
    return {"role": role, "content": content}


def dialogue(messages: Sequence[Turn]) -> RowFields:
    """Return the fields of a conversation: its last question, what came before, its reply if any.

    Raises ValueError where no user speaks, or where somebody else than the assistant answers.

    >>> dialogue([turn("user", "Hi"), turn("assistant", "Hello")])
    {'query': 'Hi', 'response': 'Hello'}
    """
    asked = [i for i, message in enumerate(messages) if message["role"] == "user"]
    if not asked:
        raise ValueError("no turn of a user")
    last = asked[-1]
    replies = messages[last + 1 :]
    if len(replies) > 1 or any(reply["role"] != "assistant" for reply in replies):
        raise ValueError("more than one reply behind the last question")
    fields: RowFields = {"query": messages[last]["content"]}
    if not fields["query"].strip():
        raise ValueError("the last question is empty")
    if messages[:last]:
        fields["turns"] = list(messages[:last])
    if replies:
        fields["response"] = replies[0]["content"]
    return fields


def asked(row: Query) -> tuple[Message, ...]:
    """Return the messages up to the question; raises ValueError where the row has variables."""
    if row.context:
        raise ValueError(f"the variables {sorted(row.context)} have no place in this format")
    return (*row.turns, Message(role="user", content=row.query))


def whole(row: Query) -> tuple[Message, ...]:
    """Return the conversation with the reply of an example."""
    if isinstance(row, Preference):
        raise ValueError("two responses have no place in this format")
    if isinstance(row, Example):
        return (*asked(row), Message(role="assistant", content=row.response))
    return asked(row)


def pair(row: Preference) -> tuple[str, str]:
    """Return (chosen, rejected); raises ValueError for a tie, which teaches no preference."""
    if row.best == "tie":
        raise ValueError("a tie prefers neither response")
    return (row.response_a, row.response_b) if row.best == "a" else (row.response_b, row.response_a)
