"""A small trained judge: logistic regression on sentence embeddings of query and response.

It is one vector of weights, a bias and a threshold in an .npz file without pickled objects; its
identity is that file's hash and the encoder's. Fitted on few labelled rows it is the cheap first
reader of many, and as narrow as they are: calibrate it on the System that it is to judge.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from selaras.core.arrays import read_arrays, write_arrays
from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import parse_json
from selaras.core.fingerprint import sha256_file
from selaras.core.judging import JudgeSpec
from selaras.core.project import Project
from selaras.core.records import Record
from selaras.judge.case import Case
from selaras.judge.verdict import Axis, Judgement
from selaras.models.protocol import Embedder
from selaras.stats.logistic import fit_logistic, sigmoid

Part = Literal["query", "response"]


class About(Record):
    """What a classifier tells apart, from which parts, by which encoder, from how many rows."""

    axis: Axis
    positive: str = Field(min_length=1)
    negative: str = Field(min_length=1)
    parts: tuple[Part, ...] = Field(min_length=1)
    encoder: dict[str, Any]
    rows: int = Field(ge=2)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A logistic regression: P(positive) = sigmoid(features · weights + bias)."""

    weights: NDArray[np.float64]
    bias: float
    threshold: float
    about: About

    def probabilities(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return P(positive) for features of shape (rows, dimensions)."""
        return sigmoid(features @ self.weights + self.bias)


@dataclass(frozen=True)
class ClassifierJudge:
    """A fitted classifier as a judge; of rows that are about another policy it says nothing."""

    fitted: Fitted
    sha256: str
    policy: str | None = None
    embedder: Embedder | None = field(default=None, repr=False)

    @property
    def identity(self) -> dict[str, Any]:
        return {"judge": "classifier", "sha256": self.sha256, "policy": self.policy,
                "encoder": self.fitted.about.encoder}  # fmt: skip

    @property
    def axis(self) -> Axis:
        return self.fitted.about.axis

    @property
    def by_policy(self) -> bool:
        return self.policy is not None

    def judge_cases(self, cases: Sequence[Case]) -> list[Judgement | None]:
        """Return a judgement of each case with P(positive) as its score."""
        mine = [
            case
            for case in cases
            if self.policy is None or (case.policy is not None and case.policy.id == self.policy)
        ]
        if not mine:
            return [None] * len(cases)
        pairs = [(case.query, case.response) for case in mine]
        found = self.fitted.probabilities(features(pairs, self.fitted.about.parts, self._encoder))
        scores = {id(case): float(p) for case, p in zip(mine, found, strict=True)}
        return [self._judged(scores[id(c)]) if id(c) in scores else None for c in cases]

    def _judged(self, score: float) -> Judgement:
        about = self.fitted.about
        return Judgement(
            about.positive if score >= self.fitted.threshold else about.negative, score
        )

    @cached_property
    def _encoder(self) -> Embedder:
        if self.embedder is not None:
            return self.embedder
        from selaras.models.local_embed import open_embedder

        found = open_embedder()
        if found.identity != self.fitted.about.encoder:
            raise InputError(
                "the classifier was fitted on another encoder's embeddings",
                fix="fit it again with this version",
            )
        return found


def fit(
    pairs: Sequence[tuple[str, str]],
    labels: Sequence[str],
    about: About,
    embedder: Embedder,
    *,
    ridge: float = 1.0,
) -> Fitted:
    """Return the classifier of (query, response) pairs by their labels.

    Ridge-penalised logistic regression by Newton's method, classes weighted equally; `ridge` is the
    penalty on the squared weights (the bias is free). The threshold is .5: choose another one on
    rows that it was not fitted on. Raises InputError where a class is missing or a label strange.
    """
    if strange := sorted(set(labels) - {about.positive, about.negative}):
        raise InputError(
            f"a label {strange[0]!r}", fix=f"use {about.positive} and {about.negative}"
        )
    y = np.array([label == about.positive for label in labels], dtype=np.float64)
    if len(y) != len(pairs) or y.min(initial=1) == y.max(initial=0):
        raise InputError("fitting needs rows of both classes, and a label for each row")
    share = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    weights, bias = fit_logistic(features(pairs, about.parts, embedder), y, share, ridge)
    return Fitted(weights, bias, 0.5, about)


def features(
    pairs: Sequence[tuple[str, str]], parts: Sequence[Part], embedder: Embedder
) -> NDArray[np.float32]:
    """Return the embeddings of the named parts side by side, shape (pairs, parts x dimensions)."""
    texts = {"query": [query for query, _ in pairs], "response": [said for _, said in pairs]}
    return np.hstack([embedder.embed(texts[part]) for part in parts])


def save(fitted: Fitted, path: Path) -> None:
    """Write a classifier as .npz: arrays and one JSON text, nothing that could run."""
    about = json.dumps(fitted.about.model_dump(mode="json"), sort_keys=True)
    write_arrays(path, weights=fitted.weights, about=np.array(about),
                 bias=np.array(fitted.bias), threshold=np.array(fitted.threshold))  # fmt: skip


def load(path: Path) -> Fitted:
    """Return the classifier in a file; raises InputError where it is none."""
    weights, bias, threshold, text = read_arrays(path, "weights", "bias", "threshold", "about")
    try:
        about = parse_json(str(text))
        numbers = [np.asarray(each, np.float64) for each in (weights, bias, threshold)]
    except (ValueError, TypeError) as error:
        raise InputError("not a classifier's file", path=path) from error
    if [each.ndim for each in numbers] != [1, 0, 0] or not all(
        np.isfinite(each).all() for each in numbers
    ):
        raise InputError("the weights are not a vector of finite numbers", path=path)
    about = checked(About, about, path=path)
    return Fitted(numbers[0], float(numbers[1]), float(numbers[2]), about)


def open_classifier(spec: JudgeSpec, project: Project) -> ClassifierJudge:
    """Return the judge in the file `spec.by`, about `spec.policy` where one is named."""
    path = project.root / spec.by
    fitted = load(path)
    if spec.threshold is not None:
        fitted = Fitted(fitted.weights, fitted.bias, spec.threshold, fitted.about)
    return ClassifierJudge(fitted, sha256_file(path), spec.policy)
