"""The tables of `salience.py`."""

from collections.abc import Iterator, Sequence

import numpy as np
from measure import Row

AGAINST = "context-cite-32"
DRAWS = 2000


def tables(result: Row) -> str:
    """Return the tables of every model."""
    lines: list[str] = []
    for model in dict.fromkeys(row["model"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["model"] == model]
        many = next((row["prompts"] for row in rows if "prompts" in row), 0)
        lines += [f"{model}: maps of planted evidence, {many} prompts, one thread"]
        lines += maps([row for row in rows if "length" not in row])
        lines += ["", *lengths([row for row in rows if "length" in row]), ""]
    return "\n".join(lines)


def maps(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the methods."""
    judge = next((row for row in rows if row["name"] == AGAINST and "lds" in row), None)
    yield (f"{'method':<19}{'LDS':>7}  {'less ContextCite-32':<22}{'drop@1':>7}{'drop@3':>8}"
           f"{'hit@1':>7}{'hit@3':>7}{'forwards':>10}{'CPU s':>8}{'peak MB':>9}"
           "  map: most from ours (from float64)")  # fmt: skip
    for row in rows:
        if "left_out" in row:
            yield f"{row['name']:<19}left out: {row['left_out']}"
            continue
        apart = "; ".join(
            f"{name.partition('_')[2]} {max(each):.1e}" + error(row, name)
            for name, each in row.items() if name.startswith("differences")
        ) or error(row, "")  # fmt: skip
        yield (f"{row['name']:<19}{row['lds']:>7.3f}  {gain(row, judge):<22}"
               f"{row['drop_at_1']:>7.2f}{row['drop_at_3']:>8.2f}{row['hit_at_1']:>7.2f}"
               f"{row['hit_at_3']:>7.2f}{row.get('forwards', 0):>10.1f}{row['cpu_seconds']:>8.2f}"
               f"{row.get('peak_mb', 0):>9.0f}  {apart}").rstrip()  # fmt: skip


def error(row: Row, name: str) -> str:
    """Return how far a map is from the one in float64, in brackets; of any kind without a name."""
    kind = name.partition("_")[2]
    found = [max(each) for key, each in row.items()
             if key.startswith("errors_") and key.endswith(kind)]  # fmt: skip
    return f" ({found[0]:.1e})".rjust(0 if name else 10) if found else ""


def gain(row: Row, judge: Row | None) -> str:
    """Return the paired difference of LDS with its 95 % interval over prompts (bootstrap)."""
    if judge is None or row is judge:
        return ""
    gaps = np.array(row["lds_each"]) - np.array(judge["lds_each"])
    drawn = np.random.default_rng(0).choice(gaps, (DRAWS, len(gaps))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{gaps.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def lengths(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of cost against length."""
    yield (f"{'cost at length':<23}{'tokens':>7}{'segments':>10}{'forwards':>10}{'CPU s':>9}"
           f"{'times bare':>12}{'plain is':>10}{'peak MB':>9}{'grown MB':>10}{'LDS':>7}"
           f"{'turns':>7}")  # fmt: skip
    costs = {(row["way"], row["length"]): row.get("cpu_seconds") for row in rows}
    for row in sorted(rows, key=lambda row: row["length"]):
        if "left_out" in row:
            yield f"{row['name']:<23}left out: {row['left_out']}"
            continue
        bare, plain = (costs.get((way, row["length"])) for way in ("bare", "plain-loo"))
        ablates = row["way"] in ("leave-one-out", "hierarchy")
        faster = f"{plain / row['cpu_seconds']:.2f}x" if plain and ablates else ""
        times = f"{row['cpu_seconds'] / bare:.2f}" if bare else ""
        lds = f"{row['lds']:.2f}" if "lds" in row else ""
        forwards = f"{row['forwards']}" if "forwards" in row else ""
        yield (f"{row['name']:<23}{row['tokens']:>7}{row['segments']:>10}{forwards:>10}"
               f"{row['cpu_seconds']:>9.2f}{times:>12}{faster:>10}{row['peak_mb']:>9.0f}"
               f"{row['grown_mb']:>10.0f}{lds:>7}{row.get('turns', 1):>7}")  # fmt: skip
