"""Running templates on development rows: each call made once, counted once, and found again.

What a search does next depends only on what the calls gave. So the journal of calls is all that a
killed search needs: begun again it walks the same way, its finished calls answered by the journal
and counted as they were the first time, and goes on where it was cut off.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selaras.core.errors import SelarasError
from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import SILENT
from selaras.core.project import Project
from selaras.core.records import Conversation, Query
from selaras.evaluate.budget import Budget
from selaras.evaluate.calls import Terms
from selaras.evaluate.figures import judged_row
from selaras.evaluate.judging import Bench, NamedJudge, judge_answers
from selaras.evaluate.runner import Answer, Job, answer_rows
from selaras.evaluate.systems import Opened, renderer
from selaras.judge import Judgement, ModelJudge
from selaras.prompt.objective import Outcome, outcome_of
from selaras.template import PromptTemplate

_MOST_A_QUESTION = 3  # a word, JSON, JSON once more


class CountedJournal(Journal):
    """A journal that counts the calls of this walk, whether it made them or found them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._walked: dict[str, int] = {}

    @property
    def calls(self) -> int:
        """The calls that this walk has come by."""
        return sum(self._walked.values())

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return what was recorded under the key, which counts as a call of this walk."""
        found = super().get(key)
        if found is not None:
            self._walked[key] = _calls_in(found)
        return found

    def add(self, key: str, value: Mapping[str, Any]) -> None:
        """Record a finished unit."""
        super().add(key, value)
        self._walked[key] = _calls_in(value)


class WalkBudget(Budget):
    """A budget of calls that counts found ones too, so that a resumed search ends where one that
    was never cut would.
    """

    def __init__(self, journal: CountedJournal, most: int) -> None:
        super().__init__(max_calls=most)
        self._journal = journal

    def room(self, worst: Sequence[float]) -> int:
        """Return how many of the next calls may be made."""
        return min(len(worst), self.left)

    @property
    def left(self) -> int:
        """The calls that are left."""
        return max(0, (self.max_calls or 0) - self._journal.calls)


Score = Callable[[str, Sequence[Query], Sequence[Answer]], list[Outcome]]


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What runs templates: a System's model and sampling, a score, a journal and a budget.

    `dearest` is the most calls that one row can take, its judging included.
    """

    opened: Opened
    rendered: Callable[[PromptTemplate], Callable[[Query], Conversation]]
    score: Score
    journal: CountedJournal
    budget: WalkBudget
    dearest: int = 1
    known: dict[tuple[str, str], Outcome] = field(default_factory=dict, repr=False)

    def outcomes(
        self, template: PromptTemplate, rows: Sequence[Query], repeat: int = 0
    ) -> list[Outcome]:
        """Return the outcome of each row under a template; `repeat` asks under another seed.

        Raises BudgetSpentError where the next call would pass the budget, SelarasError where no
        row could be answered.
        """
        sampling = self.opened.system.sampling
        sampling = sampling.model_copy(update={"seed": sampling.seed + repeat})
        system = self.opened.system.model_copy(
            update={"template": template.fingerprint, "sampling": sampling}
        ).fingerprint
        todo = list({row.id: row for row in rows if (system, row.id) not in self.known}.values())
        if todo:
            job = Job(system, self.opened.model, sampling, todo, self.rendered(template))
            answers = answer_rows(job, self.journal, SILENT, "", Terms(self.budget))
            if all(answer.status == "error" for answer in answers):
                raise SelarasError(f"no row could be answered; the first said: {answers[0].error}")
            scored = self.score(system, todo, answers)
            self.known.update({(system, outcome.row): outcome for outcome in scored})
        return [self.known[system, row.id] for row in rows]

    def affords(self, rows: int, others: int = 0) -> bool:
        """Return whether the budget holds so many rows at their dearest, and other calls."""
        return self.budget.left >= rows * self.dearest + others


def project_rollouts(
    project: Project,
    opened: Opened,
    judges: Sequence[NamedJudge],
    groups: Mapping[str, str],
    walk: tuple[CountedJournal, WalkBudget],
) -> Rollouts:
    """Return rollouts that are judged as `selaras eval` judges; `groups` is each row's cluster."""
    journal, budget = walk

    def score(system: str, rows: Sequence[Query], answers: Sequence[Answer]) -> list[Outcome]:
        bench = Bench(project, system, journal, Terms(budget), SILENT)
        verdicts = [judge_answers(each, bench, rows, answers) for each in judges]
        axes = [each.judge.axis for each in judges]
        refusals = verdicts[axes.index("refusal")]
        others = [own for own in verdicts if own is not refusals]
        found = []
        for i, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            said = refusals[i][0]
            judged = judged_row(
                row, groups[row.id],
                Judgement(said.value, said.score, said.status, said.reason),
                [verdict for own in others for verdict in own[i]],
            )  # fmt: skip
            grades = [v.score for v in judged.verdicts if v.axis == "helpfulness"]
            grade = grades[0] if grades else None
            found.append(outcome_of(judged, answer.text, answer.prompt_tokens + answer.tokens,
                                    grade))  # fmt: skip
        return found

    policies = len(project.file.policies)
    asking = [each for each in judges if isinstance(each.judge, ModelJudge)]
    judging = sum(_MOST_A_QUESTION * (policies if each.by_policy else 1) for each in asking)
    return Rollouts(
        opened, lambda template: renderer(project, template), score, journal, budget, 1 + judging
    )


def exact_score(
    right: Callable[[Query, str], bool], groups: Mapping[str, str], words: Callable[[Query], str]
) -> Score:
    """Return a score by a program: `right` marks a response, `words` says what was wanted."""

    def score(_system: str, rows: Sequence[Query], answers: Sequence[Answer]) -> list[Outcome]:
        found = []
        for row, answer in zip(rows, answers, strict=True):
            good = right(row, answer.text) if answer.status == "ok" else None
            said = "that is right" if good else words(row)
            found.append(
                Outcome(
                    row.id, groups.get(row.id, row.id), good,
                    tokens=answer.prompt_tokens + answer.tokens, words=said, said=answer.text,
                    wanted=getattr(row, "response", ""),
                )
            )  # fmt: skip
        return found

    return score


def same_label(row: Query, said: str) -> bool:
    """Return whether a reply is the row's response and nothing else, whatever its case.

    Whole labels are compared: "unsafe" is not "safe", nor is a sentence that holds both.

    >>> from selaras.core.records import Example
    >>> row = Example(id="a", query="Is it?", response="safe")
    >>> [same_label(row, said) for said in ("Safe.", "unsafe", "It is safe or unsafe.")]
    [True, False, False]
    """
    wanted = getattr(row, "response", "")
    return bool(wanted) and _bare(said) == _bare(wanted)


def walk(path: Path, most: int) -> tuple[CountedJournal, WalkBudget]:
    """Return the journal of calls in a file, and a budget over all calls of one walk."""
    journal = CountedJournal(path)
    return journal, WalkBudget(journal, most)


def rows_key(rows: Sequence[Query]) -> str:
    """Return the identity of rows in their order."""
    return fingerprint([[row.id, row.fingerprint, row.expected, row.policies] for row in rows])


def _calls_in(entry: Mapping[str, Any]) -> int:
    kept = entry.get("kept")
    return len(kept) if isinstance(kept, Sequence) else 1


def _bare(text: str) -> str:
    return " ".join(text.split()).strip("*_`\"'.:()[] ").casefold()
