"""The queries of on-policy RL: balanced between adversarial and other ones, some kept aside.

A policy that is only asked bad questions learns that refusing pays; one that is only asked good
ones forgets how. So a set outside the project's band is refused, and every step draws both.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from selaras.core.errors import InputError
from selaras.core.fingerprint import seed_from
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data import Development, read_rows
from selaras.data.coverage import ADVERSARIAL
from selaras.data.split import split_groups

SHOWN = 5


@dataclass(frozen=True, slots=True)
class QuerySet:
    """Queries to train on and queries to watch; no group has queries in both."""

    train: tuple[Query, ...] = field(repr=False)
    watched: tuple[Query, ...] = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many training queries of each kind."""
        return dict(sorted(Counter(row.kind.value for row in self.train).items()))

    @property
    def adversarial(self) -> float:
        """The share of adversarial queries among those to train on."""
        return sum(is_adversarial(row) for row in self.train) / len(self.train)

    def batch(self, step: int, size: int, seed: int) -> list[Query]:
        """Return the queries of a step: the same for the same step and seed, whatever came before.

        An epoch goes through every query once, both sides evenly mixed, so that each step has
        about the set's own balance.
        """
        found: list[Query] = []
        at = step * size
        while len(found) < size:
            epoch, place = divmod(at + len(found), len(self.train))
            order = mixed_order([is_adversarial(row) for row in self.train], seed, epoch)
            found += [self.train[i] for i in order[place : place + size - len(found)]]
        return found


def is_adversarial(row: Query) -> bool:
    """Return whether the query is inadvertent or malicious."""
    return row.kind in ADVERSARIAL


def mixed_order(sides: Sequence[bool], seed: int, epoch: int) -> list[int]:
    """Return row numbers shuffled within each side, the sides spread evenly over the order.

    >>> order = mixed_order([True] * 2 + [False] * 4, 0, 0)
    >>> sorted(order), sum(i < 2 for i in order[:3])
    ([0, 1, 2, 3, 4, 5], 1)
    """
    generator = np.random.default_rng(seed_from("rl-order", seed, epoch))
    places: list[tuple[float, int]] = []
    for side in (True, False):
        own = [i for i, is_on in enumerate(sides) if is_on is side]
        places += [
            ((rank + 0.5) / len(own), own[int(i)])
            for rank, i in enumerate(generator.permutation(len(own)))
        ]
    return [row for _, row in sorted(places)]


def choose_queries(
    project: Project, development: Development, path: Path | None, *, unbalanced: bool = False
) -> QuerySet:
    """Return the query set: of all development rows, or of those whose queries are in a file.

    Raises InputError where a query of the file is no development row (it may be sealed), where all
    are of one kind, and, unless `unbalanced`, where the share of adversarial queries is outside
    `audit.adversarial`.
    """
    rows = list({row.query_key: row for row in reversed(development.rows)}.values())[::-1]
    if path is not None:
        rows = _named(rows, path)
    _both_kinds(rows)
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(development.groups[row.id], []).append(i)
    settings = project.file.tune
    split = split_groups(
        rows, [tuple(g) for g in groups.values()], settings.selection_share, project.file.seed
    )
    found = QuerySet(
        tuple(rows[i] for group in split.development for i in group),
        _evenly([rows[i] for group in split.held_out for i in group],
                settings.rl.watch_queries, project.file.seed),
    )  # fmt: skip
    _both_kinds(found.train)
    for side, name in ((True, "adversarial"), (False, "non-adversarial")):
        if not any(is_adversarial(row) is side for row in found.watched):
            raise InputError(
                f"no {name} query is kept aside to watch the training by",
                fix="raise --set tune.selection_share, or add rows",
            )
    if not unbalanced:
        refuse_imbalance(found, project.file.audit.adversarial)
    return found


def refuse_imbalance(queries: QuerySet, band: tuple[float, float]) -> None:
    """Raise InputError where the share of adversarial queries is outside the band."""
    low, high = band
    share, n = queries.adversarial, len(queries.train)
    if not low <= share <= high:
        count = round(share * n)
        most = 2 * min(count, n - count)
        raise InputError(
            f"{count} of {n} RL queries are adversarial ({share:.0%}), outside the band of "
            f"{low:.0%} to {high:.0%}",
            fix=f"draw a set with 'selaras data queries rl.jsonl --n {most} --adversarial 0.5' and "
            "pass --queries rl.jsonl; or go on all the same with --unbalanced",
        )


def _both_kinds(rows: Sequence[Query]) -> None:
    sides = {is_adversarial(row) for row in rows}
    if not rows:
        raise InputError("no queries to train on", fix="add development rows")
    if len(sides) == 1:
        name, other = ("adversarial", "ordinary or look-alike")
        if not sides.pop():
            name, other = "non-adversarial", "inadvertent or malicious"
        raise InputError(
            f"all {len(rows)} RL queries are {name}: a policy trained on one kind only learns one "
            "answer to everything", fix=f"add {other} queries",
        )  # fmt: skip


def _named(rows: Sequence[Query], path: Path) -> list[Query]:
    """Return the development rows whose queries the file holds."""
    found, _ = read_rows([path])
    wanted = {row.query_key: row.id for row in found}
    known = {row.query_key for row in rows}
    if strange := sorted(name for key, name in wanted.items() if key not in known):
        shown = ", ".join(strange[:SHOWN]) + (" …" if len(strange) > SHOWN else "")
        raise InputError(
            f"{len(strange)} of {len(wanted)} queries are no development rows ({shown}): they may "
            "be sealed, or copies of sealed rows", path=path,
            fix="draw the set with 'selaras data queries', or import the rows first",
        )  # fmt: skip
    return [row for row in rows if row.query_key in wanted]


def _evenly(rows: Sequence[Query], number: int, seed: int) -> tuple[Query, ...]:
    """Return at most `number` rows, half of them adversarial where there are so many."""
    order = mixed_order([is_adversarial(row) for row in rows], seed, -1) if rows else []
    sides: dict[bool, list[int]] = {True: [], False: []}
    for i in order:
        sides[is_adversarial(rows[i])].append(i)
    half = {True: number // 2, False: number - number // 2}
    return tuple(rows[i] for side, own in sides.items() for i in sorted(own[: half[side]]))
