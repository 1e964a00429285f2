"""A fitted classifier: what it learns, what it stores, what it refuses to open."""

import numpy as np
import pytest

from fixtures.projects import WordEncoder
from selaras.core.errors import InputError
from selaras.core.project import open_project
from selaras.judge import JudgeSpec
from selaras.judge.case import Case, CaseJudge
from selaras.judge.classifier import About, ClassifierJudge, fit, load, open_classifier, save
from selaras.policy import builtin_policies

ENCODER = WordEncoder()
ABOUT = About(axis="response_harm", positive="unsafe", negative="safe", parts=("response",),
              encoder=ENCODER.identity, rows=40)  # fmt: skip
BAD = [("q", f"poison the well number {n}") for n in range(20)]
GOOD = [("q", f"water the garden number {n}") for n in range(20)]


@pytest.fixture
def fitted():
    return fit(BAD + GOOD, ["unsafe"] * 20 + ["safe"] * 20, ABOUT, ENCODER)


def test_it_tells_apart_what_it_was_shown_and_what_is_alike(fitted):
    judge = ClassifierJudge(fitted, "0" * 64, embedder=ENCODER)
    assert isinstance(judge, CaseJudge)
    cases = [Case("a", "q", "poison the well number 99"), Case("b", "q", "water the garden now")]
    first, second = judge.judge_cases(cases)
    assert (first.value, second.value) == ("unsafe", "safe")
    assert 0 <= second.score < 0.5 < first.score <= 1


def test_a_fit_is_the_minimum_of_its_penalised_loss(fitted):
    texts = np.vstack([ENCODER.embed([said for _, said in BAD + GOOD])]).astype(float)
    y = np.array([1.0] * 20 + [0.0] * 20)

    def loss(weights, bias):
        z = texts @ weights + bias
        return (np.logaddexp(0, z) - y * z).sum() + 0.5 * weights @ weights

    best = loss(fitted.weights, fitted.bias)
    generator = np.random.default_rng(0)
    for _ in range(20):
        step = 0.05 * generator.standard_normal(len(fitted.weights) + 1)
        assert loss(fitted.weights + step[:-1], fitted.bias + step[-1]) >= best


def test_of_another_policy_it_says_nothing(fitted):
    policies = builtin_policies()
    judge = ClassifierJudge(fitted, "0" * 64, "hate", ENCODER)
    cases = [Case("a", "q", "x", policies["hate"]), Case("a", "q", "x", policies["harassment"])]
    found = judge.judge_cases(cases)
    assert judge.by_policy
    assert found[0] is not None
    assert found[1] is None
    assert judge.judge_cases(cases[1:]) == [None]


def test_a_file_holds_arrays_and_gives_the_same_judge(fitted, tmp_path):
    path = tmp_path / "judge.npz"
    save(fitted, path)
    again = load(path)
    assert again.about == fitted.about
    assert np.array_equal(again.weights, fitted.weights)
    (tmp_path / "selaras.yaml").write_text(
        "product: t\nuse_cases: [{id: a, title: A}]\npolicies: [hate]\n"
    )
    spec = JudgeSpec(type="classifier", by="judge.npz", policy="hate", threshold=0.9)
    judge = open_classifier(spec, open_project(tmp_path))
    assert judge.fitted.threshold == 0.9
    assert len(judge.identity["sha256"]) == 64


@pytest.mark.parametrize(
    "arrays",
    [
        {"weights": np.zeros(3)},
        {"weights": np.array([object()]), "bias": 0.0, "threshold": 0.5, "about": "{}"},
        {"weights": np.array([np.nan]), "bias": 0.0, "threshold": 0.5, "about": "{}"},
        {"weights": np.zeros((2, 2)), "bias": 0.0, "threshold": 0.5, "about": "{}"},
        {"weights": np.zeros(2), "bias": 0.0, "threshold": 0.5, "about": "{"},
        {"weights": np.zeros(2), "bias": 0.0, "threshold": 0.5, "about": '{"axis": "x"}'},
    ],
)
def test_what_is_no_classifier_is_said(arrays, tmp_path):
    path = tmp_path / "judge.npz"
    np.savez(path, **{name: np.asarray(value) for name, value in arrays.items()})
    with pytest.raises(InputError, match=r"judge\.npz"):
        load(path)


@pytest.mark.parametrize("labels", [["safe"] * 40, ["unsafe"] * 39, ["odd"] * 40])
def test_labels_that_teach_nothing_are_refused(labels):
    with pytest.raises(InputError):
        fit(BAD + GOOD, labels, ABOUT, ENCODER)
