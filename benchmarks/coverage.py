"""Do the intervals cover as often as they say?

    python benchmarks/coverage.py [--quick] [--json] [--out FILE]

Coverage of nominal 95 % intervals at n = 30, 100 and 300, for rates p in [.02, .98]: the mean over
p (aim: 93 to 97 %) and the least. Intervals of independent rows, and of clusters that repeat one
row, are enumerated exactly, over all outcomes; other clustered ones are simulated with the
library's own functions: clusters of 1 to 5 rows (mean 3), rows of a cluster alike by a beta-
binomial with intra-cluster correlation .1, .3 and .6. The paired ones simulate two Systems that
share the hard rows. "gate" lines are the bounds of launch criteria, whose least has to be 95 % or
more; the clusters there repeat one row (correlation 1), which is their worst case, or are alike by
.3, and one of them holds a fifth of the rows. PPI++ simulates labels on n random rows of 1,000 and
a judge of sensitivity .85, specificity .9.

Peers: statsmodels' Wilson and exact intervals are the same arithmetic (tests hold them equal), so
what is compared here is what people use instead: Wald, and Wilson on rows as if independent.
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from measure import arguments, finish, report, timed, versions
from numpy.typing import NDArray

from selaras.stats import (
    clopper_pearson,
    clustered_wilson,
    difference_bounds,
    mean_bounds,
    paired_difference,
    ppi_mean,
    rate_bounds,
    wilson,
)
from selaras.stats._newcombe import PairedTable, newcombe_bounds
from selaras.stats._repeated import distribution, repeated_bounds
from selaras.stats._tango import tango_bounds
from selaras.stats.bounds import CORRECTION

SIZES = (30, 100, 300)
ALIKE = (0.1, 0.3, 0.6)
Found = dict[str, Any]
Bits = NDArray[np.bool_]


def main() -> int:
    """Print the table; return the exit code."""
    options = arguments(__doc__, quick="fewer draws and rates, n to 100").parse_args()
    result = measured(
        SIZES[: 2 if options.quick else 3],
        draws=100 if options.quick else 400,
        rates=13 if options.quick else 17,
    )
    return finish(options, result, shown)


def measured(sizes: tuple[int, ...], draws: int, rates: int) -> Found:
    """Return machine, versions and a row for each interval and n."""
    grid = np.linspace(0.02, 0.98, rates)
    rows = []
    for n in sizes:
        for measure in (_single, _paired, _gates, _clustered, _clustered_paired, _ppi):
            cost, found = timed(lambda: list(measure(n, grid, draws)))  # noqa: B023
            for name, ours, covered in found:
                rows.append(
                    {"name": name, "ours": ours, "n": n, "mean": round(float(np.mean(covered)), 4),
                     "least": round(float(np.min(covered)), 4), **cost}
                )  # fmt: skip
    return report(rows, versions("numpy"), draws=draws)


def _single(n: int, grid: Any, _: int) -> Iterator[tuple[str, bool, list[float]]]:
    """Rates of independent rows, enumerated."""
    chances = _binomials(n, grid)
    for name, ours, make in (
        ("Wald (for comparison)", False, _wald),
        ("Wilson", True, lambda k, n: _limits(wilson(k, n))),
    ):
        made = np.array([make(k, n) for k in range(n + 1)])
        yield name, ours, [_held(made, chances[i], p) for i, p in enumerate(grid)]


def _paired(n: int, grid: Any, _: int) -> Iterator[tuple[str, bool, list[float]]]:
    """Paired differences of independent pairs, enumerated over all tables."""
    gained, lost = _tables(n)
    for name, make in (
        ("Newcombe, paired", newcombe_bounds),
        ("Tango, paired", tango_bounds),
    ):
        made = np.array([make(_table(b, c, n), 0.95) for b, c in zip(gained, lost, strict=True)])
        yield (
            name,
            True,
            [
                _held(made, _trinomial(gained, lost, n, up, down), up - down)
                for up, down in _shifts(grid)
            ],
        )


def _gates(n: int, grid: Any, draws: int) -> Iterator[tuple[str, bool, list[float]]]:
    """Bounds of gates: both limits at once; the least must not be under the level."""
    chances = _binomials(n, np.concatenate([[0.001, 0.005], grid, [0.995, 0.999]]))
    rates = [0.001, 0.005, *grid, 0.995, 0.999]
    made = np.array([_limits(clopper_pearson(k, n)) for k in range(n + 1)])
    yield "gate: Clopper-Pearson", True, [_held(made, chances[i], p) for i, p in enumerate(rates)]
    gained, lost = _tables(n)
    made = np.array(
        [tango_bounds(_table(b, c, n), 0.95, CORRECTION)
         for b, c in zip(gained, lost, strict=True)]
    )  # fmt: skip
    few = (0.0005, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
    held = [
        _held(made, _trinomial(gained, lost, n, up, down), up - down) for up in few for down in few
    ]
    yield "gate: Tango, corrected", True, held
    yield "gate: rates of repeated rows", True, _repeated(n, rates)
    rng = np.random.default_rng(n)
    difference, means, alike = [], [], []
    for p in grid:
        hits, sure = np.zeros(3), _mean_grade(p)
        for _ in range(draws):
            # Grades of 1 to 5 as shares of the way, most of them at two neighbours.
            grades = np.round(4 * np.clip(rng.beta(4 * p, 4 * (1 - p), n), 0, 1)) / 4
            bounds = mean_bounds(list(grades), range(n))
            hits[1] += bounds.low <= sure <= bounds.high
            clusters = _unequal(n, rng)
            size = clusters.max() + 1
            before, after = rng.random(size) < p, rng.random(size) < min(0.98, p + 0.05)
            bounds = difference_bounds(
                list(before[clusters]), list(after[clusters]), list(clusters)
            )
            hits[0] += bounds.low <= min(0.98, p + 0.05) - p <= bounds.high
            bounds = rate_bounds(list(_rows(clusters, p, ALIKE[1], rng)), list(clusters))
            hits[2] += bounds.low <= p <= bounds.high
        difference.append(hits[0] / draws)
        means.append(hits[1] / draws)
        alike.append(hits[2] / draws)
    yield f"gate: rates of rows alike, {ALIKE[1]}", True, alike
    yield "gate: differences of repeated rows", True, difference
    yield "gate: mean grades", True, means


def _repeated(n: int, rates: Any) -> list[float]:
    """Return the coverage at each rate for four sets of unequal clusters, enumerated."""
    found = []
    for seed in range(4):
        clusters = _unequal(n, np.random.default_rng([n, seed]))
        sizes = np.bincount(clusters).tolist()
        made = np.array([repeated_bounds(k, k, sizes, 0.95) for k in range(n + 1)])
        chances = distribution(sizes)
        found += [_held(made, chances(p), p) for p in rates]
    return found


def _clustered(n: int, grid: Any, draws: int) -> Iterator[tuple[str, bool, list[float]]]:
    """Rates of clustered rows, simulated."""
    for alike in ALIKE:
        rng = np.random.default_rng([n, round(alike * 10)])
        ours, naive = [], []
        for p in grid:
            held = np.zeros(2)
            for _ in range(draws):
                clusters = _sizes(n, rng)
                bits = _rows(clusters, p, alike, rng)
                own, plain = clustered_wilson(list(bits), list(clusters)), wilson(bits.sum(), n)
                held += [own.low <= p <= own.high, plain.low <= p <= plain.high]
            ours.append(held[0] / draws)
            naive.append(held[1] / draws)
        yield f"Wilson on clustered rows as if independent, {alike}", False, naive
        yield f"clustered Wilson, {alike}", True, ours


def _clustered_paired(n: int, grid: Any, draws: int) -> Iterator[tuple[str, bool, list[float]]]:
    """Paired differences of clustered rows, simulated: both Systems share the hard clusters."""
    for alike in ALIKE:
        rng = np.random.default_rng([n, round(alike * 10), 1])
        found = []
        for p in grid:
            after_rate = min(0.98, p + 0.08)
            held = 0
            for _ in range(draws):
                clusters = _sizes(n, rng)
                before = _rows(clusters, p, alike, rng)
                # Half of the rows are answered as before, the rest anew.
                anew = _rows(clusters, min(1.0, max(0.0, 2 * after_rate - p)), alike, rng)
                after = np.where(rng.random(n) < 0.5, before, anew)
                own = paired_difference(list(before), list(after), list(clusters), seed=0)
                held += own.low <= (min(1.0, max(0.0, 2 * after_rate - p)) - p) / 2 <= own.high
            found.append(held / draws)
        yield f"clustered paired difference, {alike}", True, found


def _ppi(n: int, grid: Any, draws: int) -> Iterator[tuple[str, bool, list[float]]]:
    """PPI++ rates: n labels, a judge on 1,000 rows."""
    rng = np.random.default_rng([n, 7])
    found = []
    for p in grid:
        held = 0
        for _ in range(draws):
            truth = rng.random(1000) < p
            judge = np.where(truth, rng.random(1000) < 0.85, rng.random(1000) < 0.1)
            own = ppi_mean(
                truth[:n].astype(float), judge[:n].astype(float), judge[n:].astype(float)
            )
            held += own.low <= p <= own.high
        found.append(held / draws)
    yield "PPI++, n labels of 1,000", True, found


def _limits(interval: Any) -> tuple[float, float]:
    return interval.low, interval.high


def _wald(k: int, n: int) -> tuple[float, float]:
    half = 1.959964 * (k / n * (1 - k / n) / n) ** 0.5
    return k / n - half, k / n + half


def _held(limits: Any, chances: Any, truth: float) -> float:
    inside = (limits[:, 0] <= truth + 1e-9) & (truth <= limits[:, 1] + 1e-9)
    return float(chances[inside].sum())


def _binomials(n: int, grid: Any) -> Any:
    k = np.arange(n + 1)
    return np.exp(
        _log_choose(n, k)[None, :]
        + k[None, :] * np.log(np.asarray(grid))[:, None]
        + (n - k)[None, :] * np.log1p(-np.asarray(grid))[:, None]
    )


def _tables(n: int) -> tuple[Any, Any]:
    gained, lost = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    kept = gained + lost <= n
    return gained[kept], lost[kept]


def _table(gained: int, lost: int, n: int) -> PairedTable:
    # The limits of Newcombe depend on how the rows that stay are divided; halves here.
    rest = n - gained - lost
    return PairedTable(rest // 2, int(gained), int(lost), rest - rest // 2)


def _trinomial(gained: Any, lost: Any, n: int, up: float, down: float) -> Any:
    log = _log_factorials(n)
    stay = n - gained - lost
    return np.exp(
        log[n] - log[gained] - log[lost] - log[stay]
        + gained * np.log(up) + lost * np.log(down) + stay * np.log(max(1e-300, 1 - up - down))
    )  # fmt: skip


def _shifts(grid: Any) -> Iterator[tuple[float, float]]:
    """Yield shares of pairs gained and lost: differences of 0, 5 and 15 points."""
    for share in grid[grid <= 0.4]:
        for shift in (0.0, 0.05, 0.15):
            if share + shift + share <= 1:
                yield share + shift, share


def _log_factorials(n: int) -> Any:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])


def _log_choose(n: int, k: Any) -> Any:
    log = _log_factorials(n)
    return log[n] - log[k] - log[n - k]


def _sizes(n: int, rng: Any) -> Any:
    """Return a cluster number a row: clusters of 1 to 5 rows, 3 on average."""
    sizes: list[int] = []
    while sum(sizes) < n:
        sizes.append(min(int(rng.integers(1, 6)), n - sum(sizes)))
    return np.repeat(np.arange(len(sizes)), sizes)


def _mean_grade(p: float) -> float:
    """Return the mean of rounded beta draws, by a million of them."""
    drawn = np.random.default_rng(0).beta(4 * p, 4 * (1 - p), 1_000_000)
    return float(np.mean(np.round(4 * drawn) / 4))


def _unequal(n: int, rng: Any) -> Any:
    """Return clusters of very unequal size: one holds a fifth of the rows."""
    large = n // 5
    rest = _sizes(n - large, rng)
    return np.concatenate([np.zeros(large, dtype=int), rest + 1])


def _rows(clusters: Any, p: float, alike: float, rng: Any) -> Bits:
    """Return outcomes of rate p whose intra-cluster correlation is `alike`."""
    if p in (0.0, 1.0):
        return np.full(len(clusters), p == 1.0)
    scale = 1 / alike - 1
    own = rng.beta(p * scale, (1 - p) * scale, clusters.max() + 1)
    return np.asarray(rng.random(len(clusters)) < own[clusters])


def shown(result: Found) -> str:
    """Return the figures as a table."""
    sizes = sorted({row["n"] for row in result["rows"]})
    lines = [f"{'interval':<52}" + "".join(f"  n = {n:<4} mean  least" for n in sizes)]
    for name in dict.fromkeys(row["name"] for row in result["rows"]):
        own = {row["n"]: row for row in result["rows"] if row["name"] == name}
        cells = "".join(f"{own[n]['mean']:>15.1%}{own[n]['least']:>7.1%}" for n in sizes)
        lines.append(f"{name:<52}{cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
