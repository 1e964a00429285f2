"""How varied rows are, over all and by kind, policy and cell; and shortcuts that give labels away.

Figures alone tell little: they are compared, cells with the whole, rows to refuse with rows to
answer, and the project's rows with a reference set at equal lengths. What separates rows to refuse
from rows to answer without their meaning (form, tone, an identity term) is a shortcut that a model
will take.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import MissingExtraError
from selaras.core.records import Expected, Kind, Query
from selaras.data.coverage import cells_of
from selaras.data.finding import AuditInput, Figures, Finding
from selaras.data.lexicon import OWN_TERMS, Lexicon, load_lexicon
from selaras.data.profile import Profile, Reading, matched, profile, read_row
from selaras.data.sample import sampled
from selaras.data.topics import Topics, find_topics

AUDIT = "diversity"
VERSION = 1
FEWEST = 8  # rows of a set that is measured
LARGE_TOPIC = 0.4
APART = 0.25  # difference of two shares from which it gives a label away
TIMES = 2.0  # the same as a ratio, for identity terms, which are rare
LONGER = 1.5  # ratio of median lengths
LIKE = 1.35  # compression of a cell over that of all rows
MOST_PLACES = 800


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows with their readings, and what embeddings tell of them where there are any."""

    readings: tuple[Reading, ...]
    vectors: NDArray[np.float32] | None
    topics: Topics | None
    axes: tuple[str, ...]

    def profile(self, places: Sequence[int]) -> Profile:
        """Return the figures of the rows at some places."""
        vectors = None if self.vectors is None else self.vectors[list(places)]
        return profile([self.readings[place] for place in places], vectors, self.axes)


def audit_diversity(given: AuditInput) -> Iterator[Finding | Figures]:
    """Yield large topics, templated cells and shortcuts, with the figures of every set.

    Of more than 20,000 rows a sample is measured.
    """
    if not given.rows:
        return
    own = given.project.root / OWN_TERMS if given.project else None
    lexicon = load_lexicon(own)
    lack: MissingExtraError | None = None
    rows = sampled(given.rows)
    try:
        found = measure(given, rows, lexicon)
    except MissingExtraError as error:
        lack = error
        found = _measured(given, rows, lexicon, None)
    sets = {name: found.profile(places) for name, places in _sets(rows).items()}
    yield from _large_topics(found)
    yield from _templated(sets)
    yield from _shortcuts(sets)
    values: dict[str, Any] = {
        "rows": len(given.rows), "sampled": len(rows),
        "sets": {name: each.to_dict() for name, each in sets.items()},
    }  # fmt: skip
    if found.topics:
        values["topics"] = topic_figures(found.topics, rows)
    if given.reference:
        values["reference"] = compare(found, measure(given, sampled(given.reference), lexicon))
    yield Figures(AUDIT, values)
    if lack:
        raise lack


def measure(given: AuditInput, rows: Sequence[Query], lexicon: Lexicon) -> Measured:
    """Return the readings of rows with embeddings and topics; raises MissingExtraError."""
    return _measured(given, rows, lexicon, given.embed([row.query for row in rows]))


def compare(ours: Measured, theirs: Measured) -> dict[str, Any]:
    """Return the profiles of both sets at equal lengths, with the n that were drawn from each."""
    left, right = matched(ours.readings, theirs.readings)
    return {"ours": ours.profile(left).to_dict(), "reference": theirs.profile(right).to_dict()}


def topic_figures(topics: Topics, rows: Sequence[Query]) -> dict[str, Any]:
    """Return each topic's name and rows by kind, and the places of a sample on the plane."""
    step = max(1, len(rows) // MOST_PLACES)
    return {
        "topics": [
            {
                "name": name,
                "kinds": {
                    kind.value: sum(
                        of == number and row.kind == kind
                        for of, row in zip(topics.of, rows, strict=True)
                    )
                    for kind in Kind
                },
            }
            for number, name in enumerate(topics.names)
        ],
        "places": [
            {"x": round(float(topics.places[i, 0]), 3), "y": round(float(topics.places[i, 1]), 3),
             "topic": topics.of[i], "kind": rows[i].kind.value}
            for i in range(0, len(rows), step)
        ],
    }  # fmt: skip


def _measured(
    given: AuditInput,
    rows: Sequence[Query],
    lexicon: Lexicon,
    vectors: NDArray[np.float32] | None,
) -> Measured:
    topics = None
    if vectors is not None:
        topics = find_topics([row.query for row in rows], vectors)
    readings = []
    with given.progress.task("wording", len(rows)) as task:
        for place, row in enumerate(rows):
            readings.append(read_row(row, lexicon, topics.of[place] if topics else None))
            task.advance()
    return Measured(tuple(readings), vectors, topics, lexicon.axes)


def _sets(rows: Sequence[Query]) -> dict[str, list[int]]:
    """Return the places of the rows of each set: all, kinds, expectations, policies, cells."""
    sets: dict[str, list[int]] = {"all": list(range(len(rows)))}
    for place, row in enumerate(rows):
        expected = f"expected: {row.expected}" if row.expected else None
        names = [f"kind: {row.kind}", expected, *(f"policy: {name}" for name in row.policies)]
        names += [f"cell: {cell}" for cell in cells_of(row)]
        for name in names:
            if name:
                sets.setdefault(name, []).append(place)
    return {
        name: places for name, places in sorted(sets.items())
        if len(places) >= FEWEST or name == "all"
    }  # fmt: skip


def _large_topics(found: Measured) -> Iterator[Finding]:
    if found.topics is None or len(found.topics.names) < 4:
        return
    for number, size in enumerate(found.topics.sizes()):
        share = size / len(found.readings)
        if share > LARGE_TOPIC:
            said = f"{share:.0%} of the rows are on one topic ({found.topics.names[number]})"
            ids = tuple(r.row.id for r in found.readings if r.topic == number)
            yield Finding(AUDIT, "large_topic", VERSION, "review", ids, said, score=share,
                          threshold=LARGE_TOPIC)  # fmt: skip


def _templated(sets: Mapping[str, Profile]) -> Iterator[Finding]:
    """Yield sets that compress much better than all rows together: filled templates."""
    whole = sets["all"].compression
    for name, each in sets.items():
        if whole and each.compression and each.compression > LIKE * whole:
            said = (
                f"{name}: the texts are much alike (compression ratio {each.compression:.2f}, of "
                f"all rows {whole:.2f}; n {each.n})"
            )
            yield Finding(AUDIT, "templated", VERSION, "review", (), said,
                          score=each.compression / whole, threshold=LIKE)  # fmt: skip


def _shortcuts(sets: Mapping[str, Profile]) -> Iterator[Finding]:
    """Yield what tells rows to refuse from rows to answer without their meaning."""
    refuse = sets.get(f"expected: {Expected.REFUSE}")
    answer = sets.get(f"expected: {Expected.ANSWER}")
    if refuse is None or answer is None:
        return
    cues = [
        *_pairs("are put as a", refuse.forms, answer.forms),
        *_pairs("sound", refuse.tones, answer.tones),
    ]
    for name, of_refuse, of_answer in cues:
        difference = of_refuse["value"] - of_answer["value"]
        if abs(difference) >= APART and _apart(of_refuse, of_answer):
            said = f"{_both(of_refuse, of_answer)} {name}: a model may learn that"
            yield Finding(AUDIT, "shortcut", VERSION, "review", (), said, score=abs(difference),
                          threshold=APART)  # fmt: skip
    for name, of_refuse, of_answer in _pairs(
        "speak of identity by", refuse.identity, answer.identity
    ):
        low, high = sorted((of_refuse["value"], of_answer["value"]))
        if high > 0 and high >= TIMES * low and _apart(of_refuse, of_answer):
            said = f"{_both(of_refuse, of_answer)} {name}: a model may learn to refuse by that"
            yield Finding(AUDIT, "identity_shortcut", VERSION, "review", (), said,
                          score=round(high / max(low, 1e-3), 2), threshold=TIMES)  # fmt: skip
    yield from _lengths(refuse, answer)


def _lengths(refuse: Profile, answer: Profile) -> Iterator[Finding]:
    if refuse.query_words is None or answer.query_words is None:
        return
    (_, low, middle, high, _), (_, other_low, other, other_high, _) = (
        refuse.query_words, answer.query_words,
    )  # fmt: skip
    ratio = max(middle, other) / max(1.0, min(middle, other))
    if ratio >= LONGER and (low > other_high or other_low > high):
        said = (
            f"rows to refuse have {middle:.0f} words in the middle, rows to answer {other:.0f}, "
            "and the middle halves do not meet: a model may learn the length"
        )
        yield Finding(AUDIT, "shortcut", VERSION, "review", (), said,
                      score=ratio, threshold=LONGER)  # fmt: skip


Share = Mapping[str, float]


def _pairs(
    verb: str, left: Mapping[str, Share], right: Mapping[str, Share]
) -> Iterable[tuple[str, Share, Share]]:
    return ((f"{verb} {name}", left[name], right[name]) for name in left)


def _apart(left: Share, right: Share) -> bool:
    return left["low"] > right["high"] or right["low"] > left["high"]


def _both(refuse: Share, answer: Share) -> str:
    return (
        f"{refuse['value']:.0%} of {refuse['n']} rows to refuse and {answer['value']:.0%} of "
        f"{answer['n']} rows to answer"
    )
