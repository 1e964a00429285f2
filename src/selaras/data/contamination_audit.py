"""Contamination: tuning rows that repeat the sealed rows or an evaluation set, and in which tier.

What is certain is a fault, what is only close is for a person. Where nothing could be compared the
audit says so in its first finding: silence must not pass for cleanliness.

In a large set the static encoder proposes and MiniLM reads the rows proposed; a judge is asked
about what is close without reaching a threshold, and about nothing else.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import MissingExtraError
from selaras.core.records import Query
from selaras.data.contamination import NEAR_MISS, SEALED_ROW, Match, matches, shared_numbers
from selaras.data.development import NOTHING_CHECKED, sealed_sketch
from selaras.data.encoder import MINILM, Encoder
from selaras.data.evaluation_sets import Items, evaluation_sets
from selaras.data.finding import AuditInput, Evidence, Figures, Finding, Proposal, cut
from selaras.data.seal import read_seal
from selaras.data.sketch import Sketch, hashed_grams

AUDIT, VERSION = "contamination", 2
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Target:
    """What rows are compared with: its sketch, what reasons call one of its items, its texts.

    There are no texts of sealed rows. `vectors` are the rows' by the `encoder` of the sketch.
    """

    name: str
    item: str
    sketch: Sketch
    vectors: Vectors | None
    encoder: Encoder
    salt: str = ""
    texts: tuple[str, ...] = ()


def audit_contamination(given: AuditInput) -> Iterator[Finding | Figures]:
    """Yield the rows that resemble held-out or evaluation rows, by the surest tier of each."""
    project = given.project
    seal = read_seal(project) if project else None
    sets = evaluation_sets(project) if project else []
    if seal is None and not sets:
        yield Finding(AUDIT, "nothing_checked", VERSION, "review", (), NOTHING_CHECKED)
        yield Figures(AUDIT, {"checked": []})
        return
    checked: list[dict[str, Any]] = []
    texts = [row.query_key for row in given.rows]
    missing: MissingExtraError | None = None
    if seal is not None and project is not None:
        vectors: Vectors | None = None
        try:
            vectors = given.embed_closely(texts) if texts else None
        except MissingExtraError as error:
            # What needs no encoder is looked at all the same; the end says what was not.
            missing = error
        sketch = sealed_sketch(project, seal)
        target = Target("the sealed rows", SEALED_ROW, sketch, vectors, MINILM, seal.salt)
        said, figures = _against(given, target)
        checked.append(figures)
        yield from said
    with given.progress.task("evaluation sets", len(sets)) as task:
        for items in sets:
            try:
                target = _target(given, items, texts)
            except MissingExtraError as error:
                target, missing = _target(given, items, None), error
            said, figures = _against(given, target)
            checked.append(figures)
            yield from said
            task.advance(1, items.name)
    yield Figures(AUDIT, {"checked": checked})
    if missing:
        raise missing


def _target(given: AuditInput, items: Items, texts: Sequence[str] | None) -> Target:
    """Return an evaluation set with its sketch; without texts of rows, without embeddings."""
    vectors = given.embed(texts) if texts else None
    sketch = items.sketch(given.embed if texts else None)
    return Target(items.name, f"an item of {items.name}", sketch, vectors, given.encoder,
                  texts=items.texts)  # fmt: skip


def _against(given: AuditInput, target: Target) -> tuple[list[Finding], dict[str, Any]]:
    found = list(matches(given.rows, target.sketch, target.salt, target.vectors, target.encoder))
    if target.encoder.confirmed:
        found = list(_confirmed(given, target, found))
    best: dict[int, Match] = {}
    for match in found:
        if match.tier != NEAR_MISS and (
            match.row not in best or (match.certain and not best[match.row].certain)
        ):
            best[match.row] = match
    close = [match for match in found if match.tier == NEAR_MISS and match.row not in best]
    judged, asked = _judged(given, target, close)
    best |= judged
    findings = [_finding(given, target, best[row]) for row in sorted(best)]
    certain = sum(match.certain for match in best.values())
    return findings, {
        "set": target.name, "items": len(target.sketch), "rows": len(given.rows),
        "certain": certain, "to_review": len(best) - certain,
        "tiers": dict(sorted(Counter(match.tier for match in best.values()).items())),
        "near_misses": len({match.row for match in close}), **asked,
        "encoder": target.encoder.label if target.vectors is not None else None,
    }  # fmt: skip


def _confirmed(given: AuditInput, target: Target, found: Sequence[Match]) -> Iterator[Match]:
    """Yield the matches, those by embedding as MiniLM sees them; what it does not see is left."""
    proposed = [match for match in found if match.tier == "paraphrase"]
    yield from (match for match in found if match.tier not in {"paraphrase", NEAR_MISS})
    if not proposed:
        return
    pairs = np.array([(match.row, match.item) for match in proposed])
    keys = [given.rows[match.row].query_key for match in proposed]
    items = [target.texts[match.item] for match in proposed]
    vectors = given.embed_closely([*keys, *items])
    cosines = np.einsum("ij,ij->i", vectors[: len(keys)], vectors[len(keys) :]).astype(np.float64)
    places = np.stack((np.arange(len(keys)), pairs[:, 1]), axis=1)
    numbers = hashed_grams(keys, target.salt)["numbers"]
    shared = shared_numbers(numbers, target.sketch.grams["numbers"], places)
    same = MINILM.copies.holds(cosines, shared)
    for match, cosine, held in zip(proposed, cosines.tolist(), same.tolist(), strict=True):
        if held:
            certain = bool(target.sketch.kinds[match.item])
            yield Match(match.row, match.item, "paraphrase", "paraphrases {}", cosine,
                        MINILM.copies.least, certain)  # fmt: skip
        elif cosine >= MINILM.near_miss:
            yield Match(match.row, match.item, NEAR_MISS, "is close to {}", cosine,
                        MINILM.near_miss, certain=False)  # fmt: skip


def _judged(
    given: AuditInput, target: Target, close: Sequence[Match]
) -> tuple[dict[int, Match], dict[str, Any]]:
    """Return what a judge says asks the same, and how often it was asked and did not answer."""
    if given.same is None or not target.texts:
        return {}, {}
    # Of a row its closest item alone is asked about: the others are further off still.
    nearest: dict[int, Match] = {}
    for match in close:
        if match.row not in nearest or (match.score or 0) > (nearest[match.row].score or 0):
            nearest[match.row] = match
    asked = [nearest[row] for row in sorted(nearest)]
    pairs: list[tuple[Query, str]] = [(given.rows[m.row], target.texts[m.item]) for m in asked]
    replies = given.same(pairs) if pairs else []
    said = {
        match.row: Match(match.row, match.item, "judge", "asks the same as {}, says the judge",
                         match.score, match.threshold, certain=False)
        for match, same in zip(asked, replies, strict=True) if same
    }  # fmt: skip
    return said, {"judged": len(asked), "not_judged": sum(same is None for same in replies)}


def _finding(given: AuditInput, target: Target, match: Match) -> Finding:
    row = given.rows[match.row]
    name = target.sketch.ids[match.item]
    reason = match.reason.format(target.item)
    # A paraphrase is a model's word: a person takes the row out, though no run will use it.
    safe = match.certain and match.tier != "paraphrase"
    proposed = (Proposal(row.id, "remove", f"{reason} ({name})", safe=safe),)
    return Finding(
        AUDIT, match.tier, VERSION, "fault" if match.certain else "review", (row.id,),
        f"{row.id} {reason} ({name})",
        (Evidence(row.id, "query", 0, len(row.query), cut(row.query)),),
        None if match.score is None else round(match.score, 3), match.threshold, proposed,
    )  # fmt: skip
