"""The command line as a user runs it: figures, exit codes, one line for each mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_value import value
from typer.testing import CliRunner

from selaras.cli import app


def test_the_loop_with_scripted_systems(run, project: Path) -> None:
    split = value(run("data", "split", "--json"))
    assert split["held_out"] + split["development"] == 60
    listed = value(run("data", "list", "--json"))
    assert (listed["held_out"], listed["looks"]) == (split["held_out"], 0)

    systems = value(run("eval", "--json"))["systems"]
    figures = {system["name"]: system["figures"] for system in systems}
    assert figures["base"]["compliance_rate"]["value"] == 0.0
    assert figures["shut"]["compliance_rate"]["value"] == 1.0
    assert figures["shut"]["over_refusal_rate"]["by_kind"]["look_alike"]["value"] == 1.0
    assert figures["base"]["capability"]["value"] == 1.0
    assert figures["shut"]["capability"]["value"] == 0.0
    assert value(run("data", "list", "--json"))["looks"] == 2

    again = value(run("eval", "--json"))["systems"]
    assert [system["run"] for system in again] == [system["run"] for system in systems]

    paired = value(run("compare", *[system["run"] for system in systems], "--json"))["paired"]
    found = {pair["figure"]: pair["difference"] for pair in paired}
    assert found["compliance_rate"] == found["over_refusal_rate"] == 1.0

    report = project / "page.html"
    assert run("report", "--out", str(report)).exit_code == 0
    assert "shut" in report.read_text()
    traced = value(run("trace", systems[0]["run"], "--json"))
    assert traced
    kinds = {entry["kind"] for entry in value(run("trace", "--json"))}
    assert {"eval", "report"} <= kinds


def test_tables_for_people_hold_the_same_figures(run) -> None:
    run("data", "split")
    result = run("eval", "shut")
    assert result.exit_code == 0
    assert "100 %" in result.stdout
    assert "Held-out figures" in result.stdout


def test_development_figures_cost_no_look(run) -> None:
    run("data", "split")
    result = value(run("eval", "base", "--development", "--json"))
    assert result["systems"][0]["stamp"] == "development figures"
    assert value(run("data", "list", "--json"))["looks"] == 0


def test_the_budget_of_looks_holds(run, project: Path) -> None:
    run("data", "split")
    for number in range(3):
        script = project / f"s{number}.jsonl"
        script.write_text(json.dumps({"match": None, "response": f"Answer {number}."}) + "\n")
        assert run("eval", f"scripted:s{number}.jsonl").exit_code == 0
    result = run("eval", "base")
    assert result.exit_code == 2
    assert "budget is 3" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["eval", "nothere"], "no System named 'nothere'"),
        (["eval", "hf:/no/such/folder"], "not a model folder"),
        (["eval", "base", "--judge", "oracle"], "no judge 'oracle'"),
        (["eval", "base", "--set", "product"], "--set"),
        (["eval", "base", "--set", "tune.epochs=none"], "tune.epochs"),
        (["compare", "one"], "name two"),
        (["compare", "one", "two"], "no run 'one'"),
        (["tune", "sft", "--recipe", "magic"], "no recipe 'magic'"),
        (["report"], "no finished evaluation"),
        (["trace", "nothing"], "no run 'nothing'"),
    ],
)
def test_mistakes_get_one_line(run, arguments: list[str], said: str) -> None:
    run("data", "split")
    result = run(*arguments)
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("selaras:")]
    assert said in line
    assert "Traceback" not in result.output


def test_bad_rows_name_file_line_and_field(run, project: Path) -> None:
    rows = project / "data" / "more.jsonl"
    for text, said in [
        ('{"id": "x", "query": "Hi"', "line 1: broken JSON"),
        ('{"id": "x", "query": ""}', "line 1, field 'query'"),
        ('{"id": "x", "query": "Hi", "polices": []}', "field 'polices': unknown field"),
        ('{"id": "o1", "query": "Hi"}', "stands already"),
        ('{"id": "x", "query": "Hi", "policies": ["nope"]}', "nope"),
    ]:
        rows.write_text(text + "\n")
        result = run("data", "list")
        assert result.exit_code == 2
        assert "more.jsonl" in result.stderr
        assert said in result.stderr


def test_split_twice_is_refused(run) -> None:
    assert run("data", "split").exit_code == 0
    result = run("data", "split")
    assert result.exit_code == 2
    assert "--extend" in result.stderr


def test_an_unexpected_error_is_a_line(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selaras.data.load_rows", lambda project: 1 / 0)
    result = run("data", "list")
    assert result.exit_code == 1
    assert "unexpected ZeroDivisionError" in result.stderr
    assert "Traceback" not in result.stderr


def test_init_makes_a_project_that_reads(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    runner = CliRunner()
    assert runner.invoke(app, ["init", str(folder), "--example", "household-helper"]).exit_code == 0
    listed = value(runner.invoke(app, ["data", "list", "--json", "-C", str(folder)]))
    assert listed["development"] == 791
    again = runner.invoke(app, ["init", str(folder)])
    assert again.exit_code == 2
    assert runner.invoke(app, ["init", str(tmp_path / "x"), "--example", "no"]).exit_code == 2


def test_models_and_doctor(run) -> None:
    listed = value(run("models", "list", "--json"))
    assert listed["models"][0]["name"] == "bundled:smollm2-135m-instruct"
    assert run("models", "get", "nothing").exit_code == 2
    assert run("models", "get", "gemma3-270m").exit_code in {0, 2}
    assert "Python" in run("doctor").stdout


GATES = """\
gates:
  - {figure: compliance_rate, at_least: 0.2}
  - {figure: over_refusal_rate, versus: base, at_most: 0.05}
"""


def test_a_gate_passes_fails_or_cannot_decide(run, project: Path) -> None:
    run("data", "split")
    run("eval")
    assert "no launch criteria" in run("gate").stderr
    file = project / "selaras.yaml"
    file.write_text(file.read_text() + GATES)

    result = run("gate")
    assert result.exit_code == 2
    assert "nothing says which one is to be launched" in result.stderr

    shut = run("gate", "shut", "--json")
    assert shut.exit_code == 3
    told = json.loads(shut.stdout)
    assert not told["passed"]
    assert [gate["state"] for gate in told["gates"]] == ["met", "not met"]
    assert told["gates"][1]["criterion"] == "over-refusal at most 5 points above base"

    base = run("gate", "base", "--set", "gates=[{figure: over_refusal_rate, at_most: 0.5}]")
    assert base.exit_code == 0
    assert "base passes: 1 met" in base.stderr

    unsure = run("gate", "base", "--set", "gates=[{figure: over_refusal_rate, at_most: 0.02}]")
    assert unsure.exit_code == 3
    assert "1 undecided" in unsure.stderr
    assert "independent rows would do" in " ".join(unsure.stdout.split())


def test_a_gate_writes_a_comment_with_figures_and_flips(run, project: Path) -> None:
    run("data", "split")
    run("eval")
    file = project / "selaras.yaml"
    file.write_text(file.read_text() + GATES)
    note = project / "gate.md"
    assert run("gate", "shut", "--markdown", str(note)).exit_code == 3
    text = note.read_text()
    assert "`shut` did not pass the gate" in text
    assert "| Over-refusal | 100 %" in text
    assert "❌ not met" in text
    assert "rows flipped against base" in text
    sealed = (project / "holdout" / "rows.jsonl").read_text()
    queries = [json.loads(line)["query"] for line in sealed.splitlines()]
    assert queries
    assert not any(query in text for query in queries)
    assert "not measured on the rows" in run("gate", "shut", "--against", "nobody").stderr


def test_the_workflow_uses_commands_that_are_there(run) -> None:
    import yaml

    steps = yaml.safe_load(run("gate", "--github").stdout)["jobs"]["gate"]["steps"]
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    ours = [line.split() for line in lines if line.startswith("selaras ")]
    assert [words[1] for words in ours] == ["eval", "gate"]
    for words in ours:
        help_text = CliRunner().invoke(app, [words[1], "--help"]).stdout
        assert all(word in help_text for word in words if word.startswith("--"))


def test_compare_writes_a_page_and_files_and_opens_rows(run, project: Path) -> None:
    run("data", "split")
    runs = [system["run"] for system in value(run("eval", "--json"))["systems"]]
    sealed = (project / "holdout" / "rows.jsonl").read_text().splitlines()
    queries = {json.loads(line)["id"]: json.loads(line)["query"] for line in sealed}
    page, table = project / "page.html", project / "rows.csv"

    result = run("compare", *runs, "--html", str(page), "--export", str(table))
    assert result.exit_code == 0
    assert "Rows judged otherwise" in result.stdout
    assert not any(query in page.read_text() + table.read_text() for query in queries.values())

    run("eval", "--development")
    assert "Held-out figures" in run("compare", "base", "shut").stdout
    assert "no run 'nobody'" in run("compare", "base", "nobody").stderr
    told = value(run("compare", *runs, "--json"))
    assert len(told["flips"]) == len(queries)
    assert {flip["change"] for flip in told["flips"]} == {"worse", "better"}
    of_kind = value(run("compare", *runs, "--json", "--kind", "look-alike"))
    assert {flip["kind"] for flip in of_kind["flips"]} == {"look_alike"}
    assert "on no row of policy 'hate'" in run("compare", *runs, "--policy", "hate").stderr

    assert run("compare", *runs, "--html", str(page), "--open", "2").exit_code == 0
    shown = [name for name, query in queries.items() if query in page.read_text()]
    assert 2 <= len(shown) <= 3
    figures = value(run("eval", "--json"))["systems"][0]["figures"]
    assert figures["rows"] == len(queries) - len(shown)
    assert "leaves none" in run("compare", *runs, "--open", str(len(queries))).stderr


def test_a_comparison_of_different_rows_says_how_many_are_shared(run) -> None:
    run("data", "split")
    (sealed,) = value(run("eval", "base", "--json"))["systems"]
    (development,) = value(run("eval", "base", "--development", "--json"))["systems"]
    result = run("compare", sealed["run"], development["run"])
    assert result.exit_code == 2
    assert "0 of them the same" in result.stderr


def test_calibrate_holds_the_judge_against_labels(run, project: Path) -> None:
    run("data", "split")
    (system,) = value(run("eval", "shut", "--development", "--json"))["systems"]
    rows = [json.loads(line) for line in (project / "data" / "rows.jsonl").read_text().splitlines()]
    file = project / "labels.jsonl"
    labels = [
        {"rater": "r1", "row": row["id"], "system": "shut", "axis": "refusal", "value": "full"}
        for row in rows
    ]
    file.write_text("".join(json.dumps(label) + "\n" for label in labels))
    run("eval", "shut")  # a newer run, which holds none of these rows
    (told,) = value(run("calibrate", str(file), "--json"))["calibrations"]
    assert value(run("calibrate", str(file), "shut", "--json"))["calibrations"] == [told]
    assert "no run 'nobody'" in run("calibrate", str(file), "nobody").stderr
    assert told["run"] == system["run"]
    assert told["sensitivity"]["value"] == 1.0
    assert not told["calibrated"]
    shown = run("calibrate", str(file))
    assert "shut: uncalibrated (" in " ".join(shown.stdout.split())
    assert (
        "no label is about response_harm"
        in run("calibrate", str(file), "--axis", "response_harm").stderr
    )


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "selaras", "--version"], check=True, capture_output=True
    )
    assert done.stdout.strip()


@pytest.mark.parametrize("arguments", [("debug", "--input", "a\udcff"), ("eval", "sys\udcff")])
def test_bytes_that_are_no_utf_8_are_refused_in_one_line(run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "is not UTF-8" in result.output
    assert len(result.output.splitlines()) == 1
