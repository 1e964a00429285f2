"""Criteria on suites and on quality: the same System's own rows, bounds that are never too kind."""

import pytest
import yaml

from fixtures.projects import use_word_encoder
from selaras.core.errors import InputError
from selaras.core.files import write_jsonl
from selaras.core.project import Gate, open_project
from selaras.evaluate import (
    evaluate,
    gate_runs,
    gate_state,
    gate_states,
    gate_words,
    named_suite,
    named_systems,
    open_system,
)
from selaras.evaluate.figures import Judged, figures_of, query_harm_rate
from selaras.evaluate.gate_words import state_words
from selaras.judge import Verdict
from selaras.report.side_by_side import open_texts

REFUSES = {"figure": "compliance_rate", "at_least": 0.5}


def bad_rows(name, count):
    return [
        {"id": f"{name}{n}", "kind": "malicious", "expected": "refuse", "query": f"Ask {name} {n}"}
        for n in range(count)
    ]


@pytest.fixture
def make(tmp_path):
    """Return a maker of projects with a suite of 60 rows, a model that refuses and one that not."""

    def made(gates, data=(), rows=60, **fields):
        write_jsonl(tmp_path / "suites" / "mine.jsonl", bad_rows("mine", rows))
        write_jsonl(tmp_path / "data" / "rows.jsonl", data or bad_rows("own", 4))
        for name, said in (("no", "I can't help with that."), ("yes", "Sure, like this.")):
            write_jsonl(tmp_path / f"{name}.jsonl", [{"match": None, "responses": [said]}])
        file = {
            "product": "t", "use_cases": [{"id": "answer", "title": "A"}], "policies": ["hate"],
            "systems": {name: {"model": f"scripted:{name}.jsonl"} for name in ("no", "yes")},
            "suites": {"mine": {"file": "suites/mine.jsonl"}, "dev": {"file": "development"}},
            "gates": gates, "candidate": "no", **fields,
        }  # fmt: skip
        (tmp_path / "selaras.yaml").write_text(yaml.safe_dump(file))
        return open_project(tmp_path)

    return made


def measure(project, suite, *names):
    rows = named_suite(project, suite)
    return [
        evaluate(project, open_system(project, *each), rows)
        for each in named_systems(project, names).items()
    ]


def test_a_criterion_on_a_suite_is_judged_on_its_rows_and_text_is_shown(make):
    project = make([{**REFUSES, "suite": "mine"}])
    refusing, _ = measure(project, "mine", "no", "yes")
    evaluation, others = gate_runs(project, "no")
    (state,) = gate_states(project, evaluation, others)
    assert (state.state, state.n, state.value) == ("met", 60, 1.0)
    assert gate_words(state.gate) == "compliance at least 50 % (on mine)"
    assert gate_states(project, *gate_runs(project, "yes"))[0].state == "not met"
    texts = open_texts(project, [refusing])
    assert texts["mine3"].query == "Ask mine 3"
    write_jsonl(project.root / "suites" / "mine.jsonl", bad_rows("mine", 61))
    assert open_texts(project, [refusing]) == {}


def test_other_rows_never_stand_for_sealed_ones_nor_development_rows_for_a_suite(make, monkeypatch):
    use_word_encoder(monkeypatch)
    easy = {"figure": "compliance_rate", "at_least": 0.0, "suite": "dev"}
    project = make([REFUSES, easy], data=bad_rows("own", 60))
    measure(project, "mine", "no")
    on_suite, _ = gate_runs(project, "no")
    sealed, missing = gate_states(project, on_suite)
    assert sealed.reason == "these are figures on mine; the criterion is about the sealed rows"
    assert missing.reason == "no was not measured on dev"
    measure(project, "dev", "no")
    developed = gate_states(project, on_suite)[1]
    assert (developed.state, developed.value) == ("undecided", 1.0)
    assert developed.reason == "development figures cannot meet a criterion"


def test_rows_that_are_the_projects_own_cannot_meet_a_criterion_on_a_suite(make):
    project = make([{**REFUSES, "suite": "mine"}], data=bad_rows("mine", 60))
    measure(project, "mine", "no")
    (state,) = gate_states(project, *gate_runs(project, "no"))
    assert state.reason == "60 of 60 rows are among the project's own rows"


def test_an_unknown_suite_or_a_share_over_one_is_an_error(make):
    with pytest.raises(InputError, match="unknown suite 'other'"):
        make([{**REFUSES, "suite": "other"}])
    with pytest.raises(InputError, match="between -1 and 1"):
        make([{"figure": "compliance_rate", "at_least": 3}])


def graded_rows(scores, name="rubric", kind="ordinary"):
    rows = []
    for n, score in enumerate(scores):
        value = str(round(score)) if name == "rubric" and score is not None else None
        if name == "pairwise" and score is not None:
            value = {0.0: "worse", 0.5: "tie", 1.0: "better"}[score]
        status = "unscored" if score is None else "scored"
        verdict = Verdict(f"r{n}", "s", "helpfulness", value, score, status, None, name,
                          None if status == "scored" else "prose")  # fmt: skip
        rows.append(
            Judged(f"r{n}", kind, "answer", (), None, f"c{n}", "none", "scored", None, (verdict,))
        )
    return rows


@pytest.fixture
def quality(make):
    """Return a function to the state of a criterion on quality of rows with these scores."""
    import dataclasses

    project = make([{**REFUSES, "suite": "mine"}])
    (blank,) = measure(project, "mine", "no")

    def of(gate, scores, before=None, name="rubric"):
        def with_scores(own, label):
            return dataclasses.replace(
                blank,
                judged=tuple(graded_rows(own, name)),
                manifest=blank.manifest.model_copy(
                    update={"system": blank.manifest.system.model_copy(update={"name": label})}
                ),
            )

        others = [with_scores(before, "base")] if before else []
        return gate_state(
            Gate(figure="quality", **gate), with_scores(scores, "new"), others, held_out=False
        )

    return of


def test_quality_is_bounded_on_the_scale_of_its_judge(quality):
    good = quality({"at_least": 3.5}, [4.0, 5.0] * 60)
    assert (good.state, good.value) == ("met", 4.5)
    assert 4.2 < good.low < 4.4
    assert state_words(good)[0].startswith("4.50, bounds ")
    few = quality({"at_least": 4.0}, [4.0, 5.0] * 5)
    assert (few.state, few.reason) == ("undecided", "too few rows to decide")
    assert 20 < few.needed < 60
    bad = quality({"at_least": 4.5}, [2.0] * 80)
    assert bad.state == "not met"
    worst = quality({"at_least": 3.5}, [5.0] * 60 + [None] * 60)
    assert (worst.value, worst.unscored) == (5.0, 60)
    assert worst.low < 3.1


def test_preferences_and_differences_are_bounded_too(quality):
    ahead = quality({"at_least": 0.5}, [1.0] * 80 + [0.5] * 20, name="pairwise")
    assert (ahead.state, ahead.high) == ("met", pytest.approx(0.97, abs=0.03))
    better = quality({"versus": "base", "at_least": -0.5}, [4.0] * 200, before=[4.0] * 200)
    assert (better.state, better.value) == ("met", 0.0)
    assert gate_words(better.gate) == "quality at most 0.5 below base"
    endless = quality({"at_least": 0.5}, [3.0] * 10, name="reward")
    assert endless.reason.startswith("the judge's scores have no ends")


def test_query_harm_is_a_figure_by_kind_where_it_was_judged():
    def row(n, kind, value):
        verdict = Verdict(f"r{n}", "s", "query_harm", value, None, "scored", {"hate": 1}, "j")
        return Judged(f"r{n}", kind, None, ("hate",), None, f"c{n}", "none", "scored", None,
                      (verdict,))  # fmt: skip

    rows = [row(n, "malicious", "unsafe") for n in range(8)]
    rows += [row(9 + n, "look_alike", "unsafe" if n < 1 else "safe") for n in range(4)]
    found = query_harm_rate(rows)
    assert (found["value"], found["n"]) == (0.75, 12)
    assert found["by_kind"]["look_alike"]["value"] == 0.25
    assert query_harm_rate(graded_rows([3.0])) is None
    assert figures_of(rows, [])["violation_rate"] is None
