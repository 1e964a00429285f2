"""The rating page in a real browser against the real server: keys, two raters, restart, phone."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.projects import make_project
from rating.rating_builder import harm_items, make_batch, pair_items
from selaras.core.project import Project
from selaras.rating.people import invite
from selaras.rating.results import current_votes
from selaras.rating.store import Store, open_store, store_url

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]


class Server:
    """`selaras rate serve` in a process of its own, on one port over its restarts."""

    def __init__(self, project: Project) -> None:
        self.project = project
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "selaras", "rate", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "-C", str(self.project.root)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.base}/static/rate.js", timeout=1)
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project", [])


@pytest.fixture
def store(project: Project) -> Iterator[Store]:
    opened = open_store(store_url(project))
    yield opened
    opened.close()


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    made = Server(project)
    yield made
    made.kill()


def link(store: Store, spec: Any, name: str) -> str:
    with store.writing() as connection:
        return f"/join/{invite(connection, spec, name).token}"


LOADED = "document.readyState === 'complete'"  # the page's keys work from here on


def enter(page: Any, url: str) -> None:
    page.goto(url)
    # Focus comes with the first frame drawn, which on a busy machine is after the load.
    page.wait_for_function("() => document.activeElement.matches('button')")
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => {LOADED} && document.querySelector('#vote')")


def press(page: Any, key: str) -> None:
    """Press a key that sends the answer, and wait for the page that follows."""
    ticket = page.locator("input[name=ticket]").get_attribute("value")
    page.keyboard.press(key)
    moved_on(page, ticket)


def moved_on(page: Any, ticket: str) -> None:
    page.wait_for_function(
        f"old => {LOADED} && document.querySelector('input[name=ticket]')?.value !== old",
        arg=ticket,
    )


def votes(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(current_votes(connection))


def test_a_whole_session_by_keyboard(browser: Any, store: Store, server: Server) -> None:
    spec = make_batch(store, pair_items(3), task="preference", overlap=1)
    url = server.base + link(store, spec, "ana")
    server.start()
    page = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    enter(page, url)
    assert "/join/" not in page.url
    blurred = "getComputedStyle(document.querySelector('.said')).filter"
    assert "blur" in page.evaluate(blurred)
    page.keyboard.press("b")
    assert page.evaluate(blurred) == "none"
    page.keyboard.press("q")
    page.keyboard.type("It insults 1 group.")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    # The draft is saved once the typing pauses, so wait for the one that holds the whole note.
    with page.expect_response(lambda answer: "kinder." in (answer.request.post_data or "")):
        page.keyboard.type("Number two is kinder.")
    page.reload()
    assert page.locator("textarea[name=note]").input_value() == "Number two is kinder."
    assert page.locator("input[name=flag_a]").is_checked()
    press(page, "2")
    press(page, "x")
    press(page, "z")
    press(page, "z")
    assert page.locator("textarea[name=note]").input_value() == "Number two is kinder."
    press(page, "2")
    press(page, "0")
    press(page, "9")
    page.wait_for_selector("strong.code")
    found = votes(store)
    assert [v.value for v in found[1:]] == ["tie", "both_bad"]
    assert found[0].value == found[0].order[1]
    assert found[0].flags == {found[0].order[0]: "It insults 1 group."}
    assert all(a.startswith(server.base) or a.startswith("data:") for a in asked)
    assert said == []
    page.close()


def test_two_raters_at_once(browser: Any, store: Store, server: Server) -> None:
    spec = make_batch(store, harm_items(4), overlap=1)
    urls = [server.base + link(store, spec, name) for name in ("ana", "budi")]
    server.start()
    contexts = [browser.new_context() for _ in urls]
    pages = [context.new_page() for context in contexts]
    for page, url in zip(pages, urls, strict=True):
        enter(page, url)
    texts = [page.locator("article .said").inner_text() for page in pages]
    assert texts[0] != texts[1]
    for _ in range(2):
        for page in pages:
            press(page, "s")
    for page in pages:
        page.wait_for_selector("strong.code")
    found = votes(store)
    assert len({v.item for v in found}) == len(found) == 4
    for context in contexts:
        context.close()


def test_an_answer_outlives_the_server(browser: Any, store: Store, server: Server) -> None:
    spec = make_batch(store, harm_items(3), overlap=1)
    url = server.base + link(store, spec, "ana")
    server.start()
    page = browser.new_page()
    enter(page, url)
    ticket = page.locator("input[name=ticket]").get_attribute("value")
    server.kill()
    page.keyboard.press("u")
    page.wait_for_selector(".lost")
    assert "kept here" in page.locator("#status").inner_text()
    server.start()
    moved_on(page, ticket)
    assert [v.value for v in votes(store)] == ["unsafe"]
    press(page, "s")
    assert [v.value for v in votes(store)] == ["unsafe", "safe"]
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_works_without_a_script(
    browser: Any, store: Store, server: Server, scheme: Any
) -> None:
    spec = make_batch(store, pair_items(2), task="preference", overlap=1, language="id")
    url = server.base + link(store, spec, "ana")
    server.start()
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, java_script_enabled=False, color_scheme=scheme,
        has_touch=True,
    )  # fmt: skip
    page = context.new_page()
    page.goto(url)
    page.get_by_role("button", name="Mulai").tap()
    width = page.locator("html").bounding_box()
    assert width is not None
    assert width["width"] <= 390
    for box in (page.locator(".choices button").nth(n).bounding_box() for n in range(6)):
        assert box is not None
        assert box["height"] >= 40
        assert box["x"] + box["width"] <= 390
    page.get_by_text("Tampilkan teks").tap()
    page.get_by_role("button", name="Sama baiknya").tap()
    page.get_by_role("button", name="Lewati").tap()
    assert [v.value for v in votes(store)] == ["tie"]
    context.close()


def test_a_screen_reader_finds_names_and_roles(browser: Any, store: Store, server: Server) -> None:
    spec = make_batch(store, pair_items(1), task="preference")
    url = server.base + link(store, spec, "ana")
    server.start()
    page = browser.new_page()
    enter(page, url)
    tree = page.locator("body").aria_snapshot()
    for wanted in ('heading "Which response is better?" [level=1]', 'article "Response 1"',
                   'article "Response 2"', "status", "progressbar", "complementary",
                   'group "Which response is better?"', 'button "1 Response 1"'):  # fmt: skip
        assert wanted in tree, tree
    unnamed = page.evaluate(
        "[...document.querySelectorAll('textarea, select, input:not([type=hidden])')]"
        ".filter(e => !e.labels.length && !e.ariaLabel && !e.hidden).length"
    )
    assert unnamed == 0
    page.close()
