"""Lists of names in sentences."""

import re
from collections.abc import Mapping, Sequence

_COUNT = re.compile(r"\d+( of \d+)? ")
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


def notes_told(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the notes on Systems in one line each; those that differ by a count alone are one.

    >>> notes_told({"base": ["3 of 9 answers were cut"], "new": ["5 of 9 answers were cut"]})
    ['base 3 of 9 and new 5 of 9 answers were cut']
    >>> notes_told({"base": ["no seal"], "new": ["no seal"]})
    ['base and new: no seal']
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for label, own in notes.items():
        for note in own:
            count = _COUNT.match(note)
            head = count.group() if count else ""
            groups.setdefault(note.removeprefix(head), []).append((label, head))
    told = []
    for rest, own_heads in groups.items():
        counted = len(own_heads) > 1 and any(head for _, head in own_heads)
        names = listed([f"{name} {head}".strip() if counted else name for name, head in own_heads])
        head = "" if counted else own_heads[0][1]
        told.append(f"{names} {rest}" if counted else f"{names}: {head}{rest}")
    return told
