"""What a row costs: this runner beside Inspect, on rows that cost nothing to answer.

    python benchmarks/runner.py [--quick] [--json] [--out FILE] [--peers FOLDER]

The same work for both, each in a fresh process, taking turns: N queries, a model that answers the
same at once (an async function behind our `python:`, `mockllm/model` in Inspect), each answer
journalled and judged, figures and log written. CPU is that of the whole process, children too,
imports included; `setup` is what it took until the first row could be asked, `ms_a_row` the rest.
The peer lives in an environment of its own under --peers, made with:

    python -m venv FOLDER/inspect && FOLDER/inspect/bin/pip install -r benchmarks/peers/inspect.txt

What this leaves out: real endpoints (their time is the same for both), Inspect's sandboxes and
tools, our clusters and intervals' worth, and `--max-connections`, which Inspect has at its default.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SIZES, QUICK_SIZES = (1_000, 10_000), (300,)
TURNS, QUICK_TURNS = 3, 1

OURS = """
import resource, sys, tempfile
from pathlib import Path
rows, folder = int(sys.argv[1]), Path(sys.argv[2])
(folder / "selaras.yaml").write_text(
    "product: t\\nuse_cases: [{id: a, title: A}]\\npolicies: [hate]\\n")
(folder / "noop_app.py").write_text("async def respond(messages):\\n    return 'Yes.'\\n")
from selaras.core.project import open_project
from selaras.core.records import Query
from selaras.core.system import SystemSpec
from selaras.evaluate import Suite, evaluate, open_system
project = open_project(folder)
queries = tuple(Query(id=f"r{n}", query=f"Question number {n}?", expected="answer")
                for n in range(rows))
suite = Suite(queries, tuple(q.id for q in queries), "development figures")
opened = open_system(project, "noop", SystemSpec(model="python:noop_app:respond"))
def spent():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
setup = spent()
found = evaluate(project, opened, suite)
assert found.figures["over_refusal_rate"]["n"] == rows
print(setup)
"""
INSPECT = """
import resource, sys
rows, folder = int(sys.argv[1]), sys.argv[2]
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
# With its usage said, the answer's tokens are not counted, for which a vocabulary is downloaded.
def answer(*asked):
    said = ModelOutput.from_content("mockllm", "Yes.")
    said.usage = ModelUsage(input_tokens=4, output_tokens=2, total_tokens=6)
    return said
model = get_model("mockllm/model", custom_outputs=answer)
data = MemoryDataset([Sample(input=f"Question number {n}?", target="Yes", id=n + 1)
                      for n in range(rows)])
task = Task(dataset=data, solver=generate(), scorer=includes())
def spent():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
setup = spent()
(log,) = eval(task, model=model, display="none", log_dir=folder)
assert log.status == "success" and log.results.completed_samples == rows, log.error
print(setup)
"""


def main() -> int:
    """Run the benchmark and print its table, or JSON."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="300 rows, one turn")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="write JSON to this file too")
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache/selaras-peers")
    given = parser.parse_args()
    result = measured(given.peers, given.quick)
    if given.out:
        given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2) if given.json else shown(result))
    return 0


def measured(peers: Path, quick: bool) -> dict[str, Any]:
    """Return the figures of all runs: medians over the turns."""
    pythons = {"selaras": (sys.executable, OURS)}
    peer = peers / "inspect" / "bin" / "python"
    if peer.is_file():
        pythons["inspect"] = (str(peer), INSPECT)
    else:
        sys.stderr.write(f"no environment at {peer.parent.parent}: Inspect is left out\n")
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    for turn in range(QUICK_TURNS if quick else TURNS):
        for rows in QUICK_SIZES if quick else SIZES:
            for name in sorted(pythons, reverse=bool(turn % 2)):
                runs.setdefault((name, rows), []).append(_run(*pythons[name], rows))
    return {
        "machine": {"platform": platform.platform(), "cores": os.cpu_count()},
        "versions": {name: _version(python, name) for name, (python, _) in pythons.items()},
        "rows": [
            {"name": name, "ours": name == "selaras", "rows": rows, **_median(found)}
            for (name, rows), found in runs.items()
        ],
    }


def shown(result: dict[str, Any]) -> str:
    """Return the figures as a table, with ratios against the first."""
    lines = [
        f"{'runner':<10}{'rows':>7}{'wall s':>9}{'CPU s':>8}{'setup CPU s':>13}"
        f"{'ms CPU a row':>14}{'peak MB':>9}{'times ours':>12}"
    ]
    ours = {row["rows"]: row for row in result["rows"] if row["ours"]}
    for row in sorted(result["rows"], key=lambda row: (row["rows"], not row["ours"])):
        times = row["ms_a_row"] / ours[row["rows"]]["ms_a_row"]
        lines.append(
            f"{row['name']:<10}{row['rows']:>7}{row['wall_seconds']:>9.1f}{row['cpu_seconds']:>8.1f}"
            f"{row['setup_seconds']:>13.1f}{row['ms_a_row']:>14.2f}{row['peak_mb']:>9.0f}{times:>12.1f}"
        )
    return "\n".join(lines)


def _run(python: str, program: str, rows: int) -> dict[str, float]:
    source = str(HERE.parent / "src") if program is OURS else ""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [python, "-c", program, str(rows), folder],
            stdout=said, env={**os.environ, "PYTHONPATH": source},
        )  # fmt: skip
        # What this one child used, with all that it waited for itself.
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        said.seek(0)
        if status:
            raise SystemExit(f"{python}: the run of {rows} rows failed")
        setup = float(said.read().split()[-1])
    cpu = used.ru_utime + used.ru_stime
    return {
        "wall_seconds": wall, "cpu_seconds": cpu, "setup_seconds": setup,
        "ms_a_row": 1000 * (cpu - setup) / rows, "peak_mb": used.ru_maxrss / 1024,
    }  # fmt: skip


def _median(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in found), 3) for name in found[0]}


def _version(python: str, name: str) -> str:
    package = {"selaras": "selaras", "inspect": "inspect-ai"}[name]
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "from source"


if __name__ == "__main__":
    sys.exit(main())
