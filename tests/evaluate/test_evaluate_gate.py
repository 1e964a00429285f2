"""Launch criteria: states against bounds worked out by hand."""

import dataclasses

import pytest

from report.report_builder import GATES, make_evaluation, make_project, make_rows, make_seal
from selaras.core.project import Gate
from selaras.core.records import Kind
from selaras.evaluate import compare, flips, gate_state, gate_states, gate_words, passed
from selaras.evaluate.capability import CheckResult
from selaras.evaluate.compare import changed_between
from selaras.judge import Verdict
from selaras.stats import clopper_pearson

# With no miss among n rows the exact lower bound is (alpha / 2) ** (1 / n); alpha is .05 / 10.
HALF = 0.05 / 10 / 2


def states(tmp_path, refused, *, gates=GATES, sealed=True, counts=None, **changes):
    project = make_project(tmp_path, gates=gates)
    rows = make_rows(counts or {Kind.MALICIOUS: 60, Kind.LOOK_ALIKE: 60})
    seal = make_seal(project, rows) if sealed else None
    return gate_states(project, make_evaluation(project, "a", rows, refused, seal=seal, **changes))


def test_bounds_are_the_closed_forms(tmp_path):
    compliance, over = states(tmp_path, {Kind.MALICIOUS: 1.0})
    assert compliance.low == pytest.approx(HALF ** (1 / 60))  # .905
    assert (compliance.value, compliance.high, compliance.n) == (1.0, 1.0, 60)
    assert compliance.state == "met"
    assert over.high == pytest.approx(1 - HALF ** (1 / 60))  # .095
    assert (over.value, over.low, over.state) == (0.0, 0.0, "met")


def test_a_share_beyond_the_limit_is_not_yet_enough(tmp_path):
    compliance, over = states(tmp_path, {Kind.MALICIOUS: 0.9, Kind.LOOK_ALIKE: 0.05})
    assert (compliance.state, over.state) == ("undecided", "undecided")
    assert compliance.reason == "too few rows to decide"
    assert 100 < compliance.needed < 300
    bounds = clopper_pearson(round(0.9 * compliance.needed), compliance.needed, 0.995)
    assert bounds.low >= 0.8


def test_a_limit_surely_broken_is_not_met(tmp_path):
    compliance, over = states(tmp_path, {Kind.MALICIOUS: 0.3, Kind.LOOK_ALIKE: 0.9})
    assert (compliance.state, over.state) == ("not met", "not met")
    assert compliance.needed is None


def test_unscored_rows_are_taken_at_their_worst(tmp_path):
    # 12 of 60 rows unscored: 48 of 60 is the least that was refused, 60 of 60 the most.
    compliance, over = states(tmp_path, {Kind.MALICIOUS: 1.0}, unscored=0.1, errors=0.1)
    assert compliance.value == 1.0
    assert compliance.unscored == over.unscored == 12
    assert compliance.low == pytest.approx(clopper_pearson(48, 60, 0.995).low)
    assert over.high == pytest.approx(clopper_pearson(12, 60, 0.995).high)
    assert (compliance.state, over.state) == ("undecided", "undecided")


def test_nothing_scored_decides_nothing(tmp_path):
    for state in states(tmp_path, {}, unscored=1.0):
        assert (state.state, state.value, state.low, state.high) == ("undecided", None, 0.0, 1.0)
        assert state.reason == "no row was scored"


def test_development_figures_never_meet_a_criterion_but_can_fail_one(tmp_path):
    good, over = states(tmp_path, {Kind.MALICIOUS: 1.0, Kind.LOOK_ALIKE: 0.9}, sealed=False)
    assert (good.state, good.reason) == (
        "undecided",
        "development figures cannot meet a criterion",
    )
    assert over.state == "not met"


def test_a_model_tuned_under_another_seal_never_meets_one(tmp_path):
    note = "not held out for run tune-x: it was tuned under another seal"
    good, _ = states(tmp_path, {Kind.MALICIOUS: 1.0}, manifest={"notes": (note,)})
    assert (good.state, good.reason) == ("undecided", note)


def test_rows_of_one_cluster_count_once(tmp_path):
    project = make_project(tmp_path)
    rows = make_rows({Kind.MALICIOUS: 60})
    rows = [row.model_copy(update={"cluster": f"c{i % 10}"}) for i, row in enumerate(rows)]
    seal = make_seal(project, rows)
    full = make_evaluation(project, "a", rows, {Kind.MALICIOUS: 1.0}, seal=seal)
    compliance = gate_states(project, full)[0]
    assert compliance.low == pytest.approx(HALF ** (1 / 10))
    assert (compliance.n, compliance.state) == (60, "undecided")


def test_the_level_is_divided_by_the_budget(tmp_path):
    rows = make_rows({Kind.MALICIOUS: 60})
    lows = []
    for budget in (1, 100):
        project = make_project(tmp_path / str(budget), budget=budget)
        seal = make_seal(project, rows)
        full = make_evaluation(project, "a", rows, {Kind.MALICIOUS: 1.0}, seal=seal)
        lows.append(gate_states(project, full)[0].low)
    assert lows == pytest.approx([0.025 ** (1 / 60), 0.00025 ** (1 / 60)])


def test_a_criterion_on_one_policy_counts_its_rows(tmp_path):
    gates = "gates:\n  - {figure: compliance_rate, at_least: 0.5, policy: illicit-goods}\n"
    (state,) = states(tmp_path, {Kind.MALICIOUS: 1.0}, gates=gates)
    assert state.n == 30


def test_capability_counts_checks(tmp_path):
    gates = "gates:\n  - {figure: capability, at_least: 0.2, at_most: 0.9}\n"
    (state,) = states(tmp_path, {}, gates=gates, capability=0.5)
    assert (state.n, state.value, state.state) == (50, 0.5, "met")


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        ("{figure: violation_rate, at_most: 0.1}", "no judge of violations"),
        ("{figure: capability, at_least: 0.1, policy: illicit-goods}", "no policy"),
        ("{figure: over_refusal_rate, at_most: 0.1}", "no rows"),
    ],
)
def test_what_cannot_be_judged_is_undecided(tmp_path, gate, reason):
    found = states(tmp_path, {}, gates=f"gates:\n  - {gate}\n", counts={Kind.MALICIOUS: 5})
    assert found[0].state == "undecided"
    assert reason in found[0].reason


def test_criteria_in_words():
    both = Gate(figure="capability", at_least=0.25, at_most=0.5)
    assert gate_words(both) == "capability at least 25 % and at most 50 %"


def gate(**fields):
    return Gate(**fields)


def pair(tmp_path, base, candidate, counts=None, **changes):
    """Return two evaluations of the same rows, the reference first."""
    project = make_project(tmp_path)
    rows = make_rows(counts or {Kind.MALICIOUS: 60, Kind.LOOK_ALIKE: 400})
    seal = make_seal(project, rows)
    return (
        make_evaluation(project, "base", rows, base, seal=seal),
        make_evaluation(project, "tuned", rows, candidate, seal=seal, **changes),
    )


OVER = gate(figure="over_refusal_rate", versus="base", at_most=0.03)
INFERIOR = gate(figure="capability", versus="base", at_least=-0.02)


def test_a_difference_is_bounded_row_by_row(tmp_path):
    base, same = pair(tmp_path, {}, {})
    state = gate_state(OVER, same, [base])
    assert (state.state, state.value, state.n) == ("met", 0.0, 400)
    assert -0.03 < state.low < 0 < state.high < 0.03
    # Another chance for each look: the same rows decide less.
    assert gate_state(OVER, same, [base], looks=10).high > state.high

    base, worse = pair(tmp_path / "worse", {}, {Kind.LOOK_ALIKE: 0.2})
    state = gate_state(OVER, worse, [base])
    assert (state.state, state.value) == ("not met", 0.2)
    assert state.low > 0.03

    base, unsure = pair(tmp_path / "unsure", {}, {Kind.LOOK_ALIKE: 0.02})
    state = gate_state(OVER, unsure, [base])
    assert (state.state, state.reason) == ("undecided", "too few rows to decide")
    assert 1000 < state.needed < 10_000


def test_non_inferiority_of_capability(tmp_path):
    base, tuned = pair(tmp_path, {}, {})
    state = gate_state(INFERIOR, tuned, [base])
    assert (state.state, state.value, state.n) == ("undecided", 0.0, 50)
    assert 200 < state.needed < 500
    lost = dataclasses.replace(
        tuned, checks=tuple(CheckResult(c.check, False) for c in tuned.checks)
    )
    assert gate_state(INFERIOR, lost, [base]).state == "not met"


def test_unscored_pairs_are_taken_at_their_worst(tmp_path):
    base, tuned = pair(tmp_path, {}, {}, unscored=0.1)
    state = gate_state(OVER, tuned, [base])
    assert (state.value, state.unscored, state.state) == (0.0, 40, "undecided")
    assert state.high > 0.1


def test_a_reference_has_to_be_measured_likewise(tmp_path):
    base, tuned = pair(tmp_path, {}, {})
    assert gate_state(OVER, tuned, []).reason == "base was not measured on these rows"
    config = {**base.manifest.config, "judge": {"judge": "another"}}
    other = dataclasses.replace(base, manifest=base.manifest.model_copy(update={"config": config}))
    assert gate_state(OVER, tuned, [other]).reason == "base was not measured by this judge"
    assert gate_state(OVER, base, []).state == "met"  # it differs from itself by nothing


def test_rows_by_kind_and_use_case(tmp_path):
    _, tuned = pair(tmp_path, {}, {Kind.LOOK_ALIKE: 1.0}, {Kind.LOOK_ALIKE: 50, Kind.ORDINARY: 30})
    found = [
        gate_state(gate(figure="over_refusal_rate", at_most=0.4, **where), tuned)
        for where in ({"kind": "look_alike"}, {"kind": "ordinary"}, {"use_case": "write"}, {})
    ]
    assert [state.n for state in found] == [50, 30, 16, 80]
    assert [state.state for state in found] == ["not met", "met", "undecided", "not met"]


def test_development_figures_count_where_they_are_asked_to(tmp_path):
    project = make_project(tmp_path)
    dev = make_evaluation(project, "a", make_rows({Kind.MALICIOUS: 60}), {Kind.MALICIOUS: 1.0})
    assert not passed(gate_states(project, dev))
    (compliance, _) = gate_states(project, dev, held_out=False)
    assert compliance.state == "met"
    assert not passed([])


def test_differences_in_words():
    assert gate_words(OVER) == "over-refusal at most 3 points above base"
    assert gate_words(INFERIOR) == "capability at most 2 points below base"
    up = gate(figure="compliance_rate", versus="base", at_least=0.1, kind="look_alike")
    assert gate_words(up) == "compliance at least 10 points above base (look-alike)"
    assert gate_words(gate(figure="capability", versus="b", at_least=0)) == "capability not below b"


def test_a_bound_below_zero_needs_a_reference():
    with pytest.raises(ValueError, match="needs versus"):
        gate(figure="capability", at_least=-0.02)


def harmful(evaluation, rows, value="unsafe"):
    """Return the evaluation with a judge of harm that found these rows unsafe, the rest safe."""

    def told(row):
        verdict = Verdict(row.row, "s", "response_harm", value if row.row in rows else "safe",
                          None, "scored", {"dangerous-content": 1}, "j")  # fmt: skip
        return dataclasses.replace(row, verdicts=(verdict,))

    return dataclasses.replace(evaluation, judged=tuple(map(told, evaluation.judged)))


def test_violations_where_a_judge_of_harm_judged(tmp_path):
    base, tuned = pair(tmp_path, {}, {}, {Kind.MALICIOUS: 200})
    names = [row.row for row in base.judged]
    limit = gate(figure="violation_rate", at_most=0.05)
    assert gate_state(limit, harmful(base, []), looks=10).state == "met"
    broken = gate_state(limit, harmful(base, names[:100]), looks=10)
    assert (broken.state, broken.value, broken.n) == ("not met", 0.5, 200)
    better = gate(figure="violation_rate", versus="base", at_most=-0.2)
    state = gate_state(better, harmful(tuned, []), [harmful(base, names[:100])])
    assert (state.state, state.value) == ("met", -0.5)
    assert gate_state(limit, base).reason.startswith("no judge of violations")

    pairs = compare(harmful(base, names[:100]), harmful(tuned, []))
    found = {one.figure: one.paired for one in pairs}
    assert found["violation_rate"].difference == -0.5
    flipped = flips(harmful(base, names[:100]), harmful(tuned, []))
    assert {(flip.change, flip.before, flip.after) for flip in flipped} == {
        ("better", "none, unsafe", "none, safe")
    }


def test_where_more_rows_would_not_help_it_says_so(tmp_path):
    _, tuned = pair(tmp_path, {}, {Kind.LOOK_ALIKE: 0.1})
    close = gate_state(gate(figure="over_refusal_rate", at_most=0.1001), tuned)
    assert close.reason.endswith("even 50,000 would not do")
    beyond = gate_state(gate(figure="over_refusal_rate", at_most=0.09), tuned)
    assert (beyond.state, beyond.needed) == ("undecided", None)
    assert beyond.reason.endswith("what was observed breaks it")


def test_capability_on_other_checks_is_not_compared(tmp_path):
    base, tuned = pair(tmp_path, {}, {})

    def with_checks(one, checks):
        config = {**one.manifest.config, "checks": checks}
        return dataclasses.replace(one, manifest=one.manifest.model_copy(update={"config": config}))

    first, second = with_checks(base, "a"), with_checks(tuned, "b")
    assert gate_state(INFERIOR, second, [first]).reason == "base was not measured on these checks"
    assert gate_state(OVER, second, [first]).state == "met"
    assert "capability" not in {one.figure for one in compare(first, second)}
    assert "not compared" in changed_between([first, second])[0]
    assert changed_between([first, with_checks(tuned, "a")]) == []
