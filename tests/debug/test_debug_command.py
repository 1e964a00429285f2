"""`selaras debug` on the tiny model: the issue's JSON form, pages, rows, bad input as one line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fixtures.projects import use_word_encoder
from selaras.cli import app
from selaras.core.errors import SealError
from selaras.core.files import write_jsonl, write_text
from selaras.core.project import open_project
from selaras.debug import aggregate
from selaras.debug.aggregate import chosen_rows
from selaras.template import load_prompt

PROMPT = '{{role "system"}}Be brief. Never shout. Use soda.\n{{role "user"}}{{input}}'
SHOTS = (
    '{{role "system"}}Be brief.\n{{! examples }}\n{{role "user"}}{{query}}\n'
    '{{role "model"}}{{response}}\n{{! /examples }}\n{{role "user"}}{{input}}'
)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def project(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    head = "product: t\nuse_cases: [{id: a, title: A}]\npolicies: [hate]\n"
    spec = f"{{model: 'hf:{tiny_folder}', prompt: p.prompt}}"
    shown, rows = (spec.replace("p.prompt", n) for n in ("shots.prompt", "rows.prompt@best"))
    systems = f"{{base: {spec}, shown: {shown}, rows: {rows}}}"
    write_text(root / "selaras.yaml", f"{head}systems: {systems}\n")
    write_text(root / "p.prompt", PROMPT)
    write_text(root / "q.prompt", PROMPT.replace("Be brief", "Be long"))
    rows = [{"id": f"r{n}", "query": f"How do I kill process {n}?", "kind": "ordinary",
             "expected": "answer" if n % 2 else "refuse", "response": "Use the kill command."}
            for n in range(18)]  # fmt: skip
    write_jsonl(root / "data" / "rows.jsonl", rows)
    (root / "holdout").mkdir()
    write_jsonl(root / "holdout" / "rows.jsonl", rows[:2])
    return root


def run(project: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["debug", *arguments, "-C", str(project)])


def test_json_is_in_the_issues_form(project: Path) -> None:
    done = run(project, "r1", "--response", "Use the kill command.", "--target", "kill", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {"model", "method", "target", "segments", "faithfulness", "seconds", "forwards",
            "backwards"} <= set(found)  # fmt: skip
    assert found["target"] == {"text": " kill", "start": 7, "end": 12}
    assert {"role", "origin", "text", "start", "end", "score"} == set(found["segments"][0])
    assert {"lds", "drop_at_1", "drop_at_3", "hold", "baselines"} <= set(found["faithfulness"])
    again = run(project, "r1", "--response", "Use the kill command.", "--target", "kill", "--json")
    assert json.loads(again.stdout)["forwards"] == 0


def test_the_terminal_map_and_a_page_of_two_prompts(project: Path) -> None:
    page = project / "debug.html"
    done = run(project, "--input", "How <|im_end|>\x1b[31m?", "--prompt", str(project / "p.prompt"),
               "--system", "base", "--refusal", "--instead", "Sure", "--versus",
               str(project / "q.prompt"), "--html", str(page))  # fmt: skip
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert "Be brief." in text
    assert "Be long." in text
    shown = run(project, "r1", "--label", "safe", "--labels", "safe,unsafe", "--method", "gradient")
    assert "faithfulness: " in shown.output
    assert "\x1b[31m" not in done.output


def test_rows_are_aggregated_and_findings_written(project: Path) -> None:
    out = project / "findings.jsonl"
    done = run(project, "--rows", "development", "--limit", "18", "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["rows"] == 18
    assert [part["text"] for part in found["parts"]] == ["Be brief.", "Never shout.", "Use soda."]
    assert all(part["refusing_safe"]["n"] == 9 for part in found["parts"])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines == found["findings"]


def test_examples_that_are_rows_are_read_and_labelled_prompts_found(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_word_encoder(monkeypatch)
    write_text(project / "rows.prompt", "---\nselaras: {examples: {rows: [r3]}}\n---\n" + SHOTS)
    labelled = CliRunner().invoke(
        app, ["prompt", "label", str(project / "rows.prompt"), "best", "-C", str(project)]
    )
    assert labelled.exit_code == 0, labelled.output
    done = run(project, "r1", "--system", "rows", "--response", "Yes.", "--method", "gradient",
               "--unit", "example", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    (shot,) = [s for s in json.loads(done.stdout)["segments"] if s["origin"] == "few_shot"]
    assert "process 3?" in shot["text"]
    assert "Use the kill command." in shot["text"]


def test_findings_name_their_template_and_prompt_lint_reads_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate, "NEGLIGIBLE", 1e9)  # so that every part is a finding
    out, prompt = project / "all.jsonl", project / "shots.prompt"
    head = "---\nselaras: {examples: {inline: [{query: Hi, response: Ho}]}}\n---\n"
    block = '{{! examples }}\n{{role "user"}}\n{{query}}\n{{role "model"}}\n{{response}}\n'
    system, user = PROMPT.replace("soda.", "soda. Be brief.").split("\n")
    write_text(prompt, f"{head}{system}\n{block}{{{{! /examples }}}}\n{user}")
    asked = ["--rows", "development", "--limit", "16", "--system", "shown", "--out", str(out)]
    done = run(project, *asked)
    assert done.exit_code == 0, done.output
    assert "next: selaras prompt lint shots.prompt --findings" in done.output
    lint = ["prompt", "lint", str(prompt), "--only", "measured", "--findings", str(out)]
    told = CliRunner().invoke(app, [*lint, "--json", "-C", str(project)])
    assert told.exit_code == 0, told.output
    ((_, remarks),) = json.loads(told.stdout).items()
    remarks = [each for each in remarks if each["what"].endswith("never matters on these rows")]
    body = load_prompt(prompt).body
    parts = [body[remark["start"] : remark["end"]] for remark in remarks[:4]]
    assert parts == ["Be brief.", "Never shout.", "Use soda.", "Be brief."]
    assert "the example inline-1" in remarks[4]["what"]
    write_text(prompt, f"{head}{system} Or not.\n{block}{{{{! /examples }}}}\n{user}")
    stale = CliRunner().invoke(app, [*lint, "-C", str(project)])
    assert stale.exit_code == 2
    assert len(stale.stderr.strip().splitlines()) == 1


def test_faithfulness_measures_methods_on_planted_evidence(
    project: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    wide = shutil.copytree(tiny_folder, tmp_path / "wide")  # the prompts pass the tiny context
    config = json.loads((wide / "config.json").read_text())
    write_text(wide / "config.json", json.dumps({**config, "max_position_embeddings": 2048}))
    asked = ["faithfulness", "--model", f"hf:{wide}", "--prompts", "2", "--masks", "8",
             "--methods", "gradient,leave-one-out"]  # fmt: skip
    done = run(project, *asked, "--json")
    assert done.exit_code == 0, done.output
    found = {each["method"]: each for each in json.loads(done.stdout)["methods"]}
    assert list(found) == ["length", "recency", "random", "gradient", "leave-one-out"]
    exact = found["leave-one-out"]
    assert (exact["prompts"], len(exact["lds_each"])) == (2, 2)
    assert exact["drop_at_1"] >= max(each["drop_at_1"] for each in found.values())
    shown = run(project, *asked).output
    assert f"leave-one-out{exact['lds']:>9.2f}{exact['drop_at_1']:>8.2f}" in shown
    assert run(project, *asked[:3], "--methods", "magic", "--prompts", "1").exit_code == 2


def test_sealed_rows_are_not_read(project: Path) -> None:
    with pytest.raises(SealError):
        chosen_rows(open_project(project), project / "holdout" / "rows.jsonl", 5, 0)


@pytest.mark.parametrize("arguments", [
    ("r1", "--response", " "), ("r1", "--response", "Yes", "--target", ""),
    ("r1", "--response", "Yes", "--target", "no"), ("nobody",), (), ("r1", "--input", "x"),
    ("r1", "--response", "Yes", "--unit", "chapter"), ("r1", "--response", "Yes", "--regex", "("),
    ("r1", "--response", "Yes", "--method", "magic"), ("r1", "--label", "safe"),
    ("r1", "--response", "word " * 400), ("--input", "word " * 400, "--system", "base"),
    ("--rows", "no-such.jsonl"),
])  # fmt: skip
def test_bad_input_gets_one_line(project: Path, arguments: tuple[str, ...]) -> None:
    done = run(project, "explain", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("selaras: ")
    assert len(done.stderr.strip().splitlines()) == 1
