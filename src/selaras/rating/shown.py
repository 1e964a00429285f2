"""What an item shows: a sealed row's text comes from the hold-out, never from the store.

People may rate outputs on sealed rows, so that a judge can be calibrated; the rows' text is read
here, page by page, and never written to the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data.opener import open_held_out, reveal
from selaras.data.seal import read_seal
from selaras.rating.tasks import Content


@dataclass(slots=True)
class Shown:
    """Fills in what sealed items show; the hold-out is opened at the first one."""

    project: Project | None
    _rows: Mapping[str, Query] | None = field(default=None, repr=False)

    def content(self, content: Content) -> Content:
        """Return an item's content with its text; raises SealError where the sealed rows are not
        here.
        """
        if not content.held_out or self.project is None:
            return content
        if self._rows is None:
            self._rows = {row.id: row for row in reveal(open_held_out(self.project))}
        row = self._rows.get(content.row)
        if row is None:
            return content.model_copy(update={"query": "(this row is sealed no more)"})
        return content.model_copy(
            update={"query": row.query, "turns": row.turns, "context": row.context}
        )


def sealed_policies(project: Project) -> dict[str, tuple[str, ...]]:
    """Return the policies of each sealed row by id, none where nothing is sealed; no text."""
    if read_seal(project) is None:
        return {}
    return {row.id: row.policies for row in reveal(open_held_out(project))}
