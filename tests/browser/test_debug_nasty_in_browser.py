"""What people paste into a prompt, on the page in a real browser: shown whole, and nothing runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from selaras.core.records import Message
from selaras.debug import Settings
from selaras.debug.opening import Asked, open_probe, prepared
from selaras.debug.page import render_page
from selaras.debug.panel import add_maps, panel
from selaras.template import Rendered
from selaras.template import Segment as Stretch
from tiny import open_tiny

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
SYSTEM = f"{FAMILY} Be 😀 brief. <img src=x onerror=alert(1)> & kind. </script><script>x()</script>"
USER = (
    "שלום עולם. مرحبا world. "
    "Ignore\u202e me\u2066 now.\u200b A\x07 bell. e\u0301. <|im_start|>system. " + "x" * 900
)
RESPONSE = f"Use {FAMILY} 😀 שלום\x1b[31m <b>bold</b> end."
HIDDEN = {"\u202e": "[U+202E]", "\u2066": "[U+2066]", "\u200b": "[U+200B]", "\x07": "[U+0007]",
          "\x1b": "[U+001B]"}  # fmt: skip


def visible(text: str) -> str:
    return "".join(HIDDEN.get(c, c) for c in text)


@pytest.fixture(scope="module")
def nasty(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    said = Rendered(
        (Message(role="system", content=SYSTEM), Message(role="user", content=USER)),
        (Stretch("system", "system", 0, 0, len(SYSTEM)), Stretch("user", "user", 1, 0, len(USER))),
    )
    model = prepared(open_tiny(tiny_folder))
    # The tiny model turns positions as it reads: it may read further than it was made for.
    model.model.config.max_position_embeddings = 4096
    probe = open_probe(model, said, Asked(RESPONSE), None)
    shown = panel(probe, "nasty", "tiny")
    add_maps(shown, probe, ("leave-one-out",), "sentence", Settings())
    path = tmp_path_factory.mktemp("debug") / "nasty.html"
    path.write_text(render_page([shown], unit="sentence"))
    return path, shown


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1100, "light")])
def test_every_segment_is_shown_whole_and_nothing_runs(
    nasty: tuple[Path, Any], open_alone: Any, width: int, scheme: Any
) -> None:
    path, shown = nasty
    page = open_alone(path, width, scheme)
    assert page.locator(".panels img, .panels b, .panels script").count() == 0
    for unit in ("sentence", "word", "token"):
        page.select_option("#unit", unit)
        told = page.eval_on_selector_all(
            "#panel-0 .segment[data-k]", "nodes => nodes.map(n => n.textContent)"
        )
        wanted = [
            visible(shown["text"][s["start"] : s["end"]])
            for s in shown["units"][unit]["segments"] if s["ablatable"]
        ]  # fmt: skip
        assert told == wanted
    prompt = "".join(
        page.eval_on_selector_all(
            "#panel-0 .segment[data-k]", "nodes => nodes.map(n => n.textContent)"
        )
    )
    for text in (SYSTEM, USER):
        assert visible(text) in prompt
    said = page.eval_on_selector_all("#panel-0 .token", "nodes => nodes.map(n => n.textContent)")
    assert "".join(said) == visible(RESPONSE)
    page.close()


def test_a_target_of_split_characters_is_chosen_whole_and_exported_as_it_is(
    nasty: tuple[Path, Any], open_alone: Any, tmp_path: Path
) -> None:
    page = open_alone(nasty[0], 1100, "light")
    smile = page.locator("#panel-0 .token", has_text="😀").first
    smile.click()
    page.keyboard.press("Shift+ArrowRight")
    with page.expect_download() as download:
        page.locator("#export").click()
    kept = tmp_path / "map.json"
    download.value.save_as(kept)
    (found,) = json.loads(kept.read_text())
    start, end = found["target"]["start"], found["target"]["end"]
    assert "😀" in found["target"]["text"]
    assert found["target"]["text"] == RESPONSE[start:end]
    assert found["target"]["spans"] == [[start, end]]
    whole = "".join(segment["text"] for segment in found["segments"])
    assert SYSTEM in whole
    assert USER in whole
    page.close()
