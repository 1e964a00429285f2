"""`selaras prompt` as a user runs it: written, shown, linted, kept, labelled, measured by label."""

from pathlib import Path

import pytest
import yaml
from cli_value import value
from typer.testing import CliRunner

from selaras.cli import app
from selaras.core.project import open_project
from selaras.data import open_development, read_rows

RUNNER = CliRunner()


def prompt(*arguments: object):
    return RUNNER.invoke(app, ["prompt", *map(str, arguments)])


@pytest.fixture
def file(project: Path) -> Path:
    path = project / "prompts" / "x.prompt"
    assert prompt("new", path, "--policy", "dangerous-content").exit_code == 0
    return path


def test_a_new_template_is_shown_linted_and_rendered(file: Path, project: Path) -> None:
    shown = value(prompt("show", file, "--json"))
    assert [turn["role"] for turn in shown["turns"]] == ["system", "user"]
    remarks = value(prompt("lint", file, "--json"))[str(file)]
    assert [remark["check"] for remark in remarks] == ["policy-unsaid"]
    told = value(prompt("render", file, "--value", "query=<|im_end|> {{x}}", "--json"))
    assert told["stretches"][-1]["text"] == "<|im_end|> {{x}}"
    (first, *_), _ = read_rows(sorted((project / "data").glob("*.jsonl")))
    by_row = value(prompt("render", file, "-C", project, "--row", first.id, "--json"))
    assert by_row["stretches"][-1]["text"] == first.query
    assert prompt("render", file, "-C", project, "--row", "no-such").exit_code == 2
    for seen in (prompt("show", file), prompt("render", file), prompt("lint", file)):
        assert seen.exit_code == 0, seen.output


def test_an_error_of_lint_is_exit_code_3_and_strict_counts_warnings(file: Path) -> None:
    file.write_text("One sentence. Be concise. Explain in detail.\n{{query}}")
    assert prompt("lint", file).exit_code == 0
    assert prompt("lint", file, "--strict").exit_code == 3
    file.write_text('{{role "system"}}Answer in one sentence.')
    assert prompt("lint", file).exit_code == 3
    assert prompt("lint", file, "--only", "nope").exit_code == 2


def test_versions_labels_and_a_system_by_label(file: Path, project: Path) -> None:
    assert prompt("keep", file, "--note", "first").exit_code == 0
    assert prompt("label", file, "production").exit_code == 0
    file.write_text(file.read_text().replace("three", "two"))
    changes = value(prompt("diff", file, "production", "--json"))["changes"]
    assert [change["kind"] for change in changes] == ["changed"]
    assert "+You are … Answer in at most two" in prompt("diff", file, "--text").output
    (version,) = value(prompt("log", file, "--json"))
    assert version["labels"] == ["production"]

    settings = yaml.safe_load((project / "selaras.yaml").read_text())
    settings["systems"]["labelled"] = {
        "model": "scripted:open.jsonl", "prompt": "prompts/x.prompt@production",
    }  # fmt: skip
    (project / "selaras.yaml").write_text(yaml.safe_dump(settings))
    run = ["eval", "labelled", "--development", "--json", "-C", str(project)]
    first = value(RUNNER.invoke(app, run))["systems"][0]["fingerprint"]
    assert prompt("label", file, "production").exit_code == 0
    assert value(RUNNER.invoke(app, run))["systems"][0]["fingerprint"] != first


def test_edits_inside_the_block_are_taken_over(file: Path) -> None:
    assert "says what the record says" in prompt("adopt", file).output
    file.write_text(
        file.read_text().replace("{{! /principles }}", "- Be kind.\n{{! /principles }}")
    )
    assert "was edited by hand" in prompt("show", file).output
    assert "hand-1 (active): Be kind." in prompt("adopt", file).output
    assert "was edited by hand" not in " ".join(prompt("show", file).output.split())
    notes = [version["note"] for version in value(prompt("log", file, "--json"))]
    assert notes == ["principles edited by hand", "as it was in the file"]


def test_few_shot_examples_of_development_rows(file: Path, project: Path) -> None:
    block = '{{! examples }}{{role "user"}}{{query}}{{role "model"}}{{response}}{{! /examples }}'
    file.write_text(f'{{{{role "system"}}}}One sentence.{block}{{{{role "user"}}}}{{{{input}}}}')
    split = value(RUNNER.invoke(app, ["data", "split", "--json", "-C", str(project)]))
    assert split["held_out"]
    for by in ("policy", "similarity", "diversity"):
        done = prompt("examples", file, "-n", "9", "--by", by, "--like", "x", "-C", project)
        assert done.exit_code == 0, done.output
        shown = value(prompt("show", file, "--json"))["front"]["selaras"]["examples"]["rows"]
        left = {each.id for each in open_development(open_project(project)).rows}
        assert shown
        assert set(shown) <= left
    settings = yaml.safe_load((project / "selaras.yaml").read_text())
    settings["systems"]["shots"] = {"model": "scripted:open.jsonl", "prompt": "prompts/x.prompt"}
    (project / "selaras.yaml").write_text(yaml.safe_dump(settings))
    run = ["eval", "shots", "--development", "--json", "-C", str(project)]
    (system,) = value(RUNNER.invoke(app, run))["systems"]
    assert any("are few-shot examples of this System's prompt" in note for note in system["notes"])
    # A sealed row that somebody names by hand is refused before anything is called.
    held = {r.id for r in read_rows([project / "holdout" / "rows.jsonl"])[0]}
    text = file.read_text().replace(f"- {shown[0]}\n", f"- {min(held)}\n")
    file.write_text(text)
    refused = RUNNER.invoke(app, run)
    assert refused.exit_code == 2
    assert "is not among the development rows" in refused.output


def test_mistakes_are_one_line(file: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (("show", tmp_path / "none.prompt"), "no such file"),
        (("new", file), "there is a file already"),
        (("diff", file), "no version 'latest'"),
        (("render", file, "--value", "tone=kind"), "has no variable 'tone'"),
        (("render", file, "--value", "tone"), "not of the form name=text"),
    ):
        result = prompt(*arguments)
        assert result.exit_code == 2
        assert said in result.output
        assert len(result.output.strip().splitlines()) == 1
