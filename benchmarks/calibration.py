"""What are a hundred labels worth beside a judge, and do the intervals hold?

    python benchmarks/calibration.py [--data ../shared/data] [--quick] [--json] [--out FILE]

XSTest (Röttger et al. 2024, CC-BY-4.0): completions of three models with a final label by people.
For each model the rate of full refusals is estimated from n labels and a judge's verdicts on 1,000
answers, many times over: answers are drawn with replacement from the model's own, so that the true
rate is known (the share of full refusals among them). Four intervals of 95 %:

    labels alone   Wilson on the n labels
    judge alone    Wilson on the judge's verdicts of all 1,000
    PPI++          both (`selaras.stats.ppi_mean`)
    one for all    PPI++ with a correction learnt on another model's labels: what one must not do

Coverage is how often they hold the true rate; effective n is how many labels alone would give an
interval as wide as that of PPI++ (the ratio of their mean squared widths, times n). Judges: our
refusal rules, on the half of the prompts that they were not developed on, and the two lists of
refusal strings of `refusal_judge.py`. No text of a row is printed.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, data_option, finish, lacking, report, timed, versions
from numpy.typing import NDArray
from refusal_judge import FILES, judges, read

from selaras.stats import ppi_mean, wilson

LABELS = (50, 100, 200)
ANSWERS = 1000
Bits = NDArray[np.bool_]


def main() -> int:
    """Print the table; return the exit code."""
    parser = arguments(__doc__, quick="100 draws, the refusal rules only")
    data_option(parser)
    options = parser.parse_args()
    folder = options.data / "xstest"
    if missing := lacking(folder, [f"completions_{name}.csv" for name in FILES]):
        print(missing)
        return 0
    result = measured(folder, draws=100 if options.quick else 1000, quick=options.quick)
    return finish(options, result, shown)


def measured(folder: Path, *, draws: int, quick: bool) -> dict[str, Any]:
    """Return machine, versions and a row for each judge, model and number of labels."""
    rows = [row for row in read(folder) if row.half == "test"]
    out = []
    for name, judge in list(judges().items())[: 1 if quick else None]:
        told = {
            file: (
                np.array([row.labels["final_label"] == "full" for row in rows if row.file == file]),
                np.array([judge(row) == "full" for row in rows if row.file == file]),
            )
            for file in FILES
        }
        for file, (people, judged) in told.items():
            other = told[FILES[(FILES.index(file) + 1) % len(FILES)]]
            for n in LABELS:
                spent, figures = timed(lambda: _figures(people, judged, other, n, draws))  # noqa: B023
                about = {"name": name, "ours": name == "refusal-rules", "model": file, "labels": n}
                out.append({**about, **_errors(people, judged), **figures, **spent})
    return report(out, versions("numpy"), draws=draws)


def _errors(people: Bits, judged: Bits) -> dict[str, float]:
    return {
        "truth": round(float(people.mean()), 4),
        "sensitivity": round(float(judged[people].mean()), 4),
        "specificity": round(float(1 - judged[~people].mean()), 4),
    }


def _figures(
    people: Bits, judged: Bits, other: tuple[Bits, Bits], n: int, draws: int
) -> dict[str, float]:
    rng = np.random.default_rng([n, len(people)])
    truth = float(people.mean())
    held: dict[str, list[bool]] = {"labels": [], "judge": [], "ppi": [], "carried": []}
    wide: dict[str, list[float]] = {"labels": [], "ppi": []}
    for _ in range(draws):
        drawn = rng.integers(0, len(people), ANSWERS)
        y, f = people[drawn], judged[drawn]
        alone, judge = wilson(int(y[:n].sum()), n), wilson(int(f.sum()), ANSWERS)
        both = ppi_mean(y[:n].tolist(), f[:n].tolist(), f[n:].tolist())
        theirs = rng.integers(0, len(other[0]), n)
        carried = ppi_mean(other[0][theirs].tolist(), other[1][theirs].tolist(), f.tolist())
        for name, found in (("labels", alone), ("judge", judge), ("ppi", both),
                            ("carried", carried)):  # fmt: skip
            held[name].append(found.low <= truth <= found.high)
        wide["labels"].append((alone.high - alone.low) ** 2)
        wide["ppi"].append((both.high - both.low) ** 2)
    covered = {
        f"coverage_{name}": round(float(np.mean(values)), 4) for name, values in held.items()
    }
    effective = n * float(np.mean(wide["labels"]) / np.mean(wide["ppi"]))
    return {**covered, "effective_n": round(effective, 1)}


def shown(result: dict[str, Any]) -> str:
    """Return the figures as a table."""
    head = f"{'judge':<25}{'model':<14}{'truth':>6}{'sens.':>7}{'spec.':>7}{'labels':>8}"
    lines = [head + "   coverage: labels   judge   PPI++  one for all   effective n"]
    for row in result["rows"]:
        lines.append(
            f"{row['name']:<25}{row['model']:<14}{row['truth']:>6.2f}{row['sensitivity']:>7.2f}"
            f"{row['specificity']:>7.2f}{row['labels']:>8}{row['coverage_labels']:>19.1%}"
            f"{row['coverage_judge']:>8.1%}{row['coverage_ppi']:>8.1%}{row['coverage_carried']:>13.1%}"
            f"{row['effective_n']:>9.0f} (x{row['effective_n'] / row['labels']:.1f})"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
