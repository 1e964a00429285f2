"""The candidates of a search and the evidence between them, whoever proposes them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Query
from selaras.prompt.objective import (
    Contrast,
    Outcome,
    contrast,
    dominates,
    mean_value,
    summary_of,
)
from selaras.prompt.rollouts import Rollouts
from selaras.template import PromptTemplate

NOISE_ROWS = 10
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Rows:
    """Development rows in two halves, whole groups apart: to reflect on, and to select by."""

    reflect: tuple[Query, ...] = field(repr=False)
    select: tuple[Query, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How to search. `level` is the p-value under which a difference from the seed counts.

    `step_level` is the same for one step from incumbent to child, which costs nothing if it was
    wrong; `vetoes` how many must-refuse rows a child may break.
    """

    seed: int = 0
    level: float = 0.05
    step_level: float = 0.5
    vetoes: int = 0
    most_steps: int = 200


@dataclass(frozen=True, slots=True)
class Candidate:
    """A template of the search, with what it did on all rows that selection is by."""

    name: str
    template: PromptTemplate = field(repr=False)
    parent: str | None
    how: str
    outcomes: tuple[Outcome, ...] = field(repr=False)

    @property
    def value(self) -> float:
        """The mean value over the rows."""
        return mean_value(self.outcomes)


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one proposal: `dropped` after so many rows, `accepted`, `refused`, …"""

    number: int
    parent: str
    how: str
    became: str
    rows: int
    gain: float | None
    why: str
    calls: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found. `winner` is the seed where nothing was significantly better.

    `noise` is how much the seed differs from itself; None where no winner had to exceed it.
    """

    winner: Candidate
    best: Candidate
    seed: Candidate
    evidence: Contrast
    p_value: float
    finalists: int
    noise: float | None
    pool: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    steps: tuple[Step, ...]
    calls: int
    ended: str

    @property
    def improved(self) -> bool:
        """Whether the winner is another template than the seed."""
        return self.winner.name != self.seed.name


class Selection:
    """The candidates of one search on the selecting rows: what any searcher adds to and ends with.

    Everything in it follows from the seed template and the calls' replies.
    """

    def __init__(self, rollouts: Rollouts, rows: Rows, settings: SearchSettings) -> None:
        self.rollouts, self.rows, self.settings = rollouts, rows, settings
        self.steps: list[Step] = []
        self.finalists = 0
        self.noise: float | None = None
        self.ended = ""

    @property
    def repeated(self) -> int:
        """How many rows the seed is asked a second time on before something is called better."""
        return min(NOISE_ROWS, max(1, len(self.rows.select) // 3))

    @property
    def proof(self) -> int:
        """How many rows the last word on one more candidate takes."""
        return len(self.rows.select) + self.repeated

    def begin(self, seed: PromptTemplate) -> None:
        """Measure the seed."""
        if not self.rollouts.affords(len(self.rows.select)):
            raise InputError(
                f"the budget of {self.rollouts.budget.max_calls} calls does not hold the seed's "
                f"own {len(self.rows.select)} rows",
                fix="raise --budget-calls, or take fewer rows with --rows",
            )
        outcomes = self.rollouts.outcomes(seed, self.rows.select)
        if all(outcome.right is None for outcome in outcomes):
            raise InputError(
                "no row could be judged, so nothing tells a better template from a worse one",
                fix="give rows `expected`, or name a judge with --judge",
            )
        self.seed = self.best = Candidate("seed", seed, None, "the seed", tuple(outcomes))
        self.pool = [self.seed]

    def finalist(
        self, template: PromptTemplate, how: str, outcomes: tuple[Outcome, ...],
        parent: str = "seed",
    ) -> tuple[bool, Contrast]:  # fmt: skip
        """Take up a candidate that was measured on all rows; return whether it is the new best."""
        beside = contrast(self.best.outcomes, outcomes, self.settings.seed)
        if any(one.template.fingerprint == template.fingerprint for one in self.pool):
            return False, beside
        self.finalists += 1
        candidate = Candidate(f"c{self.finalists}", template, parent, how, outcomes)
        self.pool.append(candidate)
        better = (
            beside.gain.difference > 0
            and beside.gain.p_value <= self.settings.step_level
            and len(beside.vetoes) <= self.settings.vetoes
        )
        if better:
            self.best = candidate
        return better, beside

    def front(self) -> list[Candidate]:
        """Return the candidates that no other is better than in everything."""
        figures = {candidate.name: summary_of(candidate.outcomes) for candidate in self.pool}
        return [
            one
            for one in self.pool
            if not any(dominates(figures[other.name], figures[one.name]) for other in self.pool)
        ]

    def result(self) -> SearchResult:
        """Return what was found, the winner tested against the seed.

        Only a best that passes is held against the noise, which costs calls: what is left of them.
        """
        evidence = contrast(self.seed.outcomes, self.best.outcomes, self.settings.seed)
        p_value = min(1.0, evidence.gain.p_value * max(1, self.finalists))
        proven = p_value < self.settings.level and len(evidence.vetoes) <= self.settings.vetoes
        if proven:
            self.noise = self._noise()
            proven = self.noise is None or evidence.gain.difference > self.noise
        return SearchResult(
            winner=self.best if proven else self.seed,
            best=self.best,
            seed=self.seed,
            evidence=evidence,
            p_value=p_value,
            finalists=self.finalists,
            noise=self.noise,
            pool=tuple(self.pool),
            front=tuple(self.front()),
            steps=tuple(self.steps),
            calls=self.rollouts.journal.calls,
            ended=self.ended,
        )

    def _noise(self) -> float | None:
        left = self.rollouts.budget.left // self.rollouts.dearest
        once = self.seed.outcomes
        repeated = self.rows.select[: min(self.repeated, left)]
        if not repeated:
            return None
        again = self.rollouts.outcomes(self.seed.template, repeated, repeat=1)
        return noise_floor(once[: len(again)], again, len(once))


def noise_floor(once: Sequence[Outcome], again: Sequence[Outcome], rows: int) -> float:
    """Return the difference in means over `rows` rows that one prompt has with itself.

    Twice the standard error that the share of rows that changed between two runs stands for.

    >>> noise_floor([Outcome("a", "a", True)], [Outcome("a", "a", True)], 40)
    0.0
    """
    pairs = list(zip(once, again, strict=True))
    squares = [((b.value or 0.0) - (a.value or 0.0)) ** 2 for a, b in pairs]
    if not squares or not rows:
        return 0.0
    return _Z * math.sqrt(sum(squares) / len(squares) / rows)


def divide(
    rows: Sequence[Query], groups: dict[str, str], seed: int, most: int, share: float = 0.4
) -> Rows:
    """Return at most `most` rows in two halves, whole groups on one side, strata in both.

    Raises InputError where there are too few groups.
    """
    by_group: dict[str, list[Query]] = {}
    for row in rows:
        by_group.setdefault(groups[row.id], []).append(row)
    order = sorted(by_group, key=lambda name: fingerprint([seed, name]))
    # Strata in turn, so that a cut at `most` keeps all of them.
    strata: dict[str, list[str]] = {}
    for name in order:
        first = by_group[name][0]
        strata.setdefault(f"{first.kind}/{first.policies}/{first.use_case}", []).append(name)
    turns = [name for layer in _in_turn(list(strata.values())) for name in layer]
    reflect: list[Query] = []
    select: list[Query] = []
    for name in turns:
        if len(reflect) + len(select) >= most:
            break
        wanted = len(reflect) < share * (len(reflect) + len(select) + 1)
        (reflect if wanted else select).extend(by_group[name])
    if not reflect or len(select) < 2:
        raise InputError(
            f"{len(rows)} development rows in {len(by_group)} groups are too few to search on",
            fix="write more rows, or seal fewer",
        )
    return Rows(tuple(reflect), tuple(select))


def _in_turn(lists: list[list[str]]) -> list[list[str]]:
    longest = max((len(each) for each in lists), default=0)
    return [[each[i] for each in lists if i < len(each)] for i in range(longest)]
