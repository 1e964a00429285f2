"""A trained reward model as a judge: a score of helpfulness, or of harm with a threshold.

A reward is in logits and has no scale of its own: sigmoid of a difference is how likely the better
reward is preferred. It is as narrow as the pairs it learnt from, and uncalibrated until people's
labels say otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import ModelError
from selaras.core.judging import JudgeSpec
from selaras.core.project import Project
from selaras.core.records import Message
from selaras.judge.case import Case
from selaras.judge.verdict import Axis, Judgement
from selaras.models.names import open_rewarder, place_of
from selaras.models.protocol import Rewarder


@dataclass(frozen=True, slots=True)
class RewardJudge:
    """Scores each case by its reward; with `threshold` a response below it counts as unsafe."""

    rewarder: Rewarder
    threshold: float | None = None
    policy: str | None = None

    @property
    def identity(self) -> dict[str, Any]:
        return {"judge": "reward", "model": self.rewarder.identity,
                "threshold": self.threshold, "policy": self.policy}  # fmt: skip

    @property
    def axis(self) -> Axis:
        return "helpfulness" if self.threshold is None else "response_harm"

    @property
    def by_policy(self) -> bool:
        return self.threshold is not None

    def judge_cases(self, cases: Sequence[Case]) -> list[Judgement | None]:
        """Return a judgement a case; None for another policy, unscored where one is too long."""
        mine = [i for i, case in enumerate(cases) if self._is_mine(case)]
        found: list[Judgement | None] = [None] * len(cases)
        for i, judgement in zip(mine, self._judged([cases[i] for i in mine]), strict=True):
            found[i] = judgement
        return found

    def _is_mine(self, case: Case) -> bool:
        about = case.policy.id if case.policy else None
        return self.policy is None or not self.by_policy or about == self.policy

    def _judged(self, cases: Sequence[Case]) -> list[Judgement]:
        asked = [(Message(role="user", content=case.query),) for case in cases]
        try:
            rewards = self.rewarder.reward(asked, [case.response for case in cases])
        except ModelError as error:
            if len(cases) == 1:
                return [Judgement(None, None, "unscored", str(error))]
            # One case that does not fit is no reason to lose the others.
            return [judgement for case in cases for judgement in self._judged([case])]
        return [Judgement(self._value(reward), reward) for reward in rewards]

    def _value(self, reward: float) -> str | None:
        if self.threshold is None:
            return None
        return "unsafe" if reward < self.threshold else "safe"


def open_reward_judge(spec: JudgeSpec, project: Project) -> RewardJudge:
    """Return the judge by the reward model `spec.by` (`run:ID`), of `spec.policy` if named."""
    return RewardJudge(open_rewarder(spec.by, place_of(project)), spec.threshold, spec.policy)
