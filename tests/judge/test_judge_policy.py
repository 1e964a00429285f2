"""Judges that ask a model: the exact policy text, delimited rows, both axes, both orders."""

import pytest

from selaras.core.errors import InputError
from selaras.core.project import open_project
from selaras.judge import JudgeSpec, open_judge
from selaras.judge.case import Case, ModelJudge
from selaras.judge.quality_judge import graded, preferred
from selaras.judge.question import Reply
from selaras.policy import builtin_policies, policy_text

YAML = """\
product: test
use_cases: [{id: answer, title: Answer, rubric: "It is short."}]
policies: [hate]
judges:
  mine: {type: policy, by: "scripted:judge.jsonl"}
  pairs: {type: pairwise, by: "scripted:judge.jsonl", baseline: eval-base}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "selaras.yaml").write_text(YAML)
    (tmp_path / "judge.jsonl").write_text('{"match": null, "response": "Yes"}\n')
    return open_project(tmp_path)


def case(**fields):
    policy = builtin_policies()["hate"]
    return Case(**{"row": "r", "query": "Q?", "response": "R.", "policy": policy, **fields})


def test_the_judge_is_asked_by_the_policys_own_words(project):
    judge = open_judge("mine", project)
    assert isinstance(judge, ModelJudge)
    (question,) = judge.questions(case())
    assert policy_text(builtin_policies()["hate"]) in question.text
    assert "\nQ?\n</query-" in question.text
    assert "\nR.\n</response-" in question.text
    assert question.text.index("never an instruction") < question.text.index("Q?")
    (asked,) = open_judge("query-policy:scripted:judge.jsonl", project).questions(case())
    assert "R." not in asked.text
    assert judge.questions(case(policy=None)) == ()


def test_a_policy_judges_identity_is_its_model_prompt_parser_and_policies(project, tmp_path):
    first = open_judge("mine", project).identity
    assert set(first) == {"judge", "model", "prompt", "parser", "policies", "asked"}
    assert first == open_judge("policy:scripted:judge.jsonl", project).identity
    (tmp_path / "policies").mkdir()
    hate = builtin_policies()["hate"].model_dump(mode="json")
    hate["exceptions"] = ["Only on Mondays."]
    (tmp_path / "policies" / "hate.yaml").write_text(__import__("json").dumps(hate))
    assert open_judge("mine", project).identity["policies"] != first["policies"]
    (tmp_path / "judge.jsonl").write_text('{"match": null, "response": "No"}\n')
    assert open_judge("mine", project).identity["model"] != first["model"]


def test_replies_become_judgements(project):
    judge = open_judge("mine", project)
    assert judge.judgement([Reply("Yes", (0.9, 0.1))]).value == "unsafe"
    assert judge.judgement([Reply("No", (0.2, 0.8))]).score == 0.2
    unsure = judge.judgement([Reply(None, status="unscored", reason="the judge refused")])
    assert (unsure.value, unsure.status) == (None, "unscored")


def test_a_grade_is_scored_by_its_mean():
    assert graded([Reply("4", (0, 0, 0, 0.5, 0.5))]).score == 4.5
    assert (graded([Reply("2")]).value, graded([Reply("2")]).score) == ("2", 2.0)


def test_a_pair_is_asked_in_both_orders_and_a_judge_of_positions_finds_ties(project):
    judge = open_judge("pairs", project)
    first, second = judge.questions(case(baseline="B.", rubric="It is short."))
    assert "It is short." in first.text
    assert first.text.index("R.") < first.text.index("B.")
    assert second.text.index("B.") < second.text.index("R.")
    assert judge.questions(case(baseline="")) == ()
    positional = preferred([Reply("A"), Reply("A")])
    assert (positional.value, positional.score) == ("tie", 0.5)
    assert "order" in positional.reason
    assert preferred([Reply("C"), Reply("C")]).reason is None


@pytest.mark.parametrize("mine", ["A", "B", "C"])
@pytest.mark.parametrize("theirs", ["A", "B", "C"])
def test_swapping_the_sides_mirrors_the_preference(mine, theirs):
    straight = preferred([Reply(mine), Reply(theirs)])
    swapped = preferred([Reply(theirs), Reply(mine)])
    assert straight.score + swapped.score == 1.0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nobody", "no judge 'nobody'.*of selaras.yaml: mine"),
        ("policy", "nothing to judge by"),
        ("policy:scripted:none.jsonl", "none.jsonl"),
        ("pairwise:scripted:judge.jsonl", "compares with a baseline"),
        ("classifier:none.npz", "none.npz"),
        ("scores:none.jsonl", "none.jsonl"),
    ],
)
def test_a_judge_that_is_not_there_or_not_whole_is_said(project, name, says):
    with pytest.raises(InputError, match=says):
        open_judge(name, project)


def test_specs_are_checked_where_they_are_read(tmp_path):
    (tmp_path / "selaras.yaml").write_text(YAML.replace("by:", "model:"))
    with pytest.raises(InputError, match=r"judges\.mine"):
        open_project(tmp_path)
    assert JudgeSpec(type="policy").policies == "rows"
