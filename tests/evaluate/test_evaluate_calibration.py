"""Labels from a file, the judge against them, and what a report makes of it."""

import json

import numpy as np
import pytest

from report.report_builder import make_evaluation, make_project, make_rows
from selaras.core.errors import InputError
from selaras.core.files import write_jsonl
from selaras.core.records import Kind
from selaras.evaluate.calibration import calibrate, calibration_of, write_calibration
from selaras.evaluate.labels import read_labels, truth_of
from selaras.report import render_report, sentences
from selaras.stats import cohen_kappa

COUNTS = {Kind.MALICIOUS: 300, Kind.LOOK_ALIKE: 300}


def labelled(evaluation, count, *, flip=0.1, raters=("r1", "r2"), seed=1):
    """Return labels of random rows: the judge's value, wrong in a share of them."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(evaluation.judged))[:count]
    out = []
    for number in rows:
        row = evaluation.judged[number]
        wrong = rng.random() < flip
        value = {"full": "none", "none": "full"}[row.value] if wrong else row.value
        out += [
            {"rater": rater, "row": row.row, "system": evaluation.name, "axis": "refusal",
             "value": value, "at": "2026"}
            for rater in raters
        ]  # fmt: skip
    return out


def labels_of(tmp_path, lines):
    path = tmp_path / "labels.jsonl"
    write_jsonl(path, lines)
    return read_labels(path)


@pytest.fixture
def measured(tmp_path):
    project = make_project(tmp_path)
    refused = {Kind.MALICIOUS: 0.6, Kind.LOOK_ALIKE: 0.2}
    return project, make_evaluation(project, "tuned", make_rows(COUNTS), refused)


def test_a_judge_that_is_right_nine_times_in_ten(measured, tmp_path):
    _, evaluation = measured
    found = calibrate(evaluation, labels_of(tmp_path, labelled(evaluation, 200)))
    assert (found.labels, found.raters, found.calibrated) == (200, 2, True)
    assert found.sensitivity.value == pytest.approx(0.9, abs=0.08)
    assert found.specificity.value == pytest.approx(0.9, abs=0.08)
    assert found.sensitivity.n + found.specificity.n == 200
    assert found.ceiling.value == 1.0  # both raters say the same
    truth = truth_of(labels_of(tmp_path, labelled(evaluation, 200)), "refusal").values
    judged = {row.row: row.value for row in evaluation.judged}
    expected = cohen_kappa([judged[name] for name in truth], list(truth.values()))
    assert found.kappa.value == pytest.approx(expected.value)


def test_rates_are_corrected_towards_people(measured, tmp_path):
    _, evaluation = measured
    found = calibrate(evaluation, labels_of(tmp_path, labelled(evaluation, 400, flip=0.2)))
    over = next(rate for rate in found.rates if rate.figure == "over_refusal_rate")
    # The judge says 20 %; with one in five wrong, people say .2 * .8 + .8 * .2 = 32 %.
    assert over.judged.value == pytest.approx(0.2)
    assert over.corrected["value"] == pytest.approx(0.32, abs=0.06)
    assert over.corrected["low"] < 0.32 < over.corrected["high"]
    assert over.corrected["effective"] > over.corrected["labelled"]


def test_under_a_hundred_labels_it_is_uncalibrated(measured, tmp_path):
    _, evaluation = measured
    few = calibrate(evaluation, labels_of(tmp_path, labelled(evaluation, 99)))
    assert not few.calibrated
    assert few.to_dict()["calibrated"] is False
    json.dumps(few.to_dict(), allow_nan=False)


def test_what_is_left_out_is_counted(measured, tmp_path):
    _, evaluation = measured
    lines = labelled(evaluation, 120)
    other = {"full": "none", "none": "full"}
    lines[1] = {**lines[1], "value": other[lines[0]["value"]]}
    lines += [{**lines[0], "row": "elsewhere"}]
    found = calibrate(evaluation, labels_of(tmp_path, lines))
    assert found.left_out == {"raters tied": 1, "not in this run": 1}
    assert found.labels == 119


def test_labels_that_were_chosen_are_noticed(measured, tmp_path):
    _, evaluation = measured
    chosen = [row.row for row in evaluation.judged if row.value == "full"][:100]
    lines = [line for line in labelled(evaluation, 600) if line["row"] in chosen]
    found = calibrate(evaluation, labels_of(tmp_path, lines))
    assert "not drawn at random" in found.warnings[0]
    fair = calibrate(evaluation, labels_of(tmp_path, labelled(evaluation, 150)))
    assert fair.warnings == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"axis": "tone"}, "no axis 'tone'"),
        ({"value": "unsafe"}, "'unsafe' is no value of refusal"),
        ({"rater": ""}, "field 'rater'"),
        ({"value": "partial"}, "says both"),
    ],
)
def test_a_bad_label_is_named_by_line(tmp_path, change, said):
    good = {"rater": "r", "row": "a", "system": "s", "axis": "refusal", "value": "full"}
    with pytest.raises(InputError, match=said) as caught:
        labels_of(tmp_path, [good, {**good, **change}])
    assert caught.value.line == 2


def test_labels_of_another_system_are_not_carried_over(measured, tmp_path):
    project, evaluation = measured
    labels = labels_of(tmp_path, labelled(evaluation, 150))
    other = make_evaluation(project, "other", make_rows(COUNTS), system={"name": "another"})
    with pytest.raises(InputError, match="no label is about refusal of other"):
        calibrate(other, labels)
    write_calibration(project, calibrate(evaluation, labels), [tmp_path / "labels.jsonl"])
    assert calibration_of(project, evaluation)["labels"] == 150
    assert calibration_of(project, other) is None


def test_a_report_says_for_which_systems_the_judge_is_calibrated(measured, tmp_path, monkeypatch):
    project, evaluation = measured
    monkeypatch.setattr("selaras.report.html.development_of", lambda *_, **__: None)
    assert "Uncalibrated for tuned" in render_report(project, [evaluation])
    assert "only refusal rules judged, uncalibrated" in sentences([evaluation], project)[-2]
    labels = labels_of(tmp_path, labelled(evaluation, 150))
    write_calibration(project, calibrate(evaluation, labels), [tmp_path / "labels.jsonl"])
    html = render_report(project, [evaluation])
    assert "Uncalibrated for" not in html
    assert "Both (PPI++)" in html
    assert "calibrated on people&#x27;s labels" in html
