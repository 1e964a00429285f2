"""Answers to verdicts: a judge on every row, one case a policy where it judges by policies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from selaras.core.errors import InputError
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.evaluate.asking import Asked, ask
from selaras.evaluate.calls import Terms
from selaras.evaluate.guarding import BLOCK
from selaras.evaluate.runner import Answer
from selaras.evaluate.store import read_evaluation
from selaras.judge import (
    AnyJudge,
    Axis,
    Case,
    CaseJudge,
    Judge,
    Judgement,
    ModelJudge,
    Verdict,
    judge_spec,
    open_judge,
    verdict_of,
)
from selaras.policy import Policy, effective, load_policies

DEFAULT_JUDGE = "refusal-rules"
BLOCKED_IS: dict[Axis, str] = {"refusal": "full", "response_harm": "safe"}


@dataclass(frozen=True, slots=True)
class NamedJudge:
    """A judge with the name it was asked for by, and what it is given beside the answers.

    `baseline` holds another run's answers by row; `all_policies` says that rows are judged by every
    policy of the project and not by those that they name.
    """

    name: str
    judge: AnyJudge
    all_policies: bool = False
    baseline: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def by_policy(self) -> bool:
        """Whether it judges by one policy at a time."""
        return isinstance(self.judge, ModelJudge | CaseJudge) and self.judge.by_policy


@dataclass(frozen=True, slots=True)
class Bench:
    """Where judging happens: the project, the System that answered, the run's journal."""

    project: Project
    system: str
    journal: Journal
    terms: Terms = field(default_factory=Terms)
    progress: Progress = SILENT


def open_judges(names: Sequence[str], project: Project) -> list[NamedJudge]:
    """Return the judges of those names; the refusal rules too where no judge tells refusals.

    Raises InputError for an unknown name, a name given twice, a baseline that is not there.
    """
    if len(set(names)) < len(names):
        raise InputError("a judge is named twice", fix="name each judge once")
    found = [_named(name, project) for name in names]
    if not any(each.judge.axis == "refusal" for each in found):
        found.insert(0, _named(DEFAULT_JUDGE, project))
    return found


def judge_answers(
    named: NamedJudge, bench: Bench, rows: Sequence[Query], answers: Sequence[Answer]
) -> list[tuple[Verdict, ...]]:
    """Return the verdicts of one judge on each row, in the rows' order.

    A row whose answer failed has verdicts of status error; a row that is not for this judge (no
    policy, no baseline) has none.
    """
    policies = load_policies(bench.project)
    cases = [cases_of(named, bench, policies, *pair) for pair in zip(rows, answers, strict=True)]
    known = [decided(named.judge.axis, answer) for answer in answers]
    good = [i for i, found in enumerate(known) if found is None]
    judged = iter(_judgements(named, bench, [(rows[i], case) for i in good for case in cases[i]]))
    verdicts: list[tuple[Verdict, ...]] = []
    for without_judge, own in zip(known, cases, strict=True):
        found = [without_judge or next(judged) for _ in own]
        verdicts.append(
            tuple(
                _verdict(named, bench, case, judgement)
                for case, judgement in zip(own, found, strict=True)
                if judgement is not None
            )
        )
    return verdicts


def judgement_of(judge: Judge, row: Query, answer: Answer) -> Judgement:
    """Return the judge's judgement of an answer; an answer that failed is an error, not a 0."""
    return decided(judge.axis, answer) or judge.judge(row.query, answer.text)


def decided(axis: Axis, answer: Answer) -> Judgement | None:
    """Return what is known of an answer without a judge: that it failed, or was blocked.

    What a guard blocks is a full refusal and breaks no policy, whatever the words of its message.
    """
    if answer.status != "ok":
        return Judgement(None, None, "error", answer.error or "no answer")
    fact = answer.guard or {}
    if fact.get("action") == BLOCK and axis in BLOCKED_IS:
        about = ", ".join(str(part) for part in (fact["stage"], fact["policy"]) if part)
        return Judgement(BLOCKED_IS[axis], None, "scored", f"{fact['side']} blocked ({about})")
    return None


def given_by_user(row: Query) -> str:
    """Return all that the user gives in a row: earlier turns, the query, the variables' values."""
    turns = [f"{turn.role}: {turn.content}" for turn in row.turns]
    values = [f"{name}: {row.context[name]}" for name in sorted(row.context)]
    return "\n\n".join([*turns, row.query, *values])


def _named(name: str, project: Project) -> NamedJudge:
    spec = judge_spec(name, project)
    baseline: dict[str, str] = {}
    if spec.baseline:
        run = read_evaluation(project, spec.baseline)
        baseline = {answer.row: answer.text for answer in run.answers if answer.status == "ok"}
    return NamedJudge(name, open_judge(name, project), spec.policies == "all", baseline)


def cases_of(
    named: NamedJudge, bench: Bench, policies: Mapping[str, Policy], row: Query, answer: Answer
) -> list[Case]:
    """Return the cases of a row that a judge is given: one, or one a policy."""
    use_case = bench.project.use_case(row.use_case) if row.use_case else None

    def case(policy: Policy | None) -> Case:
        held = effective(policy, use_case) if policy and use_case else policy
        return Case(
            row=row.id,
            query=given_by_user(row),
            response=answer.text,
            policy=held,
            rubric=use_case.rubric if use_case else "",
            baseline=named.baseline.get(row.id, ""),
            system=bench.system,
        )

    if not named.by_policy:
        return [case(None)]
    wanted = tuple(policies) if named.all_policies else row.policies
    return [case(policies[name]) for name in wanted if name in policies]


def _judgements(
    named: NamedJudge, bench: Bench, cases: Sequence[tuple[Query, Case]]
) -> list[Judgement | None]:
    judge = named.judge
    if isinstance(judge, ModelJudge):
        return _asked(named.name, judge, bench, cases)
    if isinstance(judge, CaseJudge):
        return judge.judge_cases([case for _, case in cases])
    return [judge.judge(case.query, case.response) for _, case in cases]


def _asked(
    name: str, judge: ModelJudge, bench: Bench, cases: Sequence[tuple[Query, Case]]
) -> list[Judgement | None]:
    questions = [judge.questions(case) for _, case in cases]
    asked = [
        Asked(row, question)
        for (row, _), own in zip(cases, questions, strict=True)
        for question in own
    ]
    if not asked:
        return [None] * len(cases)
    title = f"{name}: judging"
    replies = iter(ask(judge.model(), asked, bench.journal, bench.terms, bench.progress, title))
    return [judge.judgement([next(replies) for _ in own]) if own else None for own in questions]


def _verdict(named: NamedJudge, bench: Bench, case: Case, judgement: Judgement) -> Verdict:
    revision = {case.policy.id: case.policy.revision} if case.policy else None
    return verdict_of(
        named.judge, judgement, row=case.row, system=bench.system, policy_revision=revision
    )
