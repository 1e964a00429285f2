"""How fast, and in how much memory, is a large file of conversations read, beside `datasets`?

    python benchmarks/formats.py [--megabytes 1000] [--runs 3] [--quick] [--json] [--out FILE]

One JSON Lines file of HF messages is generated (short and long turns, three scripts) and read to
its end by each tool in a process of its own, in turns; figures are medians. Ours gives checked
records with ids; `datasets` gives dictionaries, once streamed and once through its Arrow cache
(written anew each time). `json` is the floor: the standard library's parser on each line.
Left out: writing, and compressed files.
"""

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import (
    alternating,
    arguments,
    finish,
    median,
    report,
    run_apart,
    versions,
)

READ = {
    "selaras": """
from selaras.data.formats.reading import Source, scan_rows
from selaras.core.records import Query
print(sum(isinstance(row, Query) for _, row in scan_rows(Source(Path(sys.argv[1])))))
""",
    "datasets-streaming": """
import datasets
datasets.disable_progress_bars()
rows = datasets.load_dataset("json", data_files=sys.argv[1], split="train", streaming=True)
print(sum(1 for _ in rows))
""",
    "datasets-cache": """
import datasets
datasets.disable_progress_bars()
with tempfile.TemporaryDirectory() as cache:
    rows = datasets.load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=cache)
    print(sum(1 for _ in rows))
""",
    "json": """
import json
with open(sys.argv[1], encoding="utf-8") as source:
    print(sum(1 for line in source if json.loads(line)))
""",
}
BEGIN = "import sys, tempfile\nfrom pathlib import Path\n"
WORDS = ("garden", "process", "medicine", "kebun", "obat", "日本語", "الحديقة", "recipe", "😀")


def main() -> int:
    """Print the table; return the exit code."""
    parser = arguments(__doc__, quick="20 MB, once")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    size, runs = (20, 1) if options.quick else (options.megabytes, options.runs)
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in READ}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        number = write_rows(path, size)
        for name in alternating(list(READ), runs):
            if name in left_out:
                continue
            try:
                cost, said = run_apart([sys.executable, "-c", BEGIN + READ[name], path])
            except RuntimeError as error:
                left_out[name] = str(error)
                continue
            if int(said.split()[-1]) != number:
                left_out[name] = f"read {said.split()[-1]} of {number} rows"
            rate = number / cost["cpu_seconds"]
            measured[name].append({**cost, "rows_per_second": number / cost["wall_seconds"],
                                   "rows_per_cpu_second": rate})  # fmt: skip
    rows = [
        {"name": name, "ours": name == "selaras", **median(found)}
        for name, found in measured.items()
        if found and name not in left_out
    ]
    result = report(rows, versions("selaras", "datasets", "pydantic"), megabytes=size,
                    records=number, runs=runs, left_out=left_out)  # fmt: skip
    return finish(options, result, shown)


def write_rows(path: Path, megabytes: int) -> int:
    """Write conversations until the file has that size; return how many."""
    chance = random.Random(0)
    number = written = 0
    with path.open("w", encoding="utf-8") as sink:
        while written < megabytes * 1_000_000:
            turns = [
                {"role": role, "content": " ".join(chance.choices(WORDS, k=chance.randint(5, 90)))}
                for _ in range(chance.choice((1, 1, 1, 2, 3)))
                for role in ("user", "assistant")
            ]
            line = json.dumps({"id": f"r{number}", "messages": turns}, ensure_ascii=False) + "\n"
            written += len(line.encode())
            sink.write(line)
            number += 1
    return number


def shown(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    lines = [
        f"{result['records']:,} conversations, {result['megabytes']:,} MB, {result['runs']} runs",
        "",
        "| tool | rows a second | rows a CPU second | peak MB |",
        "|---|---|---|---|",
    ]
    for row in result["rows"]:
        lines.append(f"| {row['name']} | {row['rows_per_second']:,.0f} | "
                     f"{row['rows_per_cpu_second']:,.0f} | {row['peak_mb']:,.0f} |")  # fmt: skip
    lines += [f"left out: {name} ({why})" for name, why in result["left_out"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
