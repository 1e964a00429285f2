"""Votes on their way: agreement, quality, adjudication, export, import; nothing sealed leaves."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.projects import make_project, some_rows, use_word_encoder
from rating.rating_builder import (
    gold_items,
    harm_items,
    make_batch,
    new_rater,
    pair_items,
    take,
)
from selaras.core.errors import InputError, SealError
from selaras.core.files import write_json, write_jsonl
from selaras.core.project import open_project
from selaras.data import split_project
from selaras.data.rows import parse_row
from selaras.evaluate import evaluate, held_out_suite, open_system
from selaras.evaluate.calibration import calibrate
from selaras.evaluate.labels import read_labels
from selaras.policy import builtin_policies, load_policies
from selaras.rating.adjudicate import Proposal, add_example, adjudicate, disputes, proposals
from selaras.rating.agreement import agreement, truths
from selaras.rating.batch import BatchSpec, forecast
from selaras.rating.batches import NewItem, create_batch, items_of
from selaras.rating.export import FORMS, export, labels_for_calibration
from selaras.rating.formats import from_argilla, from_label_studio, to_argilla, to_label_studio
from selaras.rating.imports import import_votes
from selaras.rating.quality import rater_quality
from selaras.rating.shown import Shown, sealed_policies
from selaras.rating.sources import items_of_outputs, read_items
from selaras.rating.store import Store, open_store
from selaras.rating.tasks import Answer, Content
from selaras.rating.voting import vote


@pytest.fixture
def one(tmp_path: Path) -> Any:
    opened = open_store(f"sqlite:///{tmp_path / 'one.db'}")
    yield opened
    opened.close()


def opinions(store: Store, spec: Any, says: dict[str, dict[str, str]], **about: str) -> None:
    """Let raters answer by the item's key, `""` standing for all others."""
    for name, answers in says.items():
        rater = new_rater(store, spec, name, **({"group": about[name]} if name in about else {}))
        while ticket := take(store, spec, rater):
            with store.reading() as connection:
                key = next(i.key for i in items_of(connection, spec.id) if i.id == ticket.item)
            value = answers.get(key, answers[""])
            vote(store, ticket, Answer(value=value, note=f"{name} on {key}"))


def test_agreement_truths_and_the_queue(one: Store) -> None:
    spec = make_batch(one, harm_items(6), overlap=3)
    opinions(one, spec, {"ana": {"": "safe", "r0": "unsafe"}, "budi": {"": "safe", "r0": "unsafe"},
                         "citra": {"": "safe", "r1": "unsafe", "r2": "cannot_judge"}})  # fmt: skip
    with one.reading() as connection:
        found = agreement(connection, "b")
        keys = {item.id: item.key for item in items_of(connection, "b")}
        waiting = disputes(connection, "b")
    by_key = {keys[item]: truth for item, truth in found.truths.items()}
    assert (found.items, found.votes) == (6, 18)
    assert by_key["r0"].value == "unsafe"
    assert by_key["r0"].soft == {"safe": pytest.approx(1 / 3), "unsafe": pytest.approx(2 / 3)}
    assert by_key["r2"].votes == 2
    assert round(found.unanimous.value * found.unanimous.n) == 4
    assert found.kappa.n == 5 * 3 + 1
    assert {one.item.key for one in waiting} == {"r0", "r1", "r2"}
    value = found.to_dict()
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert list(found.by_policy) == ["hate"]


def test_small_groups_appear_nowhere(one: Store) -> None:
    spec = make_batch(one, harm_items(4), overlap=12)
    strict = {f"w{n}": "woman" for n in range(5)}
    lax = {f"m{n}": "man" for n in range(5)}
    rare = {"x0": "rare"}
    says = {name: {"": "unsafe"} for name in strict} | {n: {"": "safe"} for n in (lax | rare)}
    opinions(one, spec, says, **strict, **lax, **rare)
    with one.reading() as connection:
        value = agreement(connection, "b").to_dict()
    text = json.dumps(value)
    assert "rare" not in text
    assert value["groups_too_small"] == 1
    top = value["groups"][0]
    assert abs(top["share"]["value"] - top["others"]["value"]) > 0.8
    assert set(value["alpha_by_group"]) == {"group=man", "group=woman"}


def test_rater_quality_finds_the_careless(one: Store) -> None:
    # Everybody is faster than a minute, on however slow a machine.
    spec = make_batch(one, [*harm_items(40), *gold_items(12)], overlap=3, gold=0.2, repeats=0.2,
                      minimum_seconds=60)  # fmt: skip
    opinions(one, spec, {"ana": {"": "unsafe"}, "budi": {"": "unsafe"}, "citra": {"": "safe"}})
    with one.reading() as connection:
        found = {rater.pseudonym: rater for rater in rater_quality(connection, "b")}
    assert found["ana"].gold.value == 1
    assert found["citra"].gold.value == 0
    assert found["ana"].repeats.value == 1
    assert found["ana"].hasty.value == 1
    assert any("right of" in warning for warning in found["citra"].warnings)
    assert any("faster than" in warning for warning in found["ana"].warnings)


def test_a_decision_holds_and_a_gap_becomes_an_example(tmp_path: Path, one: Store) -> None:
    project = make_project(tmp_path / "p", [])
    spec = make_batch(one, harm_items(3), overlap=2)
    opinions(one, spec, {"ana": {"": "safe"}, "budi": {"": "safe", "r1": "unsafe"}})
    with one.writing() as connection:
        (open_one,) = disputes(connection, "b")
        for bad, said in (
            ({"value": "a"}, "no answer"),
            ({"cause": "bad luck"}, "no cause"),
            ({"cause": "ambiguous"}, "only a guideline gap"),
            ({"example": ("privacy", "allowed", "x")}, "not about"),
            ({"example": ("hate", "allowed", " ")}, "a side"),
        ):
            call: dict[str, Any] = {"value": "safe", "cause": "guideline_gap", "why": "w",
                                    "by": "me", "example": ("hate", "allowed", "Text: a \"b\" #c"),
                                    **bad}  # fmt: skip
            with pytest.raises(InputError, match=said):
                adjudicate(
                    connection, open_one.item.id, call.pop("value"), call.pop("cause"), **call
                )
        adjudicate(connection, open_one.item.id, "safe", "guideline_gap", why="Quoting.", by="me",
                   example=("hate", "allowed", 'Text: a "b" #c'))  # fmt: skip
        assert disputes(connection, "b") == []
        assert truths(connection, "b")[open_one.item.id].how == "adjudicated"
        (proposal,) = proposals(connection, load_policies(project))
    made = add_example(project, proposal)
    assert made.allowed[-1] == 'Text: a "b" #c'
    assert made.revision == 1
    with one.reading() as connection:
        assert proposals(connection, load_policies(project)) == []


@given(st.text(min_size=1).filter(lambda t: t.strip() and t.isprintable()), st.booleans())
def test_any_example_is_added_to_any_policy_file(text: str, raised: bool) -> None:
    text = " ".join(text.split())
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), [])
        for side in ("allowed", "violating"):
            before = load_policies(project)["hate"]
            proposal = Proposal("hate", side, text + side, "", "b", "r")  # type: ignore[arg-type]
            made = add_example(project, proposal, raise_revision=raised)
            assert getattr(made, side) == (*getattr(before, side), text + side)
            assert made.revision == before.revision + raised
            assert made.statement == builtin_policies()["hate"].statement


def test_every_form_exports_and_rows_say_where_they_come_from(tmp_path: Path, one: Store) -> None:
    spec = make_batch(one, harm_items(4), overlap=2)
    opinions(one, spec, {"ana": {"": "safe", "r0": "unsafe"},
                         "budi": {"": "safe", "r0": "unsafe", "r3": "unsafe"}})  # fmt: skip
    with one.reading() as connection:
        found = {form: export(connection, "b", form) for form in FORMS}
        labels = labels_for_calibration(connection, "b")
    rows = {row["id"]: parse_row(row) for row in found["rows"].values}
    assert {name: row.response_label for name, row in rows.items()} == {  # type: ignore[attr-defined]
        "r0": "unsafe", "r1": "safe", "r2": "safe",
    }  # fmt: skip
    assert all(row.source == "rated in b" for row in rows.values())
    assert [r.record for r in found["rows"].removed] == ["r3"]
    assert len(found["csv"].values) == len(found["ratings"].values) == len(labels) == 8
    write_jsonl(tmp_path / "labels.jsonl", labels)
    assert len(read_labels(tmp_path / "labels.jsonl")) == 8
    for form, suffix in (("argilla", "json"), ("label-studio", "json"), ("jsonl", "jsonl")):
        path = tmp_path / f"{form}.{suffix}"
        values = list(found[form].values)
        write_jsonl(path, values) if suffix == "jsonl" else write_json(path, values)
        items, votes = read_items(path, "harm")
        copy = spec.model_copy(update={"id": form})
        with one.writing() as connection:
            create_batch(connection, copy, items)
            assert import_votes(connection, copy, votes) == 8
            assert import_votes(connection, copy, votes) == 0
            assert agreement(connection, form).alpha == agreement(connection, "b").alpha


def test_pairs_make_preferences_and_reviews_make_rows(one: Store) -> None:
    spec = make_batch(one, pair_items(3), task="preference", overlap=1)
    opinions(one, spec, {"ana": {"": "a", "p1": "tie", "p2": "both_bad"}})
    draft = {"id": "d", "kind": "look_alike", "query": "How do I kill a process?"}
    drafts = [NewItem(f"d{n}", Content(row=f"d{n}", draft={**draft, "id": f"d{n}"}))
              for n in range(3)]  # fmt: skip
    review = make_batch(one, drafts, id="review", task="review", overlap=1)
    rater = new_rater(one, review, "ana")
    while ticket := take(one, review, rater):
        with one.reading() as connection:
            key = next(i.key for i in items_of(connection, "review") if i.id == ticket.item)
        better = json.dumps({**draft, "query": "Better?"})
        answers = {"d0": Answer(value="approve"), "d1": Answer(value="reject", note="Vague."),
                   "d2": Answer(value="edited", text=better)}  # fmt: skip
        vote(one, ticket, answers[key])
    with one.reading() as connection:
        pairs, rows = export(connection, "b", "rows"), export(connection, "review", "rows")
    best = {row["id"]: parse_row(row).best for row in pairs.values}  # type: ignore[attr-defined]
    assert best == {"p0": "a", "p1": "tie"}
    assert pairs.removed[0].reason == "both responses are bad"
    assert [row["query"] for row in rows.values] == [draft["query"], "Better?"]
    assert rows.removed[0].reason == "rejected in review: Vague."


VALUES = st.sampled_from(["safe", "unsafe", "cannot_judge"])
VOTES = st.lists(st.tuples(st.sampled_from("abc"), VALUES), max_size=4, unique_by=lambda v: v[0])


@given(st.lists(VOTES, min_size=1, max_size=5), st.text(min_size=1))
def test_other_tools_formats_round_trip(given_votes: list[Any], text: str) -> None:
    records = [
        {"key": f"k{n}", "row": f"row{n}", "query": text, "response": text, "policies": ["hate"],
         "votes": [{"rater": r, "value": v, "note": text, "seconds": 1.5} for r, v in votes]}
        for n, votes in enumerate(given_votes)
    ]  # fmt: skip
    assert from_label_studio(json.loads(json.dumps(to_label_studio(records)))) == records
    bare = [{**r, "votes": [{k: v[k] for k in ("rater", "value")} for v in r["votes"]]}
            for r in records]  # fmt: skip
    assert from_argilla(json.loads(json.dumps(to_argilla(records)))) == bare


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"query": "Q?"}', "'response'"),
        ("a.jsonl", '{"response": "R."}', "there is no query"),
        ("a.jsonl", '{"query": "Q?", "response": "R.", "gold": ["maybe"]}', "no answer to a harm"),
        ("a.json", '"text"', "not a JSON array of objects"),
        ("a.csv", "query,response\n", "nothing to rate"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, one: Store, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)

    def made() -> None:
        items, _ = read_items(tmp_path / name, "harm")
        make_batch(one, [*items, *harm_items(1)])

    with pytest.raises(InputError, match=said):
        made()


def test_outputs_on_sealed_rows_calibrate_and_never_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Store
) -> None:
    use_word_encoder(monkeypatch)
    project = make_project(tmp_path / "p", some_rows(10, 20))
    split_project(project)
    opened = open_system(project, "base", project.system_spec("base"))
    found = evaluate(project, opened, held_out_suite(project))
    sealed = sealed_policies(project)
    answers = {answer.row: answer.text for answer in found.answers}
    assert set(answers) == set(sealed)
    fingerprint = found.manifest.system.fingerprint  # type: ignore[union-attr]
    items = items_of_outputs({fingerprint: answers}, {}, sealed, "refusal")
    spec = make_batch(one, items, task="refusal", overlap=1)
    opinions(one, spec, {"ana": {"": "none"}})
    texts = {row: Shown(project).content(item.content).query for row, item in
             ((item.content.row, item) for item in items)}  # fmt: skip
    words = {word for text in texts.values() for word in (text or "").split()}
    assert len(words) > 50
    one.engine.dispose()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("one.db*"))
    assert not [word for word in words if word.encode() in stored]
    with one.reading() as connection:
        for form in FORMS:
            left = export(connection, "b", form)
            assert left.values == ()
            assert left.sealed == len(items)
        labels = labels_for_calibration(connection, "b")
        number = items_of(connection, "b")[0].id
        with pytest.raises(InputError, match="sealed"):
            adjudicate(connection, number, "none", "guideline_gap", why="", by="me",
                       example=("hate", "allowed", "x"))  # fmt: skip
    path = tmp_path / "labels.jsonl"
    write_jsonl(path, labels)
    assert not [word for word in words if word in path.read_text()]
    assert calibrate(found, read_labels(path)).labels == len(items)
    (project.holdout / "rows.jsonl").unlink()
    with pytest.raises(SealError):
        Shown(open_project(project.root)).content(items[0].content)
    with pytest.raises(InputError, match="sealed"):
        make_batch(one, items, id="c", task="correction")


def test_a_forecast_counts_what_comes_on_top() -> None:
    contents = [item.content for item in harm_items(100)]
    plain = forecast(BatchSpec(id="b", title="b", task="harm", repeats=0, gold=0), contents)
    assert (plain.votes, plain.extra_votes, plain.measured) == (300, 0, False)
    more = forecast(
        BatchSpec(id="b", title="b", task="harm", qualification=5), contents, [30.0] * 40
    )
    assert more.measured
    assert more.seconds == 30
    assert more.hours == pytest.approx(more.votes * 30 / 3600, abs=0.01)
    assert more.extra_votes > 30
