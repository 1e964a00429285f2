"""Which evaluations are meant: those of a gate, and those of Systems that are named."""

from collections.abc import Collection, Sequence

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


def measured_on(project: Project, suites: Collection[str]) -> list[Evaluation]:
    """Return the finished evaluations on suites of these names, newest first."""
    return [
        read_evaluation(project, m.id)
        for m in reversed(ledger(project.runs))
        if (m.kind, m.status) == ("eval", "finished") and m.config.get("suite_name") in suites
    ]


def reference_of(
    project: Project, evaluation: Evaluation, others: Sequence[Evaluation], named: str | None
) -> Evaluation | None:
    """Return the evaluation to show beside a gate's: the one that is named, or that of a `versus`.

    Raises InputError where one is named that was not measured on the same rows.
    """
    name = named or next((gate.versus for gate in project.file.gates if gate.versus), None)
    found = next((e for e in others if name in (e.name, e.manifest.id)), None)
    if named and found is None:
        raise InputError(
            f"{named!r} was not measured on the rows of {evaluation.manifest.id}",
            fix="name a System or run that was, or measure it: selaras eval",
        )
    return found


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


def runs_named(project: Project, names: Sequence[str]) -> list[Evaluation]:
    """Return the evaluations of these runs or Systems, in their order.

    Of Systems, the newest evaluations on rows that all of them were measured on, sealed rows before
    development rows. Raises InputError where there are none.
    """
    done = [m for m in ledger(project.runs) if (m.kind, m.status) == ("eval", "finished")]
    systems = [name for name in names if not (project.runs / name).is_dir()]
    by_suite: dict[tuple[bool, str], dict[str, str]] = {}
    for manifest in done:
        if manifest.system:
            key = (manifest.seal is not None, str(manifest.config.get("suite")))
            # Taken out first, so that the suite measured last comes last.
            own = by_suite.pop(key, {})
            by_suite[key] = {**own, manifest.system.name: manifest.id}
    shared = [key for key, own in by_suite.items() if all(name in own for name in systems)]
    if systems and not shared:
        known = {m.system.name for m in done if m.system}
        missing = [name for name in systems if name not in known]
        # The run's own error names the newest ones.
        if missing:
            read_evaluation(project, missing[0])
        raise InputError(
            f"{', '.join(systems)} were not measured on the same rows",
            fix=f"run: selaras eval {' '.join(systems)}",
        )
    chosen = by_suite[max(shared, key=lambda key: (key[0], shared.index(key)))] if systems else {}
    return [read_evaluation(project, chosen.get(name, name)) for name in names]
