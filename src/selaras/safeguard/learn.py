"""Vectors and labels to a calibrated linear head, by cross-validation over whole groups.

A row is learnt by its whole text and scored, as in a check, by the strongest of its parts. The
ridge (and a probe's layer) with the least log-loss out of fold is taken; Platt's scaling of the
out-of-fold scores makes them probabilities; the threshold is the one that at most the stated share
of negatives reach, out of fold. Twins are one group: neither is seen while the other is scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selaras.safeguard.classifier import Head, HeadAbout, Numbers
from selaras.safeguard.features import Read
from selaras.stats.logistic import fit_logistic, sigmoid
from selaras.stats.ranking import folds_of, threshold_at

RIDGES = (0.03, 0.1, 0.3, 1.0)
FOLDS = 5
# Below this share of positives a later stage (a judge) is not asked either.
MISSED = 0.1


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows of one side: whether each is against a policy, which ones, and its group."""

    positive: NDArray[np.bool_]
    policies: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Learnt:
    """A head, and the out-of-fold probability of each row that it was fitted on."""

    head: Head
    out_of_fold: Numbers
    ridge: float
    loss: float


def learn(read: Read, rows: Labelled, budget: float, seed: int) -> Learnt:
    """Return the head of rows with what was read of them."""
    starts = np.flatnonzero(np.diff(read.owners, prepend=-1))
    vectors = read.vectors[starts]
    mean, spread = vectors.mean(0), vectors.std(0) + 1e-6
    scale = 1 / (spread * np.sqrt(vectors.shape[1]))
    every = (read.vectors - mean) * scale
    x = every[starts]
    y = rows.positive.astype(np.float64)
    fold = folds_of(rows.groups, FOLDS, np.random.default_rng(seed))
    tried = [
        (_loss(y, held := _held_out(every, starts, y, fold, ridge)), ridge, held)
        for ridge in RIDGES
    ]
    loss, ridge, held = min(tried, key=lambda each: each[:2])
    slope, offset = fit_logistic(held[:, None], y, np.ones(len(y)), 1e-3)
    # A slope below zero would turn a classifier that knows nothing upside down.
    a = max(float(slope[0]), 1e-3)
    probabilities = sigmoid(a * held + offset)
    weights, bias = fit_logistic(x, y, _balanced(y), ridge)
    threshold = threshold_at(probabilities[~rows.positive], budget)
    clear = float(np.quantile(probabilities[rows.positive], MISSED))
    names = tuple(sorted({name for own in rows.policies for name in own}))
    shares, shares_bias = _shares(x, rows, names, ridge)
    about = HeadAbout(
        threshold=threshold, clear=clear if clear < threshold else None, budget=budget,
        positives=int(y.sum()), negatives=int(len(y) - y.sum()), policies=names,
    )  # fmt: skip
    # Scaling and calibration are folded in: the head reads plain vectors.
    head = Head(
        a * weights * scale, a * (bias - float((mean * scale) @ weights)) + offset,
        shares * scale[:, None], shares_bias - (mean * scale) @ shares, about,
    )  # fmt: skip
    return Learnt(head, probabilities, ridge, loss)


def _held_out(
    every: Numbers, starts: NDArray[np.intp], y: Numbers, fold: NDArray[np.intp], ridge: float
) -> Numbers:
    """Return each row's score by the classifier that did not see its fold."""
    x, scores = every[starts], np.zeros(len(y))
    for number in np.unique(fold):
        seen = fold != number
        weights, bias = fit_logistic(x[seen], y[seen], _balanced(y[seen]), ridge)
        strongest = np.maximum.reduceat(every @ weights + bias, starts)
        scores[~seen] = strongest[~seen]
    return scores


def _balanced(y: Numbers) -> Numbers:
    share = y.mean()
    found: Numbers = np.where(y == 1, 0.5 / max(share, 1e-9), 0.5 / max(1 - share, 1e-9))
    return found


def _loss(y: Numbers, scores: Numbers) -> float:
    p = np.clip(sigmoid(scores), 1e-6, 1 - 1e-6)
    return float(-np.average(y * np.log(p) + (1 - y) * np.log(1 - p), weights=_balanced(y)))


def _shares(
    x: Numbers, rows: Labelled, names: Sequence[str], ridge: float
) -> tuple[Numbers, Numbers]:
    """Return weights and biases that tell a bad row's policy, one against the rest."""
    shares, biases = np.zeros((x.shape[1], len(names))), np.zeros(len(names))
    bad = x[rows.positive]
    own = [each for each, hit in zip(rows.policies, rows.positive, strict=True) if hit]
    for place, name in enumerate(names):
        y = np.array([name in each for each in own], dtype=np.float64)
        if len(names) > 1 and 0 < y.sum() < len(y):
            shares[:, place], biases[place] = fit_logistic(bad, y, np.ones(len(y)), ridge)
    return shares, biases
