"""Two evaluations of the same rows: paired row by row, adjusted, and refused where not alike."""

import json

import pytest

from selaras.core.errors import InputError
from selaras.core.manifest import Manifest
from selaras.core.system import Sampling, System
from selaras.evaluate import Evaluation, compare
from selaras.evaluate.capability import CheckResult
from selaras.evaluate.cells import compare_cells
from selaras.evaluate.figures import Judged
from selaras.stats import holm, paired_difference


def evaluation(name, values, checks=(), suite="s", judge="j"):
    """Return an evaluation of rows {id: (expected, kind, value)} and checks {id: passed}."""
    system = System(name=name, model={"name": name}, sampling=Sampling())
    manifest = Manifest(
        id=f"eval-{name}", kind="eval", started="now", system=system,
        config={"suite": suite, "judge": judge},
    )  # fmt: skip
    judged = tuple(
        Judged(
            row, kind, expected, (), None, row.partition("-")[0],
            None if value in {"error", "unscored"} else value,
            value if value in {"error", "unscored"} else "scored",
        )
        for row, (expected, kind, value) in values.items()
    )  # fmt: skip
    return Evaluation(
        manifest, judged, tuple(CheckResult(*item) for item in dict(checks).items()), ()
    )


def refused(values):
    return {f"m{i}": ("refuse", "malicious", value) for i, value in enumerate(values)}


def found(before, after):
    return {one.figure: one for one in compare(before, after)}


def test_the_difference_is_taken_row_by_row_whatever_their_order():
    before = refused(["full", "none", "none", "none", "partial"])
    after = dict(reversed(refused(["full", "full", "full", "none", "none"]).items()))
    pair = found(evaluation("a", before), evaluation("b", after))["compliance_rate"]
    expected = paired_difference(
        [True, False, False, False, False], [True, True, True, False, False]
    )
    assert pair.paired.difference == pytest.approx(0.4)
    assert (pair.paired.gained, pair.paired.lost, pair.paired.n) == (2, 0, 5)
    assert pair.paired.p_value == expected.p_value
    assert (pair.before, pair.after) == ("a", "b")


def test_turning_the_comparison_round_mirrors_it():
    rows = refused(["full", "none", "none", "full", "none"])
    turned = refused(["none", "full", "full", "full", "none"])
    there = found(evaluation("a", rows), evaluation("b", turned))["compliance_rate"].paired
    back = found(evaluation("b", turned), evaluation("a", rows))["compliance_rate"].paired
    assert (there.difference, there.low, there.high) == pytest.approx(
        (-back.difference, -back.high, -back.low)
    )
    assert there.p_value == pytest.approx(back.p_value)


def test_rows_that_a_side_did_not_score_are_in_no_pair():
    before = refused(["full", "error", "none", "none"])
    after = refused(["full", "full", "unscored", "full"])
    pair = found(evaluation("a", before), evaluation("b", after))["compliance_rate"].paired
    assert (pair.n, pair.gained) == (2, 1)
    silent = refused(["error"] * 4)
    assert "compliance_rate" not in found(evaluation("a", before), evaluation("b", silent))


def test_over_refusal_is_compared_over_all_and_by_kind():
    kinds = ("look_alike", "look_alike", "ordinary", "inadvertent", "malicious")
    before = {f"r{i}": ("answer", kind, "full") for i, kind in enumerate(kinds)}
    after = {row: (*value[:2], "none") for row, value in before.items()}
    pairs = found(evaluation("a", before), evaluation("b", after))
    counted = {name: (pair.paired.difference, pair.paired.n) for name, pair in pairs.items()}
    assert counted == {
        "over_refusal_rate": (-1, 5),
        "over_refusal_rate.look_alike": (-1, 2),
        "over_refusal_rate.ordinary": (-1, 1),
        "over_refusal_rate.inadvertent": (-1, 1),
    }


def test_the_split_groups_are_the_clusters():
    ids = [f"g{i // 4}-{i}" for i in range(24)]
    before = dict.fromkeys(ids, ("refuse", "malicious", "none"))
    after = {row: ("refuse", "malicious", "full" if i < 8 else "none")
             for i, row in enumerate(ids)}  # fmt: skip
    pair = found(evaluation("a", before), evaluation("b", after))["compliance_rate"].paired
    assert (pair.n, pair.clusters) == (24, 6)
    assert pair.test.startswith("sign-flip")


def test_capability_is_paired_over_the_checks_that_both_could_run():
    rows = refused(["full"])
    before = evaluation("a", rows, {"x": True, "y": True, "z": None, "w": True})
    after = evaluation("b", rows, {"x": False, "y": True, "z": True, "v": True})
    pair = found(before, after)["capability"].paired
    assert (pair.n, pair.lost, pair.difference) == (2, 1, -0.5)


def test_p_values_are_adjusted_over_the_figures_of_the_comparison():
    rows = {f"r{i}": ("answer", "look_alike", "full") for i in range(8)} | refused(["none"] * 8)
    after = {row: (*value[:2], "none" if value[2] == "full" else "full")
             for row, value in rows.items()}  # fmt: skip
    comparisons = compare(evaluation("a", rows), evaluation("b", after))
    unadjusted = [one.paired.p_value for one in comparisons]
    assert [one.p_value for one in comparisons] == holm(unadjusted)
    assert max(one.p_value for one in comparisons) > max(unadjusted)


def test_a_comparison_is_json():
    rows = refused(["full", "none"])
    value = compare(evaluation("a", rows), evaluation("b", rows))[0].to_dict()
    json.dumps(value, allow_nan=False)
    assert {"from", "to", "figure", "difference", "low", "high", "p_value"} <= value.keys()
    assert (value["from"], value["to"], value["difference"]) == ("a", "b", 0)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (evaluation("b", refused(["full", "none", "none"])), "measured on different rows"),
        (evaluation("b", refused(["full"])), "measured on different rows"),
        (evaluation("b", refused(["full", "none"]), suite="t"), "measured on different rows"),
        (evaluation("b", refused(["full", "none"]), judge="k"), "judged by different judges"),
    ],
)
def test_what_was_not_measured_alike_is_not_compared(other, says):
    with pytest.raises(InputError, match=f"a and b were {says}"):
        compare(evaluation("a", refused(["full", "none"])), other)


def test_cells_are_adjusted_together():
    before = refused(["none"] * 20) | {f"a{i}": ("answer", "ordinary", "none") for i in range(20)}
    after = refused(["full"] * 20) | {f"a{i}": ("answer", "ordinary", "none") for i in range(20)}
    cells = compare_cells(evaluation("a", before), evaluation("b", after))
    assert [(c.kind, c.figure, c.tied) for c in cells] == [
        ("malicious", "compliance_rate", False),
        ("ordinary", "over_refusal_rate", True),
    ]
    assert cells[0].p_value == pytest.approx(2 * cells[0].paired.p_value)
    assert (cells[0].paired.difference, cells[1].paired.difference) == (1.0, 0.0)
    json.dumps([cell.to_dict() for cell in cells], allow_nan=False)
