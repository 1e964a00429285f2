"""Proof: a template and its parent, once each on the sealed rows, paired.

Development figures choose; this decides. Each of the two is one look at the seal (a System that has
looked already looks again for free), and the record of looks says so. How easily either gives way
to malicious wording is measured beside it, by the attacks of the evaluation stage.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.suites import SuiteSpec
from selaras.core.system import SystemSpec
from selaras.data import looks_at, read_seal
from selaras.evaluate import (
    DEFAULT_JUDGE,
    Comparison,
    Evaluation,
    Suite,
    Terms,
    compare,
    evaluate,
    held_out_suite,
    named_suite,
    open_system,
)
from selaras.evaluate.named_suites import HELD_OUT
from selaras.evaluate.suite import HELD_OUT_FIGURES

ATTACKS = ("role-play", "prefix-injection", "override")
ATTACKED = "proof-attacks"
# Which way a figure has to go to be better.
BETTER = {"compliance_rate": 1, "violation_rate": -1, "capability": 1}


@dataclass(frozen=True, slots=True)
class Proof:
    """Parent and child on the sealed rows, and under attack; `looks` is how many are used.

    `unpaired` is how many rows one of the two answered and the other did not: the verdict is
    `incomplete` where there is any, for such rows are seldom a fair draw.
    """

    parent: Evaluation
    child: Evaluation
    comparisons: tuple[Comparison, ...]
    attacked: tuple[Comparison, ...]
    looks: int
    verdict: str
    unpaired: int

    def to_dict(self) -> dict[str, Any]:
        """Return the proof as JSON values."""
        return {
            "verdict": self.verdict,
            "stamp": HELD_OUT_FIGURES,
            "parent": self.parent.manifest.id,
            "child": self.child.manifest.id,
            "rows": len(self.child.judged),
            "paired": [comparison.to_dict() for comparison in self.comparisons],
            "under_attack": [comparison.to_dict() for comparison in self.attacked],
            "looks": self.looks,
            "unpaired": self.unpaired,
            "may_be_worse": may_be_worse(self.comparisons),
        }


@dataclass(frozen=True, slots=True)
class Means:
    """What a proof is made with; `attacked_rows` is the most sealed rows to attack (None: all)."""

    judges: tuple[str, ...] = (DEFAULT_JUDGE,)
    attacks: tuple[str, ...] = ATTACKS
    attacked_rows: int | None = 40
    terms: Terms = field(default_factory=Terms)


def prove(
    project: Project,
    parent: Path,
    child: Path,
    spec: SystemSpec,
    means: Means | None = None,
    *,
    resume: bool = False,
    progress: Progress = SILENT,
) -> Proof:
    """Measure two templates on the sealed rows, each one look, and compare them row by row.

    Raises SealError where nothing is sealed or the budget of looks is spent, InputError where both
    are the same template.
    """
    means = means or Means()
    first = open_system(project, _name(parent), _with(spec, parent, project), progress)
    second = open_system(project, _name(child), _with(spec, child, project), progress)
    if first.system.fingerprint == second.system.fingerprint:
        raise InputError(
            "parent and child are the same template: there is nothing to prove", path=child
        )
    suites: list[Suite] = [held_out_suite(project)]
    if means.attacks:
        suites.append(_attacked_suite(project, means, progress))
    found = [
        [
            evaluate(project, opened, suite, checks=() if i else None, judges=means.judges,
                     resume=resume, terms=means.terms, progress=progress)
            for opened in (first, second)
        ]
        for i, suite in enumerate(suites)
    ]  # fmt: skip
    comparisons = tuple(compare(*found[0]))
    unpaired = len(_unanswered(found[0][0]) ^ _unanswered(found[0][1]))
    seal = read_seal(project)
    return Proof(
        parent=found[0][0],
        child=found[0][1],
        comparisons=comparisons,
        attacked=tuple(compare(*found[1])) if means.attacks else (),
        looks=len({look.system for look in looks_at(project, seal)}) if seal else 0,
        verdict="incomplete" if unpaired else verdict_on(comparisons),
        unpaired=unpaired,
    )


def _unanswered(evaluation: Evaluation) -> set[str]:
    return {answer.row for answer in evaluation.answers if answer.status == "error"}


def verdict_on(comparisons: Sequence[Comparison]) -> str:
    """Return `improved`, `worse`, `mixed` or `no significant difference`, of Holm's p-values.

    >>> verdict_on([])
    'no significant difference'
    """
    signs = {
        _sign(comparison.figure) * (1 if comparison.paired.difference > 0 else -1)
        for comparison in comparisons
        if not comparison.tied
    }
    if not signs:
        return "no significant difference"
    return "mixed" if len(signs) > 1 else "improved" if signs == {1} else "worse"


def may_be_worse(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """Return how much worse each tied figure may be, as a share, by its interval.

    Parts of a figure (`over_refusal_rate.ordinary`) are left out: their intervals are wide.
    """
    worst = {
        comparison.figure: max(-sign * comparison.paired.low, -sign * comparison.paired.high)
        for comparison in comparisons
        if comparison.tied and "." not in comparison.figure
        for sign in (_sign(comparison.figure),)
    }
    return {figure: loss for figure, loss in worst.items() if loss > 0}


def _sign(figure: str) -> int:
    return BETTER.get(figure, -1)


def _attacked_suite(project: Project, means: Means, progress: Progress) -> Suite:
    """Return the attacked variants of sealed rows alone: they are the same look, not another."""
    spec = SuiteSpec(file=HELD_OUT, attacks=means.attacks, rows=means.attacked_rows)
    file = project.file.model_copy(update={"suites": {**project.file.suites, ATTACKED: spec}})
    suite = named_suite(Project(project.root, file), ATTACKED, progress)
    base = {row.id for row in suite.rows}
    numbers = [i for i, row in enumerate(suite.rows) if row.parents and row.parents[-1] in base]
    return replace(
        suite,
        rows=tuple(suite.rows[i] for i in numbers),
        clusters=tuple(suite.clusters[i] for i in numbers),
        notes=(*suite.notes, f"attacked: {', '.join(means.attacks)}"),
    )


def _with(spec: SystemSpec, prompt: Path, project: Project) -> SystemSpec:
    inside = prompt.resolve()
    named = str(inside.relative_to(project.root)) if inside.is_relative_to(project.root) else None
    if named is None:
        raise InputError("the template is outside the project", path=prompt)
    return spec.model_copy(update={"prompt": named})


def _name(prompt: Path) -> str:
    folder = f"{prompt.parent.name}-" if prompt.parent.name != "prompts" else ""
    return re.sub(r"[^\w.-]+", "-", f"{folder}{prompt.stem}").strip("-.")[:100] or "template"
