"""Rows with every System's judgement beside each other: those that flipped first.

Text is joined for the rows that are given with it, which are open ones; of the others only ids and
judgements are shown, and no answer either.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selaras.core.errors import InputError
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data import load_rows, read_seal
from selaras.evaluate import Evaluation, flips, named_suite
from selaras.evaluate.figures import Judged
from selaras.evaluate.flips import Change, value_of
from selaras.evaluate.gate import suite_of
from selaras.evaluate.runner import Answer
from selaras.evaluate.spent import opened_rows

ORDER: tuple[Change | None, ...] = ("worse", "better", "other", None)


@dataclass(frozen=True, slots=True)
class SideRow:
    """One row: a judgement a System, in their order. `change` is the worst one from the first
    System to another; `query` and `answers` are there for open rows alone.
    """

    judged: tuple[Judged, ...]
    change: Change | None
    query: Query | None = None
    answers: tuple[Answer | None, ...] = ()

    @property
    def row(self) -> Judged:
        """The row as the first System was judged on it."""
        return self.judged[0]

    @property
    def values(self) -> tuple[str, ...]:
        """The judgements in words."""
        return tuple(map(value_of, self.judged))


def side_by_side(
    evaluations: Sequence[Evaluation], texts: Mapping[str, Query] | None = None
) -> list[SideRow]:
    """Return the rows of evaluations that compare, flips first, worse ones before better ones."""
    whole = [dataclasses.replace(one, judged=(*one.judged, *one.opened)) for one in evaluations]
    first, *others = whole
    changes: dict[str, Change] = {}
    for flip in sorted(
        (flip for other in others for flip in flips(first, other)),
        key=lambda flip: -ORDER.index(flip.change),
    ):
        changes[flip.row.row] = flip.change
    judged = [{row.row: row for row in one.judged} for one in whole]
    answers = [{answer.row: answer for answer in one.answers} for one in whole]
    found = []
    for row in first.judged:
        query = (texts or {}).get(row.row)
        shown = tuple(own.get(row.row) for own in answers) if query else ()
        told = tuple(own[row.row] for own in judged)
        found.append(SideRow(told, changes.get(row.row), query, shown))
    return sorted(found, key=lambda side: (ORDER.index(side.change), side.query is None))


def open_texts(project: Project, evaluations: Sequence[Evaluation]) -> dict[str, Query]:
    """Return the text of the rows that may be shown.

    Development rows that are not sealed by now; of a suite the rows of its file, unless it was
    changed since; of a sealed evaluation those that were opened.
    """
    manifest = evaluations[0].manifest
    if manifest.seal is not None:
        return opened_rows(project)
    seal = read_seal(project)
    sealed = {row.id for row in seal.rows} if seal else set()
    asked = {row.row for row in evaluations[0].judged} - sealed
    if name := suite_of(evaluations[0]):
        known = _suite_rows(project, name, manifest.config.get("suite"))
    else:
        known = tuple(load_rows(project).kept) if project.data_files else ()
    return {row.id: row for row in known if row.id in asked}


def _suite_rows(project: Project, name: str, fingerprint: object) -> tuple[Query, ...]:
    try:
        suite = named_suite(project, name)
    except InputError:
        return ()
    return suite.rows if suite.fingerprint == fingerprint else ()
