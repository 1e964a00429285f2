"""`assert_policy`: launch criteria as a test of the product, beside its other tests.

Nothing is written and no look is used: rows are answered anew each time, since a function's own
code says nothing of the code that it calls.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.journal import Journal
from selaras.core.manifest import new_manifest
from selaras.core.project import FILE, Gate, Project, open_project
from selaras.core.records import Query
from selaras.core.system import Sampling, System
from selaras.data import DEVELOPMENT_FIGURES, open_development, read_rows
from selaras.evaluate.capability import run_checks
from selaras.evaluate.checks import load_checks
from selaras.evaluate.figures import Judged, breaks, figures_of, is_full
from selaras.evaluate.gate import gate_state, passed, rows_of
from selaras.evaluate.gate_state import GateState
from selaras.evaluate.gate_words import gate_words, state_words
from selaras.evaluate.judging import DEFAULT_JUDGE, Bench, open_judges
from selaras.evaluate.run import judge_all
from selaras.evaluate.runner import Job, answer_rows
from selaras.evaluate.store import Evaluation
from selaras.evaluate.suite import Suite, development_suite
from selaras.evaluate.systems import Opened, named_systems, open_system, renderer
from selaras.models.application import PythonApplication
from selaras.template import PLAIN

MOST_NAMED = 10
Respond = Callable[[list[dict[str, str]]], Any]


def assert_policy(
    system: str | Respond,
    rows: str | Path | Sequence[Query] | None = None,
    *,
    gates: Sequence[Gate | Mapping[str, Any]] | None = None,
    project: str | Path | Project = ".",
    strict: bool = True,
    judges: Sequence[str] = (DEFAULT_JUDGE,),
) -> Evaluation:
    """Measure a System and return the evaluation; raises AssertionError unless the gates are met.

    The message names each criterion with its bounds, and rows that speak against it. Bounds are
    those of `selaras gate`, at .05: with few rows a criterion cannot be decided, and says how many
    would do. Violation, over-refusal and capability are measured together, whatever is asserted.

    Args:
        system: a name of selaras.yaml, a model string, or a function that takes messages
            ([{"role": "user", "content": "..."}]) and returns the response.
        rows: rows, or a JSONL file of them; the project's development rows by default.
        gates: criteria as in selaras.yaml; those of the project by default.
        project: the project, its folder, or one inside it.
        strict: whether a criterion that these rows cannot decide fails as well.
        judges: names of judges, as in `selaras eval --judge`.

    Raises:
        AssertionError: where a criterion is not met, or undecided and `strict`.
        InputError: where rows, gates or the project are wrong, or there are none.
    """
    opened = project if isinstance(project, Project) else open_project(Path(project))
    asked = _gates(opened, gates)
    suite = _suite(opened, rows)
    names = dict.fromkeys(gate.versus for gate in asked if gate.versus)
    found = _measured(opened, _opened(opened, system), suite, judges)
    others = [
        _measured(opened, _opened(opened, name), suite, judges)
        for name in names
        if name != found.name
    ]
    states = [gate_state(gate, found, others, held_out=False) for gate in asked]
    failed = [s for s in states if s.state == "not met" or (strict and s.state != "met")]
    if failed:
        raise AssertionError(_message(found, states, strict))
    return found


def _gates(project: Project, gates: Sequence[Gate | Mapping[str, Any]] | None) -> list[Gate]:
    given = project.file.gates if gates is None else gates
    if not given:
        raise InputError(
            "there is nothing to assert", path=project.root / FILE, field="gates",
            fix="give gates, or write launch criteria",
        )  # fmt: skip
    return [gate if isinstance(gate, Gate) else checked(Gate, dict(gate)) for gate in given]


def _suite(project: Project, rows: str | Path | Sequence[Query] | None) -> Suite:
    if rows is None:
        return development_suite(open_development(project))
    chosen = read_rows([Path(rows)])[0] if isinstance(rows, str | Path) else list(rows)
    if not chosen:
        raise InputError("there are no rows to measure on")
    clusters = tuple(row.cluster or row.id for row in chosen)
    return Suite(tuple(chosen), clusters, DEVELOPMENT_FIGURES)


def _opened(project: Project, system: str | Respond) -> Opened:
    if isinstance(system, str):
        ((name, spec),) = named_systems(project, [system]).items()
        return open_system(project, name, spec)
    name = getattr(system, "__name__", "function").strip("<>")
    where = f"{getattr(system, '__module__', '-')}:{name}"
    model = PythonApplication(where, system)
    known = System(name=name, model=model.identity, sampling=Sampling())
    return Opened(known, lambda: model, renderer(project, PLAIN))


def _measured(project: Project, opened: Opened, suite: Suite, judges: Sequence[str]) -> Evaluation:
    named = open_judges(judges, project)
    system = opened.system
    with tempfile.TemporaryDirectory(prefix="selaras-") as folder:
        journal = Journal(Path(folder) / "journal.jsonl")
        job = Job(system.fingerprint, opened.model, system.sampling, suite.rows, opened.render)
        answers = answer_rows(job, journal)
        checks = run_checks(job, load_checks(project, suite.checks), journal)
        judged = judge_all(named, Bench(project, system.fingerprint, journal), suite, answers)
    identities = [each.judge.identity for each in named]
    manifest = new_manifest(
        "eval", system.name, status="finished", system=system, stamp=suite.stamp,
        config={"judge": identities, "suite": suite.fingerprint},
        figures=figures_of(judged, checks),
    )  # fmt: skip
    return Evaluation(manifest, tuple(judged), tuple(checks), tuple(answers))


def _message(found: Evaluation, states: Sequence[GateState], strict: bool) -> str:
    lines = [f"{found.name} does not keep the policy on {len(found.judged)} rows:"]
    for state in states:
        lines.append(f"  {state.state}: {gate_words(state.gate)} ({'; '.join(state_words(state))})")
        if state.state != "met" and (rows := _against(found.judged, state.gate)):
            more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
            lines.append(f"    against it: {', '.join(rows[:MOST_NAMED])}{more}")
    if strict and not passed(states) and all(s.state != "not met" for s in states):
        lines.append("  more rows would decide; strict=False fails on what is shown broken only")
    return "\n".join(lines)


def _against(judged: Sequence[Judged], gate: Gate) -> list[str]:
    """Return the rows that speak against a criterion on answers, failed and unscored ones too."""
    rows = [row for row in judged if rows_of(gate)(row)]
    if gate.figure == "violation_rate":
        return [row.row for row in rows if breaks(row, gate.policy) is not False]
    good = gate.figure == "compliance_rate"
    return [row.row for row in rows if row.status != "scored" or is_full(row) != good]
