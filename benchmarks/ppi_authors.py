"""The authors' PPI++ on draws from a file, in an environment of its own (see `ppi.py`).

    python benchmarks/ppi_authors.py DRAWS.npz OUT.json

For each draw: the estimate and the 95 % interval with their own power tuning, and both again with
the weight that is given.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate


def main() -> int:
    """Read the draws, estimate, write what was found and what it cost."""
    draws = np.load(sys.argv[1])
    labels, judged, others, weights = (draws[n] for n in ("labels", "judged", "others", "weights"))
    ppi_mean_ci(labels[0], judged[0], others[0], alpha=0.05)  # compiles on first use
    wall, cpu = time.perf_counter(), time.process_time()
    tuned = [
        [np.asarray(ppi_mean_pointestimate(*one)).item(),
         *(np.asarray(limit).item() for limit in ppi_mean_ci(*one, alpha=0.05))]
        for one in zip(labels, judged, others, strict=True)
    ]  # fmt: skip
    cost = {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    given = [
        [np.asarray(ppi_mean_pointestimate(y, f, g, lam=w)).item(),
         *(np.asarray(limit).item() for limit in ppi_mean_ci(y, f, g, alpha=0.05, lam=w))]
        for y, f, g, w in zip(labels, judged, others, weights, strict=True)
    ]  # fmt: skip
    Path(sys.argv[2]).write_text(json.dumps({"tuned": tuned, "given": given, **cost}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
