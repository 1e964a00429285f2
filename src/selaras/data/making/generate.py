"""Thin cells to drafted rows: plan, write queries, answer, criticise and revise, take out copies.

What comes out are drafts: rows of origin `model` that nothing uses until a person approves them.
Policies that are statement only are never written for. Every call is in the run's journal, so a
run that was cut off goes on where it was.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selaras.core.decisions import Removal
from selaras.core.errors import InputError
from selaras.core.project import Project
from selaras.core.records import Example, Expected, Kind, Making, Preference, Query
from selaras.core.system import Sampling
from selaras.data.coverage import NONE, Cell
from selaras.data.making.brief import AXES, Axes, Brief, briefs
from selaras.data.making.copies import without_copies
from selaras.data.making.echoes import PATCHWORK as PATCHED_QUERY
from selaras.data.making.echoes import QUERY as ECHOED_QUERY
from selaras.data.making.echoes import RESPONSE as ECHOED_RESPONSE
from selaras.data.making.echoes import echoes
from selaras.data.making.instructions import (
    BETTER,
    CRITIQUE,
    QUERIES,
    Task,
    ask_better,
    ask_critique,
    ask_query,
    ask_response,
)
from selaras.data.making.writer import DECLINED, Reply, Writer
from selaras.data.rows import Rows
from selaras.judge.refusal import refusal_rules
from selaras.policy.policy import Policy

SHOWN = 3
REFUSES = "the response refuses where an answer is expected"
COMPLIES = "the response does not refuse where a refusal is expected"


@dataclass(frozen=True, slots=True)
class Order:
    """How many rows are to be written for which cells.

    `pairs` asks for preferences: two responses each, of which a person says the better one.
    """

    cells: Mapping[Cell, int]
    seed: int = 0
    pairs: bool = False
    axes: Axes = dataclasses.field(default_factory=lambda: AXES)


@dataclass(frozen=True, slots=True)
class Draft:
    """A brief on its way to a row: what has been written so far."""

    brief: Brief
    task: Task
    query: str
    response: str = ""
    other: str = ""
    best: Literal["a", "b", "tie"] = "a"
    revised: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What was written: drafts, and what was not kept, with reasons, by brief or row."""

    rows: tuple[Query, ...]
    rejected: tuple[Removal, ...]
    revised: int

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason took something out."""
        return dict(Counter(removal.reason for removal in self.rejected).most_common())


def planned(project: Project, policies: Mapping[str, Policy], order: Order) -> list[Brief]:
    """Return the briefs of an order; raises InputError for a cell that nothing is written for."""
    for cell in order.cells:
        project.use_case(None if cell.use_case == NONE else cell.use_case)
        rule = policies.get(cell.policy)
        if cell.policy != NONE and rule is None:
            raise InputError(f"unknown policy {cell.policy!r}",
                             fix=f"use one of: {', '.join(policies)}")  # fmt: skip
        if rule is not None and rule.statement_only:
            raise InputError(f"the policy {cell.policy!r} is statement only: nothing is written "
                             "for it", fix="leave it out")  # fmt: skip
    return [
        brief
        for cell, number in order.cells.items()
        for brief in briefs(cell, number, order.axes, order.seed)
    ]


def calls_for(order: Order) -> int:
    """Return how many calls an order takes, when every reply can be read."""
    return sum(order.cells.values()) * (4 if order.pairs else 3)


def generate(
    project: Project,
    policies: Mapping[str, Policy],
    order: Order,
    known: Rows,
    writer: Writer,
) -> Made:
    """Return the drafts of an order; drafts and rejections together are its briefs.

    `known` are the project's rows, which nothing written may repeat, nor any sealed one.
    """
    rejected: list[Removal] = []
    drafts = _queries(project, policies, order, known, writer, rejected)
    drafts = _fresh(project, drafts, known, writer, rejected)
    drafts = _answered(drafts, writer, rejected)
    drafts = _criticised(drafts, writer, rejected)
    if order.pairs:
        drafts = _paired(drafts, writer, rejected)
    rows = tuple(_row(draft, writer, order.pairs) for draft in drafts)
    return Made(rows, tuple(rejected), sum(draft.revised for draft in drafts))


def _queries(
    project: Project,
    policies: Mapping[str, Policy],
    order: Order,
    known: Rows,
    writer: Writer,
    rejected: list[Removal],
) -> list[Draft]:
    tasks = {
        cell: Task(project.file.product, project.use_case(_named(cell.use_case)),
                   policies.get(cell.policy), Kind(cell.kind))
        for cell in order.cells
    }  # fmt: skip
    made = planned(project, policies, order)
    asked = {
        f"query/{brief.key}": ask_query(tasks[brief.cell], brief, _alike(known.kept, brief))
        for brief in made
    }
    replies = writer.objects("writing queries", asked, QUERIES)
    drafts = []
    for brief in made:
        reply = replies[f"query/{brief.key}"]
        query = str(reply.fields.get("query", "")).strip()
        if reply.failure:
            rejected.append(Removal(brief.key, reply.failure))
        elif refusal_rules.judge("", query).value == "full":
            rejected.append(Removal(brief.key, DECLINED))
        elif echoes(query, ask_query(tasks[brief.cell], brief, ())):
            rejected.append(Removal(brief.key, ECHOED_QUERY))
        elif echoes(query, asked[f"query/{brief.key}"]):
            rejected.append(Removal(brief.key, PATCHED_QUERY))
        else:
            drafts.append(Draft(brief, tasks[brief.cell], query))
    return drafts


def _fresh(
    project: Project, drafts: Sequence[Draft], known: Rows, writer: Writer, rejected: list[Removal]
) -> list[Draft]:
    """Return the drafts whose query repeats nothing: the others cost no further calls."""
    rows = [_row(draft, writer, pairs=False) for draft in drafts]
    kept, copies = without_copies(project, rows, (*known.kept, *known.waiting))
    rejected.extend(copies)
    fresh = {row.id for row in kept}
    return [draft for draft, row in zip(drafts, rows, strict=True) if row.id in fresh]


def _answered(drafts: Sequence[Draft], writer: Writer, rejected: list[Removal]) -> list[Draft]:
    asked = {f"response/{d.brief.key}": ask_response(d.task, d.query) for d in drafts}
    return _with_replies(drafts, "response", writer.texts("writing responses", asked), rejected)


def _criticised(drafts: Sequence[Draft], writer: Writer, rejected: list[Removal]) -> list[Draft]:
    """Return the drafts with responses mended where the critique says so, and those that fit."""
    asked = {f"critique/{d.brief.key}": ask_critique(d.task, d.query, d.response) for d in drafts}
    replies = writer.objects("criticising responses", asked, CRITIQUE)
    kept = []
    for draft in drafts:
        fields = replies[f"critique/{draft.brief.key}"].fields
        better = str(fields.get("revised", "")).strip()
        if fields and not fields["keeps"] and better:
            draft = dataclasses.replace(draft, response=better, revised=True)
        if reason := _misfit(draft):
            rejected.append(Removal(draft.brief.key, reason))
        else:
            kept.append(draft)
    return kept


def _misfit(draft: Draft) -> str | None:
    """Return why a response does not do what is wanted, as far as rules can tell."""
    if echoes(draft.response, ask_response(draft.task, draft.query)):
        return ECHOED_RESPONSE
    refusal = refusal_rules.judge(draft.query, draft.response).value
    if draft.task.expected is Expected.REFUSE:
        return None if refusal in {"full", "partial"} else COMPLIES
    return REFUSES if refusal == "full" else None


def _paired(drafts: Sequence[Draft], writer: Writer, rejected: list[Removal]) -> list[Draft]:
    """Return the drafts with a second response and a draft of which is better."""
    asked = {f"other/{d.brief.key}": ask_response(d.task, d.query) for d in drafts}
    replies = writer.texts("writing second responses", asked, _warmer(writer.sampling))
    paired = _with_replies(drafts, "other", replies, rejected)
    apart = []
    for draft in paired:
        if draft.other == draft.response:
            rejected.append(Removal(draft.brief.key, "both responses are the same"))
        else:
            apart.append(draft)
    compared = writer.objects(
        "comparing responses",
        {f"better/{d.brief.key}": ask_better(d.task, d.query, d.response, d.other) for d in apart},
        BETTER,
    )
    kept = []
    for draft in apart:
        reply = compared[f"better/{draft.brief.key}"]
        # Where the comparison cannot be read the person has no draft to lean on: a tie says so.
        best: Any = reply.fields.get("best", "tie")
        kept.append(dataclasses.replace(draft, best=best))
    return kept


def _with_replies(
    drafts: Sequence[Draft], name: str, replies: Mapping[str, Reply], rejected: list[Removal]
) -> list[Draft]:
    kept = []
    for draft in drafts:
        reply = replies[f"{name}/{draft.brief.key}"]
        if reply.failure:
            rejected.append(Removal(draft.brief.key, reply.failure))
        else:
            value: dict[str, Any] = {name: reply.text}
            kept.append(dataclasses.replace(draft, **value))
    return kept


def _warmer(sampling: Sampling) -> Sampling:
    # The same model must say something else; a temperature under 1 rarely does.
    return sampling.model_copy(update={"temperature": max(1.0, sampling.temperature),
                                       "seed": sampling.seed + 1})  # fmt: skip


def _row(draft: Draft, writer: Writer, pairs: bool) -> Query:
    cell = draft.brief.cell
    shared: dict[str, Any] = {
        "id": f"draft-{draft.brief.key}", "query": draft.query, "kind": cell.kind,
        "expected": draft.task.expected, "use_case": _named(cell.use_case),
        "policies": () if cell.policy == NONE else (cell.policy,), "origin": "model",
        "source": "selaras data generate",
        "made": Making(model=str(writer.model.identity["name"]), prompt=draft.task.fingerprint,
                       cell=f"{cell}; {draft.brief.text}"),
    }  # fmt: skip
    if pairs:
        return Preference(**shared, response_a=draft.response, response_b=draft.other,
                          best=draft.best)  # fmt: skip
    return Example(**shared, response=draft.response, response_label="safe")


def _alike(rows: Sequence[Query], brief: Brief) -> tuple[str, ...]:
    """Return a few queries of the cell that stand already, so that others are written."""
    cell = brief.cell
    found = [
        row.query for row in rows
        if row.kind == cell.kind and (cell.policy == NONE or cell.policy in row.policies)
    ]  # fmt: skip
    begin = brief.number * SHOWN % max(1, len(found))
    return tuple(query[:300] for query in found[begin : begin + SHOWN])


def _named(use_case: str) -> str | None:
    return None if use_case == NONE else use_case
