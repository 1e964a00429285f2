"""Which sentence made the model say that: how well and how fast is it found, beside the peers?

    python benchmarks/salience.py [--model NAME ...] [--quick] [--json] [--out FILE] [--peers DIR]
                                  [--runs DIR] [--most N] [--only NAME ...] [--plot FILE.svg]

Prompts with planted evidence (selaras.debug.planted), all of it in one user turn so that every tool
sees the same text, target the whole response: six of them on SmolLM2-135M, two on Gemma 3 270M
(`--prompts N` for other numbers, up to twelve). Ours against captum (LLMAttribution by ablation and
LLMGradientAttribution), inseq, ContextCite with our partition, and LIT's own salience computation;
each in its own environment and process, one thread. LDS is measured for all of them by us, on 48
masks that no method of ours has run (ContextCite draws its own). Then, ours alone: exact
leave-one-out beside one plain forward a segment, hierarchical search beside leave-one-out, the
gradient preview beside a bare forward pass, and cost against length.

Costs are CPU seconds, loading and a warm-up left out, as medians over prompts or turns; peaks are
the processes'. Every row is kept in --runs as it finishes and not done again; `--most N` measures N
rows at most (`--only` those of a name) and reports what there is. Left out: GPUs, larger models,
threads.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measure import HERE, PEERS, ROOT, Row, arguments, finish, peers_option, pin, report, run_apart
from measure import versions as versions_of
from salience_plot import plot
from salience_tables import tables

from selaras.core.journal import Journal

PROMPTS = {"smollm2-135m-instruct": 6, "gemma3-270m": 2}
OURS = ("gradient", "gradient-input", "integrated", "leave-one-out", "surrogate-16", "surrogate-32")
BASELINES = ("length", "recency", "random")
TOOLS = ("context-cite-32", "context-cite-16", "lit", "captum-gradient", "inseq", "captum-ablation")
PACKAGES = ("torch", "transformers", "numpy")
# Way to turns at each length: what takes minutes runs once, the plain forwards are five each turn.
LENGTHS = {256: 3, 1000: 3, 4000: 1}
WAYS = ("bare", "gradient", "plain-loo", "leave-one-out", "hierarchy")
SLOW = ("leave-one-out", "hierarchy")
LONGEST_WHOLE = 1000  # exact leave-one-out of longer prompts takes an hour here
LIMIT = 7200.0  # seconds that a step may take on a machine that does other work as well


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = arguments(__doc__, quick="three prompts, the first model, 256 tokens, no peers")
    peers_option(parser)
    parser.add_argument("--model", action="append", choices=list(PROMPTS), help="only these models")
    parser.add_argument("--prompts", type=int, help="planted prompts of each model")
    parser.add_argument("--runs", type=Path, default=PEERS.parent / "benchmarks" / "salience",
                        help="the folder where every row is kept as it finishes")  # fmt: skip
    parser.add_argument("--most", type=int, help="measure at most so many rows now")
    parser.add_argument("--only", action="append", help="measure only rows of this name now")
    parser.add_argument("--plot", type=Path, help="write the plot of cost against length here")
    options = parser.parse_args()
    journal = Journal(options.runs / "rows.jsonl")
    rows = list(measured(journal, options))
    used = versions_of(*PACKAGES) | {name: pin(name) for name in peers_of(TOOLS)}
    if options.plot:
        options.plot.write_text(plot(merged(rows)), encoding="utf-8")
    return finish(options, report(merged(rows), used), tables)


def peers_of(tools: Sequence[str]) -> list[str]:
    """Return the environments that tools run in."""
    return list(dict.fromkeys(environment(tool) for tool in tools))


def environment(tool: str) -> str:
    """Return the name of a tool's environment: ContextCite's holds a hyphen of its own."""
    return "context-cite" if tool.startswith("context-cite") else tool.partition("-")[0]


def steps(options: argparse.Namespace) -> Iterator[Row]:
    """Yield what is measured, each in a process of its own."""
    models = options.model or list(PROMPTS)[: 1 if options.quick else None]
    tools = () if options.quick else TOOLS
    for model in models:
        many = options.prompts or (3 if options.quick else PROMPTS[model])
        about = {"model": model, "prompts": many}
        yield from ({**about, "name": f"baseline {name}", "ours": False} for name in BASELINES)
        yield from ({**about, "name": tool, "ours": False} for tool in tools)
        yield from ({**about, "name": name, "ours": True} for name in OURS)
    for length, turns in list(LENGTHS.items())[: 1 if options.quick else None]:
        for turn in range(1 if options.quick else turns):
            for model in models:
                for way in WAYS:
                    slow = way in SLOW and length >= LONGEST_WHOLE
                    if (turn and slow) or (way == "leave-one-out" and length > LONGEST_WHOLE):
                        continue
                    yield {"model": model, "name": f"{way} at {length}", "way": way,
                           "length": length, "turn": turn,
                           "ours": way not in ("bare", "plain-loo")}  # fmt: skip


def measured(journal: Journal, options: argparse.Namespace) -> Iterator[Row]:
    """Yield every step's row: from the journal, or measured now while some may still be."""
    left = math.inf if options.most is None else options.most
    for step in steps(options):
        known = journal.get(key_of(step))
        if known is not None:
            yield {name: value for name, value in known.items() if name != "key"}
        elif left <= 0 or step["name"] not in (options.only or (step["name"],)):
            yield {**step, "left_out": "not measured yet"}
        else:
            left -= 1
            row = run_step(step, journal, options)
            told = row.get("left_out") or f"{row['cpu_seconds']:.2f} CPU s"
            print(f"{row['model']} {row['name']}: {told}", file=sys.stderr)
            yield row


def key_of(step: Row) -> str:
    """Return what a step is kept under."""
    return json.dumps([step, versions_of(*PACKAGES)], sort_keys=True)


def run_step(step: Row, journal: Journal, options: argparse.Namespace) -> Row:
    """Measure a step in a process of its own and keep its row; a failure is not kept."""
    script = "salience_cost.py" if "way" in step else "salience_maps.py"
    given = {**step, "store": str(options.runs / "ablations.sqlite"), "peers": str(options.peers)}
    command = [sys.executable, HERE / script, json.dumps(given)]
    try:
        _, said = run_apart(command, LIMIT, {"PYTHONPATH": str(ROOT / "src")})
        row = {**step, **json.loads(said.splitlines()[-1])}
    except RuntimeError as error:
        return {**step, "left_out": str(error)}
    journal.add(key_of(step), row)
    return row


def merged(rows: Sequence[Row]) -> list[Row]:
    """Return one row for the turns of each step: the median of its figures."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["name"]), []).append(row)
    found = []
    for same in groups.values():
        fine = [row for row in same if "left_out" not in row]
        first = dict((fine or same)[0])
        if "turn" in first and fine:
            first["turns"] = len(fine)
            del first["turn"]
            for name in ("cpu_seconds", "wall_seconds", "peak_mb", "grown_mb"):
                first[name] = statistics.median(row[name] for row in fine)
        found.append(first)
    return found


if __name__ == "__main__":
    sys.exit(main())
