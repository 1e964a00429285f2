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
    plain = " ".join(text.split())[:120]
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def counted(counts: Counter[str]) -> str:
    """Return names with their counts, the most frequent first."""
    return ", ".join(f"{cell(name)} ({n})" for name, n in counts.most_common())
