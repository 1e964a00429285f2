"""How good each rater's answers are: against gold, against their own repeats, and how fast."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Connection, select

from selaras.rating import schema
from selaras.rating.agreement import interval_value
from selaras.rating.batch import hasty_under
from selaras.rating.batches import items_of, read_batch
from selaras.rating.results import Vote, current_votes
from selaras.rating.tasks import CANNOT_JUDGE
from selaras.stats import Interval, wilson

# Above this share of hasty votes a rater's answers are worth a look.
_HASTY = 0.3


@dataclass(frozen=True, slots=True)
class RaterQuality:
    """What is known of one rater in a batch, under the pseudonym.

    `gold` is right answers to gold items, `repeats` the same answer to an item seen again, `hasty`
    the share of votes faster than an item can be read, `leave_one_out` agreement with the majority
    of the others. `warnings` say what a lead should look at; nobody is judged by the program.
    """

    pseudonym: str
    votes: int
    gold: Interval
    repeats: Interval
    hasty: Interval
    leave_one_out: Interval
    seconds: float
    cannot_judge: int
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        shares = ("gold", "repeats", "hasty", "leave_one_out")
        return {
            "rater": self.pseudonym,
            "votes": self.votes,
            "median_seconds": self.seconds,
            "cannot_judge": self.cannot_judge,
            "warnings": list(self.warnings),
            **{name: interval_value(getattr(self, name)) for name in shares},
        }


def rater_quality(connection: Connection, batch: str) -> list[RaterQuality]:
    """Return the quality of each rater of a batch, in the order of their votes."""
    spec, _ = read_batch(connection, batch)
    items = {item.id: item for item in items_of(connection, batch)}
    limits = {number: hasty_under(spec, item.content) for number, item in items.items()}
    names = {row.id: row.pseudonym for row in connection.execute(select(schema.raters))}
    by_rater: dict[int, list[Vote]] = defaultdict(list)
    work: dict[int, dict[int, str]] = defaultdict(dict)
    for vote in current_votes(connection, batch):
        by_rater[vote.rater].append(vote)
        if vote.purpose == "work" and vote.value != CANNOT_JUDGE:
            work[vote.item][vote.rater] = vote.value
    found = []
    for rater, votes in by_rater.items():
        golden = [v for v in votes if items[v.item].gold is not None]
        right = sum(v.value in (items[v.item].gold or {})["accepted"] for v in golden)
        first = {v.item: v.value for v in votes if v.purpose == "work"}
        again = [v for v in votes if v.purpose == "repeat" and v.item in first]
        timed = [v for v in votes if v.seconds > 0]  # imported votes may have no time
        hasty = wilson(sum(v.seconds < limits[v.item] for v in timed), len(timed))
        gold = wilson(right, len(golden))
        same = wilson(sum(v.value == first[v.item] for v in again), len(again))
        found.append(
            RaterQuality(
                names[rater], len(votes), gold, same, hasty, _with_others(rater, work),
                round(median(v.seconds for v in votes), 2),
                sum(v.value == CANNOT_JUDGE for v in votes), _warnings(votes, gold, same, hasty),
            )
        )  # fmt: skip
    return found


def _with_others(rater: int, work: dict[int, dict[int, str]]) -> Interval:
    hits = total = 0
    for given in work.values():
        others = [value for other, value in given.items() if other != rater]
        if rater not in given or not others:
            continue
        ranked = sorted(
            {value: others.count(value) for value in others}.items(), key=lambda p: -p[1]
        )
        if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
            continue
        total += 1
        hits += given[rater] == ranked[0][0]
    return wilson(hits, total)


def _warnings(
    votes: list[Vote], gold: Interval, same: Interval, hasty: Interval
) -> tuple[str, ...]:
    said = []
    if hasty.n >= 5 and hasty.value > _HASTY:
        said.append(f"{hasty.value:.0%} of the votes came faster than the items can be read")
    # Only where even the interval's upper end is low: a handful of gold items proves little.
    if gold.n and gold.high < 0.7:
        said.append(f"{gold.value:.0%} right of {gold.n} gold items")
    if same.n and same.high < 0.7:
        said.append(f"the same answer to {same.value:.0%} of {same.n} repeated items")
    values = {v.value for v in votes}
    if len(votes) >= 20 and len(values) == 1:
        said.append(f"all {len(votes)} answers are {next(iter(values))!r}")
    return tuple(said)
