"""What a guard says of a file, in a real browser: it fits, loads nothing, obeys the keyboard."""

import re
from pathlib import Path
from typing import Any

import pytest

from selaras.core.records import Example, Kind
from selaras.report.guard_check_html import render_checked
from selaras.safeguard import Guard
from selaras.safeguard.checking import check_rows
from selaras.safeguard.rules import PersonalRule, Rules, rule

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]
HOSTILE = "<script>document.title = 'broken'</script><img src=x onerror=alert(1)> \u202egnol" + (
    "Loooong" * 60
)
KINDS = {"pick": Kind.MALICIOUS, "safe": Kind.LOOK_ALIKE, "mail": Kind.ORDINARY}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        Example(id=f"{name}-{n}", kind=kind, query=query, response=response,
                response_label="safe", policies=("illicit-goods",))
        for n in range(3)
        for name, kind, query, response in (
            ("safe", KINDS["safe"], f"How do I change a door lock? {HOSTILE}", HOSTILE),
            ("pick", KINDS["pick"], "How do I pick a door lock without its key?", "No."),
            ("mail", KINDS["mail"], "Who is it?", f"Write to ana.putri@kiosk.net {HOSTILE}"),
        )
    ]  # fmt: skip
    rules = Rules(
        (rule("illicit-goods", r"(?:pick|open) (?:a|the) .{0,20}lock without"),),
        (PersonalRule("private-information", kinds=("email",)),),
    )
    found = check_rows(Guard("shop", (rules,)), rows)
    path = tmp_path_factory.mktemp("checked") / "checked.html"
    texts = {row.id: row for row in rows}
    path.write_text(render_checked(found, texts, "<b>shop</b>", "<i>rows</i>.jsonl"), "utf-8")
    return path


@pytest.mark.parametrize("width", [390, 900])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_loads_nothing_and_can_be_read(
    open_alone: Any, page_file: Path, width: int, scheme: Any
) -> None:
    page = open_alone(page_file, width, scheme)
    ground = _colour(page.locator("body"), "backgroundColor")
    assert (_light(ground) > 0.5) == (scheme == "light")
    for part in ("h1", "article.row small >> nth=0", "b.bad >> nth=0", "b.good >> nth=0",
                 "blockquote >> nth=0"):  # fmt: skip
        assert _contrast(_colour(page.locator(part), "color"), ground) >= 4.5, part
    page.close()


def test_what_rows_hold_is_text(browser: Any, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    assert page.title() == "What the guard says of <i>rows</i>.jsonl"
    assert page.locator("script, img, main i").count() == 0
    first = page.locator("article.row").filter(has_text="change a door lock").first
    assert "<script>document.title" in first.inner_text()
    assert "under the guard <b>shop</b>" in page.locator("body").inner_text()
    # Blocked ones first, with what blocked them.
    heads = page.locator("article.row h3").all_inner_texts()
    assert [head.partition("-")[0] for head in heads[:6]].count("safe") == 0
    assert (
        "private-information"
        in page.locator("article.row").filter(has_text="ana.putri@").first.inner_text()
    )
    page.close()


def test_the_keyboard_filters_without_a_script(browser: Any, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    visible = page.locator("article.row:visible")
    assert visible.count() == 9
    outcome = page.get_by_role("group", name="Outcome")
    # Each group of choices is one stop of the Tab key; arrows choose within it.
    page.keyboard.press("Tab")
    while not outcome.locator("input:focus").count():
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert outcome.get_by_label("blocked (6)").is_checked()
    assert visible.count() == 6
    page.keyboard.press("Tab")
    assert page.get_by_role("group", name="Policy").locator("input:focus").count() == 1
    for _ in ("illicit-goods", "none", "private-information"):
        page.keyboard.press("ArrowDown")
    assert page.get_by_label("private-information (3)").is_checked()
    assert visible.count() == 3
    assert "response blocked" in visible.first.inner_text()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    assert visible.count() == 6
    context.close()


def _colour(part: Any, name: str) -> tuple[float, ...]:
    said = part.evaluate("(found, name) => getComputedStyle(found)[name]", name)
    return tuple(float(value) for value in re.findall(r"[\d.]+", said)[:3])


def _light(colour: tuple[float, ...]) -> float:
    """Return the relative luminance of WCAG 2."""
    shares = [value / 255 for value in colour]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    dark, light = sorted((_light(one), _light(other)))
    return (light + 0.05) / (dark + 0.05)
