"""A set of rows in figures: length, form, tone, complexity, variety, identity terms, topics."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.records import Query
from selaras.data.finding import responses
from selaras.data.lexicon import Lexicon
from selaras.data.variety import compression_ratio, distinct, evenness, vendi
from selaras.data.wording import (
    FORMS,
    TONES,
    Form,
    constraints,
    form,
    reading_grade,
    steps,
    tones,
    words,
)
from selaras.stats import wilson

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one row is measured to be; made once, and counted in every set it belongs to.

    `axes` are the identity axes it speaks of, `longest` the words of its longest response (None
    without one), `topic` the number of its topic (None where topics could not be told).
    """

    row: Query
    words: int
    longest: int | None
    form: Form
    tones: tuple[str, ...]
    constraints: int
    steps: int
    turns: int
    grade: float | None
    axes: frozenset[str]
    topic: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """The figures of a set of rows. Shares are {"value", "low", "high", "n"} with Wilson's limits.

    Lengths are words at the quantiles .05, .25, .5, .75, .95; None where there is nothing to
    measure, or too little text for a measure that needs a fixed amount.
    """

    n: int
    query_words: tuple[float, ...] | None
    response_words: tuple[float, ...] | None
    forms: Mapping[str, Mapping[str, float]]
    tones: Mapping[str, Mapping[str, float]]
    constraints: float
    steps: float
    turns: float
    reading_grade: float | None
    compression: float | None
    distinct_1: float | None
    distinct_2: float | None
    vendi: float | None
    topic_evenness: float | None
    identity: Mapping[str, Mapping[str, float]]

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON values."""
        return asdict(self)


def read_row(row: Query, lexicon: Lexicon, topic: int | None = None) -> Reading:
    """Return what a row's query is measured to be; identity terms are sought in responses, too."""
    asked = row.query
    replies = [text for text in responses(row).values() if text.strip()]
    spoken = {term.axis for text in (asked, *replies) for term in lexicon.terms(text[:4000])}
    return Reading(
        row=row,
        words=len(words(asked)),
        longest=max((len(words(text)) for text in replies), default=None),
        form=form(asked),
        tones=tones(asked),
        constraints=constraints(asked),
        steps=steps(asked),
        turns=1 + sum(turn.role == "user" for turn in row.turns),
        grade=reading_grade(asked),
        axes=frozenset(spoken),
        topic=topic,
    )


def profile(
    readings: Sequence[Reading], vectors: NDArray[np.float32] | None, axes: Sequence[str]
) -> Profile:
    """Return the figures of a set; `vectors` are its queries' embeddings, None where unknown."""
    texts = [reading.row.query for reading in readings]
    topics = Counter(reading.topic for reading in readings if reading.topic is not None)
    grades = [reading.grade for reading in readings if reading.grade is not None]

    def mean(of: Callable[[Reading], int]) -> float:
        return round(float(np.mean([of(each) for each in readings])), 3) if readings else 0.0

    return Profile(
        n=len(readings),
        query_words=_quantiles([reading.words for reading in readings]),
        response_words=_quantiles([r.longest for r in readings if r.longest is not None]),
        forms={name: _share(sum(r.form == name for r in readings), len(texts)) for name in FORMS},
        tones={name: _share(sum(name in r.tones for r in readings), len(texts)) for name in TONES},
        constraints=mean(lambda reading: reading.constraints),
        steps=mean(lambda reading: reading.steps),
        turns=mean(lambda reading: reading.turns),
        reading_grade=round(float(np.median(grades)), 2) if grades else None,
        compression=compression_ratio(texts),
        distinct_1=distinct(texts, 1),
        distinct_2=distinct(texts, 2),
        vendi=None if vectors is None else vendi(vectors),
        topic_evenness=evenness(list(topics.values())),
        identity={axis: _share(sum(axis in r.axes for r in readings), len(texts)) for axis in axes},
    )


def matched(
    ours: Sequence[Reading], theirs: Sequence[Reading], seed: int = 0
) -> tuple[list[int], list[int]]:
    """Return places in both sets, as many of each length: sets compare only at equal length.

    Lengths are put into bins of doubling width (1, 2-3, 4-7, … words); from each bin as many rows
    are drawn from the one set as from the other.
    """
    generator = np.random.default_rng(seed)
    bins = [_bins(ours), _bins(theirs)]
    chosen: tuple[list[int], list[int]] = ([], [])
    for size in sorted(bins[0].keys() & bins[1].keys()):
        count = min(len(bins[0][size]), len(bins[1][size]))
        for places, own in zip(chosen, bins, strict=True):
            drawn = generator.permutation(len(own[size]))[:count]
            places.extend(sorted(own[size][int(place)] for place in drawn))
    return chosen


def _bins(readings: Sequence[Reading]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for place, reading in enumerate(readings):
        found.setdefault(reading.words.bit_length(), []).append(place)
    return found


def _quantiles(values: Sequence[int]) -> tuple[float, ...] | None:
    if not values:
        return None
    return tuple(round(float(value), 1) for value in np.quantile(values, QUANTILES))


def _share(hits: int, n: int) -> dict[str, float]:
    if n == 0:
        return {"value": 0.0, "low": 0.0, "high": 1.0, "n": 0}
    found = wilson(hits, n)
    return {"value": found.value, "low": found.low, "high": found.high, "n": n}
