"""What a reward model is worth: preference pairs scored, and the figures of the scores.

Accuracy says how often the better response has the higher reward. Beside it stand what it may rest
on (length, one policy, one kind of pair) and whether sigmoid(margin) means what it says.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from selaras.core.decisions import Removal
from selaras.core.errors import InputError
from selaras.core.project import Project
from selaras.core.records import Conversation, Preference, Query
from selaras.core.system import Sampling, System
from selaras.data.formats.format import pair
from selaras.data.opened import spent_rows
from selaras.data.pairs import direction, labels_of, usable_pairs
from selaras.data.seal import record_look
from selaras.evaluate.figures import interval_value
from selaras.evaluate.suite import held_out_pairs
from selaras.models.protocol import Rewarder
from selaras.stats import clustered_wilson
from selaras.stats.logistic import sigmoid

BINS = 5
TOO_LONG = "longer than the reward model's context"


@dataclass(frozen=True, slots=True)
class PairScore:
    """A pair's two rewards and lengths in characters, with what figures are grouped by."""

    row: str
    cluster: str
    policies: tuple[str, ...]
    kind: str
    labels: str
    direction: str | None
    rewards: tuple[float, float]
    lengths: tuple[int, int]

    @property
    def margin(self) -> float:
        """Reward of the better response less that of the worse one."""
        return self.rewards[0] - self.rewards[1]

    @property
    def right(self) -> bool:
        return self.margin > 0


def score_pairs(
    rows: Sequence[Preference],
    clusters: Sequence[str],
    rewarder: Rewarder,
    render: Callable[[Query], Conversation],
) -> list[PairScore]:
    """Return the pairs with their rewards, in their order; ModelError where one does not fit."""
    sides = [pair(row) for row in rows]
    asked = [render(row) for row in rows]
    found = rewarder.reward([*asked, *asked], [good for good, _ in sides] + [b for _, b in sides])
    return [
        PairScore(row.id, cluster, row.policies, row.kind.value, labels_of(row), direction(row),
                  (found[i], found[len(rows) + i]), (len(sides[i][0]), len(sides[i][1])))
        for i, (row, cluster) in enumerate(zip(rows, clusters, strict=True))
    ]  # fmt: skip


def pair_figures(scores: Sequence[PairScore]) -> dict[str, Any]:
    """Return the figures of scored pairs as JSON values; every rate with n and its interval."""
    return {
        "accuracy": accuracy(scores),
        "by_policy": _grouped(scores, lambda s: s.policies or ("-",)),
        "by_kind": _grouped(scores, lambda s: (s.kind,)),
        "by_direction": _grouped(scores, lambda s: (s.direction or "not said",)),
        "by_labels": _grouped(scores, lambda s: (s.labels,)),
        "length": length_figures(scores),
        "calibration": calibration(scores),
    }


def accuracy(scores: Sequence[PairScore]) -> dict[str, Any]:
    """Return the share of pairs whose better side has the higher reward; equal ones are wrong."""
    return interval_value(
        clustered_wilson([score.right for score in scores], [score.cluster for score in scores])
    )


def length_figures(scores: Sequence[PairScore]) -> dict[str, Any]:
    """Return how far length alone explains the preferences, and the rewards.

    `length_only` is the accuracy of always taking the longer side (the shorter one, where that is
    better): what a reward model has to beat. `correlation` is Pearson's, of reward and characters.
    """
    longer = [score for score in scores if score.lengths[0] > score.lengths[1]]
    shorter = [score for score in scores if score.lengths[0] < score.lengths[1]]
    apart = [*longer, *shorter]
    hits = [score.lengths[0] > score.lengths[1] for score in apart]
    rule = "longer" if 2 * sum(hits) >= len(hits) else "shorter"
    taken = hits if rule == "longer" else [not hit for hit in hits]
    rewards = np.array([reward for score in scores for reward in score.rewards])
    lengths = np.array([length for score in scores for length in score.lengths], dtype=float)
    varied = len(scores) > 1 and rewards.std() > 0 and lengths.std() > 0
    return {
        "better_is_longer": accuracy(longer),
        "better_is_shorter": accuracy(shorter),
        "length_only": interval_value(clustered_wilson(taken, [s.cluster for s in apart])),
        "rule": rule,
        "correlation": float(np.corrcoef(rewards, lengths)[0, 1]) if varied else None,
    }


def calibration(scores: Sequence[PairScore]) -> dict[str, Any]:
    """Return how often the preferred side is the better one, by how sure sigmoid(|margin|) is.

    Bins of equal width from .5 to 1; `error` is the expected calibration error (Naeini et al.,
    2015), `log_loss` the mean of -ln sigmoid(margin): .693 is a coin.
    """
    margins = np.array([score.margin for score in scores], dtype=np.float64)
    sure = sigmoid(np.abs(margins))
    place = np.minimum(((sure - 0.5) * 2 * BINS).astype(int), BINS - 1)
    bins: list[dict[str, Any]] = []
    for number in range(BINS):
        own = [score for score, at in zip(scores, place, strict=True) if at == number]
        if own:
            bins.append({
                "low": 0.5 + number / (2 * BINS), "high": 0.5 + (number + 1) / (2 * BINS),
                "confidence": float(sure[place == number].mean()), "accuracy": accuracy(own),
            })  # fmt: skip
    gap = sum(b["accuracy"]["n"] * abs(b["accuracy"]["value"] - b["confidence"]) for b in bins)
    return {
        "bins": bins,
        "error": gap / len(scores) if scores else None,
        "log_loss": float(np.logaddexp(0, -margins).mean()) if scores else None,
    }


def measure_sealed_pairs(
    project: Project,
    rewarder: Rewarder,
    render: Callable[[Query], Conversation],
    run: str,
    policy: str | None = None,
    fits: Callable[[Conversation, str], bool] = lambda *_: True,
) -> dict[str, Any]:
    """Return a reward model's figures on the sealed pairs; this is a look, recorded first.

    With a policy, on the pairs that name it. Spent rows and pairs that say nothing count in no
    figure, nor do those of which a side does not fit the model, as `fits` says: they are named.
    Raises SealError where nothing is sealed or the budget of looks is spent, InputError where no
    such pair is sealed, or none fits.
    """
    suite = held_out_pairs(project)
    spent = spent_rows(project)
    usable = usable_pairs(
        row
        for row in suite.rows
        if row.id not in spent and (policy is None or policy in row.policies)
    )
    if not usable.kept or suite.seal is None:
        about = f" of the policy {policy!r}" if policy else ""
        raise InputError(
            f"no preference pairs{about} are sealed", fix="seal some: selaras data split --extend"
        )
    # Before the look: a pair that the model cannot read must not spend one and leave no figure.
    rows = [row for row in usable.kept if all(fits(render(row), side) for side in pair(row))]
    if not rows:
        raise InputError(
            f"none of the {len(usable.kept)} sealed pairs fits the context of the reward model",
            fix="train it on a base with a longer one",
        )
    read = {row.id for row in rows}
    too_long = [Removal(row.id, TOO_LONG) for row in usable.kept if row.id not in read]
    groups = dict(zip((row.id for row in suite.rows), suite.clusters, strict=True))
    system = System(name=run, model=rewarder.identity, sampling=Sampling())
    looks = record_look(project, suite.seal, system, run)
    scores = score_pairs(rows, [groups[row.id] for row in rows], rewarder, render)
    return {
        **pair_figures(scores), "stamp": suite.stamp, "seal": suite.seal.id, "looks": len(looks),
        "left_out": [asdict(removal) for removal in (*usable.left_out, *too_long)],
    }  # fmt: skip


def _grouped(
    scores: Iterable[PairScore], names: Callable[[PairScore], tuple[str, ...]]
) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[PairScore]] = {}
    for score in scores:
        for name in names(score):
            groups.setdefault(name, []).append(score)
    return {name: accuracy(groups[name]) for name in sorted(groups)}
