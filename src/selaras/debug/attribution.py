"""A finished map: which segments made the model say the target, and how far to believe it."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import InputError
from selaras.core.late import resolve
from selaras.debug.faithfulness import Faithfulness, faithfulness
from selaras.debug.probe import Probe
from selaras.debug.segments import Segment, ablatable
from selaras.debug.settings import Settings
from selaras.debug.target import Array

METHODS = {
    "gradient": "selaras.debug.gradient:gradient_l2",
    "gradient-input": "selaras.debug.gradient:gradient_input",
    "integrated": "selaras.debug.integrated:integrated_gradients",
    "leave-one-out": "selaras.debug.leave_one_out:leave_one_out",
    "surrogate": "selaras.debug.surrogate:surrogate",
    "hierarchy": "selaras.debug.hierarchy:hierarchical",
}
SIGNED = frozenset({"leave-one-out", "surrogate", "hierarchy"})


@dataclass(frozen=True, slots=True)
class Attribution:
    """The scores of one method for one target, `scores[i]` of `segments[i]`, in prompt order.

    Scores are nats of f for ablations; for gradients they are a norm, or a first-order estimate
    whose sign means little. `forwards` and `backwards` are the method's own; faithfulness has its
    own count. What the store already held is not counted.
    """

    model: str
    method: str
    target_text: str
    target_spans: tuple[tuple[int, int], ...]
    against: tuple[str, ...]
    segments: tuple[Segment, ...]
    texts: tuple[str, ...]
    scores: tuple[float, ...]
    value: float
    template_tokens: int
    prompt_tokens: int
    faithfulness: Faithfulness | None
    seconds: float
    forwards: int
    backwards: int

    def ranked(self) -> list[int]:
        """Return segment numbers, the highest score first."""
        return sorted(range(len(self.scores)), key=lambda i: -self.scores[i])

    def shares(self) -> dict[str, float]:
        """Return each role's and origin's share of the scores' sum of absolutes."""
        total = sum(map(abs, self.scores)) or 1.0
        shares: dict[str, float] = {}
        for segment, score in zip(self.segments, self.scores, strict=True):
            shares[segment.origin] = shares.get(segment.origin, 0.0) + abs(score) / total
        return shares

    def to_dict(self) -> dict[str, Any]:
        """Return the issue's JSON form, with what else is known under names of its own."""
        spans = self.target_spans
        target = {"text": self.target_text, "start": spans[0][0], "end": spans[-1][1]}
        if len(spans) > 1:
            target["spans"] = [list(span) for span in spans]
        if self.against:
            target["against"] = list(self.against)
        return {
            "model": self.model,
            "method": self.method,
            "target": target,
            "value": self.value,
            "segments": [
                {"role": s.role, "origin": s.origin, "text": text, "start": s.start, "end": s.end,
                 "score": score}
                for s, text, score in zip(self.segments, self.texts, self.scores, strict=True)
            ],
            "faithfulness": self.faithfulness.to_dict() if self.faithfulness else None,
            "role_share": self.shares(),
            "template_tokens": self.template_tokens,
            "prompt_tokens": self.prompt_tokens,
            "seconds": round(self.seconds, 4),
            "forwards": self.forwards,
            "backwards": self.backwards,
        }  # fmt: skip


def attribute(
    probe: Probe, segments: Sequence[Segment], method: str = "surrogate",
    settings: Settings | None = None, *, model: str = "", check: bool = True,
) -> Attribution:  # fmt: skip
    """Return the map of a method over the segments that may be deleted.

    With `check` its faithfulness is measured. Raises InputError for an unknown method, and where
    nothing can be deleted.
    """
    settings = settings or Settings()
    if method not in METHODS:
        raise InputError(
            f"no method {method!r}", field="method", fix=f"use one of: {', '.join(METHODS)}"
        )
    segments = ablatable(segments)
    if not segments:
        raise InputError("the prompt has no segment that could be deleted")
    from selaras.debug.probe import full_value

    cost = (probe.cost.forwards, probe.cost.backwards)
    begun = time.perf_counter()
    scores: Array = resolve(METHODS[method])(probe, segments, settings)
    seconds = time.perf_counter() - begun
    forwards, backwards = probe.cost.forwards - cost[0], probe.cost.backwards - cost[1]
    if not all(map(math.isfinite, scores)):
        raise InputError("the scores are not numbers: the model overflows on this prompt")
    deletable = sum(len(segment.tokens) for segment in segments)
    many = len(probe.view.tokens.ids)
    return Attribution(
        model=model,
        method=method,
        target_text=probe.target.text,
        target_spans=probe.target.spans,
        against=tuple(response.text for response in probe.target.responses[1:]),
        segments=tuple(segments),
        texts=tuple(probe.view.text_of(segment) for segment in segments),
        scores=tuple(float(score) for score in scores),
        value=full_value(probe, segments),
        template_tokens=many - deletable,
        prompt_tokens=many,
        faithfulness=faithfulness(probe, segments, scores, settings) if check else None,
        seconds=seconds,
        forwards=forwards,
        backwards=backwards,
    )
