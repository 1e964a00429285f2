"""Prompt debugging in a real browser: targets by mouse and keyboard, units, contrast, live A/B."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from debug.test_debug_page import SAID
from selaras.debug import Settings
from selaras.debug.opening import Asked, open_probe, prepared
from selaras.debug.page import render_page
from selaras.debug.panel import add_maps, panel
from selaras.debug.serve import application, open_live
from tiny import open_tiny

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]
RESPONSE = "Use the kill command. 😀 Ask."


@pytest.fixture(scope="module")
def page_file(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = prepared(open_tiny(tiny_folder))
    probe = open_probe(model, SAID, Asked(RESPONSE, texts=("kill",), against=("No.",)), None)
    shown = panel(probe, "first", "tiny")
    add_maps(shown, probe, ("surrogate", "leave-one-out"), "sentence", Settings())
    path = tmp_path_factory.mktemp("debug") / "debug.html"
    path.write_text(render_page([shown, {**shown, "title": "second"}], unit="sentence"))
    return path


@pytest.fixture(scope="module")
def served(tiny_folder: Path) -> Iterator[str]:
    live = open_live(prepared(open_tiny(tiny_folder)), [("A", SAID)], Asked(RESPONSE), "sentence",
                     None)  # fmt: skip
    server = uvicorn.Server(uvicorn.Config(application(live), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)


def scores(page: Any, number: int = 0) -> list[str]:
    return page.eval_on_selector_all(  # type: ignore[no-any-return]
        f"#panel-{number} .segment[data-k]", "nodes => nodes.map(n => n.dataset.score)"
    )


@pytest.mark.parametrize("width", [390, 1100])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_loads_nothing(browser: Any, page_file: Path, width: int, scheme: Any) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(page_file.as_uri())
    assert (asked, said) == ([page_file.as_uri()], [])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("img, .panel script").count() == 0
    assert scores(page) == scores(page, 1)  # one scale, the same prompt
    assert page.locator("#panel-0 .badge").inner_text().startswith("tiny")
    page.close()


def test_targets_by_mouse_and_keyboard_survive_a_change_of_unit(
    browser: Any, page_file: Path
) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    first = scores(page)
    tokens = page.locator("#panel-0 .token")
    tokens.nth(0).click()
    assert page.locator("#panel-0 .token[aria-selected=true]").count() == 1
    assert scores(page) != first
    tokens.nth(3).click(modifiers=["Control"])  # disjoint
    assert page.locator("#panel-0 .token[aria-selected=true]").count() == 2
    tokens.nth(0).click()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert page.locator("#panel-0 .token[aria-selected=true]").count() == 3
    page.select_option("#unit", "message")
    assert page.locator("#panel-0 .token[aria-selected=true]").count() == 3
    assert "nothing was run" in page.locator("#panel-0 .badge").inner_text()
    page.select_option("#unit", "sentence")
    page.keyboard.press("Tab")
    page.locator("#panel-0 .segment[data-k]").first.focus()
    assert "deleting this" in page.locator("#status").inner_text()
    before = scores(page)
    page.locator("#contrast").uncheck()
    assert scores(page) != before
    box = [tokens.nth(i).bounding_box() for i in (0, 2)]
    page.mouse.move(box[0]["x"] + 3, box[0]["y"] + 5)
    page.mouse.down()
    page.mouse.move(box[1]["x"] + 3, box[1]["y"] + 5, steps=6)
    page.mouse.up()
    assert page.locator("#panel-0 .token[aria-selected=true]").count() == 3
    page.close()


def test_live_preview_verify_and_beside(browser: Any, served: str) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text))
    page.goto(served)
    page.locator("#panel-0 .badge", has_text="preview by gradient").wait_for()
    page.locator("#verify").click()
    page.locator("#panel-0 .badge", has_text="unseen ablations").wait_for()
    page.locator("#panel-0 summary").click()
    page.fill("#system-0", "Shout at all of them. Use soda.")
    page.locator("#beside").click()
    page.locator("#panel-1 .badge").wait_for()
    page.locator("#verify").click()
    page.locator("#panel-1 .badge", has_text="unseen ablations").wait_for()
    for number in (0, 1):
        told = page.locator("#tables tbody").nth(number).locator("th").all_inner_texts()
        assert sorted(map(float, told)) == sorted(round(float(s), 2) for s in scores(page, number))
    assert said == []
    page.close()


def test_a_regex_cuts_the_live_page_and_a_broken_one_is_said(browser: Any, served: str) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(served)
    page.select_option("#unit", "regex")
    page.fill("#regex", "[")
    page.keyboard.press("Enter")
    page.locator("#status", has_text="is broken").wait_for()
    page.fill("#regex", "Use \\w+")
    page.keyboard.press("Enter")
    page.locator("#panel-0 .segment", has_text="Use ").first.wait_for()
    page.locator("#status", has_text="cut at every match").wait_for()
    page.locator("#verify").click()
    page.locator("#unit option", has_text="regex (verified)").wait_for(state="attached")
    page.reload()
    assert page.locator("#unit option", has_text="regex (verified)").count() == 1
    assert said == []
    page.close()
