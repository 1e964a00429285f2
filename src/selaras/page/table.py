"""Tables of figures, and how a figure is written: value, interval and n, always together.

A rate is a fraction from 0 to 1 and is printed in whole percent, with one decimal where rounding
would claim 0 or 100 % for a rate that is neither. Without rows there is no rate: "no rows".
"""

import math
from collections.abc import Collection, Sequence

from selaras.page.html import Child, Markup, element, join

__all__ = [
    "NO_ROWS",
    "interval_text",
    "percent",
    "rate_cell",
    "rate_text",
    "signed_points",
    "table",
]

NO_ROWS = "no rows"


def percent(value: float) -> str:
    """Return a rate in percent.

    >>> percent(0.66), percent(1.0), percent(0.004), percent(0.9999), percent(math.nan)
    ('66 %', '100 %', '0.4 %', '>99.9 %', 'no rows')
    """
    return NO_ROWS if math.isnan(value) else f"{_number(value)} %"


def interval_text(value: float, low: float, high: float) -> str:
    """Return a rate with its interval; the interval is left out where it is not known.

    >>> interval_text(0.66, 0.54, 0.76), interval_text(0.66, math.nan, math.nan)
    ('66 % (54–76)', '66 %')
    """
    if math.isnan(value) or math.isnan(low) or math.isnan(high):
        return percent(value)
    return f"{percent(value)} ({_number(low)}–{_number(high)})"


def rate_text(value: float, low: float, high: float, n: int) -> str:
    """Return a rate with its interval and n, as plain text.

    >>> rate_text(0.66, 0.54, 0.76, 60), rate_text(math.nan, 0, 1, 0)
    ('66 % (54–76), n 60', 'no rows')
    """
    if n == 0 or math.isnan(value):
        return NO_ROWS
    return f"{interval_text(value, low, high)}, n {n:,}"


def rate_cell(value: float, low: float, high: float, n: int) -> Markup:
    """Return `rate_text` as HTML, the value before the rest."""
    shown, interval = percent(value), interval_text(value, low, high)
    if n == 0 or shown == NO_ROWS:
        return element("span", NO_ROWS, class_="none")
    rest = interval.removeprefix(shown)
    return element(
        "span",
        element("b", shown),
        element("span", f"{rest}, ", class_="interval"),
        element("span", f"n {n:,}", class_="n"),
        class_="rate",
    )


def signed_points(value: float) -> str:
    """Return a difference of two rates in percentage points.

    >>> signed_points(0.123), signed_points(-0.04), signed_points(-0.0001)
    ('+12.3 points', '−4.0 points', '0.0 points')
    """
    if math.isnan(value):
        return NO_ROWS
    size = f"{abs(value) * 100:.1f}"
    sign = "" if float(size) == 0 else "+" if value > 0 else "−"
    return f"{sign}{size} points"


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Child]],
    *,
    caption: str,
    numeric: Collection[str] = frozenset(),
    key: Child = None,
) -> Markup:
    """Return an accessible table; the first cell of each row is its head.

    Columns named in `numeric` are set to the right. `key` is a line under the caption. Raises
    ValueError where a row has too many or too few cells, or `numeric` names no column.
    """
    if unknown := set(numeric) - set(columns):
        raise ValueError(f"no column {sorted(unknown)[0]!r}")
    classes = ["number" if column in numeric else None for column in columns]
    head = [
        element("th", column, scope="col", class_=class_)
        for column, class_ in zip(columns, classes, strict=True)
    ]
    lines = [element("tr", *_cells(row, classes)) for row in rows]
    if not rows:
        empty = element("td", NO_ROWS, colspan=len(columns), class_="none")
        lines = [element("tr", empty)]
    return boxed(caption, key, head, lines)


def boxed(
    caption: str, key: Child, head: Sequence[Markup], rows: Sequence[Markup], class_: str = ""
) -> Markup:
    """Return a table in its own scrolling box, which the keyboard can reach."""
    key_line = None if key is None else element("span", key, class_="key")
    whole = element(
        "table",
        element("caption", element("div", caption, " " if key_line else None, key_line)),
        element("thead", element("tr", *head)),
        element("tbody", join(rows, Markup("\n"))),
        class_=class_ or None,
    )
    return element("div", whole, class_="table", role="group", aria_label=caption, tabindex=0)


def _cells(row: Sequence[Child], classes: Sequence[str | None]) -> list[Markup]:
    if len(row) != len(classes):
        raise ValueError(f"a row of {len(row)} cells in a table of {len(classes)} columns")
    first, *others = zip(row, classes, strict=True)
    return [
        element("th", first[0], scope="row", class_=first[1]),
        *(element("td", cell, class_=class_) for cell, class_ in others),
    ]


def _number(value: float) -> str:
    """Return a fraction as a percentage without its sign, never rounded to a 0 or 100 it is not."""
    value = float(round(value)) if abs(value - round(value)) < 1e-9 else value
    hundred = value * 100
    whole = f"{hundred:.0f}"
    if whole not in {"0", "-0", "100"} or value in {0, 1}:
        return whole.replace("-", "−")
    if 0 < value < 1:
        return "<0.1" if hundred < 0.05 else ">99.9" if hundred >= 99.95 else f"{hundred:.1f}"
    return f"{hundred:.1f}".replace("-", "−")
