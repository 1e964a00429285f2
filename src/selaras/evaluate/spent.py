"""The text of sealed rows that were opened to be read; they count in no figure any more."""

from collections.abc import Sequence

from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data.opened import record_opening, spent_rows
from selaras.data.opener import open_held_out, reveal


def open_rows(project: Project, count: int) -> dict[str, Query]:
    """Return the sealed rows that are open after opening `count` of them; they are spent from now.

    Raises SealError where nothing is sealed, or none would be left.
    """
    held_out = open_held_out(project)
    return _texts(reveal(held_out), record_opening(project, held_out.seal, count))


def opened_rows(project: Project) -> dict[str, Query]:
    """Return the sealed rows that were opened before; none where there are none."""
    spent = spent_rows(project)
    return _texts(reveal(open_held_out(project)), spent) if spent else {}


def _texts(rows: Sequence[Query], opened: frozenset[str]) -> dict[str, Query]:
    return {row.id: row for row in rows if row.id in opened}
