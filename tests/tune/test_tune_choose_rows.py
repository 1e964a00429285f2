"""Which rows are trained on: the recipes, the minimum of look-alikes, what is never a target."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.records import Example, Expected, Kind, Query
from selaras.core.tuning import Tuning
from selaras.data import Development
from selaras.tune.choose_rows import choose_rows

KINDS = list(Kind)
LOOSE = Tuning(minimum_look_alikes=0)


def example(name, kind="malicious", expected="refuse", *, label="safe", response="No.", **more):
    return Example(id=name, query=f"q {name}", kind=kind, expected=expected, response=response,
                   response_label=label, policies=("hate",), **more)  # fmt: skip


def development(rows, groups=None):
    rows = tuple(rows)
    named = dict(groups or {})
    return Development(rows, {row.id: named.get(row.id, row.id) for row in rows}, (), None)


def trained(rows, recipe):
    """Return the ids of the rows that are trained on, and those that are kept aside."""
    spare = [example(f"spare{i}") for i in range(60)]
    chosen = choose_rows(development([*rows, *spare]), recipe, LOOSE, 0)
    own = {row.id for row in rows}
    return own & {row.id for row in chosen.train}, own & {row.id for row in chosen.selection}


ROWS = [
    example("refusal"),
    example("contextual-refusal", "look_alike"),
    example("ordinary", "ordinary", "answer"),
    example("ordinary-unlabelled", "ordinary", None),
    example("look-alike", "look_alike", "answer"),
    example("inadvertent", "inadvertent", "safe_completion"),
    example("answered-malicious", "malicious", "answer"),
    example("unlabelled-look-alike", "look_alike", None),
]
NAIVE = {"refusal", "contextual-refusal", "ordinary", "ordinary-unlabelled"}
GUARDED = NAIVE | {"look-alike", "inadvertent", "answered-malicious"}


@pytest.mark.parametrize(("recipe", "wanted"), [("naive", NAIVE), ("guarded", GUARDED)])
def test_a_recipe_trains_on_its_rows(recipe, wanted):
    found, held = trained(ROWS, recipe)
    assert found == wanted - held
    assert len(held & wanted) < 4


def test_what_guarded_adds_to_naive_is_answers():
    naive, held = trained(ROWS, "naive")
    guarded, other = trained(ROWS, "guarded")
    assert held == other
    assert naive < guarded


@pytest.mark.parametrize("recipe", ["naive", "guarded"])
@pytest.mark.parametrize(
    "bad",
    [
        example("bad", label="unsafe"),
        example("bad", label=None),
        example("bad", response=""),
        example("bad", response=" \n"),
        Query(id="bad", query="q", kind="malicious", expected="refuse"),
    ],
)
def test_only_responses_labelled_safe_are_ever_targets(recipe, bad):
    for seed in range(5):
        rows = [*ROWS, *(example(f"more{i}") for i in range(30)), bad]
        chosen = choose_rows(development(rows), recipe, LOOSE, seed)
        assert "bad" not in {row.id for row in chosen.train}


rows_and_groups = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from([*Expected, None]),
        st.sampled_from(["safe", "safe", "unsafe", None]),
        st.sampled_from(["g0", "g1", "g2", "g3", None]),
    ),
    min_size=1,
    max_size=40,
)


@given(rows_and_groups, st.sampled_from(["naive", "guarded"]), st.integers(0, 3))
def test_no_group_is_on_both_sides_and_every_row_aside_is_kept_whole(values, recipe, seed):
    rows = [example(f"r{i}", k, e, label=label) for i, (k, e, label, _) in enumerate(values)]
    groups = {f"r{i}": group or f"r{i}" for i, (*_, group) in enumerate(values)}
    chosen = None
    try:
        chosen = choose_rows(development(rows, groups), recipe, LOOSE, seed)
    except InputError:
        assume(False)
    here = {groups[row.id] for row in chosen.train}
    there = {groups[row.id] for row in chosen.selection}
    assert not here & there
    assert [row for row in rows if groups[row.id] in there] == list(chosen.selection)
    assert all(row.response_label == "safe" for row in chosen.train)
    assert sum(chosen.counts.values()) == len(chosen.train)


@given(st.permutations(range(30)))
def test_both_recipes_keep_the_same_rows_aside_whatever_their_order(order):
    rows = [example(f"r{i}", KINDS[i % 4], "refuse" if i % 2 else "answer") for i in range(30)]
    found = {
        frozenset(row.id for row in choose_rows(development(r), recipe, LOOSE, 1).selection)
        for r in (rows, [rows[i] for i in order])
        for recipe in ("naive", "guarded")
    }
    assert len(found) == 1
    assert 0 < len(next(iter(found))) < 15


def with_look_alikes(count, **changes):
    refusals = [example(f"m{i}") for i in range(20)]
    more = {"kind": "look_alike", "expected": "answer", **changes}
    return development([*refusals, *(example(f"l{i}", **more) for i in range(count))])


def test_guarded_refuses_to_start_without_enough_answered_look_alikes():
    settings = Tuning(minimum_look_alikes=5)
    choose_rows(with_look_alikes(8), "guarded", settings, 0)
    for too_few in (
        with_look_alikes(3),
        with_look_alikes(0),
        with_look_alikes(8, expected="refuse"),
        with_look_alikes(8, expected="safe_completion"),
        with_look_alikes(8, label="unsafe"),
        with_look_alikes(8, kind="inadvertent"),
    ):
        with pytest.raises(InputError, match=r"'hate' has . answered look-alikes.*5 are needed"):
            choose_rows(too_few, "guarded", settings, 0)
        choose_rows(too_few, "naive", settings, 0)
        choose_rows(too_few, "guarded", LOOSE, 0)


def test_the_minimum_holds_for_every_policy_that_is_refused():
    other = [example(f"p{i}").model_copy(update={"policies": ("privacy",)}) for i in range(9)]
    rows = with_look_alikes(9)
    with pytest.raises(InputError, match="'privacy' has 0 answered look-alikes"):
        choose_rows(development([*rows.rows, *other]), "guarded", Tuning(minimum_look_alikes=1), 0)


def test_nothing_to_refuse_is_bad_input():
    rows = [example(f"o{i}", "ordinary", "answer") for i in range(20)]
    for recipe in ("naive", "guarded"):
        with pytest.raises(InputError, match="no rows teach a refusal"):
            choose_rows(development(rows), recipe, LOOSE, 0)
        with pytest.raises(InputError, match="no rows teach a refusal"):
            choose_rows(development([]), recipe, LOOSE, 0)


def test_only_the_named_use_cases_are_trained_on():
    rows = [example(f"{case}{i}", use_case=case) for case in ("answer", "write") for i in range(9)]
    settings = LOOSE.model_copy(update={"use_cases": ("write",)})
    chosen = choose_rows(development(rows), "guarded", settings, 0)
    assert {row.use_case for row in chosen.train} == {"write"}


@pytest.mark.parametrize(
    "other", [{"use_case": "answer"}, {"use_case": "write", "label": None}], ids=str
)
def test_a_copy_of_a_row_that_is_not_trained_on_is_trained_on(other):
    rows = [example(f"m{i}", use_case="write") for i in range(20)]
    twice = [example("first", **other), example("second", use_case="write")]
    copies = [row.model_copy(update={"query": "the same"}) for row in twice]
    settings = LOOSE.model_copy(update={"use_cases": ("write",)})
    for seed in range(4):
        chosen = choose_rows(development([*copies, *rows]), "guarded", settings, seed)
        aside = {row.id for row in chosen.selection}
        assert "second" in aside | {row.id for row in chosen.train}
        assert "left out: an exact copy of another row" not in chosen.went


@pytest.mark.parametrize(("expected", "word"), [("refuse", "answered"), ("answer", "refused")])
def test_a_side_that_no_row_aside_shows_is_said(expected, word):
    kind = {"refuse": "malicious", "answer": "ordinary"}
    rows = [example(f"m{i}") for i in range(9)]
    rows += [example(f"{e}{i}", kind[e], e) for e in kind for i in range(30 * (e == expected))]
    groups = {row.id: "one" for row in rows if row.expected != expected}
    shown = None
    for seed in range(40):
        chosen = choose_rows(development(rows, groups), "guarded", LOOSE, seed)
        if {row.expected for row in chosen.selection} == {Expected(expected)}:
            shown = chosen
    assert shown is not None
    assert any(f"no row kept aside is to be {word}" in note for note in shown.notes)
    naive = choose_rows(development(rows, groups), "naive", LOOSE, 0)
    assert not any("kept aside" in note for note in naive.notes)


def test_the_guards_hold_for_the_rows_that_a_mix_draws_and_those_are_counted():
    rows = with_look_alikes(30)
    chosen = choose_rows(rows, "guarded", Tuning(), 0, lambda train: train[::2])
    whole = choose_rows(rows, "guarded", Tuning(), 0)
    assert chosen.went["trained on"] == len(chosen.train) == len(whole.train[::2])
    assert sum(chosen.went.values()) == sum(whole.went.values())
    with pytest.raises(InputError, match="0 answered look-alikes"):
        choose_rows(
            rows, "guarded", Tuning(), 0,
            lambda train: [row for row in train if row.kind != "look_alike"],
        )  # fmt: skip
    with pytest.raises(InputError, match="no rows teach a refusal"):
        choose_rows(rows, "naive", Tuning(), 0, lambda _: [])
