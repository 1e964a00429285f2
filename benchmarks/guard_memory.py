"""Does a guarded proxy's memory grow with the requests that it has seen?

    python benchmarks/guard_memory.py [--quick] [--json] [--out FILE]

100,000 requests, 16 at once, every other tenth of them streamed, for an upstream that answers at
once; the proxy's resident memory after each tenth. The first tenths fill pools and caches: flat
means that the later ones add nothing.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guard_client import Client, upstream
from guard_load import GUARD, QUESTIONS, SERVE, cpu_seconds, program, resident_mb
from measure import arguments, finish, report, versions

COUNT, QUICK_COUNT = 100_000, 2_000
AT_ONCE = 16
RULES = f'{GUARD}guard = Guard("bench", (rules,))\nOPTIONS = {{}}\n'


def main() -> int:
    """Run the benchmark and print its line, or JSON."""
    options = arguments(__doc__, quick="2,000 requests").parse_args()
    rows = [measured(options)]
    return finish(options, report(rows, versions("starlette", "uvicorn", "httpx")), shown)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Return the resident memory after each tenth, and the time that all took."""
    count = (QUICK_COUNT if options.quick else COUNT) // 10
    with (
        tempfile.TemporaryDirectory() as name,
        upstream() as at,
        program(RULES + SERVE, f"http://127.0.0.1:{at}", Path(name)) as (port, pid),
    ):
        begun, before = time.perf_counter(), cpu_seconds(pid)
        resident = asyncio.run(tenths(port, pid, count))
        wall, cpu = time.perf_counter() - begun, cpu_seconds(pid) - before
    return {
        "name": "selaras, rules", "ours": True, "requests": 10 * count, "resident_mb": resident,
        "peak_mb": max(resident), "wall_seconds": round(wall, 1), "cpu_seconds": round(cpu, 1),
    }  # fmt: skip


async def tenths(port: int, pid: int, count: int) -> list[float]:
    """Send the requests; return the proxy's memory after each tenth."""
    client, resident = Client(port), []

    async def worker(numbers: Iterator[int], stream: bool) -> None:
        for number in numbers:
            await client.ask(QUESTIONS[number % len(QUESTIONS)], stream)

    for tenth in range(10):
        numbers = iter(range(count))
        await asyncio.gather(*(worker(numbers, bool(tenth % 2)) for _ in range(AT_ONCE)))
        resident.append(round(resident_mb(pid), 1))
        sys.stderr.write(f"{count * (tenth + 1):,} requests: {resident[-1]} MB\n")
    client.close()
    return resident


def shown(result: dict[str, Any]) -> str:
    """Return the figures as lines."""
    (row,) = result["rows"]
    return (
        f"{row['requests']:,} requests in {row['wall_seconds']:g} s, {row['cpu_seconds']:g} CPU s\n"
        f"resident MB after each tenth: {row['resident_mb']}"
    )


if __name__ == "__main__":
    sys.exit(main())
