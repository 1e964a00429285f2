"""What the page needs of a prompt: its text and tokens, and for each unit the rows that were run.

The page refits in the browser: per-token log-probabilities of every ablation are in it, with the
surrogate's least-squares matrix, so that a new target costs no model. The same figures as the
library's: a test compares them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from selaras.debug.attribution import METHODS, Attribution, attribute
from selaras.debug.design import unseen
from selaras.debug.faithfulness import HELD_OUT
from selaras.debug.leave_one_out import one_out
from selaras.debug.probe import LocalProbe, Probe
from selaras.debug.segments import Segment, ablatable, cut
from selaras.debug.settings import Settings
from selaras.debug.surrogate import ALPHA, design_of
from selaras.debug.target import Array

DIGITS = 5
UNITS_SHOWN = ("message", "section", "paragraph", "line", "sentence", "word", "token")


def panel(
    probe: Probe, title: str, model: str, note: str | None = None, regex: str | None = None
) -> dict[str, Any]:
    """Return the prompt as the page draws it; nothing is run but the whole prompt.

    `note` says what stands between the model and the one that was asked for; with a `regex` there
    is a unit of that name.
    """
    tokens = probe.view.tokens
    full = probe.ask((), np.ones((1, 0), bool))
    return {
        "title": title,
        "model": model,
        "note": note,
        "text": tokens.text,
        "tokens": [list(span) for span in tokens.offsets],
        "stretches": [_segment(s) for s in probe.view.stretches],
        "response": {
            "text": probe.target.responses[0].text,
            "tokens": [list(span) for span in probe.target.responses[0].offsets],
            "logp": _numbers(full[0][0]),
        },
        "chosen": list(probe.target.chosen),
        "against": [response.text for response in probe.target.responses[1:]],
        "units": {unit: unit_of(probe, unit) for unit in UNITS_SHOWN}
                 | ({} if regex is None else {"regex": unit_of(probe, "regex", regex)}),
        "maps": [],
        "gradient": None,
    }  # fmt: skip


def unit_of(probe: Probe, unit: str, regex: str | None = None) -> dict[str, Any]:
    """Return a unit's segments; raises InputError for a broken regex."""
    return {"segments": [_segment(s) for s in cut(probe.view, unit, regex)]}


def gradient_of(probe: LocalProbe) -> dict[str, Any]:
    """Return the gradient's norm of every token for the present target: the instant map."""
    from selaras.debug.gradient import gradient_tokens

    return {"chosen": list(probe.target.chosen), "l2": _numbers(gradient_tokens(probe)[0])}


def verified(probe: Probe, segments: Sequence[Segment], settings: Settings) -> dict[str, Any]:
    """Return a unit with its ablations: leave-one-out, the surrogate's design, held-out masks."""
    deletable = ablatable(segments)
    count = len(deletable)
    design = design_of(count, settings)
    held = unseen(count, HELD_OUT, design, np.random.default_rng([settings.seed, count, 2]))
    rows = np.vstack([one_out(count), design, held])
    found = probe.ask(deletable, rows)
    shown = design.astype(float)
    linear = 2 * count <= len(design)
    solve = np.linalg.pinv(shown - shown.mean(axis=0)) if linear else None
    return {
        "segments": [_segment(s) for s in segments],
        "deletable": [i for i, s in enumerate(segments) if s.ablatable and s.tokens],
        "design": len(design),
        "held": ["".join("1" if kept else "0" for kept in row) for row in held],
        "logp": [_numbers(row) for row in found[0]],
        "others": [_numbers(each.sum(axis=1)) for each in found[1:]],
        "solve": None if solve is None else [_numbers(row) for row in solve],
        "spread": _numbers(shown.std(axis=0)),
        "alpha": ALPHA,
    }


def add_maps(
    shown: dict[str, Any], probe: Probe, methods: Sequence[str], unit: str,
    settings: Settings, regex: str | None = None,
) -> list[Attribution]:  # fmt: skip
    """Add a unit's ablations, the gradient and the maps of methods to a panel; return the maps.

    An endpoint has no gradient: its panel goes without.
    """
    segments = cut(probe.view, unit, regex)
    shown["units"][unit] = verified(probe, segments, settings)
    if isinstance(probe, LocalProbe):
        shown["gradient"] = gradient_of(probe)
    found = [
        attribute(probe, segments, method, settings, model=shown["model"])
        for method in methods if method in METHODS
    ]  # fmt: skip
    shown["maps"] = [{"unit": unit, **each.to_dict()} for each in found]
    return found


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "role": segment.role, "origin": segment.origin, "name": segment.name,
        "start": segment.start, "end": segment.end, "message": segment.message,
        "tokens": list(segment.tokens), "ablatable": segment.ablatable and bool(segment.tokens),
    }  # fmt: skip


def _numbers(values: Array) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
