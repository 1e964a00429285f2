"""Evaluations in their folders: verdicts, checks, answers and the manifest with the figures.

No query of a sealed row is in any of these files: they hold ids, judgements and outputs.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import read_jsonl, write_jsonl
from selaras.core.manifest import Manifest, hashes, ledger, read_manifest, write_manifest
from selaras.core.project import Project
from selaras.evaluate.capability import NO_LOG_PROBABILITIES, CheckResult
from selaras.evaluate.figures import Judged, figures_of
from selaras.evaluate.runner import Answer
from selaras.judge import Verdict

Value = TypeVar("Value", Judged, CheckResult, Answer)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished evaluation."""

    manifest: Manifest
    judged: tuple[Judged, ...]
    checks: tuple[CheckResult, ...]
    answers: tuple[Answer, ...]

    @property
    def name(self) -> str:
        """The System's name."""
        return self.manifest.system.name if self.manifest.system else self.manifest.id

    @property
    def figures(self) -> dict[str, Any]:
        """The figures, as JSON values."""
        return self.manifest.figures


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return what a program wants to know of an evaluation, as JSON values."""
    manifest = evaluation.manifest
    return {
        "name": evaluation.name,
        "fingerprint": manifest.system.fingerprint if manifest.system else None,
        "run": manifest.id,
        "stamp": manifest.stamp,
        "figures": manifest.figures,
        "notes": list(manifest.notes),
    }


def failures(evaluation: Evaluation) -> int:
    """Return how many answers, judgements and checks failed and could be tried again."""
    statuses = [answer.status for answer in evaluation.answers]
    statuses += [verdict.status for row in evaluation.judged for verdict in row.verdicts]
    return statuses.count("error") + sum(
        check.passed is None and check.reason != NO_LOG_PROBABILITIES for check in evaluation.checks
    )


def newest_together(project: Project) -> list[str]:
    """Return the ids of the newest finished evaluation of each System on the newest suite.

    Raises InputError where nothing was evaluated.
    """
    done = [m for m in ledger(project.runs) if (m.kind, m.status) == ("eval", "finished")]
    if not done:
        raise InputError("no finished evaluation", path=project.runs, fix="run: selaras eval")
    suite = done[-1].config["suite"]
    newest = {m.system.name: m.id for m in done if m.system and m.config["suite"] == suite}
    return list(newest.values())


def write_evaluation(
    project: Project,
    manifest: Manifest,
    judged: Sequence[Judged],
    checks: Sequence[CheckResult],
    answers: Sequence[Answer],
    seconds: float,
) -> Evaluation:
    """Write the files of a finished evaluation, the manifest last, and return it."""
    folder = project.runs / manifest.id
    _write(folder / "verdicts.jsonl", judged)
    _write(folder / "checks.jsonl", checks)
    _write(folder / "answers.jsonl", answers)
    done = manifest.model_copy(
        update={
            "status": "finished",
            "finished": now(),
            "seconds": round(seconds, 1),
            "figures": figures_of(judged, checks),
            "notes": (*manifest.notes, *_notes(manifest, answers)),
            "outputs": hashes(project.root, folder.glob("*.jsonl")),
        }
    )
    write_manifest(project.runs, done)
    return Evaluation(done, tuple(judged), tuple(checks), tuple(answers))


def read_evaluation(project: Project, run_id: str) -> Evaluation:
    """Return a finished evaluation from its folder; raises InputError where it is none."""
    manifest = read_manifest(project.runs, run_id)
    if manifest.kind != "eval" or manifest.status != "finished":
        raise InputError(
            f"run {run_id!r} is a {manifest.status} {manifest.kind} run",
            fix="name a finished evaluation (selaras trace lists the runs)",
        )
    folder = project.runs / run_id
    return Evaluation(
        manifest,
        tuple(_read(folder / "verdicts.jsonl", Judged)),
        tuple(_read(folder / "checks.jsonl", CheckResult)),
        tuple(_read(folder / "answers.jsonl", Answer)),
    )


def _notes(manifest: Manifest, answers: Sequence[Answer]) -> list[str]:
    """Return what a reader has to know of the answers: cut short, or another model's."""
    cut = sum(answer.finish == "length" for answer in answers)
    limit = manifest.system.sampling.max_tokens if manifest.system else "?"
    notes = [f"{cut} of {len(answers)} answers were cut at {limit} tokens"] if cut else []
    asked = manifest.system.model.get("name", "?") if manifest.system else "?"
    for served, count in Counter(a.served for a in answers if a.served).most_common(5):
        notes.append(f"{count} answers came from {served!r}, as the endpoint says, not {asked}")
    return notes


def _write(path: Path, values: Sequence[Judged] | Sequence[CheckResult] | Sequence[Answer]) -> None:
    write_jsonl(path, (dataclasses.asdict(value) for value in values))


def _read(path: Path, model: type[Value]) -> list[Value]:
    values = []
    for line, value in read_jsonl(path):
        if "policies" in value:
            value["policies"] = tuple(value["policies"])
        if "verdicts" in value:
            value["verdicts"] = tuple(map(Verdict.from_dict, value["verdicts"]))
        try:
            values.append(model(**value))
        except TypeError as error:
            raise InputError("not a file of this version", path=path, line=line) from error
    return values
