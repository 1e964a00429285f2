"""Reports on disk, and the lineage of runs."""

import json
from dataclasses import replace

import pytest
from report_builder import (
    make_development,
    make_evaluation,
    make_project,
    make_rows,
    make_seal,
    make_tune,
)

from selaras.core.errors import InputError
from selaras.core.files import write_text
from selaras.core.manifest import hashes, ledger, read_manifest, write_manifest
from selaras.core.records import Kind
from selaras.report import lineage, write_report
from selaras.report.html_evidence import _tuning_run
from selaras.report.model import measured
from selaras.report.reproduce import command_lines, training_line
from selaras.report.tuning import tuning_runs

ROWS = make_rows({Kind.MALICIOUS: 6, Kind.LOOK_ALIKE: 6})


@pytest.fixture
def made(tmp_path):
    project = make_project(tmp_path)
    seal = make_seal(project, ROWS)
    tune = make_tune(project, "guarded", seed=2, seal=seal)
    pair = [
        make_evaluation(project, "base", ROWS, seal=seal),
        make_evaluation(project, "guarded", ROWS, {Kind.MALICIOUS: 1.0}, seal=seal, tune=tune),
    ]
    return project, pair, make_development([], seal)


def test_a_report_is_a_run_whose_parents_are_the_evaluations(made):
    project, pair, development = made
    path = write_report(project, pair, development=development)
    manifest = read_manifest(project.runs, path.parent.name)
    assert path == project.runs / manifest.id / "report.html"
    assert (manifest.kind, manifest.status) == ("report", "finished")
    assert manifest.parents == tuple(evaluation.manifest.id for evaluation in pair)
    assert manifest.outputs == hashes(project.root, [path])
    assert set(manifest.inputs) == {f"runs/{e.manifest.id}/manifest.json" for e in pair}
    assert manifest.seal == pair[0].manifest.seal
    assert manifest.figures["sentences"][1].startswith("This holds for the 12 held-out rows")


def test_the_same_report_is_written_once(made, tmp_path):
    project, pair, development = made
    first = write_report(project, pair, development=development)
    assert write_report(project, pair, development=development) == first
    first.write_text("changed")
    again = write_report(project, pair, development=development)
    assert again != first
    elsewhere = tmp_path / "out" / "page.html"
    assert write_report(project, pair, path=elsewhere, development=development) == elsewhere
    assert elsewhere.read_text() == again.read_text()
    assert len([m for m in ledger(project.runs) if m.kind == "report"]) == 3


def test_what_cannot_be_reported_leaves_nothing(made):
    project, pair, development = made
    before = sorted(project.root.rglob("*"))
    other = make_evaluation(None, "other", ROWS[1:], seal=None)
    with pytest.raises(InputError):
        write_report(project, [*pair, other], development=development)
    assert sorted(project.root.rglob("*")) == before


def test_lineage_goes_both_ways_down_to_policies_and_data(made):
    project, pair, development = made
    write_report(project, pair, development=development)
    write_text(project.root / "data" / "a.jsonl", "{}\n")
    write_text(project.root / "data" / "b.jsonl", "{}\n")
    tune = read_manifest(project.runs, pair[1].manifest.parents[0])
    inputs = hashes(project.root, (project.root / "data").glob("*.jsonl"))
    write_manifest(project.runs, tune.model_copy(update={"inputs": inputs}))
    (project.root / "data" / "a.jsonl").write_text("changed\n")
    (project.root / "data" / "b.jsonl").unlink()
    found = lineage(project, pair[1].manifest.id)
    text = found.text
    assert f"└─ {tune.id} (tune, finished" in text
    assert "policies  dangerous-content r1, illicit-goods r1" in text
    assert f"seal      {pair[0].manifest.seal}" in text
    assert "data/a.jsonl" in text
    assert "(changed since)" in text
    assert "(gone since)" in text
    assert "└─ report-" in text
    value = json.loads(json.dumps(found.to_dict()))
    (parent,) = value["origins"]["runs"]
    assert parent["id"] == tune.id
    assert parent["inputs"]["data/a.jsonl"]["now"] == "changed"
    assert [run["kind"] for run in value["results"]["runs"]] == ["report"]


def test_lineage_of_a_run_without_relatives_and_with_lost_ones(made):
    project, pair, _ = made
    assert lineage(project, pair[0].manifest.id).text.count("└─ nothing") == 2
    with pytest.raises(InputError, match="no run 'nobody'"):
        lineage(project, "nobody")
    circular = pair[0].manifest.model_copy(update={"parents": (pair[0].manifest.id, "lost")})
    write_manifest(project.runs, circular)
    assert "└─ lost (not in the ledger)" in lineage(project, circular.id).text


def test_commands_make_the_runs_again(made):
    project, pair, _ = made
    found = measured(pair)
    runs = tuning_runs(project, found.lines)
    tune = runs[0].manifest.id
    assert command_lines(project, found, runs) == [
        "selaras tune sft --recipe guarded --seeds 3 --set tune.learning_rate=0.0003",
        f"selaras eval base run:{tune}",
        f"selaras report {pair[0].manifest.id} {pair[1].manifest.id}",
        f"selaras trace {pair[0].manifest.id}",
    ]


def test_every_kind_of_tuning_has_its_command_and_its_facts(made):
    project, pair, _ = made
    found = measured(pair)
    (run,) = tuning_runs(project, found.lines)

    def of(**config):
        manifest = run.manifest.model_copy(update={"config": config, "seed": project.file.seed})
        return replace(run, manifest=manifest)

    model = project.file.tune.model
    changed = {**project.file.tune.preference.model_dump(mode="json"), "beta": 0.3}
    preference = of(method="preference", model=model, pairs=66, settings=changed)
    assert training_line(project, preference) == (
        "selaras tune preference --set tune.preference.beta=0.3"
    )
    settings = {**project.file.tune.rl.model_dump(mode="json"), "reward": "run:r", "steps": 5}
    changed = {"rank": project.file.tune.rank, "rl": settings}
    rl = of(method="rl", recipe="rloo", model=model, settings=changed)
    assert training_line(project, rl) == (
        "selaras tune rl --set tune.rl.reward=run:r --set tune.rl.steps=5"
    )
    for one, says in (
        (preference, ("66 pairs", "preference on")),
        (rl, ("rloo rl on", "8 x 4 responses a step")),
    ):
        facts = str(_tuning_run(one))
        assert all(text in facts for text in says)
        assert "None" not in facts
