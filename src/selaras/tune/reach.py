"""Whether the points of a frontier reach the launch criteria, as far as development rows tell.

Development figures never meet a criterion; what they can show is that none would be met. A point
reaches them where every criterion that can be judged here holds for what was observed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from selaras.core.manifest import new_manifest
from selaras.core.project import Project
from selaras.core.system import Sampling, System
from selaras.data import DEVELOPMENT_FIGURES
from selaras.evaluate import Evaluation, GateState, gate_states
from selaras.evaluate.gate_state import meets
from selaras.tune.choose_point import SELECTION_TOKENS
from selaras.tune.frontier import Spot

NEXT = "selaras guard fit"


@dataclass(frozen=True, slots=True)
class Reach:
    """The points that keep the criteria that can be judged here, and how many of all those are."""

    spots: tuple[Spot, ...]
    judged: int
    criteria: int


def reached(project: Project, spots: Sequence[Spot]) -> Reach:
    """Return which points keep all criteria that can be judged at any of them, as observed."""
    base = next(spot for spot in spots if spot.run is None)
    reference = _evaluation(base, _untuned(project))
    states = [
        gate_states(project, _evaluation(spot, spot.label), [reference], held_out=False)
        for spot in spots
    ]
    count = len(project.file.gates)
    judged = [i for i in range(count) if any(own[i].value is not None for own in states)]
    kept = [
        spot
        for spot, own in zip(spots, states, strict=True)
        if judged and all(_holds(own[i]) for i in judged)
    ]
    return Reach(tuple(kept), len(judged), count)


def reach_words(project: Project, spots: Sequence[Spot]) -> str:
    """Return what to say of the launch criteria, and what to try next."""
    found = reached(project, spots)
    if not found.judged:
        return "no launch criterion of the project can be judged on these rows"
    tuned = [spot for spot in found.spots if spot.run is not None]
    if not tuned:
        return f"tuning does not reach the launch criteria at any point; next: {NEXT}"
    more = f" and {len(tuned) - 6} more" if len(tuned) > 6 else ""
    names = ", ".join(spot.label for spot in tuned[:6]) + more
    which = "the launch criteria hold"
    if found.judged < found.criteria:
        which = (
            f"{found.judged} of {found.criteria} launch criteria can be judged on these rows, and "
            "hold"
        )
    return f"{which}, as observed, at {names}; sealed rows decide (--seal)"


def _holds(state: GateState) -> bool:
    return state.value is not None and meets(state.gate, state.value, state.value)


def _untuned(project: Project) -> str:
    """Return what the project calls the base alone, as criteria with `versus` name it."""
    model = project.file.tune.model
    alone = [
        name
        for name, spec in project.file.systems.items()
        if spec.model == model and not (spec.prompt or spec.guard)
    ]
    return alone[0] if alone else "base"


def _evaluation(spot: Spot, name: str) -> Evaluation:
    """Return a point as an evaluation on development rows, to be judged by criteria."""
    safe = "".join(c if c.isalnum() else "-" for c in name).strip("-")
    system = System(name=safe, model={"name": spot.model or "base"},
                    sampling=Sampling(max_tokens=SELECTION_TOKENS))  # fmt: skip
    manifest = new_manifest(
        "eval", safe, system=system, config={"suite": "aside", "judge": "refusal-rules"},
        figures=dict(spot.figures), stamp=DEVELOPMENT_FIGURES,
    )  # fmt: skip
    return Evaluation(manifest, spot.judged, spot.checks, ())
