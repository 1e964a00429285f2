"""Capability checks: what a System could do before it was made safe, and should still do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Conversation, Query
from selaras.evaluate.calls import Terms, plan_batches
from selaras.evaluate.checks import Check, ChoiceCheck, Generated
from selaras.evaluate.guarding import Guarding, blocked_queries, guarded_answers
from selaras.evaluate.runner import Job, answer_rows
from selaras.evaluate.verifiers import passes
from selaras.models.protocol import Choice, Scorer

BLOCK = 32
NO_LOG_PROBABILITIES = "the model gives no log-probabilities"
BLOCKED = "blocked by the guard"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether one check was passed; None where it could not be run, with the reason."""

    check: str
    passed: bool | None
    reason: str | None = None


def run_checks(
    job: Job,
    checks: Sequence[Check],
    journal: Journal,
    progress: Progress = SILENT,
    terms: Terms | None = None,
    guard: Guarding | None = None,
) -> list[CheckResult]:
    """Return the results in the order of the checks.

    Choices are decided by the summed log-probability of each candidate as the whole reply; a model
    without log-probabilities leaves them unscored. All other answers are generated and verified.
    A check whose question or answer the `guard` blocks is not passed.
    """
    choices = [check for check in checks if isinstance(check, ChoiceCheck)]
    generated = [check for check in checks if not isinstance(check, ChoiceCheck)]
    results = {result.check: result for result in _choices(job, choices, journal, progress)}
    results |= {
        result.check: result
        for result in _generated(job, generated, journal, progress, terms, guard)
    }
    if guard:
        blocked = blocked_queries(guard, [job.render(_row(check)) for check in choices])
        for check, hit in zip(choices, blocked, strict=True):
            if hit:
                results[check.id] = CheckResult(check.id, False, BLOCKED)
    return [results[check.id] for check in checks]


def _choices(
    job: Job, checks: Sequence[ChoiceCheck], journal: Journal, progress: Progress
) -> list[CheckResult]:
    if not isinstance(job.model, Scorer):
        return [CheckResult(c.id, None, NO_LOG_PROBABILITIES) for c in checks]
    results: list[CheckResult] = []
    with progress.task("capability checks", len(checks)) as task:
        for batch in plan_batches([len(check.query) for check in checks], BLOCK):
            block = [checks[i] for i in batch]
            key = fingerprint([job.system, "choices", [check.model_dump() for check in block]])
            entry = journal.get(key)
            if entry is None:
                entry = {"picked": _picked(job.model, job.render, block)}
                journal.add(key, entry)
            for check, picked in zip(block, entry["picked"], strict=True):
                results.append(
                    CheckResult(check.id, None, picked)
                    if isinstance(picked, str)
                    else CheckResult(check.id, picked == check.answer)
                )
            task.advance(len(block))
    return results


def _picked(
    model: Scorer, render: Callable[[Query], Conversation], block: Sequence[ChoiceCheck]
) -> list[int | str]:
    """Return the number of the likeliest candidate, or why there is none, for each check."""
    asked = [Choice(render(_row(check)), check.choices) for check in block]
    picked: dict[int, int | str] = {}
    for scores in model.score(asked):
        values = scores.log_probabilities
        picked[scores.index] = scores.error or max(range(len(values)), key=values.__getitem__)
    return [picked[i] for i in range(len(block))]


def _generated(
    job: Job,
    checks: Sequence[Generated],
    journal: Journal,
    progress: Progress,
    terms: Terms | None,
    guard: Guarding | None,
) -> list[CheckResult]:
    if not checks:
        return []
    asked = Job(job.system, job.model, job.sampling, [_row(c) for c in checks], job.render)
    answers = answer_rows(asked, journal, progress, "capability answers", terms)
    if guard:
        answers = guarded_answers(guard, asked, answers, journal, progress)
    return [
        CheckResult(check.id, False, BLOCKED)
        if answer.guard and answer.guard["action"] == "block"
        else CheckResult(check.id, *passes(check, answer.text))
        if answer.status == "ok"
        else CheckResult(check.id, None, answer.error)
        for check, answer in zip(checks, answers, strict=True)
    ]


def _row(check: Any) -> Query:
    return Query(id=check.id, query=check.query)
