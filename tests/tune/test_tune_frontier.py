"""The front holds what nothing dominates; a winner is named only where the rows tell it apart."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from selaras.evaluate.figures import Judged, figures_of
from selaras.tune.frontier import Spot, advice, benefit_scores, front, letters

RATE = {"value": 0.6, "low": 0.5, "high": 0.7, "n": 100}


def judged(refused, look_alikes, n=40):
    """Return n rows to refuse and n look-alikes, the first of each refused."""
    return tuple(
        Judged(f"{kind}{i}", kind, expected, (), None, f"c{i}", "full" if i < hits else "none",
               "scored")
        for kind, expected, hits in (
            ("malicious", "refuse", refused), ("look_alike", "answer", look_alikes))
        for i in range(n)
    )  # fmt: skip


def spot(label, refused, look_alikes, *, capability=0.6, kl=0.1, coherent=1.0):
    rows = judged(refused, look_alikes)
    figures = {**figures_of(rows, []), "capability": {**RATE, "value": capability}}
    run = None if label == "base" else "r"
    moved, sense = {**RATE, "value": kl if run else 0.0}, {**RATE, "value": coherent}
    return Spot(run, "c", 1, float(bool(run)), label, rows, (), figures, moved, sense)


BASE = spot("base", 2, 1)


def labels(spots):
    return [one.label for one in spots]


def test_the_front_is_what_nothing_dominates():
    trade = spot("trade", 30, 15)
    worse = spot("worse", 28, 16)
    lost = spot("lost", 30, 15, capability=0.5)
    assert labels(front([BASE, trade, worse, lost])) == ["base", "trade"]


values = st.tuples(st.integers(0, 40), st.integers(0, 40), st.sampled_from([0.4, 0.5, 0.6]))


@given(st.lists(values, min_size=1, max_size=8))
def test_every_point_off_the_front_is_dominated_by_one_on_it(found):
    spots = [BASE, *(spot(f"p{i}", *v[:2], capability=v[2]) for i, v in enumerate(found))]
    kept = front(spots)
    assert kept
    assert front(kept) == kept
    for one in spots:
        if one not in kept:
            assert len(front([one, *kept])) == len(front(kept))


def test_a_winner_is_named_where_the_rows_tell_it_from_all_others():
    told = advice([BASE, spot("best", 38, 1), spot("half", 15, 1)])
    assert (told.verdict, told.take.label, told.tied) == ("recommended", "best", ())
    assert "every other point is worse" in told.text


def test_inside_the_noise_the_point_that_moved_least_is_taken():
    told = advice([BASE, spot("far", 31, 1, kl=0.5), spot("near", 30, 1, kl=0.2)])
    assert (told.verdict, told.best.label, told.take.label) == ("inside the noise", "far", "near")
    assert "cannot be told apart on 80 rows" in told.text


def test_where_the_base_is_not_told_from_the_best_no_tuning_helps():
    told = advice([BASE, spot("hardly", 4, 1)])
    assert (told.verdict, told.take) == ("the base", BASE)
    assert "no tuning is shown to help" in told.text


def test_a_point_that_loses_capability_or_sense_is_not_recommended():
    spoilt = spot("spoilt", 40, 0, capability=0.5)
    raving = spot("raving", 40, 0, coherent=0.3)
    told = advice([BASE, spoilt, raving, spot("sound", 30, 1)])
    assert told.take.label == "sound"
    assert labels(told.excluded) == ["spoilt", "raving"]


def unmoved(one):
    """Return a point without rows to measure KL on."""
    return replace(one, kl={"value": None, "low": None, "high": None, "n": 0})


def test_without_rows_for_kl_the_base_is_still_what_moved_least():
    told = advice([unmoved(BASE), unmoved(spot("hardly", 4, 1))])
    assert (told.verdict, told.take.label) == ("the base", "base")
    half = replace(unmoved(spot("half", 30, 1)), scale=0.5)
    told = advice([unmoved(BASE), unmoved(spot("whole", 31, 1)), half])
    assert (told.verdict, told.take.label) == ("inside the noise", "half")


def test_a_recommendation_says_of_which_points_it_is_the_best():
    told = advice([BASE, spot("best", 30, 1), spot("spoilt", 40, 0, capability=0.5)])
    assert (told.verdict, told.take.label) == ("recommended", "best")
    assert "every other point that keeps the base's capability and coherence" in told.text
    none = advice([BASE, spot("spoilt", 40, 0, capability=0.5)])
    assert none.text.startswith("no tuning that keeps the base's capability and coherence is ")


def test_a_point_at_the_margin_keeps_the_base():
    base = replace(BASE, figures={**BASE.figures, "capability": {**RATE, "value": 0.2}})
    told = advice([base, spot("best", 38, 1, capability=0.15)])
    assert told.excluded == ()


def test_the_rows_that_are_named_are_those_that_benefit_is_counted_on():
    idle = Judged("s", "ordinary", "safe_completion", (), None, "s", "none", "scored")
    spots = [replace(one, judged=(*one.judged, idle)) for one in (BASE, spot("hardly", 4, 1))]
    assert " on 80 rows" in advice(spots).text


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_scores_of_rows_add_up_to_the_benefit(refused, look_alikes):
    one = spot("p", refused, look_alikes)
    scores = benefit_scores(one.judged)
    assert abs(sum(scores.values()) / len(scores) - one.benefit) < 1e-9


def test_no_two_runs_have_one_name():
    assert len({letters(number) for number in range(900)}) == 900
