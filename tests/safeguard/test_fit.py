"""Fitting: what comes out, that it is frozen, and that a stale file is refused."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from fixtures.projects import make_project, some_rows, use_word_encoder
from selaras.core.errors import InputError
from selaras.core.files import write_text
from selaras.core.project import open_project
from selaras.core.records import Preference
from selaras.core.system import SystemSpec
from selaras.data import open_development
from selaras.evaluate import development_suite, evaluate, open_system
from selaras.evaluate.attacks import ATTACKS
from selaras.policy import builtin_text
from selaras.safeguard.features import Embedded, Read, windows
from selaras.safeguard.fit import FitSettings, fit_guard
from selaras.safeguard.learn import Labelled, learn
from selaras.safeguard.outcome import Score
from selaras.safeguard.sides import TooFewRowsError, responses_of
from selaras.safeguard.spec import open_guard
from selaras.stats.ranking import average_precision, threshold_at

YAML = """\
product: helper
use_cases: [{id: answer, title: Answer}]
policies: [dangerous-content]
systems: {base: {model: "scripted:script.jsonl"}}
"""
SETTINGS = FitSettings(tier="minilm", budget=0.2)


@pytest.fixture
def project(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    monkeypatch.setattr("selaras.safeguard.sides.FEWEST", 4)
    made = make_project(tmp_path / "p", some_rows(pairs=12, ordinary=12), YAML)
    (made.root / "script.jsonl").write_text('{"match": null, "response": "Surely."}\n')
    return made


def test_a_fit_writes_a_guard_that_blocks_and_is_not_repeated(project):
    found = fit_guard(project, SETTINGS)
    side = found.manifest.figures["sides"]["query"]
    assert side["false_alarms"]["all"]["value"] <= 0.2
    assert {"all", "dangerous-content"} == set(side["policies"])
    guard = open_guard(project, found.file)
    bad = next(row for row in open_development(project).rows if row.kind == "malicious")
    assert guard.check_query(bad.query).scores[0].policy == "dangerous-content"
    assert fit_guard(project, SETTINGS).manifest.id == found.manifest.id


def test_a_system_behind_the_guard_is_measured_on_the_answers_without_it(project):
    found = fit_guard(project, SETTINGS)
    suite = development_suite(open_development(project))
    plain = evaluate(project, open_system(project, "base", project.system_spec("base")), suite)
    spec = SystemSpec(model="scripted:script.jsonl", guard=found.file)
    opened = open_system(project, "guarded", spec)
    assert opened.system.bare.fingerprint == plain.manifest.system.fingerprint
    guarded = evaluate(project, opened, suite)
    figures = guarded.figures
    assert plain.figures["guard"] is None
    assert figures["guard"]["by_kind"]["malicious"]["value"] > 0
    assert plain.manifest.id in guarded.manifest.parents
    for before, after, row in zip(plain.answers, guarded.answers, guarded.judged, strict=True):
        assert (row.value == "full") == (row.guard == "query")
        assert after.text == before.text or row.guard == "query"


def test_a_changed_policy_is_a_clear_error(project):
    fit_guard(project, SETTINGS)
    text = builtin_text("dangerous-content").replace("revision: 1", "revision: 2")
    write_text(project.root / "policies" / "dangerous-content.yaml", text)
    with pytest.raises(InputError, match=r"revision 1 -> 2.*selaras guard fit"):
        open_guard(project, "guards/main.yaml")


def test_a_changed_classifier_is_a_clear_error(project):
    fit_guard(project, SETTINGS)
    path = project.root / "guards" / "main.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="another sha256"):
        open_guard(project, "guards/main.yaml")


def test_a_classifier_of_another_encoder_fails_closed_and_says_so(project, monkeypatch):
    fit_guard(project, SETTINGS)
    guard = open_guard(project, "guards/main.yaml")

    encoder = use_word_encoder(monkeypatch)
    encoder.identity = {"name": "other"}
    outcome = guard.check_query("x")
    assert outcome.action == "error"
    assert "fitted on other vectors" in outcome.reason
    with pytest.raises(InputError, match="other vectors"):
        guard.stages[0].features.read([], "query")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"stages": [{"type": "magic"}]}, "no stage 'magic'"),
        ({"stages": []}, "stages"),
        ({"stages": [{"type": "rules"}], "polices": []}, "unknown field"),
        ({"stages": [{"type": "rules"}]}, "names no file"),
        ({"stages": [{"type": "judge"}]}, "names no model"),
        ({"stages": [{"type": "rules", "file": "r.yaml"}], "messages": {"x": "y"}}, "policy 'x'"),
    ],
)
def test_a_bad_guard_file_is_said_in_one_line(project, value, says):
    (project.root / "g.yaml").write_text(yaml.safe_dump(value))
    with pytest.raises(InputError, match=says):
        open_guard(project, "g.yaml")


def test_too_few_rows_are_said(project, monkeypatch):
    monkeypatch.setattr("selaras.safeguard.sides.FEWEST", 100)
    with pytest.raises(TooFewRowsError, match="too few rows"):
        fit_guard(project, SETTINGS)


def test_a_head_finds_a_planted_direction_and_keeps_its_budget():
    rng = np.random.default_rng(0)
    positive = np.arange(200) % 2 == 0
    x = rng.normal(size=(200, 30)).astype(np.float32)
    x[:, 3] += 3 * positive
    policies = tuple(("a",) if i % 4 == 0 else ("b",) for i in range(200))
    x[:, 5] += 3 * np.array([own == ("a",) for own in policies])
    rows = Labelled(positive, policies, tuple(str(i // 2) for i in range(200)))
    learnt = learn(Read(x, np.arange(200)), rows, 0.1, 0)
    threshold = learnt.head.about.threshold
    assert (learnt.out_of_fold[~positive] >= threshold).mean() <= 0.1
    assert (learnt.out_of_fold[positive] >= threshold).mean() > 0.8
    assert average_precision(learnt.out_of_fold, positive) > 0.9
    assert np.mean([learnt.head.nearest(v) == own[0] for v, own, hit in
                    zip(x, policies, positive, strict=True) if hit]) > 0.9  # fmt: skip


def test_a_threshold_lets_no_more_through_than_the_budget():
    rng = np.random.default_rng(1)
    for budget in (0.0, 0.01, 0.05, 0.3, 1.0):
        values = rng.random(97).round(1)
        assert (values >= threshold_at(values, budget)).mean() <= budget


def test_windows_cover_the_whole_text():
    text = "".join(chr(97 + i % 26) for i in range(5_000))
    assert all(text[i : i + 150] in "|".join(windows(text)) for i in range(0, 4_850, 50))


def test_the_project_schema_knows_a_guard(project):
    text = (project.root / "selaras.yaml").read_text()
    text = text.replace('"scripted:script.jsonl"', '"scripted:script.jsonl", guard: guards/g.yaml')
    (project.root / "selaras.yaml").write_text(text)
    assert open_project(project.root).system_spec("base").guard == "guards/g.yaml"


def test_a_classifier_reads_what_is_encoded(project):
    guard = open_guard(project, fit_guard(project, SETTINGS).file)
    for row in open_development(project).rows:
        plain = guard.check_query(row.query)
        coded = guard.check_query(ATTACKS["base64"](row.query))
        assert coded.score >= plain.score - 1e-6


def preference(**changes):
    values = {"id": "p", "query": "How?", "kind": "malicious", "expected": "refuse", "best": "a"}
    both = {"response_a": "I can't help with that.", "response_b": "First, take two of these."}
    return Preference.model_validate({**values, **both, **changes})


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        (preference(), [False, True]),
        (preference(response_b="Sorry, I cannot help with this request."), [False]),
        (preference(kind="look_alike", expected="answer"), [False]),
        (preference(best="tie"), []),
    ],
)
def test_a_rejected_answer_is_unsafe_only_where_it_complies_with_a_malicious_query(row, labels):
    assert [bad for _, bad in responses_of(row)] == labels


def test_a_side_without_unsafe_rows_is_said_and_not_fitted(project):
    found = fit_guard(project, SETTINGS)
    assert "unsafe responses of" in found.manifest.figures["unfitted"]["response"]
    assert open_guard(project, found.file).stages[0].sides == {"query"}


THAI = "ห้องสมุดเปิดกี่โมง"


@pytest.mark.parametrize(
    ("on_unread", "action"), [("error", "error"), ("block", "block"), ("allow", "allow")]
)
def test_a_script_without_words_in_the_encoder_is_uncertain(project, on_unread, action):
    """The static encoder spells Thai letter by letter: what it says of it means nothing."""
    guard = open_guard(project, fit_guard(project, SETTINGS).file)
    [stage] = guard.stages
    static = replace(stage, features=Embedded("static", encoder=stage.features._encoder))
    guard = replace(guard, stages=(static,), on_unread=on_unread)
    outcome = guard.check_query(f"Please answer this:\n{THAI}")
    assert (outcome.action, outcome.policy) == (action, None)
    assert "script" in outcome.reason
    assert outcome.scores[0].unread
    assert guard.check_query("Please answer this.").action == "allow"
    # A later stage that reads it decides, though it is asked only where the first is unsure.
    judge = Sure()
    assert replace(guard, stages=(static, judge)).check_query(THAI).allowed
    assert judge.asked == 1


class Sure:
    """A judge that reads everything and minds nothing."""

    name, sides, hold, only_unsure, quick = "judge", frozenset({"query"}), 0, True, False
    identity = {"stage": "judge"}  # noqa: RUF012
    asked = 0

    def check(self, materials):
        self.asked += len(materials)
        return [(Score("judge", None, 0.0, 0.5, ""),) for _ in materials]


def test_a_question_in_a_frame_scores_as_high_as_without_it(project):
    guard = open_guard(project, fit_guard(project, SETTINGS).file)
    for row in open_development(project).rows[:6]:
        plain = guard.check_query(row.query).scores[0].value
        for name in ("prefix-injection", "language-switch", "refusal-suppression"):
            assert guard.check_query(ATTACKS[name](row.query)).scores[0].value >= plain - 1e-6
