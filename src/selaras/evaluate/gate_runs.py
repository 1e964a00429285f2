"""Which evaluations a gate is about: the candidate's newest one, and those beside it."""

from selaras.core.errors import InputError
from selaras.core.manifest import Manifest, ledger
from selaras.core.project import FILE, Project
from selaras.evaluate.store import Evaluation, read_evaluation


def gate_runs(project: Project, named: str | None = None) -> tuple[Evaluation, list[Evaluation]]:
    """Return the evaluation that is to pass, and the others on the same rows, newest first.

    `named` is a run or a System; without it, the project's `candidate`, or the only System that was
    measured. Of a System, the newest evaluation on sealed rows counts before any on development
    rows. Raises InputError where there is none, or where nothing says which.
    """
    done = [m for m in ledger(project.runs) if (m.kind, m.status) == ("eval", "finished")]
    done.reverse()
    if not done:
        raise InputError("no finished evaluation", path=project.runs, fix="run: selaras eval")
    chosen = _run(project, done, named)
    suite = chosen.config.get("suite")
    others = [m for m in done if m.config.get("suite") == suite and m.id != chosen.id]
    return read_evaluation(project, chosen.id), [read_evaluation(project, m.id) for m in others]


def _run(project: Project, done: list[Manifest], named: str | None) -> Manifest:
    if named is not None and (run := next((m for m in done if m.id == named), None)):
        return run
    systems = list(dict.fromkeys(m.system.name for m in done if m.system))
    name = named or project.file.candidate or (systems[0] if len(systems) == 1 else None)
    if name is None:
        raise InputError(
            f"{len(systems)} Systems were measured, and nothing says which one is to be launched",
            path=project.root / FILE, field="candidate", fix=f"name one of: {', '.join(systems)}",
        )  # fmt: skip
    own = [m for m in done if m.system and m.system.name == name]
    if not own:
        raise InputError(
            f"{name!r} is neither a finished evaluation nor a System that was measured",
            path=project.runs, fix=f"run: selaras eval {name}",
        )  # fmt: skip
    return next((m for m in own if m.seal), own[0])
