"""`selaras start`: probes, a draft, the worst answers, a principle that helps or is said not to."""

import json
import re
import sys
import types
from collections import Counter

import pytest
from typer.testing import CliRunner

from selaras.cli import app
from selaras.core.errors import InputError
from selaras.core.files import write_jsonl
from selaras.core.project import open_project
from selaras.core.records import Expected, Kind
from selaras.policy import builtin_policies, check_rows
from selaras.prompt.draft import draft, draft_by_model
from selaras.prompt.from_policy import principle_of
from selaras.prompt.gates import gates, passes
from selaras.starter.probes import probe_queries
from selaras.starter.start import Request, start
from selaras.template import load_prompt, parse_prompt, with_principles
from selaras.template.versions import labels_of

SHOP = "You are Nora, the support agent of a plant shop. Answer customers in two sentences."
POLICIES = builtin_policies()
LINE = "I can't help with that."


@pytest.fixture
def prompt(tmp_path):
    path = tmp_path / "nora.txt"
    path.write_text(SHOP)
    return path


@pytest.fixture
def app_model(monkeypatch):
    """An application that declines what a principle in its system message speaks about."""
    module = types.ModuleType("obedient_app")
    module.calls = []

    def respond(messages):
        module.calls.append(messages)
        system = " ".join(m["content"] for m in messages if m["role"] == "system")
        asked = messages[-1]["content"].lower()
        return LINE if "Do not" in system and "kill" not in asked else "Sure, here it is."

    module.respond = respond
    monkeypatch.setitem(sys.modules, "obedient_app", module)
    return module


def test_the_probes_are_varied_and_hold_every_policy_with_twins():
    rows = probe_queries()
    assert len(rows) == 120
    check_rows(rows, POLICIES, ())
    assert len({row.id for row in rows}) == len({row.query_key for row in rows}) == 120
    counts = Counter((row.policies[0], row.kind) for row in rows if row.policies)
    for policy in POLICIES.values():
        if not policy.statement_only:
            assert counts[(policy.id, Kind.LOOK_ALIKE)] >= 2
    kinds = Counter(row.kind for row in rows)
    assert min(kinds.values()) >= 20
    pairs = Counter(row.cluster for row in rows if row.cluster)
    assert set(pairs.values()) == {2}
    assert all(row.licence == "Apache-2.0" and row.expected for row in rows)
    assert {row.expected for row in rows if row.kind == Kind.LOOK_ALIKE} == {Expected.ANSWER}
    assert not any(row.topic == "general" for row in probe_queries(["off-topic"]))


def test_a_draft_says_why_and_takes_only_what_exists_from_a_model():
    made = draft(SHOP, POLICIES)
    assert made.product == "support agent of a plant shop"
    assert [case.id for case in made.use_cases] == ["support"]
    assert {"unauthorised-promises", "competitor-talk", "hate"} <= set(made.policies)
    assert "spoilers" not in made.policies

    class Says:
        def __init__(self, text):
            self.text = text

        def generate(self, conversations, sampling):
            return iter([types.SimpleNamespace(text=self.text, error=None)])

    reply = {"product": "plant shop", "use_cases": [{"id": "Care!", "title": "Plant care"}, 3],
             "policies": ["off-topic", "made-up", 7]}  # fmt: skip
    by_model, said = draft_by_model(SHOP, POLICIES, Says(f"Sure: {json.dumps(reply)}"), made)
    assert ([c.id for c in by_model.use_cases], by_model.product) == (["care"], "plant shop")
    assert set(by_model.policies) - set(made.policies) == {"off-topic"}
    assert "2 that do not exist" in said
    for prose in ("I think it is a shop.", "", "{", "[1]"):
        kept, said = draft_by_model(SHOP, POLICIES, Says(prose), made)
        assert kept == made
        assert "the rules' draft stands" in said


@pytest.mark.parametrize("failing", ["gave_in", "over_refused"])
def test_every_policy_gives_a_principle_that_passes_the_gates(failing):
    parent = parse_prompt(f'{{{{role "system"}}}}{SHOP}{{{{role "user"}}}}{{{{input}}}}')
    for policy in POLICIES.values():
        made = principle_of(policy, failing, ["r"], [f"{policy.id}-1"])
        assert made.id == f"{policy.id}-2"
        assert len(made.text) < 700
        child = with_principles(parent, [made])
        verdicts = gates(parent, child, rows=probe_queries(), policies=POLICIES)
        assert passes(verdicts), [v for v in verdicts if not v.passed]


def test_a_principle_that_helps_is_shown_with_its_interval(prompt, tmp_path, app_model):
    request = Request(tmp_path / "p", prompt, "python:obedient_app:respond", send_prompt=True)
    found = start(request)
    assert len(found.worst) == 10
    assert all("should decline" in each.why for each in found.worst)
    assert found.principle.policy in POLICIES
    assert passes(found.verdicts)
    gain = next(c for c in found.comparisons if c.figure == "compliance_rate")
    assert (gain.paired.difference, gain.tied) == (1.0, False)
    assert gain.paired.low > 0.7
    damage = next(c for c in found.comparisons if c.figure == "over_refusal_rate")
    assert damage.paired.difference > 0.5
    assert found.to_dict()["stamp"] == "development figures"

    root = found.begun.project.root
    assert set(labels_of(root / "prompts" / "assistant.prompt")) == {"as-given", "proposed"}
    assert not load_prompt(root / "prompts" / "assistant.prompt").front.selaras.principles
    assert open_project(root).file.systems["proposed"].prompt.endswith("@proposed")
    calls = len(app_model.calls)
    again = start(request)
    assert len(app_model.calls) == calls
    assert again.to_dict()["paired"] == found.to_dict()["paired"]


def test_an_application_keeps_its_prompt_and_a_killed_start_goes_on(tmp_path, prompt, app_model):
    request = Request(tmp_path / "p", prompt, "python:obedient_app:respond", most=40)
    whole, app_model.respond = app_model.respond, None
    answered = iter(range(25))

    def dies(messages):
        if next(answered, None) is None:
            raise KeyboardInterrupt
        return whole(messages)

    app_model.respond = dies
    with pytest.raises(KeyboardInterrupt):
        start(request)
    app_model.respond = whole
    found = start(request)
    assert len(app_model.calls) == 2 * len(found.begun.rows) <= 80
    assert [m["role"] for m in app_model.calls[0]] == ["user"]
    assert [m["role"] for m in app_model.calls[-1]] == ["system", "user"]
    assert SHOP not in app_model.calls[-1][0]["content"]


def test_a_judge_of_harm_decides_what_is_worst(tmp_path, prompt, app_model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rules = [{"match": "here it is", "response": "Yes"}, {"match": None, "response": "No"}]
    write_jsonl(tmp_path / "judge.jsonl", rules)
    request = Request(tmp_path / "p", prompt, "python:obedient_app:respond", send_prompt=True,
                      most=30, judges=("policy:scripted:judge.jsonl",))  # fmt: skip
    found = start(request)
    assert found.before.figures["violation_rate"]["value"] == 1.0
    assert all("breaks the policy on" in each.why for each in found.worst)
    fall = next(c for c in found.comparisons if c.figure == "violation_rate")
    assert fall.paired.difference < -0.9
    assert not fall.tied


def test_probes_that_failed_are_said_and_asked_again(tmp_path, prompt, app_model):
    def fails(messages):
        if len(messages[-1]["content"]) % 2:
            raise TimeoutError("no answer in time")
        return "Sure, here it is."

    whole, app_model.respond = app_model.respond, fails
    arguments = ["start", "--prompt", prompt, "--model", "python:obedient_app:respond",
                 "--to", tmp_path / "p", "--probes", "20"]  # fmt: skip
    shown = CliRunner().invoke(app, [str(each) for each in arguments])
    assert shown.exit_code == 0, shown.output
    assert "probes were not answered" in " ".join(shown.output.split())
    app_model.respond = whole
    again = start(Request(tmp_path / "p", prompt, "python:obedient_app:respond", most=20))
    assert again.before.figures["errors"]["count"] == 0
    assert 0 < len(app_model.calls) < 2 * len(again.begun.rows)


def test_where_nothing_changes_it_is_said_and_where_nothing_is_wrong_too(prompt, tmp_path):
    script = tmp_path / "open.jsonl"
    write_jsonl(script, [{"match": None, "response": "Sure, here it is."}])
    arguments = ["start", "--prompt", prompt, "--model", f"scripted:{script}",
                 "--to", tmp_path / "p", "--probes", "30"]  # fmt: skip
    shown = CliRunner().invoke(app, [str(each) for each in arguments])
    assert shown.exit_code == 0, shown.output
    assert "no significant improvement" in " ".join(shown.output.split())
    assert "worst answers (development figures" in shown.output
    dry = CliRunner().invoke(app, [*map(str, arguments), "--dry-run"])
    assert "would make" in dry.output
    other = CliRunner().invoke(
        app, [*map(str, arguments[:4]), "scripted:x.jsonl", *map(str, arguments[5:])]
    )
    assert other.exit_code == 2
    assert "another project" in other.output


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("{{article}} Summary:", {}, None),
        ("{{tone}} {{query}}", {}, "{{tone}} has no value"),
        ("{{tone}} {{query}}", {"tone": "kind"}, None),
        ('{{role "system"}}Be brief.', {}, "no place for the user's text"),
    ],
)
def test_the_users_text_finds_its_place(tmp_path, text, values, said):
    path = tmp_path / "x.prompt"
    path.write_text(text)
    script = tmp_path / "open.jsonl"
    write_jsonl(script, [{"match": None, "response": LINE}])
    request = Request(tmp_path / "p", path, f"scripted:{script}", values=values, most=12)
    if said is None:
        found = start(request)
        assert found.before.figures["errors"]["count"] == 0
        assert found.principle is not None
    else:
        with pytest.raises(InputError, match=re.escape(said)):
            start(request)
