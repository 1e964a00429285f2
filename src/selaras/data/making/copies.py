"""Drafts that repeat a row of the project, a sealed row or each other are taken out at once."""

from collections.abc import Sequence

from selaras.core.decisions import Removal
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data.contamination import contaminated
from selaras.data.development import row_vectors, sealed_sketch
from selaras.data.groups import group_rows
from selaras.data.seal import read_seal


def without_copies(
    project: Project, rows: Sequence[Query], known: Sequence[Query]
) -> tuple[list[Query], list[Removal]]:
    """Return the rows that repeat nothing, and removals with what they matched.

    A copy is what the split would keep on one side: the same normal form, near in letters, or a
    paraphrase within the same kind. Of copies among the rows the first stays. A copy of a sealed
    row is told by its sketch; the message names no text.
    """
    if not rows:
        return [], []
    everything = [*known, *rows]
    vectors = row_vectors(project, everything)
    removed: dict[str, Removal] = {}
    for group in group_rows(everything, vectors):
        for i in group[1:]:
            if i >= len(known):
                first = everything[group[0]].id
                removed[everything[i].id] = Removal(everything[i].id, "repeats a row", first)
    fresh = [row for row in rows if row.id not in removed]
    seal = read_seal(project)
    if seal is not None and fresh:
        own = row_vectors(project, fresh)
        fresh, copies = contaminated(fresh, sealed_sketch(project, seal), seal.salt, own)
        removed |= {copy.record: Removal(copy.record, "repeats a sealed row") for copy in copies}
    return fresh, list(removed.values())
