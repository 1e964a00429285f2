"""Labels that are probably wrong: a review queue, never a relabel.

Contradictions need no model (see contradictions). What else is wrong is found as in confident
learning (Northcutt et al. 2021, as cleanlab does it): a logistic regression on sentence embeddings
is asked for the probability of each row's label by folds that did not see the row, and labels
that it trusts least are listed, the least trusted first.

Found in this way are rows that say something else than their neighbours; a rare right label looks
the same, so people must look. Labels that confident learning takes for errors are to be reviewed;
those where the classifier merely prefers another are notes: together they hold most flipped labels
of real data, with more right ones beside them (benchmarks/mislabels.py).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import MissingExtraError
from selaras.core.records import Example, Expected, Query
from selaras.data.contradictions import AUDIT, VERSION, contradictions
from selaras.data.finding import (
    AuditInput,
    Evidence,
    Figures,
    Finding,
    Level,
    Proposal,
    cut,
)
from selaras.data.personal import masked
from selaras.data.sample import sampled

FOLDS = 5
FEWEST = 15  # rows of a label: fewer teach nothing
STRENGTH = 1.0  # C of the regression: with less regularisation it learns wrong labels by heart
SHOWN = 120
LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Suspects:
    """Places of labels that a classifier doubts, the least trusted first, and all labels' trust.

    `errors` are those that confident learning takes for wrong, `doubts` the others where another
    label is likelier. Trust is the out-of-fold probability of the given label.
    """

    errors: tuple[int, ...]
    doubts: tuple[int, ...]
    trust: NDArray[np.float64]


def audit_mislabels(given: AuditInput) -> Iterator[Finding | Figures]:
    """Yield contradictions, then the labels that out-of-fold classifiers trust least."""
    yield from contradictions(given)
    figures = {}
    for name, rows, labels, vectors in _tasks(given):
        found = suspect_labels(vectors, labels)
        levels: tuple[tuple[Level, tuple[int, ...]], ...] = (
            ("review", found.errors), ("note", found.doubts),
        )  # fmt: skip
        for level, places in levels:
            for place in places:
                trust = float(found.trust[place])
                yield _suspect(rows[place], name, labels[place], trust, level)
        figures[name] = {
            "rows": len(rows), "labels": dict(Counter(labels)), "errors": len(found.errors),
            "doubts": len(found.doubts),
            "agreement": float(np.mean(found.trust >= 0.5)),
        }  # fmt: skip
    yield Figures(AUDIT, figures)


def suspect_labels(vectors: NDArray[np.float32], labels: Sequence[str], seed: int = 0) -> Suspects:
    """Return the labels that a logistic regression on the vectors doubts, out of fold.

    The errors are cleanlab's `low_self_confidence`: as many of the least trusted as confident
    learning estimates there are. Nothing is suspect where a label has under 15 rows. Raises
    MissingExtraError.
    """
    names = sorted(set(labels))
    counts = Counter(labels)
    if len(names) < 2 or min(counts.values()) < FEWEST:
        return Suspects((), (), np.ones(len(labels)))
    try:
        from cleanlab.filter import find_label_issues
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
    except ImportError as error:
        raise MissingExtraError("cleanlab", "data") from error
    given = np.array([names.index(label) for label in labels])
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    wide = cross_val_predict(model, vectors, given, cv=folds, method="predict_proba")
    errors = find_label_issues(
        given, wide, filter_by="low_self_confidence", n_jobs=1,
        return_indices_ranked_by="self_confidence",
    )  # fmt: skip
    trust: NDArray[np.float64] = wide[np.arange(len(given)), given].astype(np.float64)
    first = [int(place) for place in errors]
    other = np.flatnonzero((wide.argmax(axis=1) != given) & ~np.isin(np.arange(len(given)), first))
    doubts = sorted((int(place) for place in other), key=lambda place: trust[place])
    return Suspects(tuple(first), tuple(doubts), trust)


Task = tuple[str, list[Query], list[str], NDArray[np.float32]]


def _tasks(given: AuditInput) -> Iterator[Task]:
    """Yield (name, rows, labels, vectors): what rows ask for, and whether responses are safe.

    Of more than 20,000 rows of a task a sample is taken.

    Query and response are embedded apart: how an example responds tells much of what it was taken
    for by the person who wrote it.
    """
    asked = list(sampled([row for row in given.rows if row.expected is not None]))
    if asked:
        labels = ["refuse" if row.expected == Expected.REFUSE else "answer" for row in asked]
        yield "expected", asked, labels, _vectors(given, asked)
    judged = list(sampled([r for r in given.rows if isinstance(r, Example) and r.response_label]))
    labels = [str(row.response_label) for row in judged if isinstance(row, Example)]
    if len(set(labels)) == 2:
        yield "response_label", judged, labels, _vectors(given, judged)


def _vectors(given: AuditInput, rows: Sequence[Query]) -> NDArray[np.float32]:
    queries = given.embed([row.query for row in rows])
    replies = [row.response if isinstance(row, Example) else "" for row in rows]
    if not any(text.strip() for text in replies):
        return queries
    said = [text if text.strip() else "-" for text in replies]
    return np.hstack([queries, given.embed(said)])


def _suspect(row: Query, name: str, label: str, trust: float, level: Level) -> Finding:
    other = {"refuse": "answer", "answer": "refuse", "safe": "unsafe", "unsafe": "safe"}[label]
    shown = str(row.expected) if name == "expected" else label
    said = f"the label {shown!r} ({name}) has a probability of {trust:.2f} by rows like it"
    text = cut(masked(row.query[:LONGEST]), SHOWN)
    evidence = (Evidence(row.id, "query", 0, min(SHOWN, len(row.query)), text),)
    proposal = (
        Proposal(row.id, "relabel", said, {"response_label": other})
        if name == "response_label" else Proposal(row.id, "relabel", said, {"expected": other})
    )  # fmt: skip
    check = f"unlikely_{name}" if level == "review" else f"doubtful_{name}"
    return Finding(AUDIT, check, VERSION, level, (row.id,), said, evidence, score=trust,
                   threshold=0.5, proposed=(proposal,))  # fmt: skip
