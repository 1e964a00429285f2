"""How far another training seed moves a point: the same checkpoint and scale over the seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from selaras.core.fingerprint import fingerprint
from selaras.core.manifest import Manifest
from selaras.tune.frontier import OBJECTIVES, Spot

Spread = tuple[float, float, float]
# What runs have in common that differ in their seed alone.
SAME = ("method", "recipe", "settings", "weights", "chat_template")


@dataclass(frozen=True, slots=True)
class Cloud:
    """A point over the seeds of runs that differ in nothing else: (mean, least, most) a figure.

    A figure that was not measured is None.
    """

    label: str
    seeds: tuple[int, ...]
    figures: dict[str, Spread | None]
    spots: tuple[Spot, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the cloud as JSON values."""
        figures = {name: own and list(own) for name, own in self.figures.items()}
        return {"label": self.label, "seeds": list(self.seeds), **figures}


def clouds(manifests: Sequence[Manifest], spots: Sequence[Spot]) -> list[Cloud]:
    """Return a cloud for every epoch and scale of several seeds of one recipe on one data."""
    asked = {
        manifest.id: fingerprint(
            [
                *(manifest.config.get(key) for key in SAME),
                sorted(manifest.config.get("trained", ())),
            ]
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


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return (fmean(known), min(known), max(known)) if known else None
