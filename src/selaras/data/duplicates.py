"""Duplicates: rows that ask the same again, which of them stays, and which only seem to be.

    exact           the same words (case, punctuation and spaces aside): safe to remove
    near            Jaccard of character 5-grams >= .6; from .7 safe to remove, below for a person
    paraphrase      cosine of sentence embeddings (MiniLM >= .8, static >= .84): for a person
    counterfactual  alike but for an identity term: a pair that is wanted, and is told so
    response        one response under several questions: for information
    boilerplate     the same run of words in several responses: for information

Rows are compared by what the user gives (turns, query, variables), within a record type, kind, use
case and label: a look-alike is no copy of the harmful question that it resembles, and rows that
contradict each other are not duplicates. Neither identity terms nor numbers may differ between rows
that are merged (`selaras.data.variants`), and a row of a counterfactual group neither goes nor
makes another go: exact copies apart, such groups stay whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selaras.core.fingerprint import normalise
from selaras.core.records import Example, Query
from selaras.data.boilerplate import shared_runs
from selaras.data.clusters import Star, chains, stars
from selaras.data.finding import (
    AuditInput,
    Evidence,
    Figures,
    Finding,
    Level,
    Proposal,
    cut,
    responses,
)
from selaras.data.lexicon import OWN_TERMS, Lexicon, load_lexicon
from selaras.data.near import NEAR, near_duplicates
from selaras.data.similarity import alike_pairs
from selaras.data.variants import Marks, is_counterfactual, marks

AUDIT, VERSION = "duplicates", 1
# From here on two texts that agree in identity terms and numbers are the same in all but a word.
SURE = 0.7
# What is left of a counterfactual pair without its identity terms is (nearly) the same text.
SAME_REST = 0.7
NEIGHBOURS = 16
Scored = list[tuple[int, int, float]]


@dataclass(frozen=True, slots=True)
class Alike:
    """Pairs of rows of one group that are alike, by whether they may be merged."""

    exact: Scored
    near: Scored
    counterfactual: list[tuple[int, int]]
    other_numbers: int


def audit_duplicates(given: AuditInput) -> Iterator[Finding | Figures]:
    """Yield the duplicates among rows. The row that stays comes first in each finding."""
    lexicon = load_lexicon(given.project.root / OWN_TERMS if given.project else None)
    rows = given.rows
    rank = ranks(rows)
    alike = alike_rows(given, lexicon, rank)
    exact = stars(alike.exact, rank)
    gone = {row for star in exact for row, _ in star.others}
    groups = counterfactual_groups(rows, alike.counterfactual, lexicon)
    paired = {row for group in groups for row in group}
    # A row with a counterfactual is one cell of a design: without it its partner stands alone.
    free = [p for p in alike.near if not {p[0], p[1]} & (gone | paired)]
    near = stars(free, rank)
    yield from (_exact(rows, star) for star in exact)
    yield from (_near(rows, star) for star in near)
    yield from (_counterfactual(rows, group, lexicon) for group in groups)
    yield from _responses(rows)
    counts = {"rows": len(rows), "exact": len(gone), "near": _size(near)}
    counts |= {"other_numbers": alike.other_numbers, "counterfactual": len(paired)}
    yield Figures(AUDIT, counts)
    gone |= {row for star in near for row, _ in star.others}
    meant = stars(
        [p for p in _paraphrases(given, lexicon, gone) if not {p[0], p[1]} & paired], rank
    )
    yield from (_paraphrase(rows, star, given.encoder.alike) for star in meant)
    unread = sum(not given.encoder.reads(row.query) for row in rows)
    yield Figures(AUDIT, counts | {"paraphrase": _size(meant), "unread": unread})


def ranks(rows: Sequence[Query]) -> list[int]:
    """Return the place of each row in the order of which to keep: the most complete one first.

    A row with a response labelled safe comes before one with another or none, then the one with
    more of its fields filled in, then the one whose id comes first.
    """

    def order(i: int) -> tuple[bool, bool, int, str]:
        row = rows[i]
        answered = isinstance(row, Example) and bool(row.response.strip())
        safe = isinstance(row, Example) and answered and row.response_label == "safe"
        return (not safe, not answered, -len(row.model_fields_set), row.id)

    place = [0] * len(rows)
    for number, i in enumerate(sorted(range(len(rows)), key=order)):
        place[i] = number
    return place


def alike_rows(given: AuditInput, lexicon: Lexicon, rank: Sequence[int]) -> Alike:
    """Return the pairs of rows with the same or nearly the same words."""
    rows = given.rows
    texts = [row.query_key for row in rows]
    found = near_duplicates(texts, NEAR, given.progress)
    exact: Scored = []
    # The row that stays of each content and group speaks for it: a thousand copies are a thousand
    # pairs. In the order of ranks, so that the order of rows in files changes nothing.
    speaking: list[dict[tuple[str, ...], int]] = [{} for _ in found.first]
    for row in sorted(range(len(rows)), key=lambda row: rank[row]):
        stays = speaking[found.content[row]].setdefault(_group(rows[row]), row)
        if stays != row:
            exact.append((stays, row, 1.0))
    known: dict[int, Marks] = {}
    near: Scored = []
    counterfactual: list[tuple[int, int]] = []
    other_numbers = 0
    for (a, b), score in zip(found.pairs.tolist(), found.scores.tolist(), strict=True):
        for key, one in speaking[a].items():
            other = speaking[b].get(key)
            if other is None:
                continue
            for row in (one, other):
                if row not in known:
                    known[row] = marks(texts[row], lexicon)
            if is_counterfactual(known[one], known[other]):
                counterfactual.append((one, other))
            elif known[one].numbers != known[other].numbers:
                other_numbers += 1
            else:
                near.append((one, other, score))
    return Alike(exact, near, counterfactual, other_numbers)


def counterfactual_groups(
    rows: Sequence[Query], pairs: Sequence[tuple[int, int]], lexicon: Lexicon
) -> list[tuple[int, ...]]:
    """Return the groups of rows that are (nearly) the same text without their identity terms.

    `pairs` are alike rows whose identity terms differ.
    """
    involved = sorted({row for pair in pairs for row in pair})
    place = {row: i for i, row in enumerate(involved)}
    found = near_duplicates([lexicon.without_terms(rows[i].query_key) for i in involved], SAME_REST)
    content = found.content.tolist()
    same = set(map(tuple, found.pairs.tolist()))
    links = [
        (place[a], place[b])
        for a, b in pairs
        for one, other in [sorted((content[place[a]], content[place[b]]))]
        if one == other or (one, other) in same
    ]
    groups = chains(len(involved), links)
    return [tuple(involved[i] for i in group) for group in groups if len(group) > 1]


def _group(row: Query) -> tuple[str, ...]:
    """Return what two rows must share to be duplicates at all: what they are and are to teach."""
    label = row.response_label or "" if isinstance(row, Example) else ""
    return row.record, row.kind.value, row.use_case or "", row.expected or "", label


def _paraphrases(given: AuditInput, lexicon: Lexicon, gone: set[int]) -> Scored:
    """Return the pairs that mean the same, among rows that are no duplicates already."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(given.rows):
        if i not in gone:
            groups.setdefault(_group(row), []).append(i)
    chosen = [members for members in groups.values() if len(members) > 1]
    asked = sorted(i for members in chosen for i in members)
    if not asked:
        return []
    texts = {i: given.rows[i].query_key for i in asked}
    vectors = given.embed([texts[i] for i in asked])
    place = {row: i for i, row in enumerate(asked)}
    found: Scored = []
    for members in chosen:
        own = vectors[[place[row] for row in members]]
        pairs, scores = alike_pairs(own, given.encoder.alike, NEIGHBOURS, given.progress)
        for (one, other), score in zip(pairs.tolist(), scores.tolist(), strict=True):
            a, b = members[one], members[other]
            mine, theirs = marks(texts[a], lexicon), marks(texts[b], lexicon)
            if mine.numbers == theirs.numbers and not is_counterfactual(mine, theirs):
                found.append((a, b, min(score, 1.0)))
    return found


def _exact(rows: Sequence[Query], star: Star) -> Finding:
    kept = rows[star.kept]
    why = f"the same words as {kept.id}, which stays: {_why(kept)}"
    proposed = tuple(Proposal(rows[i].id, "remove", why, safe=True) for i, _ in star.others)
    names = (kept.id, *(rows[i].id for i, _ in star.others))
    message = f"{len(names)} rows ask the same in the same words; {kept.id} stays ({_why(kept)})"
    return Finding(AUDIT, "exact", VERSION, "fault", names, message, _shown(rows, star), 1.0, 1.0,
                   proposed)  # fmt: skip


def _near(rows: Sequence[Query], star: Star) -> Finding:
    kept, least = rows[star.kept], min(score for _, score in star.others)
    proposed = tuple(
        Proposal(rows[i].id, "remove", f"nearly the words of {kept.id} (Jaccard {score:.2f}), "
                 f"which stays: {_why(kept)}", safe=score >= SURE)
        for i, score in star.others
    )  # fmt: skip
    names = (kept.id, *(rows[i].id for i, _ in star.others))
    message = (
        f"{len(names)} rows ask nearly the same words (Jaccard {least:.2f} or more); "
        f"{kept.id} stays ({_why(kept)})"
    )
    level: Level = "fault" if least >= SURE else "review"
    return Finding(AUDIT, "near", VERSION, level, names, message, _shown(rows, star),
                   round(least, 3), NEAR, proposed)  # fmt: skip


def _paraphrase(rows: Sequence[Query], star: Star, threshold: float) -> Finding:
    kept, least = rows[star.kept], min(score for _, score in star.others)
    proposed = tuple(
        Proposal(rows[i].id, "remove", f"means the same as {kept.id} (cosine {score:.2f})")
        for i, score in star.others
    )
    names = (kept.id, *(rows[i].id for i, _ in star.others))
    message = f"{len(names)} rows seem to ask the same in other words (cosine {least:.2f} or more)"
    return Finding(AUDIT, "paraphrase", VERSION, "review", names, message, _shown(rows, star),
                   round(least, 3), threshold, proposed)  # fmt: skip


def _counterfactual(rows: Sequence[Query], group: Sequence[int], lexicon: Lexicon) -> Finding:
    members = sorted((rows[i] for i in group), key=lambda row: row.id)
    axes = sorted({term.axis for row in members for term in lexicon.terms(row.query_key)})
    message = (
        f"{len(members)} rows differ in identity terms only ({', '.join(axes)}): "
        "a counterfactual group, none of them is a duplicate"
    )
    return Finding(AUDIT, "counterfactual", VERSION, "note", tuple(row.id for row in members),
                   message, tuple(_evidence(row) for row in members[:8]))  # fmt: skip


def _responses(rows: Sequence[Query]) -> Iterator[Finding]:
    told: dict[str, list[tuple[Query, str]]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        for name, text in responses(row).items():
            if text.strip():
                told.setdefault(normalise(text), []).append((row, name))
    unique: list[tuple[Query, str]] = []
    for key in sorted(told):
        unique.append(told[key][0])
        queries = {row.query_key for row, _ in told[key]}
        if len(queries) > 1:
            names = tuple(dict.fromkeys(row.id for row, _ in told[key]))
            message = f"{len(names)} rows with {len(queries)} queries have the same response"
            evidence = tuple(_evidence(row, field) for row, field in told[key][:8])
            yield Finding(AUDIT, "response", VERSION, "note", names, message, evidence)
    texts = [responses(row)[field] for row, field in unique]
    for run in shared_runs(texts):
        shown = tuple(
            Evidence(unique[i][0].id, unique[i][1], start, end, cut(texts[i][start:end]))
            for i, start, end in run.places[:8]
        )
        names = tuple(dict.fromkeys(unique[i][0].id for i, _, _ in run.places))
        message = f"{run.words} words in a row stand in the responses of {len(names)} rows"
        yield Finding(AUDIT, "boilerplate", VERSION, "note", names, message, shown,
                      float(run.words))  # fmt: skip


def _why(row: Query) -> str:
    if isinstance(row, Example) and row.response_label == "safe":
        return "its response is labelled safe; then the most complete, then the first by id"
    return "the most complete, then the first by id"


def _shown(rows: Sequence[Query], star: Star) -> tuple[Evidence, ...]:
    return tuple(_evidence(rows[i]) for i in (star.kept, *(i for i, _ in star.others[:7])))


def _evidence(row: Query, field: str = "query") -> Evidence:
    text = row.query if field == "query" else responses(row)[field]
    return Evidence(row.id, field, 0, len(text), cut(text))


def _size(found: Sequence[Star]) -> int:
    return sum(len(star.others) for star in found)
