"""Judgements that were made elsewhere: a reward model's scores, people's ratings.

A JSON Lines file, one judgement a line, of a row and (because a score is of one response) of the
response, by its text or by the System's fingerprint:

    {"row": "q-1", "response": "I can't help with that.", "score": 1.7}
    {"row": "q-1", "system": "3a35c2e8…", "policy": "hate", "value": "safe", "rater": "r7"}

Several ratings of one response are one judgement by majority; a tie is `unscored`. What the file
does not hold is `unscored` too, with its reason.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import read_jsonl
from selaras.core.fingerprint import fingerprint, sha256_file
from selaras.core.judging import JudgeSpec
from selaras.core.project import Project
from selaras.core.records import Record
from selaras.judge.case import Case
from selaras.judge.verdict import Axis, Judgement


class Rating(Record):
    """One line: a value (safe, unsafe; full, partial, none) or a score, of one response."""

    row: str = Field(min_length=1)
    response: str | None = None
    system: str | None = None
    policy: str | None = None
    value: str | None = None
    score: float | None = None
    rater: str | None = None


@dataclass(frozen=True, slots=True)
class StoredJudge:
    """Reads judgements out of a file. `threshold` turns a score into safe (below) or unsafe."""

    identity: dict[str, Any]
    axis: Axis
    by_policy: bool
    ratings: dict[tuple[str, str, str], tuple[Rating, ...]] = field(repr=False)
    threshold: float | None = None

    def judge_cases(self, cases: Sequence[Case]) -> list[Judgement | None]:
        """Return what the file says of each case."""
        return [self._judged(case) for case in cases]

    def _judged(self, case: Case) -> Judgement:
        policy = case.policy.id if case.policy else ""
        of = (f"r:{fingerprint(case.response)}", f"s:{case.system}")
        found = [
            rating
            for which in of
            for about in dict.fromkeys((policy, ""))
            for rating in self.ratings.get((case.row, which, about), ())
        ]
        if not found:
            return Judgement(None, None, "unscored", "no stored judgement of this response")
        scores = [rating.score for rating in found if rating.score is not None]
        mean = sum(scores) / len(scores) if scores else None
        values = Counter(rating.value for rating in found if rating.value is not None)
        if not values and mean is not None and self.threshold is not None:
            return Judgement("unsafe" if mean >= self.threshold else "safe", mean)
        if not values:
            return Judgement(None, mean)
        (value, most), *others = values.most_common(2)
        if others and others[0][1] == most:
            return Judgement(None, None, "unscored", f"the raters are split ({most} to {most})")
        return Judgement(value, mean)


def open_scores(spec: JudgeSpec, project: Project) -> StoredJudge:
    """Return the reader of a reward model's scores: helpfulness, or harm with a threshold."""
    harm = spec.threshold is not None
    return _open(spec, project, "scores", "response_harm" if harm else "helpfulness")


def open_ratings(spec: JudgeSpec, project: Project) -> StoredJudge:
    """Return the reader of people's ratings; their values tell which axis they are about."""
    return _open(spec, project, "ratings", None)


def _open(
    spec: JudgeSpec, project: Project, name: Literal["scores", "ratings"], axis: Axis | None
) -> StoredJudge:
    path = project.root / spec.by
    ratings: dict[tuple[str, str, str], tuple[Rating, ...]] = {}
    values: set[str] = set()
    for line, value in read_jsonl(path):
        rating = checked(Rating, value, path=path, line=line)
        _complete(rating, path, line, scores=name == "scores")
        which = (
            f"r:{fingerprint(rating.response)}"
            if rating.response is not None
            else f"s:{rating.system}"
        )
        key = (rating.row, which, rating.policy or "")
        ratings[key] = (*ratings.get(key, ()), rating)
        values |= {rating.value} if rating.value is not None else set()
    if not ratings:
        raise InputError("no judgements", path=path)
    about = axis or _axis(values, path)
    return StoredJudge(
        identity={"judge": name, "file": Path(spec.by).name, "sha256": sha256_file(path),
                  "threshold": spec.threshold},
        axis=about,
        by_policy=about in {"response_harm", "query_harm"},
        ratings=ratings,
        threshold=spec.threshold,
    )  # fmt: skip


def _complete(rating: Rating, path: Path, line: int, *, scores: bool) -> None:
    if rating.response is None and rating.system is None:
        raise InputError(
            "of which response is not said", path=path, line=line, field="response",
            fix="write its text, or the System's fingerprint under system",
        )  # fmt: skip
    if scores and rating.score is None:
        raise InputError("missing", path=path, line=line, field="score")
    if not scores and rating.value is None:
        raise InputError("missing", path=path, line=line, field="value")


def _axis(values: set[str], path: Path) -> Axis:
    known: dict[Axis, set[str]] = {
        "response_harm": {"safe", "unsafe"},
        "refusal": {"full", "partial", "none"},
    }
    for axis, wanted in known.items():
        if values <= wanted:
            return axis
    strange = sorted(values - {"safe", "unsafe"})[0]
    raise InputError(
        f"a value of {strange!r}", path=path, field="value",
        fix="use safe and unsafe throughout, or full, partial and none",
    )  # fmt: skip
