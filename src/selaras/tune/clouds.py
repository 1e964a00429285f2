"""How far another training seed moves a point: the same checkpoint and scale over the seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from selaras.core.fingerprint import fingerprint
from selaras.core.manifest import Manifest
from selaras.tune.frontier import OBJECTIVES, Spot


@dataclass(frozen=True, slots=True)
class Cloud:
    """A point over the seeds of runs that differ in nothing else: (mean, least, most) a figure."""

    label: str
    seeds: tuple[int, ...]
    figures: dict[str, tuple[float, float, float]]
    spots: tuple[Spot, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the cloud as JSON values."""
        return {"label": self.label, "seeds": list(self.seeds),
                **{name: list(values) for name, values in self.figures.items()}}  # fmt: skip


def clouds(manifests: Sequence[Manifest], spots: Sequence[Spot]) -> list[Cloud]:
    """Return a cloud for every epoch and scale that several seeds of one recipe have."""
    asked = {
        manifest.id: fingerprint(
            [manifest.config.get(key) for key in ("method", "recipe", "settings", "weights")]
        )
        for manifest in manifests
    }
    seeds = {manifest.id: manifest.seed for manifest in manifests}
    families = list(dict.fromkeys(asked.values()))
    groups: dict[tuple[str, int, float], list[Spot]] = {}
    for spot in spots:
        if spot.run is not None:
            groups.setdefault((asked[spot.run], spot.epoch, spot.scale), []).append(spot)
    found = []
    for (family, epoch, scale), own in groups.items():
        if len({seeds[str(spot.run)] for spot in own}) < 2:
            continue
        recipe = f"recipe {families.index(family) + 1}, " if len(families) > 1 else ""
        found.append(
            Cloud(
                f"{recipe}e{epoch} x {scale:g}",
                tuple(sorted(seeds[str(spot.run)] for spot in own)),
                {name: _spread([spot.rate(name)["value"] for spot in own]) for name in OBJECTIVES},
                tuple(own),
            )
        )
    return found


def _spread(values: Sequence[float | None]) -> tuple[float, float, float]:
    known = [value for value in values if value is not None] or [0.0]
    return fmean(known), min(known), max(known)
