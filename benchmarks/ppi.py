"""Does PPI++ here give what its authors' package gives, and do both intervals cover?

    python benchmarks/ppi.py [--quick] [--json] [--out FILE] [--peers FOLDER]

Draws of n labels among 1,000 answers with a judge of sensitivity .85 and specificity .9, at rates
of .05, .3 and .7, read by `selaras.stats.ppi_mean` and by ppi-python (Angelopoulos et al.). With
the same weight of the judge the estimates have to be equal: the largest difference is shown. The
tuned weights differ a little (the authors pool the judge's variance over both sets, ours adds the
two), so the tuned estimates do: shown in standard errors. The authors' interval is the normal one;
ours has Wilson's form and a t quantile, which is what covers with few labels and at rates near 0.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import (
    HERE,
    arguments,
    finish,
    peer,
    peers_option,
    pin,
    report,
    run_apart,
    timed,
    versions,
)

from selaras.stats import ppi_mean

ANSWERS, RATES, SIZES = 1000, (0.05, 0.3, 0.7), (30, 100, 300)


def main() -> int:
    """Print the table; return the exit code."""
    parser = arguments(__doc__, quick="50 draws, n = 100")
    peers_option(parser)
    options = parser.parse_args()
    sizes, draws = ((100,), 50) if options.quick else (SIZES, 1000)
    python, left_out = None, {}
    try:
        python = peer("ppi", options.peers)
    except RuntimeError as error:
        left_out["ppi-python"] = str(error)
    rows = [row for n in sizes for p in RATES for row in measured(python, n, p, draws)]
    used = versions("numpy") | {"ppi-python": pin("ppi")}
    return finish(options, report(rows, used, draws=draws, left_out=left_out), shown)


def measured(python: Path | None, n: int, p: float, draws: int) -> list[dict[str, Any]]:
    """Return our row for one setting, and the authors' where they are installed."""
    rng = np.random.default_rng([n, round(100 * p)])
    truth = rng.random((draws, ANSWERS)) < p
    right = rng.random((draws, ANSWERS))
    judge = np.where(truth, right < 0.85, right < 0.1).astype(float)
    labels, judged, others = truth[:, :n].astype(float), judge[:, :n], judge[:, n:]
    cost, found = timed(
        lambda: [ppi_mean(*one) for one in zip(labels, judged, others, strict=True)]
    )
    own = np.array([[one.value, one.low, one.high] for one in found])
    rows = [{"name": "selaras", "ours": True, "n": n, "rate": p, **_figures(own, p), **cost}]
    if python is None:
        return rows
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "draws.npz", Path(folder) / "out.json"
        np.savez(given, labels=labels, judged=judged, others=others,
                 weights=np.array([one.weight for one in found]))  # fmt: skip
        # -P: a script beside it is called `coverage`, which numba takes for the package.
        spent, _ = run_apart([python, "-P", HERE / "ppi_authors.py", given, out])
        told = json.loads(out.read_text())
    theirs, same = np.array(told["tuned"]), np.array(told["given"])
    error = (theirs[:, 2] - theirs[:, 1]) / (2 * 1.959964)
    # Ours is cut to [0, 1], where no rate lies beyond.
    apart = np.abs(np.clip(same[:, 0], 0, 1) - own[:, 0]).max()
    tuned = np.abs(theirs[:, 0] - own[:, 0]) / np.maximum(error, 1e-9)
    rows.append(
        {"name": "ppi-python", "ours": False, "n": n, "rate": p, **_figures(theirs, p),
         "same_weight_apart": float(apart), "tuned_apart_errors": round(float(np.median(tuned)), 4),
         "cpu_seconds": told["cpu_seconds"], "wall_seconds": told["wall_seconds"],
         "peak_mb": spent["peak_mb"]}
    )  # fmt: skip
    return rows


def _figures(found: Any, p: float) -> dict[str, float]:
    held = (found[:, 1] <= p) & (p <= found[:, 2])
    bias, width = found[:, 0].mean() - p, (found[:, 2] - found[:, 1]).mean()
    return {"coverage": round(float(held.mean()), 4), "bias": round(float(bias), 5),
            "width": round(float(width), 4)}  # fmt: skip


def shown(result: dict[str, Any]) -> str:
    """Return the figures as a table."""
    head = f"{'PPI++ by':<12}{'labels':>7}{'rate':>6}{'coverage':>10}{'width':>7}{'bias':>9}"
    lines = [head + f"{'CPU s':>7}   same weight, largest gap; tuned, median in standard errors"]
    for row in result["rows"]:
        more = ""
        if "same_weight_apart" in row:
            more = f"   {row['same_weight_apart']:.1e}; {row['tuned_apart_errors']:.3f}"
        lines.append(
            f"{row['name']:<12}{row['n']:>7}{row['rate']:>6}{row['coverage']:>10.1%}"
            f"{row['width']:>7.3f}{row['bias']:>9.4f}{row['cpu_seconds']:>7.1f}{more}"
        )
    return "\n".join([*lines, *(f"left out: {k}: {v}" for k, v in result["left_out"].items())])


if __name__ == "__main__":
    sys.exit(main())
