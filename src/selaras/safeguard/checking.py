"""Texts and rows through a guard, for `selaras guard check`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Conversation, Example, Message, Preference, Query
from selaras.data import read_rows
from selaras.safeguard.guard import Guard
from selaras.safeguard.outcome import Outcome

CHUNK = 128


@dataclass(frozen=True, slots=True)
class Checked:
    """A row with the outcome of its query, and of its response where it has one."""

    row: str
    outcomes: tuple[Outcome, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"row": self.row, "outcomes": [outcome.to_dict() for outcome in self.outcomes]}


def check_text(guard: Guard, text: str, response: str | None = None) -> Checked:
    """Return the outcome of a text as a query, or of a response to it."""
    if not text.strip() and not (response or "").strip():
        raise InputError("there is no text to check", fix="give a text, or a .jsonl file of rows")
    outcome = guard.check_query(text) if response is None else guard.check_response(text, response)
    return Checked("text", (outcome,))


def check_rows(guard: Guard, rows: Sequence[Query], progress: Progress = SILENT) -> list[Checked]:
    """Return the outcomes of rows (see `rows_of`), in their order."""
    found: list[Checked] = []
    with progress.task("checking", len(rows)) as task:
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            found += _checked(guard, chunk)
            task.advance(len(chunk))
    return found


def rows_of(path: Path) -> list[Query]:
    """Return a file's rows; raises InputError for a bad row and where there are none."""
    rows, _ = read_rows([path])
    if not rows:
        raise InputError("no rows", path=path, fix='write one a line: {"id": "a", "query": "…"}')
    return rows


def _checked(guard: Guard, rows: Sequence[Query]) -> list[Checked]:
    talks = [talk_of_row(row) for row in rows]
    asked = guard.check_queries(talks)
    pairs = [(i, text) for i, row in enumerate(rows) for text in responses_of_row(row)]
    said = guard.check_responses([talks[i] for i, _ in pairs], [text for _, text in pairs])
    own: list[list[Outcome]] = [[outcome] for outcome in asked]
    for (i, _), outcome in zip(pairs, said, strict=True):
        own[i].append(outcome)
    return [Checked(row.id, tuple(each)) for row, each in zip(rows, own, strict=True)]


def talk_of_row(row: Query) -> Conversation:
    """Return what a guard is given of a row: its turns, and its query with its variables."""
    given = "\n\n".join([row.query, *(row.context[name] for name in sorted(row.context))])
    return (*row.turns, Message(role="user", content=given))


def responses_of_row(row: Query) -> list[str]:
    """Return the responses of a row that are checked, in the order of their outcomes."""
    if isinstance(row, Example):
        return [row.response] if row.response.strip() else []
    return [row.response_a, row.response_b] if isinstance(row, Preference) else []
