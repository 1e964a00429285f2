"""Rows drawn to a mix: weights, a cap a cell, the same rows for the same seed.

A few hundred safety rows among ordinary ones (3 to 10 % of a general tuning set) make a model much
safer; many more bring over-refusal (arXiv:2309.07875). So the share of safety rows is a figure of
every mix, and one outside that band is said.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from selaras.core.errors import InputError
from selaras.core.fingerprint import seed_from
from selaras.core.mixing import Mix, MixPart
from selaras.core.records import Kind, Query
from selaras.data.coverage import cells_of

Row = TypeVar("Row", bound=Query)
BAND = (0.03, 0.10)


@dataclass(frozen=True, slots=True)
class Mixed(Generic[Row]):
    """The rows of a mix in their order, how many each part gave and could have given."""

    rows: tuple[Row, ...]
    given: Mapping[str, int]
    available: Mapping[str, int]

    @property
    def safety_share(self) -> float:
        """The share of rows that are not ordinary."""
        return sum(row.kind != Kind.ORDINARY for row in self.rows) / max(1, len(self.rows))

    def to_dict(self) -> dict[str, Any]:
        """Return the mix's figures as JSON values."""
        return {
            "rows": len(self.rows), "safety_share": round(self.safety_share, 4),
            "parts": [{"name": name, "rows": n, "available": self.available[name]}
                      for name, n in self.given.items()],
        }  # fmt: skip


def draw_mix(rows: Sequence[Row], mix: Mix, seed: int = 0) -> Mixed[Row]:
    """Return the rows of a mix; the order in which rows come does not matter.

    Raises InputError where a part has too few rows for its weight in a mix of that `size`.

    >>> from selaras.core.mixing import MixPart
    >>> rows = [Query(id=f"r{i}", query="q", kind="malicious" if i < 5 else "ordinary")
    ...         for i in range(50)]
    >>> parts = (MixPart(name="safety", weight=0.1, kinds=("malicious",)),
    ...          MixPart(name="rest", weight=0.9))
    >>> draw_mix(rows, Mix(parts=parts, size=20)).given
    {'safety': 2, 'rest': 18}
    """
    pools = _pools(rows, mix, seed)
    total = sum(part.weight for part in mix.parts)
    shares = {part.name: part.weight / total for part in mix.parts}
    size = mix.size or int(min(len(pools[name]) / share for name, share in shares.items()))
    wanted = _whole_numbers(shares, size)
    for name, n in wanted.items():
        if n > len(pools[name]):
            most = int(len(pools[name]) / shares[name])
            raise InputError(f"the part {name!r} has {len(pools[name])} rows, {n} are needed",
                             field="mixes", fix=f"a size of {most} would do")  # fmt: skip
    drawn = [row for name, n in wanted.items() for row in pools[name][:n]]
    drawn.sort(key=lambda row: row.id)
    available = {name: len(pool) for name, pool in pools.items()}
    return Mixed(tuple(drawn), wanted, available)


def outside_band(share: float) -> str | None:
    """Return what to say of a safety share that is unusual for tuning a general model, or None."""
    low, high = BAND
    if low <= share <= high:
        return None
    return (
        f"{share:.0%} of the rows are safety rows; {low:.0%} to {high:.0%} is usual "
        "for a general model, more of them brings over-refusal"
    )


def _pools(rows: Sequence[Row], mix: Mix, seed: int) -> dict[str, list[Row]]:
    """Return the rows that each part may draw from, shuffled, with its cap applied."""
    ordered = sorted(rows, key=lambda row: row.id)
    generator = np.random.default_rng(seed_from("mix", seed))
    shuffled = [ordered[int(i)] for i in generator.permutation(len(ordered))]
    pools: dict[str, list[Row]] = {part.name: [] for part in mix.parts}
    if len(pools) < len(mix.parts):
        raise InputError("two parts of a mix have one name", field="mixes")
    filled: dict[str, Counter[Any]] = {part.name: Counter() for part in mix.parts}
    for row in shuffled:
        part = next((part for part in mix.parts if _takes(part, row)), None)
        if part is None:
            continue
        cells = cells_of(row)
        if part.cap is not None and any(filled[part.name][c] >= part.cap for c in cells):
            continue
        filled[part.name].update(cells)
        pools[part.name].append(row)
    return pools


def _takes(part: MixPart, row: Query) -> bool:
    return (
        (not part.kinds or row.kind in part.kinds)
        and (not part.policies or bool(set(part.policies) & set(row.policies)))
        and (not part.use_cases or row.use_case in part.use_cases)
        and (not part.origins or row.origin in part.origins)
        and (not part.sources or row.source in part.sources)
    )


def _whole_numbers(shares: Mapping[str, float], size: int) -> dict[str, int]:
    """Return whole numbers in these shares that add up to `size` (largest remainders)."""
    exact = {name: share * size for name, share in shares.items()}
    whole = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in rest[: size - sum(whole.values())]:
        whole[name] += 1
    return whole
