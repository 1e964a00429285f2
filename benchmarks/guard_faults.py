"""What leaves a guarded proxy while everything around it fails?

    python benchmarks/guard_faults.py [--quick] [--json] [--out FILE]

10,000 requests, 64 at once, half of them streamed, for answers that hold one of 50 planted phrases
(the clean ones apart): in the text, cut into single characters, disguised, in tool calls, in fields
and choices that nobody asked for, in errors, before a cut, a reset, a broken event or bytes by
chance; with clients that hang up, a judge that is down or never answers, and a proxy that
is killed (SIGKILL) at its work and started again. A leak is a plant in anything that a client
received, case, spaces and signs aside. `passed` answers were allowed; that of `clean` is all of
them, as it should be, and of `fields` and `choices` it is what remained of the answer.

What this leaves out: whether the rules find what they should (the plants are what they look for).
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guard_client import Client, process, upstream
from guard_load import SERVE, answers, free_port, resident_mb
from guard_upstream import FAULTS
from measure import ROOT, arguments, finish, report, versions

COUNT, QUICK_COUNT = 10_000, 600
AT_ONCE = 64
TOOLS = [{"type": "function", "function": {"name": "tell", "parameters": {"type": "object"}}}]
SYLLABLES = "zor vik mal tup len gax dro wim sep kul ban tyr fel hod jun".split()  # noqa: SIM905
_DRAW = random.Random(11)
PLANTS = [" ".join("".join(_DRAW.choices(SYLLABLES, k=2)) for _ in range(4)) for _ in range(50)]

GUARD = f"""
import httpx
from dataclasses import dataclass
from selaras.safeguard import Guard, Score
from selaras.safeguard.rules import Rules, rule
rules = Rules(tuple(rule("planted", plant, ("response",)) for plant in {PLANTS!r}))
@dataclass(frozen=True)
class Judge:
    name = "judge"; sides = frozenset(("query",)); hold = 0; only_unsure = False; quick = False
    identity = {{}}
    def check(self, materials):
        body = {{"messages": [{{"role": "user", "content": materials[0].text}}]}}
        url = sys.argv[1] + "/judge/v1/chat/completions"
        said = httpx.post(url, json=body, timeout=30).json()["choices"][0]["message"]["content"]
        return [(Score("judge", "planted", float(said == "Yes"), 0.5, "asked"),) for _ in materials]
"""
WITHOUT = 'guard = Guard("planted", (rules,))\nOPTIONS = {"answer_seconds": 20}\n'
WITH = 'guard = Guard("planted", (rules, Judge()))\nOPTIONS = {"check_seconds": 0.3}\n'


def main() -> int:
    """Run the benchmark and print its table, or JSON."""
    options = arguments(__doc__, quick="600 requests").parse_args()
    begun = time.perf_counter()
    rows = measured(options)
    seconds = round(time.perf_counter() - begun, 1)
    used = versions("starlette", "uvicorn", "httpx")
    return finish(options, report(rows, used, plants=len(PLANTS), wall_seconds=seconds), shown)


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each fault."""
    count = QUICK_COUNT if options.quick else COUNT
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, way = Path(name), Path(name) / "way"
        way.write_text("fine")
        with upstream("--judge", way) as port:
            url = f"http://127.0.0.1:{port}"
            with proxied("import sys\n" + GUARD + WITHOUT, url, folder) as (at, child):
                asyncio.run(upstream_faults(at, count * 8 // 10, found))
                asyncio.run(leaving(at, count // 10, found))
                memory = round(resident_mb(child.pid), 1)
            with proxied("import sys\n" + GUARD + WITH, url, folder) as (at, _):
                for state in ("down", "slow"):
                    way.write_text(state)
                    asyncio.run(judge_faults(at, state, count // 40, found))
            way.write_text("fine")
            for _ in range(5):
                with proxied("import sys\n" + GUARD + WITHOUT, url, folder) as (at, child):
                    asyncio.run(killed(at, child, count // 100, found))
    rows = [{"name": name, "ours": True, **row} for name, row in sorted(found.items())]
    total = {key: sum(row[key] for row in rows) for key in ("sent", *ENDS, "leaks")}
    return [*rows, {"name": "all", "ours": True, **total, "resident_mb": memory}]


ENDS = ("blocked", "errors", "passed", "cut")


async def upstream_faults(port: int, count: int, found: dict[str, dict[str, Any]]) -> None:
    """Ask for every fault in turn, streamed and not."""
    client, numbers = Client(port), iter(range(count))

    async def worker() -> None:
        for number in numbers:
            do, plant = FAULTS[number // 2 % len(FAULTS)], PLANTS[number % len(PLANTS)]
            raw = await received(client, order(do, plant, number), bool(number % 2))
            note(found, do, raw, plant)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    client.close()


async def leaving(port: int, count: int, found: dict[str, dict[str, Any]]) -> None:
    """Ask for streams and hang up in their midst."""
    client, numbers, draw = Client(port), iter(range(count)), random.Random(5)

    async def worker() -> None:
        for number in numbers:
            do, plant = ("split", "plain")[number % 2], PLANTS[number % len(PLANTS)]
            raw = await client.leave(order(do, plant, number), draw.uniform(0, 0.5))
            note(found, "client leaves", raw, plant, cut=True)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def judge_faults(port: int, state: str, count: int, found: dict[str, dict[str, Any]]) -> None:
    """Ask while the judge is down or slow."""
    client, numbers = Client(port), iter(range(count))

    async def worker() -> None:
        for number in numbers:
            plant = PLANTS[number % len(PLANTS)]
            raw = await received(client, order("plain", plant, number), bool(number % 2))
            note(found, f"judge is {state}", raw, plant)

    await asyncio.gather(*(worker() for _ in range(8)))
    client.close()


async def killed(
    port: int, child: "subprocess.Popen[str]", count: int, found: dict[str, dict[str, Any]]
) -> None:
    """Kill the proxy while it works on requests."""
    client = Client(port)

    async def one(number: int) -> None:
        plant = PLANTS[number % len(PLANTS)]
        raw = await client.leave(order("split", plant, number), 10)
        note(found, "proxy is killed", raw, plant, cut=b"[DONE]" not in raw)

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(0.5)
    child.kill()
    await asyncio.gather(*tasks)


async def received(client: Client, content: str, stream: bool) -> bytes:
    """Return what came; nothing where the connection broke."""
    try:
        return await client.ask(content, stream, tools=TOOLS)
    except (OSError, EOFError, asyncio.IncompleteReadError) as error:
        return getattr(error, "partial", b"")


def order(do: str, plant: str, seed: int) -> str:
    """Return the message that makes the upstream go wrong."""
    return json.dumps({"do": do, "plant": "" if do == "clean" else plant, "seed": seed})


def note(
    found: dict[str, dict[str, Any]], name: str, raw: bytes, plant: str, cut: bool = False
) -> None:
    """Count how a request ended, and whether its plant came through."""
    row = found.setdefault(name, {"sent": 0, **dict.fromkeys(ENDS, 0), "leaks": 0})
    row["sent"] += 1
    if b'"content_filter"' in raw:
        row["blocked"] += 1
    elif b'"error":{' in raw:
        row["errors"] += 1
    elif cut or not raw:
        row["cut"] += 1
    else:
        row["passed"] += 1
    row["leaks"] += squeezed(plant) in squeezed(said_in(raw))


def said_in(raw: bytes) -> str:
    """Return all text in what came: strings in the order of their events, then the bytes."""
    text = raw.decode("utf-8", "replace")
    strings: list[str] = []
    for part in text.split("\n\n"):
        with contextlib.suppress(ValueError):
            waiting = [json.loads(part.removeprefix("data: "))]
            while waiting:
                one = waiting.pop()
                if isinstance(one, str):
                    strings.append(one)
                elif isinstance(one, dict):
                    # What is the same in every event would stand between pieces of text.
                    waiting += [v for k, v in one.items() if k not in ("id", "object", "model")]
                elif isinstance(one, list):
                    waiting += one
    return "".join(strings) + " | " + text


def squeezed(text: str) -> str:
    """Return the letters of a text, look-alikes made plain."""
    return "".join(c for c in text.lower().replace("\u043e", "o") if c.isalpha())


@contextlib.contextmanager
def proxied(code: str, url: str, folder: Path) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Run a proxy while the block runs; yield its port and process."""
    port = free_port()
    command = [sys.executable, "-c", code + SERVE, url, str(port), str(folder / f"{port}.log")]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with process(command, env=env, stdout=subprocess.DEVNULL) as child:
        answers(port, child)
        yield port, child


def shown(result: dict[str, Any]) -> str:
    """Return the figures as a table."""
    heads = "".join(f"{end:>9}" for end in ("sent", *ENDS, "leaks"))
    lines = [f"{result['plants']} plants, {result['wall_seconds']:.0f} s", f"{'fault':<18}{heads}"]
    for row in result["rows"]:
        values = "".join(f"{row[end]:>9,}" for end in ("sent", *ENDS, "leaks"))
        lines.append(f"{row['name']:<18}{values}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
