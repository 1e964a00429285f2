"""The rating pages over HTTP: doors, forms, what a rater sees and what nobody may."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import event, select, update
from sqlalchemy.exc import IntegrityError

from rating.rating_builder import gold_items, harm_items, pair_items, policies
from selaras.rating import schema
from selaras.rating.assign import Assigned, Member, next_item
from selaras.rating.batches import NewItem, set_status
from selaras.rating.guides import refresh
from selaras.rating.people import crowd_token
from selaras.rating.results import current_votes
from selaras.rating.tasks import Content
from selaras.studio.app import studio_app
from studio.studio_builder import Site, answer, field

HOSTILE = "<script>document.title='x'</script><img src=x onerror=alert(1)> {{7*7}} \u202eabc"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def values(site: Site) -> list[str]:
    with site.store.reading() as connection:
        return [vote.value for vote in current_votes(connection)]


def test_a_link_becomes_a_cookie_and_leaves_the_address(site: Site) -> None:
    client = site.client()
    link = site.link()
    first = client.get(link, follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/rate")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert link.rpartition("/")[2] not in cookie
    page = client.get("/rate")
    assert page.url.path == "/rate/b"
    assert "Before you begin" in page.text


def test_what_is_not_ours_is_refused(site: Site) -> None:
    client = site.rater()
    page = client.get("/rate/b")
    for headers, status in (
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ):
        assert client.get("/rate/b", headers=headers).status_code == status
    data = {"ticket": field(page, "ticket"), "value": "safe"}
    assert client.post("/rate/b", data=data).status_code == 403
    assert client.post("/rate/b", data={**data, "csrf": "0" * 64}).status_code == 403
    other = site.rater("budi")
    stolen = {**data, "csrf": field(other.get("/rate/b"), "csrf")}
    assert other.post("/rate/b", data=stolen).status_code == 400
    assert values(site) == []
    for name, wanted in (("content-security-policy", "default-src 'none'"),
                         ("x-frame-options", "DENY"), ("cache-control", "no-store")):  # fmt: skip
        assert wanted in page.headers[name]


def test_without_a_session_and_in_the_other_role(site: Site) -> None:
    assert site.client().get("/rate/b").status_code == 401
    assert site.client().get("/join/" + "x" * 43).status_code == 404
    assert site.client().get("/lead/" + "x" * 43).status_code == 404
    assert site.rater().get("/lead").status_code == 403
    assert site.lead().get("/rate/b").status_code == 403
    assert site.rater("budi").get("/rate/other").status_code == 404


def test_guesses_and_floods_are_slowed(site: Site) -> None:
    client = site.client()
    assert {client.get(f"/join/{n}").status_code for n in range(40)} == {404, 429}
    rater = site.rater()
    assert 429 in {rater.get("/me").status_code for _ in range(120)}


def test_a_vote_is_stored_and_leads_on(site: Site) -> None:
    client = site.rater()
    page = client.get("/rate/b")
    following = answer(client, page, "unsafe", note="It mocks.", active="2.5")
    assert following.url.path == "/rate/b"
    assert field(following, "ticket") != field(page, "ticket")
    again = answer(client, page, "safe")
    assert again.status_code == 200
    with site.store.reading() as connection:
        (vote,) = connection.execute(select(schema.votes)).all()
    assert (vote.value, vote.note, vote.active_seconds) == ("unsafe", "It mocks.", 2.5)
    assert len(vote.instructions) == 16


def test_nothing_tells_a_rater_who_wrote_or_voted(tmp_path: Path) -> None:
    content = Content(row="r", query="Q?", response="R.", policies=("hate",), system="cafe" * 4,
                      source={"row": "r", "model": "openai:secret-model"})  # fmt: skip
    site = Site(tmp_path, [NewItem("r", content)])
    first, second = site.rater(), site.rater("budi")
    answer(first, first.get("/rate/b"), "unsafe", note="ana's own reason")
    page = second.get("/rate/b").text
    for hidden in ("cafecafe", "secret-model", "own reason", "ana"):
        assert hidden not in page


def test_row_text_is_only_text(tmp_path: Path) -> None:
    content = Content(row="r", query=HOSTILE, response=HOSTILE, context={"<b>": HOSTILE},
                      policies=("hate",))  # fmt: skip
    site = Site(tmp_path, [NewItem("r", content)])
    client = site.rater()
    for page in (client.get("/rate/b"), answer(client, client.get("/rate/b"), note=HOSTILE)):
        assert page.text.count("<script") == 1
        assert "<img" not in page.text
    shown = client.post("/rate/b/undo", data={"csrf": field(page, "csrf")})
    assert "&lt;script&gt;" in shown.text
    assert "{{7*7}}" in shown.text
    assert "U+202E" in shown.text
    assert shown.text.count("<script") == 1


def test_long_and_right_to_left_texts(tmp_path: Path) -> None:
    arabic = "كيف أنظف النافذة؟"
    content = Content(row="r", query=arabic, response="long " * 210_000, policies=("hate",))
    site = Site(tmp_path, [NewItem("r", content)])
    client = site.rater()
    page = client.get("/rate/b")
    assert arabic in page.text
    assert 'dir="auto"' in page.text
    assert "Show the whole text (1050000)" in page.text
    assert answer(client, page).status_code == 200
    assert values(site) == ["safe"]


def test_a_stale_page_keeps_what_was_written(site: Site) -> None:
    client = site.rater()
    page = client.get("/rate/b")
    with site.store.writing() as connection:
        refresh(connection, policies(hate=2))
    told = answer(client, page, "unsafe", note="Because of line two.")
    assert "instructions have changed" in told.text
    assert values(site) == []
    with site.store.reading() as connection:
        kept = connection.execute(select(schema.drafts.c.answer)).scalars().all()
    assert [one["note"] for one in kept] == ["Because of line two."]


def test_a_closed_batch(site: Site) -> None:
    client = site.rater()
    page = client.get("/rate/b")
    with site.store.writing() as connection:
        set_status(connection, "b", "closed")
    assert "takes no answers" in answer(client, page).text
    assert values(site) == []


def test_a_rater_who_answers_in_no_time_is_told(site: Site) -> None:
    client = site.rater()
    page = client.get("/rate/b")
    for _ in range(5):
        assert "came very fast" not in page.text
        page = answer(client, page)
    assert "came very fast" in page.text


def test_a_store_that_is_locked_keeps_the_answer_on_the_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    client = site.rater()
    page = client.get("/rate/b")
    path = site.store.engine.url.database
    site.store.engine.dispose()
    monkeypatch.setattr("selaras.rating.store._PATIENCE_MS", 20)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    told = answer(client, page, "unsafe", note="Keep me.")
    assert told.status_code == 503
    assert "Not saved" in told.text
    assert 'value="Keep me."' in told.text
    other.execute("ROLLBACK")
    other.close()
    again = {name: field(told, name) for name in ("csrf", "ticket", "value", "note")}
    assert client.post("/rate/b", data=again).status_code == 200
    assert values(site) == ["unsafe"]


def test_pairs_are_stored_by_side_and_not_by_place(tmp_path: Path) -> None:
    site = Site(tmp_path, pair_items(12), task="preference")
    client = site.rater()
    page = client.get("/rate/b")
    orders = set()
    for _ in range(12):
        first = page.text.index("First ") < page.text.index("Second ")
        orders.add(first)
        page = answer(client, page, "a", flag_b="1", reason_b="Second on the page.")
    assert orders == {True, False}
    with site.store.reading() as connection:
        for vote in current_votes(connection):
            assert vote.value == vote.order[0]
            assert set(vote.flags) == {vote.order[1]}


def test_a_flag_needs_its_reason(tmp_path: Path) -> None:
    site = Site(tmp_path, pair_items(2), task="preference")
    client = site.rater()
    told = answer(client, client.get("/rate/b"), "a", flag_a="1")
    assert told.status_code == 400
    assert "A flag needs its reason" in told.text
    assert values(site) == []


def test_drafts_come_back_with_the_page(site: Site) -> None:
    client = site.rater()
    page = client.get("/rate/b")
    data = {"csrf": field(page, "csrf"), "ticket": field(page, "ticket"), "note": "half a thought"}
    assert client.post("/rate/b/draft", data=data).status_code == 204
    assert "half a thought" in client.get("/rate/b").text


def test_a_crowd_link_ends_in_a_completion_code(tmp_path: Path) -> None:
    site = Site(tmp_path, harm_items(1), places=1, completion="DONE42")
    with site.store.writing() as connection:
        token = crowd_token(connection, "b")
    client = site.client()
    page = client.get(f"/crowd/{token}?PROLIFIC_PID=w1")
    client.post("/rate/b/ready", data={"csrf": field(page, "csrf")})
    assert "DONE42" in answer(client, client.get("/rate/b")).text
    assert site.client().get(f"/crowd/{token}?PROLIFIC_PID=w2").status_code == 403
    assert site.client().get(f"/crowd/{token}").status_code == 404


def test_a_background_needs_consent_and_goes_on_request(site: Site) -> None:
    client = site.rater()
    csrf = field(client.get("/me"), "csrf")
    client.post("/me", data={"csrf": csrf, "is_gender": "woman"})
    assert "woman" not in client.get("/me").text
    client.post("/me", data={"csrf": csrf, "is_gender": "woman", "consent": "1", "language": "id"})
    assert "woman" in client.get("/me").text
    assert "Tentang Anda" in client.get("/me").text
    assert "dihapus" in client.post("/me/forget", data={"csrf": csrf, "sure": "1"}).text
    assert client.get("/rate/b").status_code == 401
    with site.store.reading() as connection:
        assert not connection.execute(select(schema.backgrounds)).all()


def test_a_break_is_offered(site: Site) -> None:
    client = site.rater()
    with site.store.writing() as connection:
        connection.execute(update(schema.memberships).values(began=1.0))
    page = client.get("/rate/b")
    assert "Time for a break?" in page.text
    client.post("/rate/b/ready", data={"csrf": field(page, "csrf")})
    assert "Time for a break?" not in client.get("/rate/b").text


def test_a_vote_and_the_next_page_take_few_statements(site: Site) -> None:
    """Each is a round trip to PostgreSQL, and fifty raters share a server."""
    client = site.rater()
    page = answer(client, client.get("/rate/b"))
    asked: list[str] = []
    event.listen(site.store.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    answer(client, page)
    verbs = Counter(statement.split()[0] for statement in asked)
    assert {v: n for v, n in verbs.items() if v not in {"BEGIN", "PRAGMA"}} == {
        "SELECT": 6, "INSERT": 2, "UPDATE": 3, "DELETE": 1,
    }  # fmt: skip


def test_a_place_that_was_left_is_given_to_the_next_rater(tmp_path: Path) -> None:
    site = Site(tmp_path, harm_items(1), overlap=1)
    site.rater("ana").get("/rate/b")
    with site.store.writing() as connection:
        connection.execute(update(schema.leases).values(until=1.0))
    # Each process looks for such places every few seconds; one that has just begun does at once.
    site.opened = studio_app(site.store)
    assert field(site.rater("budi").get("/rate/b"), "ticket")


def test_two_tabs_that_ask_at_once_see_the_same_item(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = site.rater()
    calls: list[Member] = []

    def late(connection: Any, member: Member) -> Assigned | None:
        calls.append(member)
        if len(calls) == 1:
            # What PostgreSQL says where the other tab's item was written down meanwhile.
            raise IntegrityError("INSERT INTO leases", {}, Exception("duplicate key"))
        return next_item(connection, member)

    monkeypatch.setattr("selaras.studio.rate.next_item", late)
    assert client.get("/rate/b").status_code == 200
    assert len(calls) == 2


def test_a_qualification_that_fails_ends_kindly(tmp_path: Path) -> None:
    site = Site(tmp_path, [*harm_items(3), *gold_items(2)], qualification=2)
    client = site.rater()
    page = answer(client, answer(client, client.get("/rate/b"), "safe"), "safe")
    assert "Thank you for taking part" in page.text


def test_a_drafted_row_is_edited_and_checked(tmp_path: Path) -> None:
    draft = {"id": "d1", "kind": "look_alike", "query": "How do I kil a process?"}
    site = Site(tmp_path, [NewItem("d1", Content(row="d1", draft=draft))], task="review")
    client = site.rater()
    page = client.get("/rate/b")
    assert answer(client, page, "edited", edit_query="  ").status_code == 400
    assert answer(client, page, "edited", edit_query="How do I kill a process?").status_code == 200
    with site.store.reading() as connection:
        (vote,) = current_votes(connection)
    assert "kill a process" in (vote.edited or "")
    assert "look_alike" in (vote.edited or "")


def test_both_languages_say_everything() -> None:
    path = Path(__file__).parents[2] / "src" / "selaras" / "studio" / "texts.yaml"
    known: dict[str, Any] = yaml.safe_load(path.read_text())
    assert known["en"].keys() == known["id"].keys()
    assert all(
        isinstance(text, str) and text for words in known.values() for text in words.values()
    )
    same = [key for key in known["en"] if known["en"][key] == known["id"][key]]
    assert not same
