"""Contamination: tuning rows that repeat the sealed rows or an evaluation set, and in which tier.

What is certain is a fault, what is only close is for a person. Where nothing could be compared the
audit says so in its first finding: silence must not pass for cleanliness.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from selaras.core.errors import MissingExtraError
from selaras.data.contamination import SEALED_ROW, Match, matches
from selaras.data.development import NOTHING_CHECKED, sealed_sketch
from selaras.data.evaluation_sets import evaluation_sets
from selaras.data.finding import AuditInput, Evidence, Figures, Finding, Proposal, cut
from selaras.data.seal import read_seal
from selaras.data.sketch import Sketch

AUDIT, VERSION = "contamination", 1


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
    try:
        vectors = given.embed(texts) if texts else np.zeros((0, 0), np.float32)
    except MissingExtraError as error:
        # What needs no encoder is looked at all the same; the end says what was not.
        vectors, missing = None, error
    if seal is not None and project is not None:
        sketch = sealed_sketch(project, seal)
        said, figures = _against(given, sketch, seal.salt, vectors, "the sealed rows", SEALED_ROW)
        checked.append(figures)
        yield from said
    with given.progress.task("evaluation sets", len(sets)) as task:
        for items in sets:
            sketch = items.sketch(None if missing else given.embed)
            said, figures = _against(
                given, sketch, "", vectors, items.name, f"an item of {items.name}"
            )
            checked.append(figures)
            yield from said
            task.advance(1, items.name)
    yield Figures(AUDIT, {"checked": checked})
    if missing:
        raise missing


def _against(
    given: AuditInput, sketch: Sketch, salt: str, vectors: Any, name: str, item: str
) -> tuple[list[Finding], dict[str, Any]]:
    best: dict[int, Match] = {}
    for match in matches(given.rows, sketch, salt, vectors):
        if match.row not in best or (match.certain and not best[match.row].certain):
            best[match.row] = match
    findings = [_finding(given, sketch, best[row], item) for row in sorted(best)]
    tiers = Counter(match.tier for match in best.values())
    certain = sum(match.certain for match in best.values())
    return findings, {
        "set": name, "items": len(sketch), "rows": len(given.rows), "certain": certain,
        "to_review": len(best) - certain, "tiers": dict(sorted(tiers.items())),
    }  # fmt: skip


def _finding(given: AuditInput, sketch: Sketch, match: Match, item: str) -> Finding:
    row = given.rows[match.row]
    reason = match.reason.format(item)
    message = f"{row.id} {reason} ({sketch.ids[match.item]})"
    # A paraphrase is a model's word: a person takes the row out, though no run will use it.
    safe = match.certain and match.tier != "paraphrase"
    proposed = (Proposal(row.id, "remove", f"{reason} ({sketch.ids[match.item]})", safe=safe),)
    return Finding(
        AUDIT, match.tier, VERSION, "fault" if match.certain else "review", (row.id,), message,
        (Evidence(row.id, "query", 0, len(row.query), cut(row.query)),),
        None if match.score is None else round(match.score, 3), match.threshold, proposed,
    )  # fmt: skip
