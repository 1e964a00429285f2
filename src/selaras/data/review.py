"""Review states: which rows people have looked at, and which a lever may use.

A row is a draft until a person approves it, where its origin asks for review (all that a model
wrote, by default). The states are read from `data/decisions.jsonl`, never stored beside the row:
`review` says that somebody looked, `approve` lets the row in, `remove` rejects it.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from selaras.core.decisions import Decision, standing
from selaras.core.fingerprint import seed_from
from selaras.core.project import ReviewSettings
from selaras.core.records import Query

State = Literal["draft", "reviewed", "approved", "rejected", "not_drawn"]
USABLE: frozenset[State] = frozenset({"approved", "not_drawn"})
WAITS = "waits for review"
_RANGE = float(1 << 32)


def is_drawn(row: Query, settings: ReviewSettings) -> bool:
    """Return whether a person must approve the row, as its origin's share decides.

    >>> row = Query(id="a", query="q", origin="model")
    >>> is_drawn(row, ReviewSettings()), is_drawn(row, ReviewSettings(model=0))
    (True, False)
    """
    share: float = getattr(settings, row.origin)
    return share >= 1 or seed_from("review", row.id) / _RANGE < share


def state_of(row: Query, held: Sequence[Decision], settings: ReviewSettings) -> State:
    """Return the state of a row under the decisions about it that stand.

    An approval that answers an audit's finding says nothing of the whole row and does not count;
    one of another text (the row was changed since) does not either. `not_drawn` rows are used
    without a review.
    """
    made = [d for d in held if d.content in {None, row.fingerprint}]
    verdicts = [d for d in held if d.action == "remove" or (d in made and _approves(d))]
    if verdicts:
        return "rejected" if verdicts[-1].action == "remove" else "approved"
    if not is_drawn(row, settings):
        return "not_drawn"
    return "reviewed" if any(d.action == "review" for d in made) else "draft"


def in_use(
    rows: Sequence[Query], decisions: Iterable[Decision], settings: ReviewSettings
) -> tuple[list[Query], list[Query]]:
    """Return the rows that a lever may use and those that wait for a person, in their order."""
    held = standing(decisions)
    kept: list[Query] = []
    waiting: list[Query] = []
    for row in rows:
        usable = state_of(row, held.get(row.id, ()), settings) in USABLE
        (kept if usable else waiting).append(row)
    return kept, waiting


def _approves(decision: Decision) -> bool:
    return decision.action == "approve" and decision.audit is None
