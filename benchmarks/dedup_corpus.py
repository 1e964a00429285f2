"""A corpus with planted duplicates and hard negatives, the same for every seed and size.

Short requests in made-up content words (so that no real text is needed) with English function
words, drawn by Zipf's law: the median is 25 words. Of the documents 70 % are originals, 20 %
planted duplicates of them (half lightly edited, three tenths moderately, two tenths heavily), 10 %
hard negatives, which look like duplicates and must stay: an original with another identity term
(60 % of them), with another number (20 %), or one template filled anew (20 %).

The identity terms stand here and are not taken from `selaras.data.lexicon`, whose guard is
measured.
"""

import random
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

Strength = Literal["light", "moderate", "heavy"]
STRENGTHS: tuple[Strength, ...] = ("light", "moderate", "heavy")
SHARES = (0.5, 0.3, 0.2)
# Share of words that an edit changes (at least one): replaced, dropped, added, moved or misspelt.
EDITED = {"light": 0.05, "moderate": 0.13, "heavy": 0.22}

FUNCTION_WORDS = [
    "the",
    "to",
    "and",
    "a",
    "of",
    "in",
    "is",
    "for",
    "how",
    "do",
    "i",
    "my",
    "you",
    "it",
    "that",
    "with",
    "on",
    "what",
    "can",
    "me",
    "this",
    "are",
    "be",
    "have",
    "at",
    "or",
    "from",
    "an",
    "as",
    "not",
    "if",
    "but",
    "your",
    "about",
    "when",
    "we",
    "will",
    "write",
    "please",
    "make",
    "should",
    "would",
    "there",
    "which",
    "give",
    "some",
    "help",
    "tell",
    "who",
    "why",
    "where",
    "get",
    "does",
    "list",
    "one",
    "by",
    "could",
    "explain",
    "has",
    "up",
    "out",
    "like",
    "all",
    "so",
    "more",
    "was",
    "any",
    "use",
    "need",
    "describe",
    "find",
    "than",
    "using",
    "into",
    "also",
    "work",
    "before",
    "after",
    "no",
    "create",
    "short",
    "between",
    "best",
    "other",
    "way",
    "good",
    "them",
    "only",
    "best",
    "new",
    "plan",
    "two",
    "every",
    "compare",
    "while",
    "without",
    "name",
    "around",
    "over",
    "most",
    "same",
    "then",
    "much",
    "many",
    "well",
    "think",
    "first",
    "small",
    "last",
    "long",
    "want",
    "keep",
    "during",
    "each",
    "next",
    "still",
    "off",
    "very",
    "simple",
    "down",
    "put",
]
IDENTITIES = [
    "Muslim|Jewish|Christian|Hindu|Buddhist|Sikh|atheist|Catholic|Mormon",
    "gay|lesbian|bisexual|heterosexual|transgender|queer|nonbinary",
    "Black|white|Asian|Latino|Arab|African American|indigenous|Hispanic",
    "blind|deaf|autistic|disabled|paralysed|dyslexic|epileptic",
    "Mexican|Nigerian|German|Chinese|Indonesian|Ukrainian|Turkish|Indian|Brazilian|Polish people's",
    "elderly|teenage|middle aged|young|old|retired",
    "homeless|rich|poor|unemployed|working class|undocumented",
]
PEOPLE = [
    "men|women",
    "mothers|fathers",
    "nurses|plumbers|teachers|engineers|farmers",
    "immigrants|refugees|tourists",
    "boys|girls",
    "students|pensioners",
]
ONSETS = [
    "b",
    "bl",
    "br",
    "c",
    "ch",
    "cl",
    "cr",
    "d",
    "dr",
    "f",
    "fl",
    "fr",
    "g",
    "gl",
    "gr",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "pr",
    "qu",
    "r",
    "s",
    "sc",
    "sh",
    "sl",
    "sp",
    "st",
    "t",
    "th",
    "tr",
    "v",
    "w",
    "z",
]
NUCLEI = ["a", "e", "i", "o", "u", "a", "e", "i", "o", "u", "ai", "ea", "ee", "ou"]
CODAS = [
    "",
    "",
    "",
    "b",
    "ck",
    "d",
    "g",
    "l",
    "ll",
    "m",
    "n",
    "nd",
    "ng",
    "nt",
    "p",
    "r",
    "rd",
    "rn",
    "s",
    "st",
    "t",
]
TEMPLATES = (
    "Write a {w} poem about {x} in the style of a {y} and keep it under {n} lines please",
    "Give me {n} creative names for a {w} shop that sells {x} and {y} to local people",
    "Explain the difference between {x} and {y} to a {w} beginner in no more than {n} sentences",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents in random order. Two documents are duplicates where their `group` is the same.

    `strength` is how a planted duplicate was edited, None for what is no planted duplicate;
    `hard` marks the hard negatives.
    """

    texts: list[str]
    group: list[int]
    strength: list[Strength | None]
    hard: list[bool]


def make_corpus(size: int, seed: int = 0) -> Corpus:
    """Return a corpus of exactly `size` documents."""
    chance = random.Random(f"{seed}/{size}")
    vocabulary = _vocabulary()
    weights = [*accumulate(1 / (rank + 4) for rank in range(len(vocabulary)))]
    n_hard, n_planted = size // 10, size // 5
    rows: list[tuple[str, int, Strength | None, bool]] = []
    originals = [_original(chance, vocabulary, weights) for _ in range(size - n_planted - n_hard)]
    for i, words in enumerate(originals):
        rows.append((_sentence(words), i, None, False))
    for _ in range(n_planted):
        i = chance.randrange(len(originals))
        (strength,) = chance.choices(STRENGTHS, SHARES)
        rows.append((_edited(chance, originals[i], strength, vocabulary), i, strength, False))
    fresh = len(originals)
    while len(rows) < size:
        for text in _hard_pair(chance, vocabulary, weights)[: size - len(rows)]:
            rows.append((text, fresh, None, True))
            fresh += 1
    chance.shuffle(rows)
    texts, group, strength, hard = (list(column) for column in zip(*rows, strict=True))
    return Corpus(texts, group, strength, hard)


def _vocabulary() -> list[str]:
    chance = random.Random("vocabulary")
    made: dict[str, None] = {}
    while len(made) < 9_000:
        parts = range(chance.choice((1, 1, 2, 2, 3)))
        word = "".join(chance.choice(ONSETS) + chance.choice(NUCLEI) for _ in parts)
        made[word + chance.choice(CODAS)] = None
    return [*dict.fromkeys(FUNCTION_WORDS), *made]


def _original(chance: random.Random, vocabulary: list[str], weights: list[float]) -> list[str]:
    length = min(120, max(6, round(chance.lognormvariate(3.22, 0.45))))
    words = chance.choices(vocabulary, cum_weights=weights, k=length)
    if chance.random() < 0.15:
        words[chance.randrange(length)] = str(chance.randrange(2, 1000))
    if chance.random() < 0.15:
        words[chance.randrange(length)] = _identity(chance)[0]
    return words


def _identity(chance: random.Random) -> tuple[str, str]:
    one, other = chance.sample(chance.choice((*IDENTITIES, *PEOPLE)).split("|"), 2)
    return one, other


def _hard_pair(chance: random.Random, vocabulary: list[str], weights: list[float]) -> list[str]:
    """Return two texts that look alike and are not the same."""
    choice = chance.random()
    if choice < 0.2:
        template = chance.choice(TEMPLATES)
        return [
            template.format(**{slot: chance.choice(vocabulary[1000:]) for slot in "wxy"},
                            n=chance.randrange(3, 40))
            for _ in range(2)
        ]  # fmt: skip
    words = chance.choices(vocabulary, cum_weights=weights, k=chance.randrange(10, 45))
    place = chance.randrange(len(words))
    if choice < 0.4:
        one, other = (str(n) for n in chance.sample(range(2, 1000), 2))
    else:
        one, other = _identity(chance)
    return [_sentence([*words[:place], term, *words[place:]]) for term in (one, other)]


def _edited(
    chance: random.Random, words: list[str], strength: Strength, vocabulary: list[str]
) -> str:
    words = list(words)
    if strength == "light" and chance.random() < 0.3:
        # Only what normalisation takes away: case, punctuation, spaces.
        return (
            chance.choice(("  ", " ")).join(_sentence(words).upper().split(" ")).rstrip(".?") + "!"
        )
    for _ in range(max(1, round(EDITED[strength] * len(words)))):
        # The words of an original that carry its subject are left in, as in a real rewording.
        places = [i for i, word in enumerate(words) if not word[0].isupper() and not word.isdigit()]
        i = chance.choice(places or [0])
        edit = chance.choice(("replace", "replace", "drop", "add", "swap", "misspell"))
        if edit == "replace":
            words[i] = chance.choice(vocabulary)
        elif edit == "drop" and len(words) > 4:
            del words[i]
        elif edit == "add":
            words.insert(i, chance.choice(vocabulary))
        elif edit == "swap" and i + 1 < len(words):
            words[i], words[i + 1] = words[i + 1], words[i]
        else:
            letter = chance.randrange(len(words[i]))
            words[i] = words[i][:letter] + chance.choice("aeiounrst") + words[i][letter + 1 :]
    return _sentence(words)


def _sentence(words: list[str]) -> str:
    text = " ".join(words)
    return text[:1].upper() + text[1:] + ("?" if len(words) % 2 else ".")
