"""Evaluations in their folders: verdicts, checks, answers and the manifest with the figures.

No query of a sealed row is in any of these files: they hold ids, judgements and outputs.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import read_jsonl, write_jsonl
from selaras.core.fingerprint import sha256_file
from selaras.core.manifest import Manifest, hashes, ledger, read_manifest, write_manifest
from selaras.core.project import Project
from selaras.data.opened import spent_rows
from selaras.evaluate.capability import NO_LOG_PROBABILITIES, CheckResult
from selaras.evaluate.figures import Judged, figures_of
from selaras.evaluate.runner import Answer
from selaras.judge import Verdict

Value = TypeVar("Value", Judged, CheckResult, Answer)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished evaluation. `opened` are sealed rows that were opened to be read: they are not
    among `judged`, and count in no figure.
    """

    manifest: Manifest
    judged: tuple[Judged, ...]
    checks: tuple[CheckResult, ...]
    answers: tuple[Answer, ...]
    opened: tuple[Judged, ...] = ()

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
    return _unspent(project, Evaluation(done, tuple(judged), tuple(checks), tuple(answers)))


def read_evaluation(project: Project, run_id: str) -> Evaluation:
    """Return a finished evaluation from its folder, without rows that were opened since.

    Raises InputError where it is none, was cut off, or was changed since.
    """
    manifest = read_manifest(project.runs, run_id)
    if (manifest.kind, manifest.status) == ("eval", "running"):
        raise _cut_off(project.runs / run_id, manifest)
    if manifest.kind != "eval" or manifest.status != "finished":
        raise InputError(
            f"run {run_id!r} is a {manifest.status} {manifest.kind} run",
            fix="name a finished evaluation (selaras trace lists the runs)",
        )
    return _unspent(
        project,
        Evaluation(
            manifest,
            _read(project, manifest, "verdicts.jsonl", Judged),
            _read(project, manifest, "checks.jsonl", CheckResult),
            _read(project, manifest, "answers.jsonl", Answer),
        ),
    )


def with_rows(
    evaluation: Evaluation, keep: Callable[[Judged], bool], note: str | None = None
) -> Evaluation:
    """Return the evaluation over some of its rows, with their figures."""
    judged = tuple(row for row in evaluation.judged if keep(row))
    changes: dict[str, Any] = {"figures": figures_of(judged, evaluation.checks)}
    if note:
        changes["notes"] = (*evaluation.manifest.notes, note)
    opened = tuple(row for row in evaluation.opened if keep(row))
    kept = {row.row for row in (*judged, *opened)}
    return dataclasses.replace(
        evaluation,
        manifest=evaluation.manifest.model_copy(update=changes),
        judged=judged,
        opened=opened,
        answers=tuple(answer for answer in evaluation.answers if answer.row in kept),
    )


def _unspent(project: Project, evaluation: Evaluation) -> Evaluation:
    """Return the evaluation without the sealed rows that were opened to be read."""
    spent = spent_rows(project) if evaluation.manifest.seal else frozenset()
    variants = bool(evaluation.manifest.config.get("suite_name"))
    opened = tuple(row for row in evaluation.judged if _is_of(row.row, spent, variants))
    if not opened:
        return evaluation
    note = f"{len(opened)} rows were opened to be read and count no more"
    gone = {row.row for row in opened}
    counted = with_rows(evaluation, lambda row: row.row not in gone, note)
    return dataclasses.replace(counted, opened=opened, answers=evaluation.answers)


def _is_of(row: str, spent: frozenset[str], variants: bool) -> bool:
    """Return whether a row was opened, or in a suite a variant of one (`ID.attack`, `ID.repeat-1`),
    whose text is then known as well.
    """
    if row in spent or not variants:
        return row in spent
    return any(row[:i] in spent for i, letter in enumerate(row) if letter == ".")


def _cut_off(folder: Path, manifest: Manifest) -> InputError:
    """Return the error of a run that did not finish: how far its journal goes, how to go on."""
    path = folder / "journal.jsonl"
    raw = path.read_bytes() if path.is_file() else b""
    done, torn = raw.count(b"\n"), bool(raw) and not raw.endswith(b"\n")
    said = f"run {manifest.id!r} did not finish: {done} batches or calls are in its journal"
    if torn:
        said += ", and a last line that was cut short, which will be done again"
    name = manifest.system.name if manifest.system else "NAME"
    return InputError(said, path=path, fix=f"go on with: selaras eval {name} --resume")


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


def _read(project: Project, manifest: Manifest, name: str, model: type[Value]) -> tuple[Value, ...]:
    path = project.runs / manifest.id / name
    _check_unchanged(project, manifest, path)
    values = []
    for line, value in read_jsonl(path):
        try:
            if "policies" in value:
                value["policies"] = tuple(value["policies"])
            if "verdicts" in value:
                value["verdicts"] = tuple(map(Verdict.from_dict, value["verdicts"]))
            values.append(model(**value))
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(
                "not a result of this version", path=path, line=line, fix=_again(manifest)
            ) from error
    return tuple(values)


def _check_unchanged(project: Project, manifest: Manifest, path: Path) -> None:
    """Raise InputError, with the line where one is broken, for a file that the run did not write.

    A line that is lacking or reads otherwise would change figures, and nobody would see it.
    """
    written = manifest.outputs.get(next(iter(hashes(project.root, [path])), ""))
    if not path.is_file():
        raise InputError("a result of this run is not here", path=path, fix=_again(manifest))
    if written is None or written == sha256_file(path):
        return
    line = None
    try:
        count = sum(1 for _ in read_jsonl(path))
        what = f"{count} whole lines, but not those that the run wrote: it was cut or edited since"
    except InputError as error:
        what, line = f"{error.what}: it was cut or edited since the run wrote it", error.line
    raise InputError(what, path=path, line=line, fix=_again(manifest))


def _again(manifest: Manifest) -> str:
    name = manifest.system.name if manifest.system else "NAME"
    return (
        f"put the file back as it was, or delete the folder {manifest.id} and measure again "
        f"(selaras eval {name}), which costs no second look"
    )
