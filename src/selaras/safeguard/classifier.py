"""The trained tier: a linear classifier over a text's vector, one head a side.

A head says how likely a text is against any policy (a calibrated probability), and which policy it
is nearest to. It is an .npz of plain arrays with one JSON text, nothing that could run. A file of
another encoder, or of policies that were changed since, is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.arrays import read_arrays, write_arrays
from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import parse_json
from selaras.core.fingerprint import fingerprint, sha256_file
from selaras.core.project import Project
from selaras.core.records import Record
from selaras.models.identities import lazily
from selaras.models.names import place_of
from selaras.policy import Policy, policy_text
from selaras.safeguard.features import ENCODERS, Embedded, Features, Probed
from selaras.safeguard.outcome import Material, Score, Side
from selaras.safeguard.spec import StageSpec, own_file
from selaras.stats.logistic import sigmoid

Numbers = NDArray[np.float64]
UNREAD = "some of it is in a script or a spelling that the encoder has no words of"


class HeadAbout(Record):
    """What one head was fitted on, and from which probability on it blocks."""

    threshold: float
    clear: float | None
    budget: float
    positives: int
    negatives: int
    policies: tuple[str, ...]


class About(Record):
    """What a classifier's file says of itself. `policies` maps each to [revision, text's hash]."""

    version: int = 1
    tier: str
    model: str | None = None
    layer: int | None = None
    encoder: dict[str, Any]
    policies: dict[str, tuple[int, str]]
    heads: dict[Side, HeadAbout]


@dataclass(frozen=True, slots=True)
class Head:
    """P(against any policy) = sigmoid(x · weights + bias); the nearest policy has the largest
    x · `shares` + `shares_bias`, of shape (width, policies).
    """

    weights: Numbers
    bias: float
    shares: Numbers
    shares_bias: Numbers
    about: HeadAbout

    def probabilities(self, vectors: NDArray[Any]) -> Numbers:
        """Return a probability a vector."""
        return sigmoid(vectors @ self.weights + self.bias)

    def nearest(self, vector: NDArray[Any]) -> str | None:
        """Return the policy that a vector is nearest to, None where none is told apart."""
        if not self.about.policies:
            return None
        return self.about.policies[int(np.argmax(vector @ self.shares + self.shares_bias))]


@dataclass(frozen=True)
class Classifier:
    """Heads over features, as a stage."""

    features: Features
    heads: Mapping[Side, Head]
    sha256: str
    only_unsure: bool = field(default=False, init=False)
    hold: int = field(default=0, init=False)

    @property
    def quick(self) -> bool:
        """Only static embeddings are."""
        return self.features.quick

    @property
    def name(self) -> str:
        return "probe" if isinstance(self.features, Probed) else "classifier"

    @property
    def sides(self) -> frozenset[Side]:
        return frozenset(self.heads)

    @property
    def identity(self) -> dict[str, Any]:
        thresholds = {side: head.about.threshold for side, head in sorted(self.heads.items())}
        return {"stage": "classifier", "sha256": self.sha256, "thresholds": thresholds}

    def check(self, materials: Sequence[Material]) -> list[tuple[Score, ...]]:
        """Return a score a material, under the policy that its strongest part is nearest to."""
        found: dict[int, tuple[Score, ...]] = {}
        for side, head in self.heads.items():
            mine = [i for i, material in enumerate(materials) if material.side == side]
            if not mine:
                continue
            read = self.features.read([materials[i] for i in mine], side)
            chances = head.probabilities(read.vectors)
            for number, place in enumerate(mine):
                own = np.flatnonzero(read.owners == number)
                row = own[np.argmax(chances[own])]
                found[place] = (
                    self._score(head, read.vectors[row], float(chances[row]),
                                number in read.unread),
                )  # fmt: skip
        return [found.get(i, ()) for i in range(len(materials))]

    def _score(self, head: Head, vector: NDArray[Any], p: float, unread: bool) -> Score:
        about = head.about
        if unread and p < about.threshold:
            return Score(self.name, None, p, about.threshold, UNREAD, unread=True)
        return Score(self.name, head.nearest(vector), p, about.threshold,
                     f"P(against a policy) is {p:.2f}", about.clear)  # fmt: skip


def save_classifier(path: Path, about: About, heads: Mapping[Side, Head]) -> str:
    """Write a classifier as .npz and return its sha256."""
    arrays: dict[str, NDArray[Any]] = {}
    for side, head in heads.items():
        arrays |= {
            f"{side}_weights": head.weights, f"{side}_bias": np.array(head.bias),
            f"{side}_shares": head.shares, f"{side}_shares_bias": head.shares_bias,
        }  # fmt: skip
    text = json.dumps(about.model_dump(mode="json"), sort_keys=True)
    write_arrays(path, about=np.array(text), **arrays)
    return sha256_file(path)


def read_classifier(path: Path) -> tuple[About, dict[Side, Head]]:
    """Return what a classifier's file holds; raises InputError where it is none."""
    (text,) = read_arrays(path, "about")
    try:
        value = parse_json(str(text))
    except ValueError as error:
        raise InputError("not a classifier's file", path=path) from error
    about = checked(About, value, path=path)
    return about, {side: _head(path, side, own) for side, own in about.heads.items()}


def open_classifier(
    spec: StageSpec, project: Project, policies: Mapping[str, Policy]
) -> Classifier:
    """Return the classifier of a file, as it was fitted for these policies.

    Raises InputError where the file was changed, or a policy was since.
    """
    path = own_file(spec, project)
    found = sha256_file(path)
    if spec.sha256 and spec.sha256 != found:
        raise InputError(
            "the classifier is not the one that was fitted (another sha256)", path=path,
            fix="take it from version control again, or run: selaras guard fit",
        )  # fmt: skip
    about, heads = read_classifier(path)
    _unchanged(about, policies, path)
    if spec.threshold is not None:
        heads = {side: _at(head, spec.threshold) for side, head in heads.items()}
    chosen = {side: head for side, head in heads.items() if side in spec.sides}
    return Classifier(features_of(about, project), chosen, found)


def features_of(about: About, project: Project) -> Features:
    """Return the features that a classifier was fitted on, opened when they are first read."""
    if about.tier != "probe":
        if about.tier not in ENCODERS:
            raise InputError(f"no features {about.tier!r}", fix=f"use one of: {known_tiers()}")
        return Embedded(about.tier, about.encoder)
    known, opening = lazily(str(about.model), place_of(project))
    if known != about.encoder:
        raise InputError(
            f"the probe was fitted inside another model than {about.model} is here",
            fix="fit it again: selaras guard fit",
        )
    return Probed(str(about.model), about.layer or 1, opening, about.encoder)


def known_tiers() -> str:
    """Return the names of the features that there are."""
    return ", ".join(sorted([*ENCODERS, "probe"]))


def fitted_policies(policies: Mapping[str, Policy]) -> dict[str, tuple[int, str]]:
    """Return revision and text's hash of each policy, as a classifier remembers them."""
    return {
        name: (policy.revision, fingerprint(policy_text(policy)))
        for name, policy in policies.items()
    }


def _unchanged(about: About, policies: Mapping[str, Policy], path: Path) -> None:
    now = fitted_policies(policies)
    for name, then in about.policies.items():
        if name in now and now[name] != then:
            what = (
                f"revision {then[0]} -> {now[name][0]}"
                if then[0] != now[name][0]
                else f"its text, though still revision {then[0]}"
            )
            raise InputError(
                f"the policy {name!r} was changed since the classifier was fitted ({what})",
                path=path, fix="fit it again: selaras guard fit",
            )  # fmt: skip
    if unseen := sorted(set(now) - set(about.policies)):
        raise InputError(
            f"the classifier was fitted before the policy {unseen[0]!r} was listed",
            path=path, fix="fit it again: selaras guard fit, or name `policies` in the guard",
        )  # fmt: skip


def _head(path: Path, side: Side, about: HeadAbout) -> Head:
    names = [f"{side}_{part}" for part in ("weights", "bias", "shares", "shares_bias")]
    try:
        weights, bias, shares, own = (
            np.asarray(each, np.float64) for each in read_arrays(path, *names)
        )
    except (ValueError, TypeError) as error:
        raise InputError("the weights are no numbers", path=path) from error
    wanted = [(len(weights) if weights.ndim else 0,), (), (weights.size, len(about.policies)),
              (len(about.policies),)]  # fmt: skip
    arrays = (weights, bias, shares, own)
    if [each.shape for each in arrays] != wanted or not all(np.isfinite(a).all() for a in arrays):
        raise InputError("the weights are not vectors of finite numbers", path=path)
    return Head(weights, float(bias), shares, own, about)


def _at(head: Head, threshold: float) -> Head:
    return replace(head, about=head.about.model_copy(update={"threshold": threshold}))
