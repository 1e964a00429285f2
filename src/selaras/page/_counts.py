"""A table of counts, shaded by how many; cells that lack rows are framed, not only coloured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selaras.page.html import Child, Markup, element, join
from selaras.page.table import boxed

_LEVELS = 5


@dataclass(frozen=True, slots=True)
class CountCell:
    """How many rows a cell has, and how many it should have (0: none are asked for).

    `more` is a short text under the count, such as how many are sealed.
    """

    count: int
    minimum: int = 0
    more: str = ""


def counts(
    grid: Mapping[tuple[str, str], CountCell],
    columns: Sequence[str],
    *,
    caption: str,
    corner: str = "",
    key: Child = None,
) -> Markup:
    """Return a table of counts by (row, column), rows in input order, shaded by their size.

    A cell under its minimum reads "2 of 5" and is framed; a pair that is not in the grid is blank.
    """
    rows = list(dict.fromkeys(row for row, _ in grid))
    most = max((cell.count for cell in grid.values()), default=0)
    head = [element("th", corner, scope="col")]
    head += [element("th", column, scope="col") for column in columns]
    lines = [
        element(
            "tr",
            element("th", row, scope="row"),
            *(_cell(grid.get((row, column)), most) for column in columns),
        )
        for row in rows
    ]
    framed = any(cell.count < cell.minimum for cell in grid.values())
    told = join([key, " Framed: too few rows." if framed else None])
    return boxed(caption, told or None, head, lines, class_="heat counts")


def _cell(cell: CountCell | None, most: int) -> Markup:
    if cell is None:
        return element("td", "–", class_="none")
    small = element("small", cell.more) if cell.more else None
    if cell.count < cell.minimum:
        class_ = "short" if cell.count else "empty"
        shown = f"{cell.count} of {cell.minimum}"
        return element("td", element("b", shown), " ", small, class_=class_)
    # The square root: a cell of forty rows must not make those of ten look empty.
    shade = round(_LEVELS * (cell.count / most) ** 0.5) if most else 0
    return element("td", element("b", f"{cell.count:,}"), " ", small, class_=f"heat-{shade}")
