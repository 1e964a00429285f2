"""How far raters agree, by policy and group, and what the votes say together.

Alpha is over all raters; kappa over every pair of raters on the items that both rated. Groups are
compared, never averaged away: where they answer differently the table says so, and a group of too
few raters appears in no output.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from selaras.rating import schema
from selaras.rating.adjudicate import decided_items, entropy
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import read_batch
from selaras.rating.results import Vote, current_votes, stale_count
from selaras.rating.tasks import CANNOT_JUDGE, TASKS, Task
from selaras.stats import Interval, cohen_kappa, krippendorff_alpha, one_coin, wilson

# As many votes on either side are decided only where the raters' skills leave little doubt.
_BREAKS_A_TIE = 0.9


@dataclass(frozen=True, slots=True)
class Truth:
    """What is taken as an item's answer, how it came about, and how the votes were spread.

    `how` is `adjudicated`, `consensus` (one-coin Dawid-Skene over a half; over .9 where as many
    votes stand on either side) or `tied`, in which case there is no value. `majority` is the plain
    one, None for a tie. `soft` are the votes' shares and stay whatever was decided.
    """

    value: str | None
    how: str
    majority: str | None
    soft: Mapping[str, float]
    posterior: Mapping[str, float]
    votes: int
    entropy: float


@dataclass(frozen=True, slots=True)
class GroupGap:
    """One answer's share in one group of raters and in all others, on the items that both rated."""

    field: str
    group: str
    value: str
    raters: int
    share: Interval
    others: Interval


@dataclass(frozen=True, slots=True)
class Agreement:
    """What `selaras rate agreement` reports of a batch; all values as JSON in `to_dict`."""

    batch: BatchSpec
    level: str
    items: int
    votes: int
    stale: int
    alpha: Interval
    by_policy: Mapping[str, Interval]
    by_group: Mapping[str, Interval]
    kappa: Interval
    unanimous: Interval
    positions: Interval | None
    gaps: tuple[GroupGap, ...]
    hidden_groups: int
    truths: Mapping[int, Truth]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        how = Counter(truth.how for truth in self.truths.values())
        same = [t for t in self.truths.values() if t.majority and t.value and t.how == "consensus"]
        return {
            "batch": self.batch.id,
            "task": self.batch.task,
            "level": self.level,
            "items": self.items,
            "votes": self.votes,
            "stale_votes": self.stale,
            "alpha": interval_value(self.alpha),
            "alpha_by_policy": {k: interval_value(v) for k, v in self.by_policy.items()},
            "alpha_by_group": {k: interval_value(v) for k, v in self.by_group.items()},
            "kappa_of_pairs": interval_value(self.kappa),
            "unanimous": interval_value(self.unanimous),
            "first_position": interval_value(self.positions) if self.positions else None,
            "truths": dict(sorted(how.items())),
            "consensus_against_majority": sum(t.majority != t.value for t in same),
            "groups": [
                {"field": g.field, "group": g.group, "value": g.value, "raters": g.raters,
                 "share": interval_value(g.share), "others": interval_value(g.others)}
                for g in self.gaps
            ],
            "groups_too_small": self.hidden_groups,
        }  # fmt: skip


def agreement(connection: Connection, batch: str) -> Agreement:
    """Return how far the raters of a batch agree, and the truth of each item.

    Only work counts, not gold items, repeats or the qualification; "cannot judge" is no answer.
    """
    spec, _ = read_batch(connection, batch)
    task = TASKS[spec.task]
    values = list(task.values)
    votes = [v for v in current_votes(connection, batch, texts=False) if v.purpose == "work"]
    answers = [v for v in votes if v.value != CANNOT_JUDGE]
    table = schema.items
    rows = connection.execute(select(table.c.id, table.c.policies).where(table.c.batch == batch))
    known = {row.id: row.policies.split() for row in rows}
    level = "ordinal" if task.ordered else "nominal"

    def alpha(chosen: Sequence[Vote]) -> Interval:
        return krippendorff_alpha(_table(chosen, values), level)  # type: ignore[arg-type]

    policies = sorted({name for v in answers for name in known[v.item]})
    groups, hidden = _groups(connection, spec, answers)
    return Agreement(
        batch=spec,
        level=level,
        items=len({v.item for v in answers}),
        votes=len(votes),
        stale=stale_count(connection, batch),
        alpha=alpha(answers),
        by_policy={name: alpha([v for v in answers if name in known[v.item]]) for name in policies},
        by_group={
            f"{field}={group}": alpha([v for v in answers if v.rater in members])
            for (field, group), members in groups.items()
        },
        kappa=pair_kappa([(v.rater, v.item, v.value) for v in answers]),
        unanimous=_unanimous(answers),
        positions=_positions(task, answers),
        gaps=_gaps(groups, answers, values, spec.least_raters),
        hidden_groups=hidden,
        truths=truths(connection, batch, votes),
    )


def truths(
    connection: Connection, batch: str, votes: Sequence[Vote] | None = None
) -> dict[int, Truth]:
    """Return the truth of each item with a vote: decided by a person, or by the votes together."""
    spec, _ = read_batch(connection, batch)
    values = list(TASKS[spec.task].values)
    if votes is None:
        votes = [v for v in current_votes(connection, batch, texts=False) if v.purpose == "work"]
    answers = [v for v in votes if v.value != CANNOT_JUDGE]
    decided = decided_items(connection, batch)
    items = sorted({v.item for v in votes} | set(decided))
    place = {item: number for number, item in enumerate(items)}
    raters = {rater: number for number, rater in enumerate(sorted({v.rater for v in answers}))}
    found = one_coin(
        np.array([place[v.item] for v in answers], dtype=np.int64),
        np.array([raters[v.rater] for v in answers], dtype=np.int64),
        np.array([values.index(v.value) for v in answers], dtype=np.int64),
        shape=(len(items), len(raters), len(values)),
    )
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for v in answers:
        counts[v.item][v.value] += 1
    return {
        item: _truth(values, counts[item], found.posterior[number], decided.get(item))
        for item, number in place.items()
    }


def pair_kappa(votes: Iterable[tuple[int, int, str]]) -> Interval:
    """Return Cohen's kappa over all pairs of raters, each on the items that both rated.

    `votes` are (rater, item, value). Pairs are taken in a fixed order, so the first rater of a pair
    is the same on all of its items.
    """
    by_item: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for rater, item, value in votes:
        by_item[item].append((rater, value))
    first: list[str] = []
    second: list[str] = []
    for given in by_item.values():
        for (_, a), (_, b) in combinations(sorted(given), 2):
            first.append(a)
            second.append(b)
    return cohen_kappa(first, second)


def interval_value(interval: Interval) -> dict[str, Any]:
    """Return an interval as JSON values; a value that is not known is null."""
    whole = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {k: None if math.isnan(v) else round(v, 6) for k, v in whole.items()} | {"n": interval.n}


def _truth(
    values: Sequence[str],
    counts: Counter[str],
    posterior: Any,
    decided: tuple[str, str] | None,
) -> Truth:
    total = sum(counts.values())
    ranked = counts.most_common(2)
    tied = len(ranked) == 2 and ranked[0][1] == ranked[1][1]
    majority = None if tied or not ranked else ranked[0][0]
    best = int(posterior.argmax())
    value: str | None = None
    how = "tied"
    if decided is not None:
        value, how = decided[0], "adjudicated"
    elif total and posterior[best] > (_BREAKS_A_TIE if tied else 0.5):
        value, how = values[best], "consensus"
    return Truth(
        value=value, how=how, majority=majority,
        soft={name: counts[name] / total for name in values} if total else {},
        posterior={name: round(float(p), 6) for name, p in zip(values, posterior, strict=True)},
        votes=total, entropy=round(entropy(list(counts.values())), 6) if total else 0.0,
    )  # fmt: skip


def _table(votes: Sequence[Vote], values: Sequence[str]) -> Any:
    """Return votes as counts, shape (items, values)."""
    items = {item: number for number, item in enumerate(sorted({v.item for v in votes}))}
    column = {value: number for number, value in enumerate(values)}
    flat = np.array([items[v.item] * len(values) + column[v.value] for v in votes], dtype=np.int64)
    return np.bincount(flat, minlength=len(items) * len(values)).reshape(len(items), len(values))


def _unanimous(votes: Sequence[Vote]) -> Interval:
    given: dict[int, list[str]] = defaultdict(list)
    for v in votes:
        given[v.item].append(v.value)
    several = [values for values in given.values() if len(values) > 1]
    return wilson(sum(len(set(values)) == 1 for values in several), len(several))


def _positions(task: Task, votes: Sequence[Vote]) -> Interval | None:
    """Return how often the side shown first was preferred, of the votes that preferred one."""
    if len(task.sides) != 2:
        return None
    chosen = [(v.value, v.order) for v in votes if v.value in ("a", "b")]
    return wilson(sum(value == order[0] for value, order in chosen), len(chosen))


def _groups(
    connection: Connection, spec: BatchSpec, votes: Sequence[Vote]
) -> tuple[dict[tuple[str, str], frozenset[int]], int]:
    """Return the raters of each group that is large enough, and how many groups are not."""
    voters = {v.rater for v in votes}
    table = schema.backgrounds
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row in connection.execute(select(table.c.rater, table.c.field, table.c.value)):
        if row.rater in voters:
            found[(row.field, row.value)].add(row.rater)
    least = spec.least_raters
    large = {key: frozenset(found[key]) for key in sorted(found) if len(found[key]) >= least}
    return large, len(found) - len(large)


def _gaps(
    groups: Mapping[tuple[str, str], frozenset[int]],
    votes: Sequence[Vote],
    values: Sequence[str],
    least: int,
) -> tuple[GroupGap, ...]:
    """Return each large group's shares beside those of all other raters, largest gap first.

    Items are the same on both sides: an answer of one group on an item that the others did not rate
    says nothing of a difference. Others are fewer than the group's least: nothing is shown.
    """
    gaps = []
    for (field, group), members in groups.items():
        rest = {v.rater for v in votes} - members
        # Who is "the others" of one person could be worked out: they need the same least number.
        if len(rest) < least:
            continue
        shared = {v.item for v in votes if v.rater in members} & {
            v.item for v in votes if v.rater in rest
        }
        own = [v.value for v in votes if v.rater in members and v.item in shared]
        others = [v.value for v in votes if v.rater in rest and v.item in shared]
        for value in values:
            gaps.append(
                GroupGap(
                    field, group, value, len(members),
                    wilson(own.count(value), len(own)), wilson(others.count(value), len(others)),
                )
            )  # fmt: skip
    return tuple(sorted(gaps, key=lambda g: -abs(g.share.value - g.others.value)))
