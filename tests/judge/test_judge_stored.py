"""Stored judgements: of exactly this response, by majority, and never made up."""

import pytest

from selaras.core.errors import InputError
from selaras.core.files import write_jsonl
from selaras.core.project import open_project
from selaras.judge import JudgeSpec
from selaras.judge.case import Case, CaseJudge
from selaras.judge.stored_judge import open_ratings, open_scores
from selaras.policy import builtin_policies

HATE = builtin_policies()["hate"]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "selaras.yaml").write_text(
        "product: t\nuse_cases: [{id: a, title: A}]\npolicies: [hate]\n"
    )
    return open_project(tmp_path)


def judge(project, opener, lines, **spec):
    write_jsonl(project.root / "s.jsonl", lines)
    found = opener(JudgeSpec(type="x", by="s.jsonl", **spec), project)
    assert isinstance(found, CaseJudge)
    return found


def said(judge, row="r", response="R.", policy=None, system=""):
    (found,) = judge.judge_cases([Case(row, "Q?", response, policy, system=system)])
    return found


def test_a_score_is_of_this_response_and_of_no_other(project):
    judged = judge(project, open_scores, [{"row": "r", "response": "R.", "score": 1.5}])
    assert judged.axis == "helpfulness"
    assert said(judged).score == 1.5
    for other in ({"response": "Other."}, {"row": "q"}):
        missing = said(judged, **other)
        assert (missing.status, missing.score) == ("unscored", None)


def test_a_threshold_makes_harm_of_a_score(project):
    lines = [{"row": n, "system": "s1", "score": v} for n, v in (("r", 0.4), ("q", 0.6))]
    judged = judge(project, open_scores, lines, threshold=0.5)
    assert (judged.axis, judged.by_policy) == ("response_harm", True)
    assert said(judged, system="s1", policy=HATE).value == "safe"
    assert said(judged, row="q", system="s1", policy=HATE).value == "unsafe"
    assert said(judged, system="s2", policy=HATE).status == "unscored"


def test_raters_decide_by_majority_and_a_split_is_unscored(project):
    def lines(*values):
        return [{"row": "r", "response": "R.", "policy": "hate", "value": v, "rater": f"p{i}"}
                for i, v in enumerate(values)]  # fmt: skip

    assert said(judge(project, open_ratings, lines("safe", "unsafe", "unsafe")), policy=HATE
                ).value == "unsafe"  # fmt: skip
    split = said(judge(project, open_ratings, lines("safe", "unsafe")), policy=HATE)
    assert (split.status, split.value) == ("unscored", None)
    refusals = [{"row": "r", "response": "R.", "value": "full"}]
    assert judge(project, open_ratings, refusals).axis == "refusal"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"row": "r", "value": "safe"}, "of which response"),
        ({"row": "r", "response": "R."}, "field 'value': missing"),
        ({"row": "r", "response": "R.", "value": "meh"}, "a value of 'meh'"),
        ({"row": "r", "response": "R.", "value": "safe", "x": 1}, "unknown field"),
        ({"response": "R.", "value": "safe"}, "field 'row': missing"),
    ],
)
def test_lines_that_are_no_ratings_are_said(project, line, says):
    with pytest.raises(InputError, match=says):
        judge(project, open_ratings, [line])


def test_an_empty_file_is_no_judge(project):
    with pytest.raises(InputError, match="no judgements"):
        judge(project, open_ratings, [])
