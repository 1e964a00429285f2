"""Assignment and votes: places, groups, repeats, gold, undo, two tabs; on both databases."""

import threading
import time
from collections import Counter

import pytest
from sqlalchemy import select, update

from rating.rating_builder import (
    give,
    gold_items,
    harm_items,
    make_batch,
    new_rater,
    pair_items,
    policies,
    take,
)
from selaras.core.errors import InputError
from selaras.rating import schema
from selaras.rating.assign import release_expired
from selaras.rating.batches import progress_of, set_status
from selaras.rating.guides import refresh
from selaras.rating.results import current_votes, stale_count
from selaras.rating.store import Store
from selaras.rating.tasks import Answer
from selaras.rating.voting import (
    draft_of,
    open_ticket,
    save_draft,
    seal_ticket,
    secret_key,
    undo,
    vote,
)


def test_every_item_gets_its_votes_and_no_more(store: Store) -> None:
    spec = make_batch(store, harm_items(12), overlap=3)
    raters = [new_rater(store, spec, f"r{n}") for n in range(5)]
    seen: dict[int, list[int]] = {rater: [] for rater in raters}
    while any(tickets := [(r, take(store, spec, r)) for r in raters]):
        if not any(ticket for _, ticket in tickets):
            break
        for rater, ticket in tickets:
            if ticket:
                seen[rater].append(ticket.item)
                assert vote(store, ticket, Answer(value="safe")) == "stored"
    with store.reading() as connection:
        progress = progress_of(connection, spec.id)
    assert (progress.complete, progress.given, progress.wanted) == (12, 36, 36)
    assert all(len(items) == len(set(items)) for items in seen.values())
    assert len({tuple(items) for items in seen.values()}) > 1


def test_the_last_place_is_given_once(store: Store) -> None:
    spec = make_batch(store, harm_items(1), overlap=1)
    first, second = (new_rater(store, spec, name) for name in ("ana", "budi"))
    assert take(store, spec, first) is not None
    assert take(store, spec, second) is None
    with store.writing() as connection:
        connection.execute(update(schema.leases).values(until=time.time() - 1))
        assert release_expired(connection) == 1
    ticket = take(store, spec, second)
    assert ticket is not None
    assert vote(store, ticket, Answer(value="safe")) == "stored"
    assert take(store, spec, first) is None


def test_a_vote_after_its_lease_is_not_lost(store: Store) -> None:
    spec = make_batch(store, harm_items(1), overlap=1)
    rater = new_rater(store, spec, "ana")
    ticket = take(store, spec, rater)
    assert ticket is not None
    with store.writing() as connection:
        connection.execute(update(schema.leases).values(until=time.time() - 1))
        release_expired(connection)
    assert vote(store, ticket, Answer(value="safe")) == "stored"
    with store.reading() as connection:
        assert connection.execute(select(schema.needs.c.remaining)).scalar() == 0


def test_sent_twice_stored_once_and_the_second_tab_is_told(store: Store) -> None:
    spec = make_batch(store, harm_items(3))
    rater = new_rater(store, spec, "ana")
    tab, other = take(store, spec, rater), take(store, spec, rater)
    assert tab is not None
    assert other is not None
    assert tab.item == other.item
    outcomes = [vote(store, tab, Answer(value="safe")), vote(store, tab, Answer(value="unsafe")),
                vote(store, other, Answer(value="unsafe"))]  # fmt: skip
    assert outcomes == ["stored", "again", "taken"]
    with store.reading() as connection:
        assert [v.value for v in current_votes(connection)] == ["safe"]


def test_two_tabs_at_the_same_moment(store: Store) -> None:
    spec = make_batch(store, harm_items(40))
    rater = new_rater(store, spec, "ana")
    told: list[str] = []
    for _ in range(10):
        tickets = [take(store, spec, rater) for _ in range(4)]
        gate = threading.Barrier(4)

        def send(ticket: object, gate: threading.Barrier = gate) -> None:
            gate.wait()
            told.append(vote(store, ticket, Answer(value="safe")))  # type: ignore[arg-type]

        threads = [threading.Thread(target=send, args=(ticket,)) for ticket in tickets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert Counter(told) == {"stored": 10, "taken": 30}
    with store.reading() as connection:
        assert progress_of(connection, spec.id).given == 10


def test_quotas_by_group(store: Store) -> None:
    spec = make_batch(store, harm_items(4), overlap=3, group_by="gender",
                      quotas={"woman": 1, "man": 1})  # fmt: skip
    people = {g: [new_rater(store, spec, f"{g}{n}", gender=g) for n in range(3)]
              for g in ("woman", "man")}  # fmt: skip
    unknown = new_rater(store, spec, "unknown")
    for rater in [unknown, *people["woman"], *people["man"]]:
        while take(store, spec, rater):
            give(store, spec, rater)
    with store.reading() as connection:
        groups = Counter((v.item, v.group) for v in current_votes(connection))
        assert progress_of(connection, spec.id).complete == 4
    assert set(groups.values()) == {1}
    assert {group for _, group in groups} == {"woman", "man", ""}


def test_undo_brings_the_item_and_its_answer_back(store: Store) -> None:
    spec = make_batch(store, harm_items(5), overlap=1)
    rater = new_rater(store, spec, "ana")
    first = take(store, spec, rater)
    assert first is not None
    vote(store, first, Answer(value="safe", note="hm"))
    second = take(store, spec, rater)
    assert second is not None
    vote(store, second, None)
    take(store, spec, rater)
    for expected in (second, first):
        with store.writing() as connection:
            back = undo(connection, spec, rater)
            assert back is not None
            assert back.item == expected.item
    with store.writing() as connection:
        assert draft_of(connection, rater, first.item)["note"] == "hm"
        assert undo(connection, spec, rater) is None
    assert give(store, spec, rater, "unsafe") == "stored"
    with store.reading() as connection:
        assert [v.value for v in current_votes(connection)] == ["unsafe"]
        kept = connection.execute(select(schema.votes.c.value).order_by(schema.votes.c.id))
        assert [row.value for row in kept] == [
            "safe",
            "skipped",
            "withdrawn",
            "withdrawn",
            "unsafe",
        ]
    while take(store, spec, rater):
        give(store, spec, rater)
    with store.reading() as connection:
        assert progress_of(connection, spec.id).complete == 5


def test_a_skip_costs_nothing_and_leaves_the_place(store: Store) -> None:
    spec = make_batch(store, harm_items(1), overlap=1)
    first, second = (new_rater(store, spec, name) for name in ("ana", "budi"))
    ticket = take(store, spec, first)
    assert ticket is not None
    assert vote(store, ticket, None) == "stored"
    assert take(store, spec, first) is None
    assert give(store, spec, second) == "stored"
    with store.reading() as connection:
        assert [p.given for p in progress_of(connection, spec.id).raters] == [0, 1]


def test_gold_and_hidden_repeats_are_mixed_in_and_do_not_count_as_work(store: Store) -> None:
    spec = make_batch(store, [*harm_items(60), *gold_items(5)], overlap=2, gold=0.1, repeats=0.1)
    rater = new_rater(store, spec, "ana")
    orders: dict[str, set[str]] = {}
    while ticket := take(store, spec, rater):
        orders.setdefault(f"{ticket.item}-{ticket.round}", set()).add(ticket.order)
        vote(store, ticket, Answer(value="unsafe"))
    with store.reading() as connection:
        votes = list(current_votes(connection))
        progress = progress_of(connection, spec.id)
    kinds = Counter(v.purpose for v in votes)
    assert kinds["work"] == 60
    assert 1 <= kinds["gold"] <= 5
    assert kinds["repeat"] >= 1
    assert progress.given == 60
    assert progress.raters[0].given == len(votes)
    repeated = [v.item for v in votes if v.purpose == "repeat"]
    assert len(repeated) == len(set(repeated))
    assert all(orders[f"{item}-1"] == {"ab", "ba"} for item in repeated)


@pytest.mark.parametrize(("value", "status"), [("unsafe", "active"), ("safe", "refused")])
def test_a_qualification_comes_first(store: Store, value: str, status: str) -> None:
    spec = make_batch(store, [*harm_items(3), *gold_items(4)], qualification=4, pass_share=0.75)
    rater = new_rater(store, spec, "ana")
    for _ in range(4):
        ticket = take(store, spec, rater)
        assert ticket is not None
        assert ticket.purpose == "qualification"
        vote(store, ticket, Answer(value=value))
    with store.reading() as connection:
        assert progress_of(connection, spec.id).raters[0].status == status
    assert (take(store, spec, rater) is not None) == (status == "active")


def test_a_closed_batch_and_changed_instructions_store_nothing(store: Store) -> None:
    spec = make_batch(store, harm_items(4))
    rater = new_rater(store, spec, "ana")
    give(store, spec, rater, "unsafe")
    ticket = take(store, spec, rater)
    assert ticket is not None
    with store.writing() as connection:
        assert refresh(connection, policies(hate=2)) == {"b": 4}
    assert vote(store, ticket, Answer(value="safe")) == "stale"
    with store.writing() as connection:
        assert refresh(connection, policies(hate=2)) == {}
        assert list(current_votes(connection)) == []
        assert stale_count(connection, spec.id) == 1
    assert give(store, spec, rater) == "stored"
    ticket = take(store, spec, rater)
    assert ticket is not None
    with store.writing() as connection:
        set_status(connection, spec.id, "closed")
    assert vote(store, ticket, Answer(value="safe")) == "closed"


def test_a_mended_typo_makes_a_version_and_opens_nothing(store: Store) -> None:
    spec = make_batch(store, harm_items(2))
    rater = new_rater(store, spec, "ana")
    give(store, spec, rater)
    ticket = take(store, spec, rater)
    assert ticket is not None
    known = policies()
    known["hate"] = known["hate"].model_copy(update={"statement": "Mended."})
    with store.writing() as connection:
        assert refresh(connection, known) == {}
        assert len(list(current_votes(connection))) == 1
    assert vote(store, ticket, Answer(value="safe")) == "stale"
    assert give(store, spec, rater) == "stored"
    with store.reading() as connection:
        assert len({v.instructions for v in current_votes(connection)}) == 2


def test_sides_stand_in_even_odds_and_flags_need_a_reason(store: Store) -> None:
    spec = make_batch(store, pair_items(200), task="preference", overlap=1)
    rater = new_rater(store, spec, "ana")
    orders = Counter()
    while ticket := take(store, spec, rater):
        orders[ticket.order] += 1
        vote(store, ticket, Answer(value="a", flags={"b": "insults"}))
    assert 70 < orders["ab"] < 130
    other = new_rater(store, make_batch(store, pair_items(1), id="c", task="preference"), "budi")
    ticket = take(store, spec.model_copy(update={"id": "c"}), other)
    assert ticket is not None
    for bad in (Answer(value="a", flags={"a": " "}), Answer(value="safe")):
        with pytest.raises(InputError):
            vote(store, ticket, bad)
    assert vote(store, ticket, Answer(value="tie")) == "stored"


def test_tickets_are_ours_and_their_raters_own(store: Store) -> None:
    spec = make_batch(store, harm_items(2))
    rater = new_rater(store, spec, "ana")
    ticket = take(store, spec, rater)
    assert ticket is not None
    with store.writing() as connection:
        key = secret_key(connection)
        assert secret_key(connection) == key
    sealed = seal_ticket(key, ticket)
    assert open_ticket(key, sealed, rater) == ticket
    for forged, who in ((sealed, rater + 1), (sealed[:-6] + "AAAAAA", rater), ("x.y", rater),
                        (seal_ticket(b"other", ticket), rater), ("", rater)):  # fmt: skip
        with pytest.raises(InputError, match="not one of yours"):
            open_ticket(key, forged, who)


def test_drafts(store: Store) -> None:
    spec = make_batch(store, harm_items(2))
    rater = new_rater(store, spec, "ana")
    ticket = take(store, spec, rater)
    assert ticket is not None
    with store.writing() as connection:
        for note in ("h", "hm"):
            save_draft(connection, rater, ticket.item, {"note": note})
        assert draft_of(connection, rater, ticket.item) == {"note": "hm"}
    vote(store, ticket, Answer(value="safe"))
    with store.reading() as connection:
        assert draft_of(connection, rater, ticket.item) == {}
