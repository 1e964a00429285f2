"""Markdown that the text in it cannot break."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; cells are made harmless by `cell`.

    >>> print(*table(("a",), [("x|y",)]), sep="\\n")
    | a |
    |---|
    | x\\|y |
    """
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield "| " + " | ".join(map(cell, row)) + " |"


def cell(text: str) -> str:
    """Return a text as it may stand in a table: on one line, cut, no markup of its own."""
    return plain(text, 120)


def plain(text: str, limit: int | None = None) -> str:
    """Return a text as it may stand in a line of its own, without markup.

    >>> plain("a\\n# <b>b</b>")
    'a # &lt;b>b&lt;/b>'
    """
    flat = " ".join(text.split())[:limit]
    return flat.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def counted(counts: Counter[str]) -> str:
    """Return names with their counts, the most frequent first."""
    return ", ".join(f"{cell(name)} ({n})" for name, n in counts.most_common())
