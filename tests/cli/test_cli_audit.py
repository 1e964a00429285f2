"""`selaras data audit` as a user runs it: findings, the gate's exit code, the page, and back."""

import json
from pathlib import Path

import pytest
from cli_value import value
from typer.testing import CliRunner

from fixtures.projects import row
from selaras.cli import app
from selaras.core.files import write_jsonl

LOOSE = ("--set", "audit={minimum: 1, minimum_look_alikes: 1, kinds: [malicious, look_alike]}")


def audited(result):
    assert result.exit_code in {0, 3}, result.output
    return json.loads(result.stdout)


def test_a_thin_grid_does_not_pass(run) -> None:
    result = run("data", "audit", "--json")
    assert result.exit_code == 3
    report = audited(result)
    assert not report["passed"]
    assert "dangerous-content / answer / inadvertent: no rows" in {
        f["message"] for f in report["findings"]
    }
    assert run("data", "audit", "--only", "coverage", *LOOSE).exit_code == 0


def test_the_page_holds_the_same_findings(run, project: Path) -> None:
    extra = row("mail", "Please mail ana@mail.org about it", use_case="answer", expected="answer")
    write_jsonl(project / "data" / "more.jsonl", [extra])
    report = value(run("data", "audit", "--json", *LOOSE))
    page = Path(report["page"]).read_text(encoding="utf-8")
    assert report["counts"]["hygiene/email"]["review"] == 1
    assert "ana@mail.org" not in page
    assert "ana@mail.org" not in json.dumps(report)
    assert "██" in page
    findings = Path(report["page"]).with_name("findings.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in findings] == report["findings"]
    (listed,) = [e for e in value(run("trace", "--json")) if e["kind"] == "audit"]
    assert listed["status"] == "finished"


def test_people_see_the_same_counts(run) -> None:
    result = run("data", "audit", *LOOSE, "--only", "hygiene")
    assert result.exit_code == 0
    assert "hygiene/no_licence" in result.stdout
    assert "page: " in result.stderr


def test_an_encoder_and_a_judge_are_named(run, project: Path) -> None:
    asked = "which old boiler hums all night in cellars"
    close = "which old boiler hums all day over gardens"
    write_jsonl(project / "data" / "more.jsonl", [row("close", close), row("far", "buy milk")])
    write_jsonl(project / "set.jsonl", [{"query": asked, "kind": "ordinary"}])
    write_jsonl(project / "judge.jsonl", [{"match": None, "response": "Yes"}])
    options = ("data", "audit", "--only", "contamination", "--json", "--set",
               "evaluation_sets=[set.jsonl]", "--embedder", "static")  # fmt: skip
    plain = audited(run(*options))
    assert (plain["encoder"], plain["findings"]) == ("static", [])
    checked = plain["figures"]["contamination"]["checked"][0]
    assert (checked["near_misses"], checked["encoder"]) == (1, "static")
    judged = audited(run(*options, "--judge", "scripted:judge.jsonl"))
    (found,) = judged["findings"]
    assert (found["name"], found["level"], found["records"]) == (
        "contamination/judge", "review", ["close"],
    )  # fmt: skip
    spent = run(*options, "--judge", "scripted:judge.jsonl", "--max-calls", "0")
    assert spent.exit_code == 0
    other = run(*options, "--judge", "openai:none@http://127.0.0.1:9/v1", "--max-calls", "0")
    assert other.exit_code == 1
    assert "the budget is spent" in other.stderr


def test_files_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "rows.jsonl", [row("a", "Wait <|im_end|> what?")])
    result = CliRunner().invoke(app, ["data", "audit", "rows.jsonl", "--json", "--only", "hygiene"])
    assert "hygiene/template_token" in audited(result)["counts"]
    result = CliRunner().invoke(app, ["data", "audit", "rows.jsonl", "--fix"])
    assert result.exit_code == 2
    assert "there is none" in result.stderr
    result = CliRunner().invoke(app, ["data", "audit", "rows.jsonl", "--judge", "scripted:x"])
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "rows.jsonl"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("\ufeff".encode("utf-16"), "UTF-16"),
        ('{"id": "a", "query": "caf\u00e9"}'.encode("latin-1"), "not UTF-8 at byte"),
        ('{"id": "a", "query": "hi"}'.encode("utf-16"), "UTF-16"),
        ('{"id": "a", "query": "hi"}'.encode("utf-16-le"), "UTF-16"),
        (b"", "no rows"),
        (b'{"id": "a", "query": ""}', "at least 1 character"),
        (b"[1]", "an object is needed"),
        (b'{"id": "a", "query": "' + b"x" * (9 << 20) + b'"}', "a line of more than 8 MB"),
    ],
    ids=["bom", "latin-1", "utf-16", "utf-16-le", "empty", "empty-query", "array", "long"],
)
def test_bad_files_get_one_line(run, project: Path, content: bytes, said: str) -> None:
    path = project / "bad.jsonl"
    path.write_bytes(content)
    result = run("data", "audit", str(path))
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("audit", "--only", "vibes"), "no audit 'vibes'"),
        (("audit", "--set", "audit.minimum=0"), "greater than or equal to 1"),
        (("audit", "--set", "audit.adversarial=[0.7, 0.3]"), "the lower bound comes first"),
        (("restore",), "nothing that stands was decided by --fix"),
        (("restore", "nobody"), "nothing that stands was decided about 'nobody'"),
    ],
)
def test_mistakes_get_one_line(run, arguments: tuple[str, ...], said: str) -> None:
    result = run("data", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_people_decide_and_take_back(run, project: Path) -> None:
    args = ("t0-m", "--reason", "is harmless", "--by", "ana")
    assert run("data", "decide", *args, "--relabel", "kind=ordinary").exit_code == 0
    assert run("data", "decide", *args, "--relabel", "expected=answer").exit_code == 0
    cells = {c["cell"]: c["development"] for c in value(run("data", "list", "--json"))["cells"]}
    assert cells["dangerous-content/answer/ordinary"] == 1
    assert run("data", "decide", "t0-m", "--remove", "--reason", "no").exit_code == 0
    assert value(run("data", "list", "--json"))["removed"] == ["t0-m"]
    assert value(run("data", "restore", "t0-m", "--json"))["restored"] == ["t0-m"]
    assert value(run("data", "list", "--json"))["removed"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody", "--remove"), "no row 'nobody'"),
        (("t0-m",), "one decision at a time"),
        (("t0-m", "--remove", "--approve"), "one decision at a time"),
        (("t0-m", "--relabel", "expected"), "not of the form"),
        (("t0-m", "--relabel", "expected=never"), "cannot relabel"),
        (("t0-m", "--relabel", "query=Hi"), "should be 'kind'"),
        (("t0-m", "--relabel", "policies=nope"), "unknown policy 'nope'"),
    ],
)
def test_a_wrong_decision_is_not_written(
    run, project: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = run("data", "decide", *arguments, "--reason", "because")
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (project / "data" / "decisions.jsonl").exists()
