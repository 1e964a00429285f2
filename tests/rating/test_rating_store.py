"""The store: versions, append-only votes, tokens, forgetting; on both databases."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import delete, event, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from rating.rating_builder import give, gold_items, harm_items, make_batch, new_rater, take
from selaras.core.errors import InputError
from selaras.rating import schema
from selaras.rating.batches import progress_of
from selaras.rating.people import (
    background_of,
    begin_session,
    crowd_token,
    digest,
    forget,
    invite,
    join_from_crowd,
    rater_of_token,
    session_of,
)
from selaras.rating.results import current_votes
from selaras.rating.store import Store, StoreError, open_store
from selaras.rating.tasks import Answer
from selaras.rating.voting import vote

V1 = Path(__file__).parent.parent / "fixtures" / "store_v1.sql"


def test_votes_are_append_only(store: Store) -> None:
    spec = make_batch(store, harm_items(2))
    rater = new_rater(store, spec, "ana")
    give(store, spec, rater)
    for statement in (update(schema.votes).values(value="unsafe"), delete(schema.votes)):
        with pytest.raises((DBAPIError, StoreError), match="append-only"), store.writing() as c:
            c.execute(statement)
    with store.reading() as connection:
        assert [v.value for v in current_votes(connection)] == ["safe"]


def test_no_token_is_stored(store: Store) -> None:
    spec = make_batch(store, harm_items(2))
    with store.writing() as connection:
        made = invite(connection, spec, "ana")
        session = begin_session(connection, made.rater)
        crowd = crowd_token(connection, spec.id)
        assert rater_of_token(connection, made.token) == made.rater
        assert session_of(connection, session).rater == made.rater  # type: ignore[union-attr]
        stored = [
            str(row) for table in schema.tables.sorted_tables
            for row in connection.execute(select(table))
        ]  # fmt: skip
    for token in (made.token, session, crowd):
        assert len(token) >= 43
        assert not any(token in row for row in stored)
        assert any(digest(token) in row for row in stored)


def test_a_new_link_ends_the_old_one(store: Store) -> None:
    spec = make_batch(store, harm_items(2))
    with store.writing() as connection:
        first, second = (invite(connection, spec, "ana") for _ in range(2))
        assert first.rater == second.rater
        assert first.code == second.code
        assert rater_of_token(connection, first.token) is None
        assert rater_of_token(connection, second.token) == first.rater
        assert session_of(connection, "nonsense") is None


def test_a_crowd_link_has_places(store: Store) -> None:
    spec = make_batch(store, harm_items(2), places=2)
    with store.writing() as connection:
        first = join_from_crowd(connection, spec, "W1")
        assert join_from_crowd(connection, spec, "W1") == first
        assert join_from_crowd(connection, spec, "W2") != first
        with pytest.raises(InputError, match="all 2 places"):
            join_from_crowd(connection, spec, "W3")


@pytest.mark.parametrize("votes", [False, True])
def test_a_rater_is_forgotten(store: Store, votes: bool) -> None:
    spec = make_batch(store, harm_items(3), overlap=1)
    rater = new_rater(store, spec, "ana", gender="woman")
    give(store, spec, rater, "unsafe", note="I live next door to Budi.")
    take(store, spec, rater)
    with store.writing() as connection:
        assert forget(connection, "ana", votes=votes) == (0 if votes else 1)
        stored = " ".join(
            str(row) for table in schema.tables.sorted_tables
            for row in connection.execute(select(table))
        )  # fmt: skip
        assert not background_of(connection, rater)
        for word in ("ana'", "Budi", "woman"):
            assert word not in stored
        assert [v.value for v in current_votes(connection)] == ([] if votes else ["unsafe"])
        assert progress_of(connection, spec.id).given == (0 if votes else 1)
        with pytest.raises(InputError, match="no rater"):
            forget(connection, "ana")
    other = new_rater(store, spec, "budi")
    for _ in range(3 if votes else 2):
        assert give(store, spec, other) == "stored"
    assert take(store, spec, other) is None


def test_a_store_of_version_1_is_brought_forward(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as old:
        old.executescript(V1.read_text())
    store = open_store(f"sqlite:///{path}")
    with store.reading() as connection:
        assert connection.execute(select(schema.meta.c.value)).scalar() == str(schema.VERSION)
        (vote,) = current_votes(connection)
        assert (vote.value, vote.note) == ("unsafe", "It names a group.")
        progress = progress_of(connection, "b")
        assert (progress.given, progress.items) == (1, 2)
        columns = {column["name"] for column in inspect(connection).get_columns("votes")}
        assert columns == {c.name for c in schema.votes.c}
    rater = 1
    assert give(store, progress.batch, rater) == "stored"
    with (
        pytest.raises((DBAPIError, StoreError), match="append-only"),
        store.writing() as connection,
    ):
        connection.execute(delete(schema.votes))
    store.close()


def test_a_newer_store_and_other_urls_are_refused(store: Store, store_at: str) -> None:
    with store.writing() as connection:
        connection.execute(update(schema.meta).values(value="99"))
    with pytest.raises(InputError, match="version 99"):
        open_store(store_at)
    for url in ("nonsense", "mysql://host/name", "sqlite"):
        with pytest.raises(InputError, match="sqlite:///FILE"):
            open_store(url)


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path / 'new' / 'store.db'}").close()
    assert (tmp_path / "new" / "store.db").stat().st_mode & 0o077 == 0


def test_a_store_that_is_gone_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be made"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'store.db'}")
    with pytest.raises(StoreError, match="nothing was stored"):
        open_store("postgresql://nobody@127.0.0.1:1/none")
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database, but text of some length " * 100)
    with pytest.raises(StoreError, match="nothing was stored"):
        open_store(f"sqlite:///{broken}")


def test_a_full_disk_stores_nothing_and_says_so(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    spec = make_batch(store, [*harm_items(3), *gold_items(1)])
    rater = new_rater(store, spec, "ana")
    store.engine.dispose()
    with store.reading() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()

    def full(raw: object, _: object) -> None:
        raw.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]

    event.listen(store.engine, "connect", full)
    store.engine.dispose()
    ticket = take(store, spec, rater)
    assert ticket is not None

    def fill() -> None:
        for _ in range(50):
            give(store, spec, rater, note="y" * 4000)

    with pytest.raises(StoreError, match="full"):
        vote(store, ticket, Answer(value="safe", note="x" * 4000)) and fill()
    event.remove(store.engine, "connect", full)
    store.engine.dispose()
    with store.reading() as connection:
        before = len(list(current_votes(connection)))
    assert vote(store, ticket, Answer(value="safe")) in ("stored", "again")
    with store.reading() as connection:
        assert len(list(current_votes(connection))) in (before, before + 1)
    store.close()
