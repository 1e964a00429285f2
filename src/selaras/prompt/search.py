"""Looking for a better template: propose, race, accept on paired evidence, within a budget.

Greedy with a front. A child is asked first on the very rows that it was made from, and dropped if
it does not mend them. Then it races its parent on development rows that it has not seen, ones that
the parent got wrong among ones that it got right, in minibatches that double, and is dropped as
soon as it breaks as much as it mends. Who is left at the end is compared on all of them.
The last word has a paired test against the seed, its p-value multiplied by the number of finalists
(Bonferroni; the best of many is lucky), and the noise of one prompt asked twice. The seed itself
always competes, and "no significant improvement" is a result: then the seed is returned.

In the line of GEPA (arXiv:2507.19457: reflection on failures, a Pareto front) and of racing
(Maron & Moore 1994); unlike them it vetoes on must-refuse rows and tests what it returns.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from selaras.core.fingerprint import seed_from
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Query
from selaras.evaluate.budget import BudgetSpentError
from selaras.prompt.objective import Contrast, Outcome, contrast
from selaras.prompt.rollouts import Rollouts
from selaras.prompt.selection import Candidate, Rows, SearchResult, SearchSettings, Selection, Step
from selaras.template import PromptTemplate

FIRST_BATCH = 8
FAILURES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Proposal:
    """A child of a template, or the reason why there is none; `how` says what was changed."""

    how: str
    template: PromptTemplate | None = None
    problem: str | None = None


class Proposer(Protocol):
    """Makes children of a template from what it got wrong."""

    def __call__(
        self,
        parent: PromptTemplate,
        wrong: Sequence[tuple[Query, Outcome]],
        chance: random.Random,
        /,
    ) -> Proposal:
        """Return a child, or the reason why there is none."""
        ...


Case = tuple[Query, Outcome]
Search = Callable[
    [PromptTemplate, Rollouts, Rows, Sequence[Proposer], SearchSettings, Progress], SearchResult
]


def greedy_search(
    seed: PromptTemplate,
    rollouts: Rollouts,
    rows: Rows,
    proposers: Sequence[Proposer],
    settings: SearchSettings | None = None,
    progress: Progress = SILENT,
) -> SearchResult:
    """Return what a search within the rollouts' budget found; the seed where nothing held.

    Raises InputError where the budget does not even hold the seed's own rows.
    """
    settings = settings or SearchSettings()
    selection = Selection(rollouts, rows, settings)
    with progress.task("searching", float(rollouts.budget.max_calls or 0)) as task:
        selection.begin(seed)
        race = _Race(selection)
        done = 0
        try:
            while race.goes_on():
                race.step(proposers)
                task.advance(rollouts.journal.calls - done, f"best {selection.best.value:.3f}")
                done = rollouts.journal.calls
        except BudgetSpentError:
            selection.ended = "the budget is spent"
    return selection.result()


class _Race:
    """The greedy search: proposals of the best candidate, raced on doubling minibatches."""

    def __init__(self, selection: Selection) -> None:
        self.selection, self.rollouts = selection, selection.rollouts
        self.settings = selection.settings
        self.chance = random.Random(seed_from("search", self.settings.seed))
        self.tried = {selection.seed.template.fingerprint}
        self.looked: dict[str, int] = {}

    def goes_on(self) -> bool:
        """Return whether another step may be taken; `ended` says why not."""
        if self.selection.best.value >= 1.0:
            self.selection.ended = "nothing is left to mend on these rows"
        elif len(self.selection.steps) >= self.settings.most_steps:
            self.selection.ended = "the most steps were taken"
        elif not self.rollouts.affords(FIRST_BATCH, others=1):
            self.selection.ended = "the budget is spent"
        return not self.selection.ended

    def step(self, proposers: Sequence[Proposer]) -> None:
        """Propose one child of the best, or now and then of another of the front; race it."""
        number = len(self.selection.steps) + 1
        front = self.selection.front()
        best = self.selection.best
        parent = best if number % 3 or len(front) < 2 else self.chance.choice(front)
        wrong, right = self.reflected_on(parent.template)
        shown = self.chance.sample(wrong, min(FAILURES_SHOWN, len(wrong)))
        propose = proposers[(number - 1) % len(proposers)]
        proposal = propose(parent.template, shown, self.chance)
        child = proposal.template
        if child is None:
            self.note(parent, proposal, "refused", 0, None, proposal.problem or "no proposal")
        elif child.fingerprint in self.tried:
            self.note(parent, proposal, "refused", 0, None, "this template was tried already")
        else:
            self.tried.add(child.fingerprint)
            kept = self.chance.sample(right, min(len(shown), len(right)))
            if self.screened(parent, child, proposal, [*shown, *kept]):
                self.run(parent, child, proposal)

    def reflected_on(self, template: PromptTemplate) -> tuple[list[Case], list[Case]]:
        """Return rows of the reflecting half that a template gets wrong and right.

        Eight more rows at a time, until there are enough wrong ones to choose from.
        """
        rows = self.selection.rows.reflect
        seen = self.looked.get(template.fingerprint, FIRST_BATCH)
        while True:
            outcomes = self.rollouts.outcomes(template, rows[:seen])
            cases = list(zip(rows, outcomes, strict=False))
            wrong = [case for case in cases if case[1].right is False]
            if len(wrong) >= 2 * FAILURES_SHOWN or seen >= len(rows):
                self.looked[template.fingerprint] = seen
                return wrong, [case for case in cases if case[1].right]
            seen += FIRST_BATCH

    def screened(
        self, parent: Candidate, child: PromptTemplate, proposal: Proposal, cases: Sequence[Case]
    ) -> bool:
        """Return whether a child mends more than it breaks of the very rows it was made from.

        The cheapest question of all comes first: most children fail it.
        """
        if not cases:
            return True
        before = [outcome for _, outcome in cases]
        after = self.rollouts.outcomes(child, [row for row, _ in cases])
        found = contrast(before, after, self.settings.seed)
        if self.vetoed(parent, proposal, found, len(cases)):
            return False
        if found.fixed > found.broken:
            return True
        why = f"mends {found.fixed} and breaks {found.broken} of the {len(cases)} it was made from"
        self.note(parent, proposal, "dropped", len(cases), found.gain.difference, why)
        return False

    def run(self, parent: Candidate, child: PromptTemplate, proposal: Proposal) -> None:
        """Race a child against its parent, and take it up where it reaches the end."""
        rows = self.selection.rows.select
        order = interleaved(rows, parent.outcomes, self.chance)
        seen: list[Outcome] = []
        size = FIRST_BATCH
        while len(seen) < len(order):
            seen += self.rollouts.outcomes(child, order[len(seen) : size])
            found = contrast(parent.outcomes, seen, self.settings.seed)
            if self.vetoed(parent, proposal, found, len(seen)):
                return
            # What mends a rare fault may show nothing in the first half of the rows.
            broken = found.gain.difference < 0
            if broken or (found.gain.difference == 0 and 2 * len(seen) > len(order)):
                why = f"mends {found.fixed} and breaks {found.broken} of {len(seen)} rows"
                self.note(parent, proposal, "dropped", len(seen), found.gain.difference, why)
                return
            size *= 2
        by_row = {outcome.row: outcome for outcome in seen}
        outcomes = tuple(by_row[row.id] for row in rows)
        better, beside = self.selection.finalist(child, proposal.how, outcomes, parent.name)
        why = f"{beside.fixed} mended, {beside.broken} broken, p {beside.gain.p_value:.3f}"
        became = "accepted" if better else "kept aside"
        self.note(parent, proposal, became, len(seen), beside.gain.difference, why)

    def vetoed(self, parent: Candidate, proposal: Proposal, found: Contrast, rows: int) -> bool:
        """Return whether a child breaks more must-refuse rows of its parent's than it may."""
        if len(found.vetoes) <= self.settings.vetoes:
            return False
        why = f"it breaks must-refuse rows that its parent keeps: {', '.join(found.vetoes)}"
        self.note(parent, proposal, "vetoed", rows, found.gain.difference, why)
        return True

    def note(
        self, parent: Candidate, proposal: Proposal, became: str, rows: int, gain: float | None,
        why: str,
    ) -> None:  # fmt: skip
        """Keep what became of a proposal."""
        number = len(self.selection.steps) + 1
        self.selection.steps.append(
            Step(number, parent.name, proposal.how, became, rows, gain, why,
                 self.rollouts.journal.calls)
        )  # fmt: skip


def interleaved(
    rows: Sequence[Query], outcomes: Sequence[Outcome], chance: random.Random
) -> list[Query]:
    """Return rows in the order of a race: one that the parent got wrong, one that it got right.

    What a child can mend and what it can break are both seen early.
    """
    state = {outcome.row: outcome.right for outcome in outcomes}
    wrong = [row for row in rows if not state[row.id]]
    right = [row for row in rows if state[row.id]]
    chance.shuffle(wrong)
    chance.shuffle(right)
    order: list[Query] = []
    while wrong or right:
        order += [half.pop() for half in (wrong, right) if half]
    return order
