"""Lists of names in sentences."""

from collections.abc import Sequence

MOST_NAMES = 4


def listed(words: Sequence[str], last: str = " and ") -> str:
    """Return words as a list in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"], " or ")
    ('a', 'a, b or c')
    """
    *rest, end = words
    return f"{', '.join(rest)}{last}{end}" if rest else end


def names_of(labels: Sequence[str]) -> str:
    """Return names in a sentence; of more than a few the first, and how many others.

    >>> names_of(["a", "b", "c", "d", "e"])
    'a, b, c and 2 others'
    """
    if len(labels) > MOST_NAMES:
        return listed([*labels[: MOST_NAMES - 1], f"{len(labels) - MOST_NAMES + 1} others"])
    return listed(labels)
