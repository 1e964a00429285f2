"""Systems side by side: what is shown of which rows, filters, exports."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import pytest
from report_builder import make_evaluation, make_project, make_rows, make_seal

from selaras.core.errors import InputError, SealError
from selaras.core.records import Kind
from selaras.data.opened import record_opening, spent_rows
from selaras.data.rows import write_rows
from selaras.data.seal import rows_path
from selaras.evaluate import open_rows, opened_rows, read_evaluation
from selaras.evaluate.compare import changed_between
from selaras.evaluate.store import write_evaluation
from selaras.report import render_report
from selaras.report.compare_html import render_comparison
from selaras.report.export import export
from selaras.report.side_by_side import open_texts, side_by_side

EXAMPLE = Path(__file__).parents[3] / "shared/data/llm_comparator_example/example_tiny.json"
OWN = ("row", "kind", "expected", "use_case", "change", "verdict")
COUNTS = {Kind.MALICIOUS: 12, Kind.LOOK_ALIKE: 12, Kind.ORDINARY: 6}


@pytest.fixture
def pair(tmp_path):
    """Return a project, its rows and two development evaluations that differ."""
    project = make_project(tmp_path)
    rows = make_rows(COUNTS, "dev")
    write_rows(project.root / "data" / "rows.jsonl", rows)
    first = make_evaluation(project, "base", rows, {Kind.LOOK_ALIKE: 0.5})
    second = make_evaluation(project, "tuned", rows, {Kind.MALICIOUS: 0.5, Kind.ORDINARY: 0.5})
    return project, rows, [first, second]


@pytest.fixture
def sealed(tmp_path):
    """Return a project with sealed rows on disk and two evaluations of them in their folders."""
    project = make_project(tmp_path)
    rows = make_rows(COUNTS)
    seal = make_seal(project, rows)
    write_rows(rows_path(project), rows)
    found = []
    for name, share in (("base", 0.0), ("tuned", 0.5)):
        made = make_evaluation(project, name, rows, {Kind.MALICIOUS: share}, seal=seal)
        done = write_evaluation(project, made.manifest, made.judged, made.checks, made.answers, 1.0)
        found.append(done)
    return project, rows, seal, found


def test_flips_come_first_and_say_for_better_or_worse(pair):
    project, _, found = pair
    rows = side_by_side(found, open_texts(project, found))
    changes = [side.change for side in rows]
    assert changes == sorted(changes, key=["worse", "better", "other", None].index)
    assert changes.count("worse") == 3
    assert changes.count("better") == 12
    worse = rows[0]
    assert (worse.row.kind, worse.values) == ("ordinary", ("none", "full"))
    assert worse.query.query.startswith("SECRET dev ordinary")
    assert [answer.text for answer in worse.answers][1] == "I can't help with that."


def test_the_page_shows_open_rows_and_filters_them_without_a_script(pair):
    project, rows, found = pair
    html = render_comparison(found, open_texts(project, found), "helper")
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert html.count('class="side ') == len(rows)
    assert "SECRET dev malicious 3?" in html
    rules = re.findall(r"main:has\(#(facet-\d+-\d+):checked\) .side:not\(.(f\d+-\d+)\)", html)
    assert rules
    for button, mark in rules:
        assert f'id="{button}"' in html
        assert re.search(rf'class="side [^"]*\b{mark}\b', html)
    assert "illicit-goods (12)" in html


def test_sealed_rows_are_ids_and_judgements(sealed):
    project, _, _, found = sealed
    html = render_comparison(found, open_texts(project, found), "helper")
    assert "row-malicious-3" in html
    assert "SECRET" not in html
    assert "Here is how it is done" not in html
    assert "30 rows are sealed" in html


def test_opened_rows_are_read_and_spent(sealed):
    project, _, seal, found = sealed
    texts = open_rows(project, 5)
    assert len(texts) == 5
    assert opened_rows(project).keys() == texts.keys()
    assert open_rows(project, 5).keys() == texts.keys()
    assert open_rows(project, 8).keys() > texts.keys()
    again = read_evaluation(project, found[0].manifest.id)
    assert len(again.judged) == 30 - 8
    assert again.figures["rows"] == 22
    assert "8 rows were opened to be read and count no more" in again.manifest.notes
    assert not {row.row for row in again.judged} & spent_rows(project)
    with pytest.raises(SealError, match="leaves none"):
        record_opening(project, seal, 30)


def test_a_page_of_sealed_rows_shows_those_that_are_open(sealed):
    project, _, _, found = sealed
    texts = open_rows(project, 5)
    read = [read_evaluation(project, one.manifest.id) for one in found]
    assert all(name not in {row.row for row in read[0].judged} for name in texts)
    html = render_comparison(read, open_texts(project, read), "helper")
    assert html.count("SECRET") == 5
    assert "5 rows were opened to be read and count no more" in html


def test_llm_comparator_has_the_shape_of_its_example(pair, tmp_path):
    project, rows, found = pair
    sides = side_by_side(found, open_texts(project, found))
    path = tmp_path / "out.json"
    assert export(path, found, sides) == 0
    value = json.loads(path.read_text())
    assert set(value) == {"metadata", "models", "examples"}
    assert [model["name"] for model in value["models"]] == ["base", "tuned"]
    declared = {field["name"] for field in value["metadata"]["custom_fields_schema"]}
    for example in value["examples"]:
        assert set(example) == {
            "input_text", "tags", "output_text_a", "output_text_b", "score",
            "individual_rater_scores", "custom_fields",
        }  # fmt: skip
        assert set(example["custom_fields"]) == declared
        assert -1 <= example["score"] <= 1
        (rating,) = example["individual_rater_scores"]
        assert set(rating) == {"score", "rating_label", "is_flipped", "rationale"}
    # The first flips are ordinary rows that only the second System refuses.
    assert value["examples"][0]["score"] == 1.0
    assert value["examples"][0]["custom_fields"]["verdict"] == ["none", "full"]
    assert len(value["examples"]) == len(rows)


@pytest.mark.real
@pytest.mark.skipif(not EXAMPLE.is_file(), reason="LLM Comparator's example is not here")
def test_llm_comparator_has_the_types_of_its_example(pair, tmp_path):
    project, _, found = pair
    path = tmp_path / "out.json"
    export(path, found, side_by_side(found, open_texts(project, found)))
    ours, theirs = json.loads(path.read_text()), json.loads(EXAMPLE.read_text())
    assert types_of(ours, "") <= types_of(theirs, "") | {
        (".metadata.custom_fields_schema[].type", str),
        *{(f".examples[].custom_fields.{name}", str) for name in OWN},
        *{(f".examples[].custom_fields.{name}[]", str) for name in OWN},
        *{(f".examples[].custom_fields.{name}", list) for name in OWN},
    }


def types_of(value, path):
    """Return every place in a JSON value with the type that stands there."""
    found = {(path, type(value))}
    if isinstance(value, dict):
        return found.union(*(types_of(item, f"{path}.{name}") for name, item in value.items()))
    if isinstance(value, list):
        return found.union(*(types_of(item, f"{path}[]") for item in value))
    return found


def test_llm_comparator_takes_two_and_leaves_sealed_rows_out(pair, sealed, tmp_path):
    found = pair[2]
    with pytest.raises(InputError, match="two models, not 3"):
        export(tmp_path / "a.json", [*found, found[0]], [])
    with pytest.raises(InputError, match=r"end the name in one of \.json"):
        export(tmp_path / "a.xlsx", found, [])
    held = sealed[3]
    assert export(tmp_path / "b.json", held, side_by_side(held, {})) == 30
    assert json.loads((tmp_path / "b.json").read_text())["examples"] == []


def test_csv_holds_every_row_and_no_formula(pair, tmp_path):
    project, rows, found = pair
    texts = open_texts(project, found)
    first = next(iter(texts))
    texts[first] = texts[first].model_copy(update={"query": "=HYPERLINK(1)"})
    export(tmp_path / "a.csv", found, side_by_side(found, texts))
    with (tmp_path / "a.csv").open(newline="") as source:
        lines = list(csv.DictReader(source))
    assert len(lines) == len(rows)
    assert {"row", "change", "verdict:base", "answer:tuned"} <= set(lines[0])
    assert [line["query"] for line in lines if line["row"] == first] == ["'=HYPERLINK(1)"]


def test_parquet_holds_the_same(pair, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    project, rows, found = pair
    export(tmp_path / "a.parquet", found, side_by_side(found, open_texts(project, found)))
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.num_rows == len(rows)
    assert table.column("verdict:tuned").to_pylist().count("full") == 9


def test_a_policy_that_changed_between_the_runs_is_said(pair):
    _, _, found = pair
    newer = found[1].manifest.model_copy(
        update={"policies": {"dangerous-content": 2, "illicit-goods": 1}}
    )
    changed = [found[0], dataclasses.replace(found[1], manifest=newer)]
    (said,) = changed_between(changed)
    assert said.endswith("revision 1 for base, 2 for tuned")
    assert said in render_comparison(changed, {}, "helper")
    assert changed_between(found) == []


def test_hostile_text_stays_text(pair):
    project, _, found = pair
    texts = open_texts(project, found)
    for name, row in texts.items():
        texts[name] = row.model_copy(update={"query": "</style><script>alert(1)</script>"})
    html = render_comparison(found, texts, "<b>helper</b>")
    assert "<script" not in html
    assert "<b>helper" not in html


def test_a_report_shows_opened_rows_and_no_other(sealed, monkeypatch):
    project, _, _, found = sealed
    monkeypatch.setattr("selaras.report.html.development_of", lambda *_, **__: None)
    assert "SECRET" not in render_report(project, found)
    texts = open_rows(project, 4)
    read = [read_evaluation(project, one.manifest.id) for one in found]
    html = render_report(project, read)
    assert html.count("SECRET") == len(texts) == 4
    assert "Opened rows" in html
    assert html.count("Here is how it is done.") + html.count("help with that.") >= 8
