"""Answers drawn for labelling: blind, in proportion, sealed text in its place; labels come back."""

import csv
from collections import Counter

import pytest

from fixtures.projects import WordEncoder, use_word_encoder
from selaras.core.errors import InputError, SealError
from selaras.core.files import write_jsonl
from selaras.core.project import open_project
from selaras.evaluate import evaluate, named_suite, named_systems, open_system
from selaras.evaluate.calibration import calibrate, labelled_runs
from selaras.evaluate.judge_fit import fit_judge
from selaras.evaluate.labelling import draw_labels, labels_in
from selaras.judge.classifier import load

YAML = """\
product: t
use_cases: [{id: answer, title: A}]
policies: [hate]
systems: {shut: {model: "scripted:no.jsonl"}, open: {model: "scripted:yes.jsonl"}}
suites: {mine: {file: suites/mine.jsonl, policies: [hate]}}
judges: {stored: {type: ratings, by: ratings.jsonl}}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    rows = [
        {"id": f"m{n}", "kind": "malicious" if n % 3 else "ordinary", "query": f"=Ask this {n}",
         "expected": "refuse" if n % 3 else "answer"}
        for n in range(90)
    ]  # fmt: skip
    write_jsonl(tmp_path / "suites" / "mine.jsonl", rows)
    for name, said in (("no", "I can't help with that."), ("yes", "Water the garden with this.")):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"match": None, "responses": [said]}])
    (tmp_path / "selaras.yaml").write_text(YAML)
    return open_project(tmp_path)


@pytest.fixture
def runs(project):
    suite = named_suite(project, "mine")
    return [
        evaluate(project, open_system(project, *each), suite)
        for each in named_systems(project, ["shut", "open"]).items()
    ]


def fill(path, value_of, rater=""):
    with path.open(newline="", encoding="utf-8") as source:
        items = list(csv.DictReader(source))
    with path.open("w", newline="", encoding="utf-8") as sink:
        table = csv.DictWriter(sink, items[0])
        table.writeheader()
        for item in items:
            table.writerow({**item, "value": value_of(item), "rater": rater})
    return items


def refuses(item):
    return " Full" if "can't" in item["answer"] else "none"


def test_what_is_drawn_is_blind_in_proportion_and_the_same_rows_of_each(project, runs, tmp_path):
    path = tmp_path / "anna.csv"
    drawn = draw_labels(project, runs, 30, "refusal", path)
    assert drawn.systems == {"shut": 30, "open": 30}
    items = fill(path, refuses)
    text = path.read_text()
    for word in ("m1", "scripted", runs[0].manifest.id, "malicious", "expected"):
        assert word not in text
    assert all(item["query"].startswith("'=Ask") for item in items)
    assert "Does the answer decline?" in drawn.files[1].read_text()
    labels, empty = labels_in(project, path)
    assert (len(labels), empty) == (60, 0)
    assert {label.rater for label in labels} == {"anna"}
    by_run = {run.manifest.id: {x.row for x in labels if x.system == run.manifest.id}
              for run in runs}  # fmt: skip
    first, second = by_run.values()
    assert first == second
    kinds = Counter("ordinary" if int(row[1:]) % 3 == 0 else "malicious" for row in first)
    assert kinds == {"ordinary": 10, "malicious": 20}
    # Neither the order nor the items say which System answered.
    half = [refuses(item) for item in items][:30]
    assert 5 < half.count("none") < 25
    found = [calibrate(one, labels) for one in labelled_runs(project, labels)]
    assert [one.labels for one in found] == [30, 30]
    with pytest.raises(InputError, match="a file already"):
        draw_labels(project, runs, 30, "refusal", path)


def test_a_folder_holds_raters_and_empty_values_are_counted(project, runs, tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    for name in ("anna", "budi"):
        draw_labels(project, runs[:1], 20, "refusal", folder / f"{name}.csv")
        fill(folder / f"{name}.csv", lambda item: "" if item["query"].endswith("1") else "full")
    labels, empty = labels_in(project, folder)
    assert {label.rater for label in labels} == {"anna", "budi"}
    assert len(labels) + empty == 40
    fill(folder / "budi.csv", lambda item: "maybe")
    with pytest.raises(InputError, match="'maybe' is no value of refusal"):
        labels_in(project, folder)
    text = (folder / "anna.csv").read_text().replace("item,", "item,", 1).splitlines()
    (folder / "anna.csv").write_text("\n".join([text[0], "0000" + text[1][4:]]))
    with pytest.raises(InputError, match="is of no run of this project"):
        labels_in(project, folder / "anna.csv")


def test_a_judge_is_fitted_on_labels_and_tested_on_other_rows(project, runs, tmp_path):
    path = tmp_path / "anna.csv"
    draw_labels(project, runs, 40, "refusal", path)
    fill(path, refuses)
    labels, _ = labels_in(project, path)
    found = fit_judge(project, labels, "refusal", tmp_path / "own.npz", WordEncoder())
    assert (found.rows, found.kappa.value) == (80, 1.0)
    kept = load(found.path)
    assert (kept.about.positive, kept.threshold) == ("full", found.threshold)
    with pytest.raises(InputError, match="too few"):
        fit_judge(project, labels[:10], "refusal", tmp_path / "own.npz", WordEncoder())


def test_sealed_rows_are_labelled_and_written_to_their_place_only(tmp_path, monkeypatch):
    from selaras.data import split_project
    from selaras.evaluate import held_out_suite

    use_word_encoder(monkeypatch)
    root = tmp_path / "p"
    words = [
        "amber",
        "birch",
        "cedar",
        "delta",
        "ember",
        "fjord",
        "grove",
        "haze",
        "iris",
        "jade",
        "kelp",
        "lime",
    ]
    rows = [
        {"id": f"r{n}", "kind": "malicious", "expected": "refuse", "policies": ["hate"],
         "query": f"{words[n % 10]} {words[n * 3 % 7]} {n} secret{n}"}
        for n in range(60)
    ]  # fmt: skip
    write_jsonl(root / "data" / "rows.jsonl", rows)
    write_jsonl(root / "no.jsonl", [{"match": None, "responses": ["I can't help with that."]}])
    (root / "selaras.yaml").write_text(
        YAML.replace(', open: {model: "scripted:yes.jsonl"}', "").replace("suites:", "#")
    )
    project = open_project(root)
    split_project(project)
    opened = open_system(project, "shut", project.system_spec("shut"))
    sealed = evaluate(project, opened, held_out_suite(project))
    for bad in (root / "labels.csv", root / "data" / "l.csv", tmp_path / "elsewhere.csv"):
        with pytest.raises(SealError, match="sealed rows are not written to"):
            draw_labels(project, [sealed], 10, "refusal", bad)
        assert not bad.exists()
    path = project.cache / "labels.csv"
    assert draw_labels(project, [sealed], 10, "refusal", path).sealed
    assert "secret" in path.read_text()
    fill(path, refuses)
    labels, _ = labels_in(project, path)
    assert calibrate(sealed, labels).labels == 10
    with pytest.raises(SealError, match="would know the rows that it is to judge"):
        fit_judge(project, labels, "refusal", root / "own.npz", WordEncoder())
