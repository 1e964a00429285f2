"""What does a guard in front of a model cost: latency at 200 requests a second, and CPU.

    python benchmarks/guard_load.py [--quick] [--json] [--out FILE] [--peers FOLDER] [--rate N]

An upstream that answers at once, a client that sends at a fixed rate whatever comes back, and one
process between them: nothing (direct), a relay that reads nothing (the floor of what a Python proxy
costs), ours with rules, ours with rules and the classifier over static embeddings, and the proxies
that install without a hub, with the guardrail nearest to rules that they have. All take turns on
the same cores. `added` is the difference of medians (p50) and of 99th percentiles from `direct`
in the same turn; `cpu_ms` is the CPU of the proxy alone, which a busy machine hardly changes.
Every turn is said on the error stream, and FILE holds what was measured so far: a run that was cut
shows what it has, under `"unfinished"`.

What this leaves out: TLS, real networks, and models, whose time is a hundred times all of this.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from guard_client import Client, at_rate, process, upstream
from measure import (
    ROOT,
    alternating,
    arguments,
    finish,
    peer,
    peers_option,
    pin,
    report,
    say,
    versions,
)

from selaras.core.files import write_json

SECONDS, QUICK_SECONDS = 5.0, 2.0
TURNS, QUICK_TURNS = 3, 1
# Seconds that a request counts as having taken where its whole answer never came.
UNANSWERED = 60.0
QUESTIONS = [f"How do I get {what} out of a {where} without damage?"
             for what in ("wine", "ink", "mould", "rust", "glue")
             for where in ("carpet", "shirt", "wall", "pan")]  # fmt: skip

GUARD = """
from selaras.safeguard import Guard
from selaras.safeguard.rules import PersonalRule, Rules, rule
ACTS = ("build", "make", "buy", "hide", "mix", "order")
THINGS = ("a pipe ?bomb", "nerve gas", "a fake passport", "stolen cards?", "crystal meth")
rules = Rules(tuple(rule("dangerous-content", f"how (?:to|do i|can i) {act} {thing}")
                    for act in ACTS for thing in THINGS),
              (PersonalRule("private-information"),))
"""
# Weights of nothing take the time of any others.
CLASSIFIER = """
import numpy as np
from selaras.safeguard.classifier import Classifier, Head, HeadAbout
from selaras.safeguard.features import Embedded
features = Embedded("static")
width = features._encoder.embed(["x"]).shape[1]
about = HeadAbout(threshold=0.5, clear=None, budget=0.05, positives=1, negatives=1, policies=())
heads = {side: Head(np.zeros(n * width), -5.0, np.zeros((n * width, 0)), np.zeros(0), about)
         for side, n in (("query", 1), ("response", 2))}
guard = Guard("bench", (rules, Classifier(features, heads, "")))
"""
SERVE = """
import sys
from pathlib import Path
from selaras.safeguard.routes import RouteSpec, ServeSpec
from selaras.safeguard.serve import Journal, Place, serve
spec = ServeSpec(routes=(RouteSpec(upstream=sys.argv[1] + "/v1"),), **OPTIONS)
serve(spec, lambda _: guard, Place(port=int(sys.argv[2])), Journal(Path(sys.argv[3])), print)
"""
RELAY = """
import sys
import httpx, uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route
client = httpx.AsyncClient(base_url=sys.argv[1])
async def relay(request):
    sent = client.build_request("POST", request.url.path, content=await request.body(),
                                headers={"content-type": "application/json"})
    got = await client.send(sent, stream=True)
    kept = {k: v for k, v in got.headers.items() if k in ("content-type", "content-length")}
    return StreamingResponse(got.aiter_raw(), got.status_code, kept)
app = Starlette(routes=[Route("/{rest:path}", relay, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[2]), log_config=None, access_log=False)
"""
LITELLM = """
model_list:
  - {{model_name: m, litellm_params: {{model: openai/m, api_base: "{url}/v1", api_key: none}}}}
guardrails:
  - guardrail_name: words
    litellm_params:
      guardrail: litellm_content_filter
      mode: [pre_call, post_call]
      default_on: true
      blocked_words: [{{keyword: nerve gas, action: BLOCK}}, {{keyword: pipe bomb, action: BLOCK}}]
"""
NEMO = """
models:
  - {{type: main, engine: openai, model: m, parameters: {{base_url: "{url}/v1", api_key: none}}}}
rails:
  config:
    regex_detection:
      input: {{patterns: ["how (to|do i|can i) (build|make) (nerve gas|a pipe bomb)"]}}
      output: {{patterns: ["nerve gas", "pipe bomb"]}}
  input: {{flows: [regex check input]}}
  output: {{flows: [regex check output], streaming: {{enabled: True}}}}
"""


def main() -> int:
    """Run the benchmark and print its table, or JSON."""
    parser = arguments(__doc__, quick="two seconds, one turn, no peers")
    peers_option(parser)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for result in measured(options):
        if options.out:
            write_json(options.out, result)
    return finish(options, result, shown)


def measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the result after every turn: a row for each way and kind of answer.

    The last one is whole; `unfinished` counts the turns that the others lack.
    """
    used = versions("starlette", "uvicorn", "aiohttp", "httpx")
    turns = QUICK_TURNS if options.quick else TURNS
    count = round(options.rate * (QUICK_SECONDS if options.quick else SECONDS))
    with tempfile.TemporaryDirectory() as name, upstream() as port:
        folder, url = Path(name), f"http://127.0.0.1:{port}"
        ways, left_out = starters(options, folder, url)
        with contextlib.ExitStack() as running:
            served: dict[str, tuple[int, int]] = {"direct": (port, 0)}
            for way, start in ways.items():
                say(f"{way}: starts")
                try:
                    served[way] = running.enter_context(start())
                except RuntimeError as error:
                    left_out.append(f"{way}: {error}")
                    say(f"left out: {left_out[-1]}")
            found: dict[tuple[str, bool], list[dict[str, float]]] = {}
            asked = [(way, s) for s in (False, True) for way in alternating(list(served), turns)]
            for done, (way, stream) in enumerate(asked, start=1):
                figures = asyncio.run(
                    latency(*served[way], count=count, rate=options.rate, stream=stream)
                )
                found.setdefault((way, stream), []).append(figures)
                rows = [summed(*key, found) for key in found]
                say(f"{done} of {len(asked)}: {line_of(summed(way, stream, found))}")
                more = {"unfinished": len(asked) - done} if done < len(asked) else {}
                yield report(rows, used, left_out=left_out, rate=options.rate, **more)


async def latency(port: int, pid: int, count: int, rate: float, stream: bool) -> dict[str, float]:
    """Return percentiles (ms) of one turn, and the proxy's CPU a request."""
    client = Client(port)
    await at_rate(client, 50, rate, QUESTIONS, stream)
    before = cpu_seconds(pid)
    took = await at_rate(client, count, rate, QUESTIONS, stream)
    client.close()
    cuts = statistics.quantiles(took + [UNANSWERED] * (count - len(took)), n=100)
    return {"failed": float(count - len(took)),
            "p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3,
            "cpu_ms": (cpu_seconds(pid) - before) / count * 1e3}  # fmt: skip


def summed(way: str, stream: bool, found: dict[Any, list[dict[str, float]]]) -> dict[str, Any]:
    """Return a row: medians over turns, and what the way adds to `direct` of the same turn."""
    own, floor = found[way, stream], found["direct", stream]
    row: dict[str, Any] = {"name": way, "ours": way.startswith("selaras"), "stream": stream}
    row["failed"] = sum(turn["failed"] for turn in own)
    for figure in ("p50_ms", "p99_ms", "cpu_ms"):
        row[figure] = round(statistics.median(turn[figure] for turn in own), 2)
    for figure in ("p50_ms", "p99_ms"):
        # In mid-run one of the two may be a turn ahead.
        added = [mine[figure] - less[figure] for mine, less in zip(own, floor, strict=False)]
        row[f"added_{figure}"] = round(statistics.median(added), 2)
        row[f"added_{figure}_range"] = [round(min(added), 2), round(max(added), 2)]
    return row


def shown(result: dict[str, Any]) -> str:
    """Return the figures as a table."""
    lines = [f"{result['rate']:g} requests a second, instant upstream; ms, medians of turns",
             f"{'way':<36}{'answer':<9}{'p50':>8}{'p99':>8}{'added p50':>11}{'[range]':>16}"
             f"{'added p99':>11}{'[range]':>18}{'CPU ms':>8}{'failed':>8}"]  # fmt: skip
    for row in result["rows"]:
        lines.append(line_of(row))
    return "\n".join([*lines, *(f"left out: {reason}" for reason in result["left_out"])])


def line_of(row: dict[str, Any]) -> str:
    """Return a row's line of the table."""
    return (
        f"{row['name']:<36}{'stream' if row['stream'] else 'whole':<9}{row['p50_ms']:>8.2f}"
        f"{row['p99_ms']:>8.2f}{row['added_p50_ms']:>11.2f}"
        f"{row['added_p50_ms_range']!s:>16}{row['added_p99_ms']:>11.2f}"
        f"{row['added_p99_ms_range']!s:>18}{row['cpu_ms']:>8.2f}"
        f"{row['failed']:>8.0f}"
    )


Starter = Callable[[], contextlib.AbstractContextManager[tuple[int, int]]]


def starters(
    options: argparse.Namespace, folder: Path, url: str
) -> tuple[dict[str, Starter], list[str]]:
    """Return how each way is started, and what is left out."""
    rules = f'{GUARD}guard = Guard("bench", (rules,))\nOPTIONS = {{}}\n'
    both = f"{GUARD}{CLASSIFIER}OPTIONS = {{}}\n"
    ways: dict[str, Starter] = {
        "relay that reads nothing": lambda: program(RELAY, url, folder),
        "selaras, rules": lambda: program(rules + SERVE, url, folder),
        "selaras, rules and classifier": lambda: program(both + SERVE, url, folder),
    }
    if options.quick:
        return ways, ["peers: --quick"]
    for name, text, file, command in (
        ("litellm", LITELLM, "litellm.yaml", ("litellm", "--config", "{file}", "--port")),
        ("nemoguardrails", NEMO, "nemo/config.yml",
         ("nemoguardrails", "server", "--config", "{folder}/..", "--default-config-id", "nemo",
          "--port")),
    ):  # fmt: skip
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(url=url))
        parts = [part.format(file=path, folder=path.parent) for part in command]
        ways[f"{name} ({pin(name)})"] = lambda n=name, p=parts: peers_proxy(options, n, p)  # type: ignore[misc]
    return ways, []


@contextlib.contextmanager
def program(code: str, url: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Run a proxy that is a Python program while the block runs; yield its port and process id."""
    port = free_port()
    command = [sys.executable, "-c", code, url, str(port), str(folder / f"log-{port}.jsonl")]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with process(command, env=env, stdout=subprocess.DEVNULL) as child:
        answers(port, child)
        yield port, child.pid


@contextlib.contextmanager
def peers_proxy(
    options: argparse.Namespace, name: str, command: list[str]
) -> Iterator[tuple[int, int]]:
    """Run a peer's own proxy while the block runs; yield its port and process id."""
    home, port = peer(name, options.peers).parent, free_port()
    env = {**os.environ, "OPENAI_API_KEY": "none", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    env["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"
    env |= {"PATH": f"{home}:{os.environ['PATH']}", "NO_PROXY": "127.0.0.1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with process([home / command[0], *command[1:], port], env=env, **quiet) as child:
        answers(port, child)
        yield port, child.pid


def answers(port: int, child: "subprocess.Popen[str]", patience: float = 240.0) -> None:
    """Wait until a proxy gives an answer; raises RuntimeError where it gives none."""
    said = b"no answer"
    until = time.monotonic() + patience
    while time.monotonic() < until and child.poll() is None:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            said = asyncio.run(asyncio.wait_for(Client(port).ask("Hello?"), 20))
            if b"Yes, it is." in said:
                return
        time.sleep(0.1)
    raise RuntimeError(f"does not start here: {said[:120]!r}")


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Return the CPU that a process has used; 0 for none."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return the memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
