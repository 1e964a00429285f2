"""A classifier of one's own as judge, fitted on the labels of people.

It learns from development rows and suites alone: a judge that was fitted on sealed rows would know
the rows that it is to judge. How far it agrees with people is told from answers that it was not
fitted on (five folds, no cluster in two of them), and so is its threshold. A guard's classifier is
the same regression (`selaras.judge.classifier`), which may be fitted from there as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selaras.core.errors import InputError, SealError
from selaras.core.fingerprint import seed_from
from selaras.core.project import Project
from selaras.evaluate.calibration import POSITIVE, is_of, labelled_runs
from selaras.evaluate.figures import interval_value
from selaras.evaluate.judging import given_by_user
from selaras.evaluate.labelling import texts_of
from selaras.evaluate.labels import Label, truth_of
from selaras.judge.classifier import About, Fitted, features, fit, save
from selaras.judge.verdict import Axis
from selaras.models.protocol import Embedder
from selaras.stats import Interval, clustered_wilson, cohen_kappa

FEWEST, FOLDS = 20, 5


@dataclass(frozen=True, slots=True)
class FittedJudge:
    """A fitted judge's file, and its agreement with people on rows that it was not fitted on."""

    path: Path
    axis: str
    rows: int
    threshold: float
    kappa: Interval
    sensitivity: Interval
    specificity: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        parts = {name: interval_value(getattr(self, name))
                 for name in ("kappa", "sensitivity", "specificity")}  # fmt: skip
        return {"file": str(self.path), "axis": self.axis, "rows": self.rows,
                "threshold": self.threshold, **parts}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Labelled:
    pair: tuple[str, str]
    positive: bool
    cluster: str


def fit_judge(
    project: Project, labels: Sequence[Label], axis: Axis, path: Path, embedder: Embedder
) -> FittedJudge:
    """Fit a classifier on labelled answers, write it to `path` and return how well it does.

    Raises SealError for answers to sealed rows, InputError for fewer than 20 labels or one class.
    """
    rows = _labelled(project, labels, axis)
    if len(rows) < FEWEST or len({row.positive for row in rows}) < 2:
        raise InputError(
            f"{len(rows)} labelled answers are too few, or all of one kind",
            fix=f"label {FEWEST} or more, of both kinds; some hundreds are better",
        )
    truth = [row.positive for row in rows]
    scores = _out_of_fold(rows, axis, embedder)
    threshold = _threshold(scores, truth)
    told = [bool(score >= threshold) for score in scores]
    fitted = _fit(rows, axis, embedder)
    save(Fitted(fitted.weights, fitted.bias, threshold, fitted.about), path)

    def agreed(positive: bool) -> Interval:
        chosen = [i for i, value in enumerate(truth) if value == positive]
        return clustered_wilson(
            [told[i] == positive for i in chosen], [rows[i].cluster for i in chosen]
        )

    return FittedJudge(
        path, axis, len(rows), threshold, cohen_kappa(told, truth), agreed(True), agreed(False)
    )


def _labelled(project: Project, labels: Sequence[Label], axis: str) -> list[_Labelled]:
    found = []
    for run in labelled_runs(project, labels):
        if run.manifest.seal is not None:
            raise SealError(
                f"the labels of {run.manifest.id} are of sealed rows: a judge that learnt from "
                "them would know the rows that it is to judge",
                fix="draw rows to fit on from an evaluation with --development or --suite",
            )
        truth = truth_of([label for label in labels if is_of(label, run)], axis)
        texts = texts_of(project, run)
        answers = {answer.row: answer.text for answer in run.answers if answer.status == "ok"}
        clusters = {row.row: row.cluster for row in run.judged}
        found += [
            _Labelled(
                (given_by_user(texts[name]), answers[name]), value == POSITIVE[axis], clusters[name]
            )
            for name, value in truth.values.items()
            if name in texts and name in answers and name in clusters
        ]
    return found


def _fit(rows: Sequence[_Labelled], axis: Axis, embedder: Embedder) -> Fitted:
    positive = POSITIVE[axis]
    negative = "none" if axis == "refusal" else "safe"
    about = About(
        axis=axis, positive=positive, negative=negative, parts=("query", "response"),
        encoder=dict(embedder.identity), rows=len(rows),
    )  # fmt: skip
    values = [positive if row.positive else negative for row in rows]
    return fit([row.pair for row in rows], values, about, embedder)


def _out_of_fold(rows: Sequence[_Labelled], axis: Axis, embedder: Embedder) -> list[float]:
    """Return P(positive) of each row by a classifier of the other folds' rows."""
    folds = [seed_from("judge-fold", row.cluster) % FOLDS for row in rows]
    scores = [0.5] * len(rows)
    for fold in range(FOLDS):
        mine = [i for i, own in enumerate(folds) if own == fold]
        rest = [row for row, own in zip(rows, folds, strict=True) if own != fold]
        if mine and len({row.positive for row in rest}) == 2:
            fitted = _fit(rest, axis, embedder)
            pairs = [rows[i].pair for i in mine]
            found = fitted.probabilities(features(pairs, fitted.about.parts, embedder))
            for i, score in zip(mine, found, strict=True):
                scores[i] = float(score)
    return scores


def _threshold(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """Return the threshold at which sensitivity and specificity add up to most; ties to .5."""
    own, hits = np.array(scores), np.array(truth)
    seen = np.unique(own)
    edges = [0.5, *((seen[:-1] + seen[1:]) / 2).tolist()]

    def cost(at: float) -> tuple[float, float]:
        right = float(np.mean(own[hits] >= at) + np.mean(own[~hits] < at))
        return -round(right, 9), abs(at - 0.5)

    return float(min(edges, key=cost))
