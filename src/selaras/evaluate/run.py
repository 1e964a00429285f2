"""One evaluation: a System on a suite, from the look to the manifest."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from selaras.core.errors import InputError, SelarasError
from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.manifest import (
    Manifest,
    hashes,
    ledger,
    new_manifest,
    newest,
    read_manifest,
    with_key,
    write_manifest,
)
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project
from selaras.data.seal import record_look, rows_path, sketch_path
from selaras.evaluate.calls import Terms
from selaras.evaluate.capability import run_checks
from selaras.evaluate.checks import Check, load_checks
from selaras.evaluate.figures import Judged, judged_row
from selaras.evaluate.guarding import guarded_answers
from selaras.evaluate.judging import (
    DEFAULT_JUDGE,
    Bench,
    NamedJudge,
    judge_answers,
    open_judges,
)
from selaras.evaluate.paying import metered
from selaras.evaluate.runner import Answer, Job, answer_rows
from selaras.evaluate.store import Evaluation, failures, read_evaluation, write_evaluation
from selaras.evaluate.suite import Suite
from selaras.evaluate.systems import Opened
from selaras.judge import Judgement, Verdict
from selaras.policy import load_policies, policy_text

JOURNAL = "journal.jsonl"


def evaluate(
    project: Project,
    opened: Opened,
    suite: Suite,
    *,
    checks: Sequence[Check] | None = None,
    judges: Sequence[str] = (DEFAULT_JUDGE,),
    resume: bool = False,
    terms: Terms | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure a System on a suite and return the evaluation, written under runs/.

    `checks` are the capability checks to run beside it, by default the project's own for choosing,
    or with sealed rows for reporting; `judges` are
    names (see `selaras.judge`), to which the refusal rules are added where none tells refusals.
    A finished evaluation of the same System, rows, checks and judge is read instead of repeated,
    without opening the model; with `terms.retry_errors`, what failed in it is done again in a run
    of its own. `resume` goes on with one that was cut off. Answers of a finished evaluation of the
    same System and rows are used again. A look is recorded before a sealed row is answered.
    Raises SealError where the budget of looks is spent, BudgetSpentError where that of calls is,
    SelarasError where no row could be answered.
    """
    if not suite.rows:
        raise InputError("there are no rows to measure on")
    terms = terms or Terms()
    named = open_judges(judges, project)
    checks = load_checks(project, suite.checks) if checks is None else checks
    asked = [check.model_dump(mode="json") for check in checks]
    key = fingerprint(
        [opened.system.fingerprint, suite.fingerprint, [each.judge.identity for each in named],
         asked, *([suite.name] if suite.name else [])]
    )  # fmt: skip
    identity = {"key": key, "checks": fingerprint(asked)}
    if known := with_key(project.runs, "eval", key, "finished"):
        done = read_evaluation(project, known.id)
        if not (terms.retry_errors and failures(done)):
            progress.say(f"{opened.system.name}: measured already, read from {known.id}")
            for name, policy in load_policies(project).items():
                if known.policies.get(name, policy.revision) != policy.revision:
                    progress.say(
                        f"policy {name} is at revision {policy.revision} now; these judges "
                        f"do not read it"
                    )
            return done
    manifest = with_key(project.runs, "eval", key, "running") if resume else None
    if manifest is None:
        manifest = _manifest(project, opened, suite, named, identity, progress)
    if suite.seal:
        record_look(project, suite.seal, opened.system, manifest.id)
    folder = write_manifest(project.runs, manifest)
    begun = time.monotonic()
    if opened.guard:
        # Its judge asks a model on its own: these calls are the run's too.
        guard = opened.guard.through(partial(metered, budget=terms.budget))
        opened = replace(opened, guard=guard)
    journal = Journal(folder / JOURNAL)
    job, answers = _answered(opened, suite, journal, progress, terms)
    if all(answer.status == "error" for answer in answers):
        raise SelarasError(f"no row could be answered; the first said: {answers[0].error}")
    bench = Bench(project, opened.system.fingerprint, journal, terms, progress)
    judged = judge_all(named, bench, suite, answers)
    results = run_checks(job, checks, journal, progress, terms, opened.guard)
    seconds = time.monotonic() - begun
    return write_evaluation(project, manifest, judged, results, answers, seconds)


def _answered(
    opened: Opened, suite: Suite, journal: Journal, progress: Progress, terms: Terms
) -> tuple[Job, list[Answer]]:
    """Return the job of the first seed, and the answers of all rows, each under its own seed."""
    system, title = opened.system.bare, f"{opened.system.name}: answering"
    seeds = suite.seeds or (0,) * len(suite.rows)
    if any(seeds) and system.sampling.temperature == 0:
        progress.say(
            "repeats are greedy: at temperature 0 they are as alike as the model is steady"
        )
    answers: dict[int, Answer] = {}
    jobs = []
    for seed in sorted(set(seeds)):
        numbers = [i for i, own in enumerate(seeds) if own == seed]
        sampling = system.sampling.model_copy(update={"seed": system.sampling.seed + seed})
        rows = [suite.rows[i] for i in numbers]
        jobs.append(
            Job(system.fingerprint, opened.model, sampling, rows, opened.render, opened.until)
        )
        found = answer_rows(jobs[-1], journal, progress, title, terms)
        if opened.guard:
            title_ = f"{system.name}: guarding"
            found = guarded_answers(opened.guard, jobs[-1], found, journal, progress, title_)
        answers |= dict(zip(numbers, found, strict=True))
    return jobs[0], [answers[i] for i in range(len(suite.rows))]


def judge_all(
    named: Sequence[NamedJudge], bench: Bench, suite: Suite, answers: Sequence[Answer]
) -> list[Judged]:
    """Return every row with its refusal and all verdicts, in the suite's order."""
    by_judge = [judge_answers(each, bench, suite.rows, answers) for each in named]
    axes = [each.judge.axis for each in named]
    refusals = by_judge[axes.index("refusal")]
    others = [own for axis, own in zip(axes, by_judge, strict=True) if own is not refusals]
    return [
        judged_row(
            row, cluster, _judgement(refusals[i]),
            [verdict for own in others for verdict in own[i]], answers[i].guard,
        )
        for i, (row, cluster) in enumerate(zip(suite.rows, suite.clusters, strict=True))
    ]  # fmt: skip


def _judgement(verdicts: Sequence[Verdict]) -> Judgement:
    if not verdicts:
        return Judgement(None, None, "unscored", "the judge was given no case")
    first = verdicts[0]
    return Judgement(first.value, first.score, first.status, first.reason)


def _manifest(
    project: Project,
    opened: Opened,
    suite: Suite,
    named: Sequence[NamedJudge],
    identity: Mapping[str, str],
    progress: Progress,
) -> Manifest:
    """Return the manifest of a new run, with what can be used of an earlier one in its journal."""
    notes = list(suite.notes)
    if shown := {row.id for row in suite.rows} & {*opened.examples}:
        notes.append(f"{len(shown)} of the rows are few-shot examples of this System's prompt")
    parents = []
    refusal = next(each for each in named if each.judge.axis == "refusal")
    earlier = _answered_by(project, opened, suite)
    if opened.run:
        parents.append(opened.run)
        tuned_under = read_manifest(project.runs, opened.run).seal
        if suite.seal and tuned_under != suite.seal.id:
            notes.append(f"not held out for run {opened.run}: it was tuned under another seal")
    sealed = [rows_path(project), sketch_path(project)] if suite.seal else []
    rows = list(project.data_files) if not suite.seal else sealed
    own = (opened.prompt, project.checks_file, opened.guard_file)
    read = [project.root / name for name in own if name]
    policies = {policy.id: policy.revision for policy in load_policies(project).values()}
    texts = {name: fingerprint(policy_text(p)) for name, p in load_policies(project).items()}
    manifest = new_manifest(
        "eval",
        opened.system.name,
        config={
            **identity,
            "judge": refusal.judge.identity,
            "judges": [
                {"name": each.name, "axis": each.judge.axis, "identity": each.judge.identity}
                for each in named
            ],
            "suite": suite.fingerprint,
            **({"suite_name": suite.name} if suite.name else {}),
            "policy_texts": texts,
        },
        seed=opened.system.sampling.seed,
        system=opened.system,
        policies=policies,
        parents=[*parents, *([earlier.id] if earlier else [])],
        inputs=hashes(project.root, [project.root / FILE, project.decisions, *rows, *read]),
        seal=suite.seal.id if suite.seal else None,
        stamp=suite.stamp,
        notes=notes,
    )
    for line in changed_policies(earlier, manifest) if earlier else ():
        progress.say(line)
    journal = project.runs / earlier.id / JOURNAL if earlier else None
    if journal and journal.is_file():
        (project.runs / manifest.id).mkdir(parents=True)
        shutil.copyfile(journal, project.runs / manifest.id / JOURNAL)
    return manifest


def changed_policies(earlier: Manifest, later: Manifest) -> list[str]:
    """Return a line for each policy that reads otherwise than in an earlier run of these rows."""
    lines = []
    before, after = (run.config.get("policy_texts", {}) for run in (earlier, later))
    for name in sorted(set(before) & set(after)):
        old, new = earlier.policies.get(name), later.policies.get(name)
        if before[name] != after[name] or old != new:
            what = f"revision {old} -> {new}" if old != new else f"still revision {new}: raise it"
            lines.append(f"policy {name} was changed since {earlier.id} ({what}); judged anew")
    return lines


def _answered_by(project: Project, opened: Opened, suite: Suite) -> Manifest | None:
    """Return the newest finished evaluation of the same System on the same rows, or None.

    The same with another guard, or none, will do: the model's own answers are in its journal.
    """
    found = [
        manifest
        for manifest in ledger(project.runs)
        if (manifest.kind, manifest.status) == ("eval", "finished")
        and manifest.system is not None
        and manifest.system.bare.fingerprint == opened.system.bare.fingerprint
        and manifest.config.get("suite") == suite.fingerprint
    ]
    return newest(found)
