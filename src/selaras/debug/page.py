"""The page of prompt debugging: one file that loads nothing, or the same page served live."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from selaras.page import Markup, Program, element, join, page, table, untrusted

WHAT = (
    "Choose any part of the response: the prompt is shaded by what that part needs. "
    "Orange: deleting it makes the target less likely; blue: more likely."
)


def render_page(
    panels: Sequence[dict[str, Any]], *, unit: str, live: bool = False, regex: str | None = None
) -> str:
    """Return the page of one or two prompts; `regex` is what the unit of that name is cut by."""
    return page(
        "Which part of the prompt made the model say that",
        body(panels),
        lede=WHAT,
        style=_resource("page.css"),
        program=program(panels, unit, live, regex),
        footer="Made by selaras debug. Scores are estimates of what deleting a segment does, "
        "not of what the model means.",
    )


def program(
    panels: Sequence[dict[str, Any]], unit: str, live: bool, regex: str | None = None
) -> Program:
    """Return the page's script with its data."""
    data = {"panels": list(panels), "unit": unit, "live": live, "regex": regex}
    return Program(_resource("page.js"), data, live)


def body(panels: Sequence[dict[str, Any]]) -> Markup:
    """Return what stands on the page without its script: tools to fill, and the maps as tables."""
    return join([
        element("div", id="tools", class_="tools", role="toolbar", aria_label="What is shown"),
        element("p", id="status", role="status", aria_live="polite", class_="status"),
        element("div", id="panels", class_="panels"),
        element("section", element("h2", "The same as a table"), *map(_table, panels), id="tables"),
    ])  # fmt: skip


def _table(panel: dict[str, Any]) -> Markup:
    made = next((m for m in panel["maps"] if m["method"] != "gradient"), None)
    if made is None:
        return element("p", f"{panel['title']}: nothing was verified yet.")
    order = sorted(made["segments"], key=lambda s: -abs(s["score"]))
    rows = [(f"{s['score']:+.2f}", s["origin"], untrusted(s["text"].strip(), 300)) for s in order]
    faith = made["faithfulness"] or {}
    told = "" if faith.get("lds") is None else f"; LDS {faith['lds']:.2f}"
    return table(
        ("nats", "origin", "segment"), rows,
        caption=f"{panel['title']}: {made['method']} for “{made['target']['text']}”{told}",
    )  # fmt: skip


def _resource(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
