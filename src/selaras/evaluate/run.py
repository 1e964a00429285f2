"""One evaluation: a System on a suite, from the look to the manifest."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selaras.core.errors import InputError, SelarasError
from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.late import resolve
from selaras.core.manifest import (
    Manifest,
    hashes,
    new_manifest,
    read_manifest,
    with_key,
    write_manifest,
)
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project, UseCase
from selaras.core.records import Conversation, Query
from selaras.core.system import Sampling, System, SystemSpec
from selaras.data.seal import record_look, rows_path, sketch_path
from selaras.evaluate.capability import run_checks
from selaras.evaluate.figures import judged_row
from selaras.evaluate.runner import Answer, Job, answer_rows
from selaras.evaluate.store import Evaluation, read_evaluation, write_evaluation
from selaras.evaluate.suite import Check, Suite, load_checks
from selaras.judge import JUDGES, Judge, Judgement
from selaras.models.names import Place, open_model
from selaras.models.protocol import Model
from selaras.policy import load_policies
from selaras.template import PLAIN, PromptTemplate, load_prompt, render

DEFAULT_JUDGE = "refusal-rules"


@dataclass(frozen=True, slots=True)
class Opened:
    """A System with its parts in hand."""

    system: System
    model: Model
    render: Callable[[Query], Conversation]
    run: str | None = None
    prompt: str | None = None


def open_system(
    project: Project, name: str, spec: SystemSpec, progress: Progress = SILENT
) -> Opened:
    """Return a System ready to answer rows; raises InputError where a part is missing."""
    if spec.guard is not None:
        raise InputError(
            "guards cannot be measured yet", path=project.root / FILE,
            field=f"systems.{name}.guard", fix="leave it out",
        )  # fmt: skip
    model = open_model(spec.model, Place(project.root, project.runs, project.cache, progress))
    template = load_prompt(project.root / spec.prompt) if spec.prompt else PLAIN
    cases = {case.id: case.input for case in project.file.use_cases}
    system = System(
        name=name,
        model=model.identity,
        template=fingerprint([template.fingerprint, cases]),
        guard=spec.guard,
        sampling=spec.sampling,
    )
    scheme, _, argument = spec.model.partition(":")
    run = argument.partition("@")[0] if scheme == "run" else None
    return Opened(system, model, renderer(project, template), run, spec.prompt)


def named_systems(project: Project, names: Sequence[str]) -> dict[str, SystemSpec]:
    """Return the Systems of those names; a model string is a System without a prompt."""
    first = next(iter(project.file.systems.values()), None)
    found = {}
    for name in names:
        if name in project.file.systems or ":" not in name:
            found[name] = project.system_spec(name)
        else:
            sampling = first.sampling if first else Sampling()
            spec = SystemSpec(model=name, sampling=sampling)
            if found.setdefault(_safe(name), spec) != spec:
                raise InputError(
                    f"{name!r} and another System would both be called {_safe(name)!r}",
                    fix=f"name it in {FILE}",
                )
    return found


def renderer(project: Project, template: PromptTemplate) -> Callable[[Query], Conversation]:
    """Return the function that turns a row into messages under its use case."""
    plain = UseCase(id="plain", title="plain")

    def rendered(row: Query) -> Conversation:
        case = project.use_case(row.use_case) if row.use_case else plain
        return render(template, row, case).messages

    return rendered


def evaluate(
    project: Project,
    opened: Opened,
    suite: Suite,
    *,
    checks: Sequence[Check] | None = None,
    judge_name: str = DEFAULT_JUDGE,
    resume: bool = False,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure a System on a suite and return the evaluation, written under runs/.

    `checks` are the capability checks to run beside it, the project's own by default.
    A finished evaluation of the same System, rows, checks and judge is read instead of repeated;
    `resume` goes on with one that was cut off. A look is recorded before a sealed row is answered.
    Raises SealError where the budget is spent, SelarasError where no row could be answered.
    """
    if not suite.rows:
        raise InputError("there are no rows to measure on")
    judge = open_judge(judge_name)
    checks = load_checks(project) if checks is None else checks
    key = fingerprint(
        [opened.system.fingerprint, suite.fingerprint, judge.identity,
         [check.model_dump(mode="json") for check in checks]]
    )  # fmt: skip
    if known := with_key(project.runs, "eval", key, "finished"):
        progress.say(f"{opened.system.name}: measured already, read from {known.id}")
        return read_evaluation(project, known.id)
    manifest = with_key(project.runs, "eval", key, "running") if resume else None
    if manifest is None:
        manifest = _manifest(project, opened, suite, judge, key)
    if suite.seal:
        record_look(project, suite.seal, opened.system, manifest.id)
    folder = write_manifest(project.runs, manifest)
    begun = time.monotonic()
    journal = Journal(folder / "journal.jsonl")
    job = Job(opened.system.fingerprint, opened.model, opened.system.sampling,
              suite.rows, opened.render)  # fmt: skip
    answers = answer_rows(job, journal, progress, f"{opened.system.name}: answering")
    if all(answer.status == "error" for answer in answers):
        raise SelarasError(f"no row could be answered; the first said: {answers[0].error}")
    judged = [
        judged_row(row, cluster, judgement_of(judge, row, answer))
        for row, cluster, answer in zip(suite.rows, suite.clusters, answers, strict=True)
    ]
    results = run_checks(job, checks, journal, progress)
    seconds = time.monotonic() - begun
    return write_evaluation(project, manifest, judged, results, answers, seconds)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:100] or "system"


def open_judge(name: str) -> Judge:
    """Return the judge of that name; raises InputError with the names there are."""
    if name not in JUDGES:
        raise InputError(f"no judge {name!r}", fix=f"use one of: {', '.join(JUDGES)}")
    judge: Judge = resolve(JUDGES[name])
    return judge


def judgement_of(judge: Judge, row: Query, answer: Answer) -> Judgement:
    """Return the judge's judgement of an answer; an answer that failed is an error, not a 0."""
    if answer.status == "error":
        return Judgement(None, None, "error", answer.error or "no answer")
    return judge.judge(row.query, answer.text)


def _manifest(project: Project, opened: Opened, suite: Suite, judge: Judge, key: str) -> Manifest:
    notes = []
    parents = []
    if opened.run:
        parents.append(opened.run)
        tuned_under = read_manifest(project.runs, opened.run).seal
        if suite.seal and tuned_under != suite.seal.id:
            notes.append(f"not held out for run {opened.run}: it was tuned under another seal")
    sealed = [rows_path(project), sketch_path(project)] if suite.seal else []
    rows = list(project.data_files) if not suite.seal else sealed
    read = [project.root / name for name in (opened.prompt, project.file.capability) if name]
    policies = {policy.id: policy.revision for policy in load_policies(project).values()}
    return new_manifest(
        "eval",
        opened.system.name,
        config={"key": key, "judge": judge.identity, "suite": suite.fingerprint},
        seed=opened.system.sampling.seed,
        system=opened.system,
        policies=policies,
        parents=parents,
        inputs=hashes(project.root, [project.root / FILE, project.decisions, *rows, *read]),
        seal=suite.seal.id if suite.seal else None,
        stamp=suite.stamp,
        notes=notes,
    )
