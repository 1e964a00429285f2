"""The tuning runs behind Systems: recipe, rows, the points tried, and how many seeds were trained.

A tuned figure rests on the training run it was measured on. How far another seed would move it is
known only where other seeds were trained too, so their number stands beside every tuned figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.manifest import Manifest, ledger
from selaras.core.project import FILE, Project
from selaras.report.model import Line, Rate, rate_of
from selaras.report.naming import listed, names_of

# What a tuning run finds out or is called; the rest of its config is what it was asked to do.
_FOUND = frozenset({"key", "chosen", "points", "steps_done", "stopped", "replaced_by_own_words"})


@dataclass(frozen=True, slots=True)
class Tried:
    """A checkpoint at an adapter scale, with its figures on the selection rows."""

    checkpoint: str
    scale: float
    rates: Mapping[str, Rate]
    chosen: bool


@dataclass(frozen=True, slots=True)
class TuningRun:
    """A finished tuning. `seeds` are those of all finished runs that differ in the seed alone."""

    manifest: Manifest
    systems: tuple[str, ...]
    seeds: tuple[int, ...]
    points: tuple[Tried, ...]

    @property
    def config(self) -> Mapping[str, Any]:
        """What the run was asked to do, and what it chose."""
        return self.manifest.config

    @property
    def seeds_words(self) -> str:
        """Return on how many seeds a figure of this run rests, in words."""
        if len(self.seeds) == 1:
            return "1 training seed"
        return f"seed {self.manifest.seed} of {len(self.seeds)} training seeds"


def tuning_runs(project: Project, lines: Sequence[Line]) -> list[TuningRun]:
    """Return the finished tuning runs that the Systems came from, in the Systems' order."""
    tunes = [m for m in ledger(project.runs) if m.kind == "tune" and m.status == "finished"]
    known = {manifest.id: manifest for manifest in tunes}
    systems: dict[str, list[str]] = {}
    for line in lines:
        for parent in line.evaluation.manifest.parents:
            if parent in known:
                systems.setdefault(parent, []).append(line.label)
    return [
        TuningRun(
            known[run],
            tuple(labels),
            tuple(sorted({m.seed for m in tunes if _asked(m) == _asked(known[run])})),
            _points(known[run]),
        )
        for run, labels in systems.items()
    ]


def seeds_told(project: Project, lines: Sequence[Line]) -> str:
    """Return on how many training seeds the tuned Systems rest, as part of a sentence."""
    behind: dict[int, list[str]] = {}
    for run in tuning_runs(project, lines):
        behind.setdefault(len(run.seeds), []).extend(run.systems)
    if set(behind) <= {1}:
        return "each tuned figure rests on 1 training seed" if behind else ""
    told = [
        f"{n} training seed{'s' * (n > 1)} for {names_of(labels)}"
        for n, labels in sorted(behind.items())
    ]
    return f"the figures rest on {listed(told)}"


def _asked(manifest: Manifest) -> tuple[Any, ...]:
    """Return all that decides a tuning but its seed: config, hold-out and data files."""
    config = {key: value for key, value in manifest.config.items() if key not in _FOUND}
    inputs = {path: sha for path, sha in manifest.inputs.items() if path != FILE}
    return config, manifest.seal, inputs


def _points(manifest: Manifest) -> tuple[Tried, ...]:
    chosen = manifest.config.get("chosen", {})
    return tuple(
        Tried(
            str(point["adapter"]),
            float(point["scale"]),
            _rates(point["figures"]),
            (point["adapter"], point["scale"]) == (chosen.get("adapter"), chosen.get("scale")),
        )
        for point in manifest.config.get("points", ())
    )


def _rates(figures: Mapping[str, Any]) -> dict[str, Rate]:
    over = figures.get("over_refusal_rate", {})
    rates = {
        "compliance_rate": rate_of(figures.get("compliance_rate")),
        "over_refusal_rate": rate_of(over),
    }
    for kind, value in over.get("by_kind", {}).items():
        rates[f"over_refusal_rate.{kind}"] = rate_of(value)
    return rates
