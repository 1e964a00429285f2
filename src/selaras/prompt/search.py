"""Looking for a better template: propose, climb on few rows, prove on others, within a budget.

A child is asked first on the rows that it was made from, and dropped if it mends none of them, then
on the other rows of the reflecting half that its parent was asked on; it becomes the head of the
climb where it mends more than it breaks, and the next child is made from it. Such a step costs
ten calls and may be luck. So the budget keeps back what it takes to ask the head on all selecting
rows, which no step was made from: once in mid-climb, where the budget holds it, and at the end. A
head that is worse there than the best so far gives way to it. Where the budget is small, fewer rows
select: seed and winner together take two fifths of it.
The last word has a paired test against the seed, its p-value multiplied by the number of finalists
(Bonferroni; the best of many is lucky), and, where that is passed, the noise of one prompt asked
twice. The seed itself always competes, and "no significant improvement" is a result: then the seed
is returned.

In the line of GEPA (arXiv:2507.19457: reflection on failures) and of racing (Maron & Moore 1994);
unlike them it vetoes on must-refuse rows, climbs on other rows than it selects by, and tests what
it returns.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from selaras.core.errors import BudgetSpentError, InputError
from selaras.core.fingerprint import seed_from
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Query
from selaras.prompt.objective import Contrast, Outcome, contrast
from selaras.prompt.rollouts import Rollouts
from selaras.prompt.selection import Rows, SearchResult, SearchSettings, Selection, Step
from selaras.template import PromptTemplate

FIRST_BATCH = 8
FAILURES_SHOWN = 3
# Rows of the race at a time, and by how many more mended than broken rows it is won early.
_BATCH, _CLEAR = 5, 2
# A climb of fewer calls than this many times the selecting rows is measured at its end alone.
_MIDWAY = 6
# Of the budget, what one template on the selecting rows may take, and the fewest of them: with 14
# a gain of half of the rows is proven four times in five, with ten twice.
_SHARE, _FEWEST = 5, 14
# Calls of the editor for a proposal, which may be asked for twice.
_MOST_EDITS = 2
# So many proposals in a row that were refused, or tried before, end the climb.
_STUCK = 12


@dataclass(frozen=True, slots=True)
class Proposal:
    """A child of a template, or the reason why there is none; `how` says what was changed.

    `spent` says that its proposer has no more of them.
    """

    how: str
    template: PromptTemplate | None = None
    problem: str | None = None
    spent: bool = False


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

    Raises InputError where the budget does not even hold one candidate and its proof.
    """
    settings = settings or SearchSettings()
    most = max(_FEWEST, (rollouts.budget.max_calls or 0) // (_SHARE * rollouts.dearest))
    selection = Selection(rollouts, Rows(rows.reflect, rows.select[:most]), settings)
    asked = min(FIRST_BATCH, len(rows.reflect))
    fewest = len(selection.rows.select) + 2 * asked + selection.proof
    if rollouts.budget.left < fewest:  # though no row were to cost more than one call
        raise InputError(
            f"the budget of {rollouts.budget.max_calls} calls does not hold one candidate and its "
            "proof",
            fix=f"use --budget-calls {fewest * rollouts.dearest + _MOST_EDITS} or more",
        )
    with progress.task("searching", float(rollouts.budget.max_calls or 0)) as task:
        selection.begin(seed)
        climb = _Climb(selection, proposers)
        done = 0
        try:
            while climb.goes_on():
                climb.step()
                task.advance(rollouts.journal.calls - done, f"best {selection.best.value:.3f}")
                done = rollouts.journal.calls
            climb.measure()
        except BudgetSpentError:
            selection.ended = "the budget is spent"
    return selection.result()


class _Climb:
    """The greedy search: the head, how it came about, and what is still to be measured of it."""

    def __init__(self, selection: Selection, proposers: Sequence[Proposer]) -> None:
        self.selection, self.rollouts = selection, selection.rollouts
        self.proposers = list(proposers)
        self.settings = selection.settings
        self.chance = random.Random(seed_from("search", self.settings.seed))
        self.tried = {selection.seed.template.fingerprint}
        self.looked: dict[str, int] = {}
        self.head, self.changes = selection.seed.template, list[str]()
        final = len(selection.rows.select)
        room = self.rollouts.budget.left - selection.proof * self.rollouts.dearest
        # The call after which the head is measured in mid-climb.
        self.midway = (
            self.rollouts.journal.calls + (room - final) // 2 if room > _MIDWAY * final else None
        )

    def goes_on(self) -> bool:
        """Return whether another step may be taken; `ended` says why not."""
        steps = self.selection.steps
        if not self.proposers:
            self.selection.ended = "nothing is left to propose"
        elif len(steps) >= self.settings.most_steps:
            self.selection.ended = "the most steps were taken"
        elif len(steps) >= _STUCK and all(s.became == "refused" for s in steps[-_STUCK:]):
            self.selection.ended = f"none of the last {_STUCK} proposals could be tried"
        elif not self.rollouts.affords(self.selection.proof + FIRST_BATCH, others=_MOST_EDITS):
            left = self.rollouts.budget.left
            self.selection.ended = (
                f"the {left} calls left do not hold another candidate and its proof"
            )
        return not self.selection.ended

    def step(self) -> None:
        """Propose one child of the head and see whether it takes its place."""
        wrong, right = self.reflected_on(self.head)
        if not wrong:
            self.selection.ended = "nothing is left to mend on these rows"
            return
        shown = self.chance.sample(wrong, min(FAILURES_SHOWN, len(wrong)))
        propose = self.proposers[len(self.selection.steps) % len(self.proposers)]
        proposal = propose(self.head, shown, self.chance)
        child = proposal.template
        if proposal.spent:
            self.proposers.remove(propose)
        elif child is None:
            self.note(proposal, "refused", 0, None, proposal.problem or "no proposal")
        elif child.fingerprint in self.tried:
            self.note(proposal, "refused", 0, None, "this template was tried already")
        else:
            self.tried.add(child.fingerprint)
            others = [case for case in (*wrong, *right) if case not in shown]
            self.chance.shuffle(others)
            if self.raced(child, proposal, shown, others):
                self.head, self.changes = child, [*self.changes, proposal.how]
        if self.midway is not None and self.rollouts.journal.calls >= self.midway:
            self.midway = None
            self.measure()

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
            room = self.rollouts.affords(self.selection.proof + 2 * FIRST_BATCH)
            if len(wrong) > FAILURES_SHOWN or seen >= len(rows) or not room:
                self.looked[template.fingerprint] = seen
                return wrong, [case for case in cases if case[1].right]
            seen += FIRST_BATCH

    def raced(
        self, child: PromptTemplate, proposal: Proposal, shown: list[Case], others: list[Case]
    ) -> bool:
        """Return whether a child mends what it was made from, and more than it breaks elsewhere.

        The cheapest question of all comes first: most children fail it.
        """
        asked: list[Case] = []
        after: list[Outcome] = []
        batches = [others[i : i + _BATCH] for i in range(0, len(others), _BATCH)]
        for batch in (shown, *batches):
            asked += batch
            if not self.rollouts.affords(len(batch) + self.selection.proof):
                self.note(proposal, "dropped", len(after), None, "too few calls are left to go on")
                return False
            after += self.rollouts.outcomes(child, [row for row, _ in batch])
            found = contrast([outcome for _, outcome in asked], after, self.settings.seed)
            if self.vetoed(proposal, found, len(asked)):
                return False
            if found.gain.difference <= 0:
                why = f"mends {found.fixed} and breaks {found.broken} of {len(asked)} rows"
                self.note(proposal, "dropped", len(asked), found.gain.difference, why)
                return False
            if len(asked) >= FIRST_BATCH and found.fixed >= found.broken + _CLEAR:
                break
        why = f"mends {found.fixed} and breaks {found.broken} of {len(asked)} rows"
        self.note(proposal, "taken up", len(asked), found.gain.difference, why)
        return True

    def measure(self) -> None:
        """Ask the head on all selecting rows; where it is not the best, the climb goes back."""
        if self.head is self.selection.best.template or not self.changes:
            return
        outcomes = tuple(self.rollouts.outcomes(self.head, self.selection.rows.select))
        better, beside = self.selection.finalist(
            self.head, "; ".join(self.changes), outcomes, self.selection.best.name
        )
        why = f"{beside.fixed} mended, {beside.broken} broken, p {beside.gain.p_value:.3f}"
        rows, gain = len(outcomes), beside.gain.difference
        measured = Proposal(f"all of {len(self.changes)} changes", self.head)
        # A head that shows nothing yet may be half-way to something; one that harms is left.
        if gain < 0 or len(beside.vetoes) > self.settings.vetoes:
            self.head, self.changes = self.selection.best.template, []
        if not self.vetoed(measured, beside, rows):
            self.note(measured, "accepted" if better else "kept aside", rows, gain, why)

    def vetoed(self, proposal: Proposal, found: Contrast, rows: int) -> bool:
        """Return whether a child breaks more must-refuse rows of its parent's than it may."""
        if len(found.vetoes) <= self.settings.vetoes:
            return False
        why = f"it breaks must-refuse rows that its parent keeps: {', '.join(found.vetoes)}"
        self.note(proposal, "vetoed", rows, found.gain.difference, why)
        return True

    def note(
        self, proposal: Proposal, became: str, rows: int, gain: float | None, why: str
    ) -> None:
        """Keep what became of a proposal."""
        self.selection.steps.append(
            Step(len(self.selection.steps) + 1, self.selection.best.name, proposal.how, became,
                 rows, gain, why, self.rollouts.journal.calls)
        )  # fmt: skip
