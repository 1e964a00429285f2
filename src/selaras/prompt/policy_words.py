"""Which policies a prompt speaks about, told by the words that are each policy's own.

A first reading, not a judgement: a policy's own words are those of its text that few other policies
use. It finds a policy whose subject is named; it does not know whether the rule is a good one.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from selaras.core.fingerprint import normalise
from selaras.policy import Policy

# How many different own words of a policy a text needs to speak about it.
LEAST_WORDS = 2
# A word is a policy's own where at most this share of the policies use it.
OWN_SHARE = 0.2
_STEM = 6
_ORDINARY_WORDS = (
    "about above after again against also always another anybody anyone answer answers "
    "assistant because before being between both could does doing done each else even every "
    "explain explains from give gives given have help helps here himself into itself just "
    "keep like made make makes many must never next nobody none nothing only other others "
    "over person people place please question questions request requests same says should "
    "some somebody someone something such take tell tells than that their them then there "
    "these they thing things this those though through time under until upon used user users "
    "using very want wants were what when where which while whom whose will with within "
    "without word words work would write writes your yourself"
)
_MORE_WORDS = (
    "briefly first good great group large last long means name part plan polite short small way"
)
_COMMON = frozenset(word[:_STEM] for word in f"{_ORDINARY_WORDS} {_MORE_WORDS}".split())


def policies_named(text: str, policies: Mapping[str, Policy]) -> dict[str, tuple[str, ...]]:
    """Return the policies that a text speaks about, the surest first, with the words that say so.

    >>> from selaras.policy import builtin_policies
    >>> found = policies_named("Never diagnose, never set a dose.", builtin_policies())
    >>> next(iter(found))
    'high-stakes-advice'
    """
    known = tuple(policies.values())
    words = [word for word in normalise(text).split() if len(word) >= 4]
    stems = {word[:_STEM]: word for word in reversed(words)}
    found = {
        policy.id: tuple(sorted(stems[stem] for stem in _own_words(known)[policy.id] & set(stems)))
        for policy in known
    }
    named = {name: said for name, said in found.items() if len(said) >= LEAST_WORDS}
    return dict(sorted(named.items(), key=lambda item: (-len(item[1]), item[0])))


def _words_of(statement: str) -> frozenset[str]:
    return frozenset(
        word[:_STEM]
        for word in re.findall(r"[^\W\d]{4,}", normalise(statement))
        if word[:_STEM] not in _COMMON
    )


@lru_cache(maxsize=32)
def _own_of(texts: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    sets = [_words_of(text) for text in texts]
    used = Counter(word for words in sets for word in words)
    most = max(1, int(OWN_SHARE * len(texts)))
    return tuple(frozenset(word for word in words if used[word] <= most) for words in sets)


def _own_words(policies: tuple[Policy, ...]) -> dict[str, frozenset[str]]:
    # Title, statement and what violates it; the exceptions speak of other things on purpose.
    texts = tuple("\n".join([p.title, p.statement, *p.violating]) for p in policies)
    return dict(zip((p.id for p in policies), _own_of(texts), strict=True))
