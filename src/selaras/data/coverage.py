"""Which cells have too few rows: policy x use case x kind, by response label where that is asked.

The grid is what the project promises: each listed policy in each use case, with rows that sound
unsafe and are not, rows that may go wrong, and rows that want a violation. Ordinary rows belong to
a use case, not to a policy. A cell under the minimum is a fault, and the gate of `selaras data
audit` does not pass.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selaras.core.project import AuditSettings
from selaras.core.records import Example, Kind, Preference, Query
from selaras.data.finding import AuditInput, Figures, Finding
from selaras.data.seal import read_seal
from selaras.data.split import PAIRS
from selaras.stats import wilson

AUDIT = "coverage"
VERSION = 1
NONE = "-"
ADVERSARIAL = frozenset({Kind.INADVERTENT, Kind.MALICIOUS})
FEWEST_FOR_BALANCE = 10


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A place in the grid; `policy` is "-" for ordinary rows, `use_case` for rows that name none.

    >>> str(Cell("hate", "answer", "malicious"))
    'hate / answer / malicious'
    """

    policy: str
    use_case: str
    kind: str

    def __str__(self) -> str:
        return " / ".join((self.policy, self.use_case, self.kind))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Rows by cell. `wanted` are the cells that must have `minimum` rows (of each label).

    A row of several policies counts in each of its cells. `held_out` counts sealed rows by the
    first policy alone: the seal knows no other.
    """

    counts: Mapping[Cell, int]
    labels: Mapping[tuple[Cell, str], int]
    held_out: Mapping[Cell, int]
    wanted: tuple[Cell, ...]
    settings: AuditSettings = field(default_factory=AuditSettings)

    def lacking(self) -> Iterator[tuple[Cell, str | None, int]]:
        """Yield (cell, label, rows) for every wanted cell under the minimum."""
        for cell in self.wanted:
            if self.counts.get(cell, 0) < self.settings.minimum:
                yield cell, None, self.counts.get(cell, 0)
                continue
            for label in self.settings.labels:
                if (n := self.labels.get((cell, label), 0)) < self.settings.minimum:
                    yield cell, label, n

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as JSON values."""
        cells = sorted({*self.counts, *self.wanted, *self.held_out})
        names = sorted({label for _, label in self.labels})
        return {
            "minimum": self.settings.minimum,
            "cells": [
                {
                    "policy": cell.policy, "use_case": cell.use_case, "kind": cell.kind,
                    "rows": self.counts.get(cell, 0),
                    "labels": {name: self.labels.get((cell, name), 0) for name in names},
                    "held_out": self.held_out.get(cell, 0), "wanted": cell in set(self.wanted),
                }
                for cell in cells
            ],
        }  # fmt: skip


def audit_coverage(given: AuditInput) -> Iterator[Finding | Figures]:
    """Yield thin and empty cells, policies with too few look-alikes, and unbalanced RL queries."""
    found = coverage(given)
    yield from (_thin(*lack, given.settings.minimum) for lack in found.lacking())
    yield from _few_look_alikes(given)
    yield from _unlabelled(given.rows)
    balance = rl_balance(given.rows)
    yield from _unbalanced(balance, given.settings)
    yield Figures(AUDIT, {**found.to_dict(), "rl_balance": balance})


def coverage(given: AuditInput) -> Coverage:
    """Return the grid of rows and of what the settings want."""
    counts: Counter[Cell] = Counter()
    labels: Counter[tuple[Cell, str]] = Counter()
    for row in given.rows:
        for cell in cells_of(row):
            counts[cell] += 1
            labels[cell, _label(row)] += 1
    return Coverage(counts, labels, _sealed(given), tuple(_wanted(given)), given.settings)


def cells_of(row: Query) -> tuple[Cell, ...]:
    """Return the cells of a row: one for each of its policies; an ordinary row has one of none.

    >>> cells_of(Query(id="a", query="q", kind="malicious", policies=("hate", "privacy")))[1].policy
    'privacy'
    """
    ordinary = row.kind == Kind.ORDINARY
    policies = (NONE,) if ordinary or not row.policies else row.policies
    return tuple(Cell(policy, row.use_case or NONE, row.kind.value) for policy in policies)


def rl_balance(rows: Iterable[Query]) -> dict[str, Any]:
    """Return the share of adversarial queries among RL rows, with n and a Wilson interval.

    RL rows are those whose response is still to come, and preferences.
    """
    kinds = [row.kind in ADVERSARIAL for row in rows if _is_rl(row)]
    if not kinds:
        return {"value": None, "low": None, "high": None, "n": 0}
    share = wilson(sum(kinds), len(kinds))
    return {"value": share.value, "low": share.low, "high": share.high, "n": len(kinds)}


def _wanted(given: AuditInput) -> Iterator[Cell]:
    settings = given.settings
    use_cases = settings.use_cases or tuple(use_case.id for use_case in given.use_cases)
    for policy in _with_rows(given):
        for use_case in use_cases:
            for kind in settings.kinds:
                if kind != Kind.ORDINARY:
                    yield Cell(policy, use_case, kind.value)
    if Kind.ORDINARY in settings.kinds:
        yield from (Cell(NONE, use_case, Kind.ORDINARY.value) for use_case in use_cases)


def _with_rows(given: AuditInput) -> list[str]:
    # For some harms no rows should be written at all: their policies are statements only.
    return [name for name, policy in given.policies.items() if not policy.statement_only]


def _sealed(given: AuditInput) -> Counter[Cell]:
    seal = read_seal(given.project) if given.project else None
    counts: Counter[Cell] = Counter()
    for row in seal.rows if seal else ():
        policy, use_case, kind = row.stratum.removesuffix(PAIRS).split("/", 2)
        counts[Cell(NONE if kind == Kind.ORDINARY else policy, use_case, kind)] += 1
    return counts


def _thin(cell: Cell, label: str | None, n: int, minimum: int) -> Finding:
    rows = f"rows labelled {label}" if label else "rows"
    said = f"{cell}: no {rows}" if n == 0 else f"{cell}: {n} of at least {minimum} {rows}"
    check = "empty_cell" if n == 0 else "thin_cell"
    return Finding(AUDIT, check, VERSION, "fault", (), said, score=n, threshold=minimum)


def _few_look_alikes(given: AuditInput) -> Iterator[Finding]:
    fewest = given.settings.minimum_look_alikes
    if Kind.LOOK_ALIKE not in given.settings.kinds:
        return
    counts = Counter(p for row in given.rows if row.kind == Kind.LOOK_ALIKE for p in row.policies)
    for policy in _with_rows(given):
        if counts[policy] < fewest:
            said = (
                f"{policy}: {counts[policy]} of at least {fewest} look-alikes; without them a "
                "model learns to refuse what merely sounds unsafe"
            )
            yield Finding(AUDIT, "few_look_alikes", VERSION, "fault", (), said,
                          score=counts[policy], threshold=fewest)  # fmt: skip


def _unlabelled(rows: Sequence[Query]) -> Iterator[Finding]:
    """Yield what is missing in the rows that the grid cannot place, one finding a field."""
    adversarial = [row for row in rows if row.kind != Kind.ORDINARY]
    lacks = {
        "policies": ([r for r in adversarial if not r.policies], "name no policy"),
        "use_case": ([r for r in rows if r.use_case is None and not isinstance(r, Preference)],
                     "name no use case"),
        "expected": ([r for r in rows if r.expected is None], "do not say what is expected"),
    }  # fmt: skip
    for name, (lacking, said) in lacks.items():
        if lacking:
            ids = tuple(row.id for row in lacking)
            yield Finding(AUDIT, f"no_{name}", VERSION, "review", ids, f"{len(ids)} rows {said}",
                          score=len(ids))  # fmt: skip


def _unbalanced(balance: Mapping[str, Any], settings: AuditSettings) -> Iterator[Finding]:
    low, high = settings.adversarial
    value, n = balance["value"], balance["n"]
    if value is None or n < FEWEST_FOR_BALANCE or low <= value <= high:
        return
    side = "few" if value < low else "many"
    said = (
        f"{value:.0%} of {n} RL queries are adversarial ({balance['low']:.0%} to "
        f"{balance['high']:.0%}), too {side} for the target of {low:.0%} to {high:.0%}"
    )
    yield Finding(AUDIT, "rl_balance", VERSION, "review", (), said, score=value,
                  threshold=low if value < low else high)  # fmt: skip


def _label(row: Query) -> str:
    if isinstance(row, Preference):
        return f"best {row.best}"
    if _is_rl(row):
        return "no response"
    return (isinstance(row, Example) and row.response_label) or "unlabelled"


def _is_rl(row: Query) -> bool:
    return not isinstance(row, Example) or not row.response.strip()
