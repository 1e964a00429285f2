"""Methods on prompts with planted evidence: do they find the sentence, and predict ablations?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from selaras.core.errors import InputError
from selaras.core.progress import SILENT, Progress
from selaras.debug.attribution import Attribution, attribute
from selaras.debug.faithfulness import Measured
from selaras.debug.opening import Asked, open_probe
from selaras.debug.planted import Planted, planted_prompts
from selaras.debug.segments import cut
from selaras.debug.settings import Settings


@dataclass(frozen=True, slots=True)
class Checked:
    """A method's mean figures over the prompts; `seconds` and `forwards` are medians.

    Both are None for a baseline. `lds_each` holds the LDS of every prompt, in their order.
    """

    method: str
    prompts: int
    lds: float
    drop_at_1: float
    drop_at_3: float
    hold: float
    aopc: float
    hit_at_1: float
    hit_at_3: float
    forwards: float | None
    seconds: float | None
    lds_each: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def check_methods(
    model: Any, methods: Sequence[str], settings: Settings, count: int, cache: Path | None,
    progress: Progress = SILENT,
) -> list[Checked]:  # fmt: skip
    """Return the baselines' and the methods' figures over the first `count` prompts."""
    prompts = planted_prompts()[:count]
    found: dict[str, list[tuple[Measured, int]]] = {}
    costs: dict[str, list[tuple[int, float]]] = {}
    with progress.task("planted prompts", len(prompts) * len(methods)) as task:
        for planted in prompts:
            for method in methods:
                made = _explained(model, planted, method.strip(), settings, cache)
                place = _place(made.texts, planted)
                rank = int((np.array(made.scores) > made.scores[place]).sum())
                found.setdefault(method.strip(), []).append((_faith(made).figures, rank))
                costs.setdefault(method.strip(), []).append((made.forwards, made.seconds))
                if method == methods[0]:
                    for name, rank in _baseline_ranks(made, place).items():
                        figures = _faith(made).baselines[name]
                        found.setdefault(name, []).append((figures, rank))
                task.advance(note=planted.id)
    order = sorted(found, key=lambda name: name in costs)
    return [_mean(name, found[name], costs) for name in order]


def _explained(
    model: Any, planted: Planted, method: str, settings: Settings, cache: Path | None
) -> Attribution:
    asked = Asked(response=planted.response, texts=(planted.target,))
    probe = open_probe(model, planted.rendered(), asked, cache)
    return attribute(probe, cut(probe.view, "sentence"), method, settings)


def _faith(made: Attribution) -> Any:
    if made.faithfulness is None:
        raise InputError("faithfulness was not measured")
    return made.faithfulness


def _place(texts: Sequence[str], planted: Planted) -> int:
    return next(i for i, text in enumerate(texts) if planted.evidence in text)


def _baseline_ranks(made: Attribution, place: int) -> Mapping[str, int]:
    """Return the rank that each baseline gives the evidence; random's is the middle."""
    sizes = np.array([len(segment.tokens) for segment in made.segments])
    return {
        "length": int((sizes > sizes[place]).sum()),
        "recency": len(sizes) - 1 - place,
        "random": (len(sizes) - 1) // 2,
    }


def _mean(
    name: str, found: Sequence[tuple[Measured, int]], costs: Mapping[str, Sequence[Any]]
) -> Checked:
    cost = costs.get(name)
    lds = tuple(m.lds if m.lds is not None else 0.0 for m, _ in found)
    return Checked(
        method=name,
        prompts=len(found),
        lds=float(np.mean(lds)),
        drop_at_1=float(np.mean([m.drop_at_1 for m, _ in found])),
        drop_at_3=float(np.mean([m.drop_at_3 for m, _ in found])),
        hold=float(np.mean([m.hold for m, _ in found])),
        aopc=float(np.mean([m.aopc for m, _ in found])),
        hit_at_1=float(np.mean([rank < 1 for _, rank in found])),
        hit_at_3=float(np.mean([rank < 3 for _, rank in found])),
        forwards=median(f for f, _ in cost) if cost else None,
        seconds=median(s for _, s in cost) if cost else None,
        lds_each=lds,
    )
