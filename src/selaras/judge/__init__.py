"""Judges: a response in, a verdict out.

Each name in JUDGES stands for an opener `(JudgeSpec, Project) -> AnyJudge`; `open_judge` finds it,
by a name under `judges` in selaras.yaml, or as TYPE:BY (`policy:openai:NAME@URL`).

>>> from selaras.judge.refusal import refusal_rules
>>> refusal_rules.judge("How?", "I can't help with that.").value
'full'
"""

from selaras.core.errors import InputError
from selaras.core.judging import JudgeSpec
from selaras.core.late import resolve
from selaras.core.project import Project
from selaras.judge.case import Case, CaseJudge, ModelJudge
from selaras.judge.verdict import Axis, Judge, Judgement, Status, Verdict, verdict_of

JUDGES = {
    "classifier": "selaras.judge.classifier:open_classifier",
    "pairwise": "selaras.judge.quality_judge:open_pair_judge",
    "policy": "selaras.judge.policy_judge:open_response_judge",
    "query-policy": "selaras.judge.policy_judge:open_query_judge",
    "ratings": "selaras.judge.stored_judge:open_ratings",
    "refusal-rules": "selaras.judge.refusal:open_refusal_rules",
    "reward": "selaras.judge.reward_judge:open_reward_judge",
    "rubric": "selaras.judge.quality_judge:open_rubric_judge",
    "scores": "selaras.judge.stored_judge:open_scores",
}
AnyJudge = Judge | ModelJudge | CaseJudge


def judge_spec(name: str, project: Project) -> JudgeSpec:
    """Return what a judge's name stands for; raises InputError with the names there are."""
    if name in project.file.judges:
        spec = project.file.judges[name]
    else:
        kind, _, by = name.partition(":")
        spec = JudgeSpec.model_construct(type=kind, by=by)
    if spec.type not in JUDGES:
        own = ", ".join(project.file.judges)
        raise InputError(
            f"no judge {name!r}",
            fix=f"use one of: {', '.join(JUDGES)} (as TYPE:MODEL-OR-FILE)"
            + (f"; or of selaras.yaml: {own}" if own else ""),
        )
    if not spec.by and spec.type != "refusal-rules":
        raise InputError(
            f"the judge {name!r} has nothing to judge by",
            fix=f"write {spec.type}:MODEL-OR-FILE, or give it a `by` in selaras.yaml",
        )
    return spec


def open_judge(name: str, project: Project) -> AnyJudge:
    """Return the judge of that name; raises InputError where there is none or it is incomplete."""
    spec = judge_spec(name, project)
    judge: AnyJudge = resolve(JUDGES[spec.type])(spec, project)
    return judge


__all__ = [
    "JUDGES",
    "AnyJudge",
    "Axis",
    "Case",
    "CaseJudge",
    "Judge",
    "JudgeSpec",
    "Judgement",
    "ModelJudge",
    "Status",
    "Verdict",
    "judge_spec",
    "open_judge",
    "verdict_of",
]
