"""`selaras guard fit --html`: what a fitted guard tells apart, drawn policy by policy.

All of it is out of fold and of development rows; the page says so before anything else.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from selaras.core.manifest import Manifest
from selaras.page import (
    Banded,
    BarRow,
    Child,
    Markup,
    banded,
    element,
    interval_bars,
    join,
    page,
    percent,
    rate_cell,
    table,
)
from selaras.report.model import KIND_WORDS
from selaras.safeguard.curves import ALL, RowScore, band

SIDES = {"query": "What is asked", "response": "What is answered"}
FEATURES = {
    "static": "static word vectors",
    "minilm": "MiniLM sentence embeddings",
    "probe": "the guarded model's own hidden states",
}
NOT_SEEN = (
    "out of fold: no row was scored by a classifier that saw it or its twin. The sealed rows "
    "decide, through a System with this guard."
)
UP = "precision (under each name: AU-PRC)"
READ = (
    "Precision is the share of blocked rows that are against a policy, recall the share of those "
    "rows that is blocked. The line is what every threshold would give, the band its 95 % interval "
    "over whole groups of rows, the mark the threshold that was frozen, the dashed line what "
    "blocking at random would give. A policy's own rows stand against all rows that are to be "
    "answered, so its dashed line is low where it has few."
)


def render_guard(manifest: Manifest, scores: Sequence[RowScore], product: str) -> str:
    """Return the fit as one HTML page that loads and runs nothing. It holds no text of a row."""
    figures = manifest.figures
    stamp = str(manifest.stamp).capitalize()
    parts = [element("p", f"{stamp}, {NOT_SEEN}", class_="warning")]
    for side, why in figures.get("unfitted", {}).items():
        said = (f"{SIDES[side]} is not fitted ({why}). Only the guard's other stages check it, "
                "if there are any.")  # fmt: skip
        parts.append(element("p", said, class_="warning"))
    for side, own in figures["sides"].items():
        mine = [score for score in scores if score.side == side]
        parts.append(_side(side, own, mine, figures.get("unread", {}).get(side, 0)))
    tier = figures["features"].get("tier", "")
    layer = figures["features"].get("layer")
    behind = f", layer {layer}" if layer else ""
    lede = f"The guard {manifest.config['name']} of {product}: {FEATURES.get(tier, tier)}{behind}"
    return page(f"What the guard tells apart · {product}", join(parts), lede=lede,
                footer=f"selaras guard fit · {manifest.id}")  # fmt: skip


def _side(side: str, figures: Mapping[str, Any], scores: Sequence[RowScore], unread: int) -> Markup:
    said = (
        f"{figures['positives']} texts against a policy, {figures['negatives']} not. It blocks "
        f"from a probability of {figures['threshold']:.2f} on, which at most "
        f"{percent(figures['budget'])} of the texts to be let through reached."
    )
    if unread:
        said += f" {unread} texts in scripts that the encoder has no words of were left out."
    names = [name for name in figures["policies"] if name != ALL]
    panels = [_curve(name, figures, scores) for name in names]
    whole = banded([_curve(ALL, figures, scores)], x_label="recall", y_label=UP,
                   title=f"{SIDES[side]}: precision and recall over all policies")  # fmt: skip
    each = banded(panels, x_label="recall", y_label=UP,
                  title=f"{SIDES[side]}: precision and recall of each policy")  # fmt: skip
    return join([
        element("h2", SIDES[side]),
        element("p", said),
        element("figure", whole, element("figcaption", READ)),
        element("h3", "Policy by policy"),
        each,
        _table(figures, names),
        element("h3", "False alarms"),
        _alarms(figures),
    ])  # fmt: skip


def _curve(name: str, figures: Mapping[str, Any], scores: Sequence[RowScore]) -> Banded:
    own = figures["policies"][name]
    bad = [row for row in scores if row.bad and (name == ALL or name in row.policies)]
    good = [row for row in scores if not row.bad]
    hits, alarms = (sum(row.score >= figures["threshold"] for row in rows) for rows in (bad, good))
    at = (hits / len(bad), hits / (hits + alarms)) if bad and hits else None
    told = f"{_area(own['auprc'])}, n {len(bad)}"
    share = len(bad) / max(1, len(bad) + len(good))
    return Banded("All policies" if name == ALL else name, told, tuple(band(scores, name)), at,
                 share)  # fmt: skip


def _table(figures: Mapping[str, Any], names: Sequence[str]) -> Markup:
    head = f"Recall at {percent(figures['budget'])} false alarms"
    rows: list[list[Child]] = [
        ["all policies" if name == ALL else name, _area(figures["policies"][name]["auprc"]),
         _rate(figures["policies"][name]["recall"])]
        for name in (ALL, *names)
    ]  # fmt: skip
    return table(["Policy", "AU-PRC", head], rows, caption="The same in figures",
                 numeric={"AU-PRC", head})  # fmt: skip


def _alarms(figures: Mapping[str, Any]) -> Markup:
    rows = [
        BarRow(KIND_WORDS.get(kind, "all of them"), "blocked", *_limits(own), own["n"])
        for kind, own in figures["false_alarms"].items()
    ]
    return interval_bars(
        rows, x_label="Share blocked of the rows to be let through", title="False alarms by kind",
        threshold=figures["budget"], threshold_label=f"budget {percent(figures['budget'])}",
    )  # fmt: skip


def _limits(own: Mapping[str, Any]) -> tuple[float, float, float]:
    return tuple(float("nan") if own[key] is None else own[key] for key in ("value", "low", "high"))  # type: ignore[return-value]


def _rate(own: Mapping[str, Any]) -> Markup:
    return rate_cell(*_limits(own), own["n"])


def _area(own: Mapping[str, Any]) -> str:
    value, low, high = _limits(own)
    if math.isnan(value):
        return "–"
    return f"{value:.2f} ({low:.2f}–{high:.2f})" if not math.isnan(low) else f"{value:.2f}"
