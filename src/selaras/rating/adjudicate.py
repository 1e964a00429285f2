"""What raters disagreed on: a queue by entropy, a decision with its cause, and what it teaches.

A cause is `ambiguous` (people differ, and may), `guideline_gap` (the instructions do not say) or
`rater_error`. A gap proposes an example to the policy; a person adds it, nothing else does. Rows of
the hold-out are decided like others and propose nothing: their text must not reach a policy.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, insert, select

from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import read_text, write_text
from selaras.core.project import Project
from selaras.policy import Policy, builtin_policies, builtin_text, load_policies, load_policy
from selaras.rating import schema
from selaras.rating.batches import Item, items_of, read_batch, read_item
from selaras.rating.results import Vote, current_votes
from selaras.rating.tasks import CANNOT_JUDGE, TASKS

Cause = Literal["ambiguous", "guideline_gap", "rater_error"]
Level = Literal["violating", "allowed"]
CAUSES: tuple[Cause, ...] = ("ambiguous", "guideline_gap", "rater_error")


@dataclass(frozen=True, slots=True)
class Dispute:
    """An item that was not answered alike. `votes` carry the reasons that raters gave.

    `entropy` is of the shares of the answers, in bits.
    """

    item: Item
    counts: Mapping[str, int]
    entropy: float
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """An example that a guideline gap proposes to a policy, and where it came from."""

    policy: str
    side: Level
    text: str
    why: str
    batch: str
    item: str


def entropy(counts: Sequence[int]) -> float:
    """Return the entropy of shares in bits.

    >>> entropy([2, 2]), entropy([3, 0])
    (1.0, 0.0)
    """
    total = sum(counts)
    return sum(-n / total * math.log2(n / total) for n in counts if n > 0) + 0.0


def disputes(connection: Connection, batch: str) -> list[Dispute]:
    """Return the items of a batch that wait for a decision, the most disputed ones first."""
    decided = decided_items(connection, batch)
    by_item: dict[int, list[Vote]] = {}
    for vote in current_votes(connection, batch):
        if vote.purpose == "work":
            by_item.setdefault(vote.item, []).append(vote)
    split = {
        number: votes
        for number, votes in by_item.items()
        if len({vote.value for vote in votes}) > 1 and number not in decided
    }
    found = []
    for item in items_of(connection, batch) if split else []:
        if item.id in split:
            counts = Counter(vote.value for vote in split[item.id])
            spread = entropy(list(counts.values()))
            found.append(Dispute(item, dict(counts), spread, tuple(split[item.id])))
    return sorted(found, key=lambda one: (-one.entropy, -len(one.votes), one.item.id))


def decided_items(connection: Connection, batch: str) -> dict[int, tuple[str, str]]:
    """Return (value, cause) of the items that were adjudicated in their present round."""
    table, items = schema.adjudications, schema.items
    rows = connection.execute(
        select(table.c.item, table.c.value, table.c.cause)
        .join(items, items.c.id == table.c.item)
        .where(table.c.batch == batch, table.c.round == items.c.round)
        .order_by(table.c.id)
    )
    return {row.item: (row.value, row.cause) for row in rows}


def adjudicate(
    connection: Connection,
    item: int,
    value: str,
    cause: str,
    *,
    why: str,
    by: str,
    example: tuple[str, Level, str] | None = None,
) -> None:
    """Decide an item; with `example` (policy, side, text) propose it to the policy.

    Appended like everything else: the last decision of a round holds. Raises InputError for an
    answer that the task does not know, an unknown cause, an example without a guideline gap, and
    one of a sealed row or of a policy that carries none.
    """
    found = read_item(connection, item)
    spec, _ = read_batch(connection, found.batch)
    if value not in (*TASKS[spec.task].values, CANNOT_JUDGE):
        raise InputError(
            f"{value!r} is no answer to a {spec.task} task", field="value",
            fix=f"use one of: {', '.join(TASKS[spec.task].values)}",
        )  # fmt: skip
    if cause not in CAUSES:
        raise InputError(
            f"no cause {cause!r}", field="cause", fix=f"use one of: {', '.join(CAUSES)}"
        )
    if example is not None:
        _check_example(found, cause, example)
    connection.execute(
        insert(schema.adjudications).values(
            batch=found.batch, item=item, round=found.round, value=value, cause=cause,
            why=why.strip(), by=by, at=now(),
            example=_example_value(example),
        )
    )  # fmt: skip


def proposals(connection: Connection, policies: Mapping[str, Policy]) -> list[Proposal]:
    """Return the examples that were proposed and do not stand in their policy yet."""
    table, items = schema.adjudications, schema.items
    rows = connection.execute(
        select(table.c.example, table.c.why, table.c.batch, items.c.key)
        .join(items, items.c.id == table.c.item)
        .order_by(table.c.id)
    )
    found = [
        Proposal(row.example["policy"], row.example["side"], row.example["text"], row.why,
                 row.batch, row.key)
        for row in rows
        if row.example
    ]  # fmt: skip
    return [
        one
        for one in dict.fromkeys(found)
        if one.policy in policies and one.text not in getattr(policies[one.policy], one.side)
    ]


def add_example(project: Project, proposal: Proposal, *, raise_revision: bool = False) -> Policy:
    """Write a proposed example into the project's policy file and return the policy.

    A built-in policy is copied into the project first; comments and order of the file stay. With
    `raise_revision` the meaning has changed: earlier results become stale, rated items open again.
    """
    path = next(
        (p for p in (project.root / "policies").glob(f"{proposal.policy}.y*ml")),
        project.root / "policies" / f"{proposal.policy}.yaml",
    )
    text = read_text(path) if path.is_file() else builtin_text(proposal.policy)
    before = load_policy(path) if path.is_file() else builtin_policies()[proposal.policy]
    if before.statement_only:
        raise InputError(f"the policy {proposal.policy!r} carries no examples", path=path)
    lines = _with_item(text.splitlines(), proposal.side, proposal.text)
    if raise_revision:
        lines = [
            f"revision: {before.revision + 1}" if line.startswith("revision:") else line
            for line in lines
        ]
    write_text(path, "\n".join(lines) + "\n")
    wanted = before.model_copy(
        update={
            proposal.side: (*getattr(before, proposal.side), proposal.text),
            "revision": before.revision + raise_revision,
        }
    )
    try:
        if load_policy(path) == wanted:
            return load_policies(project)[proposal.policy]
    except InputError:
        pass
    write_text(path, text)
    raise InputError(
        "the example could not be written into the file", path=path,
        fix=f"add it by hand under {proposal.side}",
    )  # fmt: skip


def _example_value(example: tuple[str, Level, str] | None) -> dict[str, str] | None:
    return dict(zip(("policy", "side", "text"), example, strict=True)) if example else None


def _check_example(item: Item, cause: str, example: tuple[str, Level, str]) -> None:
    policy, side, text = example
    if cause != "guideline_gap":
        raise InputError("only a guideline gap proposes an example", field="cause")
    if item.content.held_out:
        raise InputError(
            f"item {item.key!r} is sealed: its text must not reach a policy",
            fix="decide it without an example",
        )
    if policy not in item.content.policies:
        raise InputError(f"the item is not about the policy {policy!r}", field="policy")
    if side not in ("violating", "allowed") or not text.strip():
        raise InputError("an example has a side, violating or allowed, and a text", field="example")


def _with_item(lines: list[str], side: str, text: str) -> list[str]:
    """Return YAML lines with one more item at the end of a list of the top level."""
    item = f"  - {json.dumps(' '.join(text.split()), ensure_ascii=False)}"
    start = next((n for n, line in enumerate(lines) if line.startswith(f"{side}:")), None)
    if start is None:
        return [*lines, f"{side}:", item]
    if lines[start].partition(":")[2].strip().startswith("[]"):
        return [*lines[:start], f"{side}:", item, *lines[start + 1 :]]
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " -#"):
        end += 1
    while not lines[end - 1].strip() or lines[end - 1].startswith("#"):
        end -= 1
    return [*lines[:end], item, *lines[end:]]
