"""What must not differ between duplicates: identity terms and numbers.

"A joke about a Muslim man" and "a joke about a Jewish man" are a counterfactual pair, whatever
their likeness; so are two sums with other numbers. Such a pair is never merged.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selaras.core.fingerprint import normalise
from selaras.data.lexicon import Lexicon, Term

# Spelt-out numbers, so that "two dogs" and "2 dogs" agree.
_SPELT = {word: str(number) for number, word in enumerate(
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
     "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
     "nineteen", "twenty"))}  # fmt: skip
_SPELT |= {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70",
           "eighty": "80", "ninety": "90", "hundred": "100", "dozen": "12", "half": "1/2",
           "twice": "2", "double": "2", "triple": "3", "once": "1"}  # fmt: skip


_DIGIT = re.compile(r"\d")
# A term of these axes that only one of two texts has ("her", "young", "my friend") is a matter of
# wording; of any other axis it is what the text is about.
INCIDENTAL = {"age", "body", "class", "country", "family", "occupation", "politics", "pronoun",
              "role"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Marks:
    """The identity terms of a text, and its numbers that are written with digits."""

    identity: frozenset[Term]
    numbers: frozenset[str]


def marks(text: str, lexicon: Lexicon) -> Marks:
    """Return what may not differ between a text and its duplicate.

    >>> from selaras.data.lexicon import load_lexicon
    >>> marked = marks("Two old men, 3 dogs", load_lexicon())
    >>> sorted(term.name for term in marked.identity), sorted(marked.numbers)
    (['man', 'old'], ['3'])
    """
    words = normalise(text).split()
    return Marks(frozenset(lexicon.terms_of(words)), frozenset(filter(_DIGIT.search, words)))


def is_counterfactual(one: Marks, other: Marks) -> bool:
    """Return whether the identity terms of two texts that are alike make them another case.

    So it is where each has a term that the other lacks (one was put in the other's place), and
    where only one names a religion, an ethnicity, a gender, …
    """
    mine, theirs = one.identity - other.identity, other.identity - one.identity
    if mine and theirs:
        return True
    return any(term.axis not in INCIDENTAL for term in mine | theirs)


def numbers(text: str) -> list[str]:
    """Return the numbers of a text, spelt-out ones as digits, in order.

    >>> numbers("Two of 10, half a dozen")
    ['2', '10', '1/2', '12']
    """
    words = normalise(text).split()
    return [_SPELT.get(word, word) for word in words if word in _SPELT or _DIGIT.search(word)]


def same_marks(
    texts: Sequence[str], pairs: NDArray[np.int64], lexicon: Lexicon
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each pair of texts whether identity terms agree, and whether numbers do."""
    known = {int(i): marks(texts[int(i)], lexicon) for i in np.unique(pairs)}
    both = [(known[a], known[b]) for a, b in pairs.tolist()]
    identity = np.array([not is_counterfactual(a, b) for a, b in both], dtype=bool)
    return identity, np.array([a.numbers == b.numbers for a, b in both], dtype=bool)
