"""What a row costs: this runner beside Inspect, on rows that cost nothing to answer.

    python benchmarks/runner.py [--quick] [--json] [--out FILE] [--peers FOLDER]

The same work for both, each in a fresh process, taking turns: N queries, a model that answers the
same at once (an async function behind our `python:`, `mockllm/model` in Inspect), each answer
journalled and judged, figures and log written. CPU is that of the whole process, children too,
imports included; `setup` is what it took until the first row could be asked, `ms_a_row` the rest.
The peer lives in an environment of its own under --peers, made on first use.

What this leaves out: real endpoints (their time is the same for both), Inspect's sandboxes and
tools, our clusters and intervals' worth, and `--max-connections`, which Inspect has at its default.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import (
    ROOT,
    alternating,
    arguments,
    finish,
    median,
    peer,
    peers_option,
    pin,
    report,
    run_apart,
    versions,
)

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
    parser = arguments(__doc__, quick="300 rows, one turn")
    peers_option(parser)
    options = parser.parse_args()
    return finish(options, measured(options.peers, options.quick), shown)


def measured(peers: Path, quick: bool) -> dict[str, Any]:
    """Return the figures of all runs: medians over the turns."""
    pythons, left_out = {"selaras": (Path(sys.executable), OURS)}, {}
    try:
        pythons["inspect"] = (peer("inspect", peers), INSPECT)
    except RuntimeError as error:
        left_out["inspect"] = str(error)
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    for name in alternating(list(pythons), QUICK_TURNS if quick else TURNS):
        for rows in QUICK_SIZES if quick else SIZES:
            runs.setdefault((name, rows), []).append(_run(*pythons[name], rows))
    return report(
        [
            {"name": name, "ours": name == "selaras", "rows": rows, **median(found)}
            for (name, rows), found in runs.items()
        ],
        versions("selaras") | {"inspect": pin("inspect")},
        left_out=left_out,
    )


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


def _run(python: Path, program: str, rows: int) -> dict[str, float]:
    source = str(ROOT / "src") if program is OURS else ""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-c", program, str(rows), folder]
        cost, said = run_apart(command, env={"PYTHONPATH": source})
    setup = float(said.split()[-1])
    return {
        **cost, "setup_seconds": setup, "ms_a_row": 1000 * (cost["cpu_seconds"] - setup) / rows,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
