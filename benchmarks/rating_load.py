"""Does the rating page hold fifty raters at once, and lose no vote when it is killed?

    python benchmarks/rating_load.py [--quick] [--json] [--out FILE] [--postgres]

Fifty raters open the real server (`selaras rate serve`, one process) over HTTP, read an item for
half a second to one and a half, and answer; in the middle the server is killed with -9 and started
again, and every rater sends the unanswered vote again under its own number. At the end the votes
that were said to be stored are compared with those in the database, by count and by a hash over
number, item and value. `--postgres` does the same on PostgreSQL (SELARAS_TEST_POSTGRES names its
server):

    tests/with_postgres.sh python benchmarks/rating_load.py --postgres

Then 100,000 items with three votes each: how long the next item takes, for raters in the middle of
the batch, and how long the agreement of all of it. Raters and server share the machine's cores.

What this leaves out: the network between, raters' browsers, several server processes.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import math
import os
import platform
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rating_browser import Browser, Page
from sqlalchemy import insert, select

from selaras.policy import builtin_policies
from selaras.rating import schema
from selaras.rating.agreement import agreement
from selaras.rating.assign import member_of, next_item
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import NewItem, create_batch, set_status
from selaras.rating.guides import refresh
from selaras.rating.people import invite
from selaras.rating.store import Store, open_store
from selaras.rating.tasks import Content
from selaras.rating.voting import sight_of

RATERS = 50
YAML = "product: load\nuse_cases: [{id: a, title: A}]\npolicies: [hate]\n"


def main() -> int:
    """Run and print the tables."""
    options = _options()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = 12.0 if options.quick else options.seconds
        for kind, url in _stores(folder, options.postgres):
            rows.append(load(folder / kind, kind, url, seconds))
            print(_load_line(rows[-1]), flush=True)
        size = 5_000 if options.quick else options.items
        for kind, url in _stores(folder / "large", options.postgres) if size else ():
            rows.append(scale(kind, url, size))
            print(_scale_line(rows[-1]), flush=True)
    value = {"machine": f"{platform.platform()}, {os.cpu_count()} cores",
             "versions": {"python": platform.python_version()}, "rows": rows}  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps(value, indent=2) + "\n")
    if options.json:
        print(json.dumps(value, indent=2))
    lost = [row for row in rows if row.get("lost") or row.get("doubled") or row.get("foreign")]
    return 1 if lost else 0


def load(folder: Path, kind: str, url: str, seconds: float) -> dict[str, Any]:
    """Return what fifty raters saw, and whether every vote that was said to be stored is there."""
    folder.mkdir(parents=True)
    (folder / "selaras.yaml").write_text(YAML)
    store = open_store(url)
    items = int(RATERS * seconds / 3 * 1.5) + 200
    spec = _batch(store, items, "load")
    with store.writing() as connection:
        links = [invite(connection, spec, f"r{n}").token for n in range(RATERS)]
    server = _Server(folder, url)
    server.start()
    seen = asyncio.run(_session(server, links, seconds))
    server.kill()
    with store.reading() as connection:
        votes = connection.execute(
            select(schema.votes.c.submission, schema.votes.c.item, schema.votes.c.value)
        ).all()
    stored = {row.submission: (row.item, row.value) for row in votes}
    store.close()
    told = seen.told
    return {
        "name": f"selaras, {kind}", "ours": True, "raters": RATERS, "seconds": seconds,
        "sent": len(told), "stored": len(votes), "lost": len(told.keys() - stored.keys()),
        # Killed between storing and telling: sent again, known by its number, told then. None stay.
        "foreign": len(stored.keys() - told.keys()), "doubled": len(votes) - len(stored),
        "sent_hash": _hash(told), "stored_hash": _hash(stored), "retried": seen.retried,
        "page_p50_ms": _ms(seen.pages, 50), "page_p95_ms": _ms(seen.pages, 95),
        "vote_p50_ms": _ms(seen.votes, 50), "vote_p95_ms": _ms(seen.votes, 95),
        "p95_ms": _ms(seen.pages + seen.votes, 95),
    }  # fmt: skip


def scale(kind: str, url: str, size: int) -> dict[str, Any]:
    """Return how long the next item and the agreement take at `size` items with three votes."""
    store = open_store(url)
    # Six votes an item are wanted and three are there, so nothing is complete: the worst case.
    spec = _batch(store, size, "large", overlap=6)
    raters = _fill(store, spec, size)
    fresh, old = [], []
    for times, chosen in ((fresh, raters[300:]), (old, raters[:100])):
        for rater in chosen:
            begun = time.perf_counter()
            with store.writing() as connection:
                member = member_of(connection, rater, spec.id)
                seen = next_item(connection, member) if member else None
                if seen is None:
                    raise SystemExit("there is no next item")
                sight_of(connection, spec, rater, seen)
            times.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    with store.reading() as connection:
        found = agreement(connection, spec.id)
    spent = time.perf_counter() - begun
    if found.votes != size * 3:
        raise SystemExit(f"{found.votes} votes count")
    store.close()
    return {
        "name": f"selaras, {kind}, {size:,} items x 3", "ours": True, "votes": found.votes,
        "next_p50_ms": _ms(fresh + old, 50), "next_p95_ms": _ms(fresh + old, 95),
        "next_worst_ms": _ms(fresh + old, 100), "agreement_seconds": round(spent, 2),
        "alpha": round(found.alpha.value, 3),
    }  # fmt: skip


class _Seen:
    def __init__(self) -> None:
        self.told: dict[str, tuple[int, str]] = {}
        self.pages: list[float] = []
        self.votes: list[float] = []
        self.retried = 0


class _Server:
    def __init__(self, folder: Path, url: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.url = folder, url

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "selaras", "rate", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "-C", str(self.folder)], env={**os.environ, "SELARAS_STORE": self.url},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(600):
            try:
                httpx.get(f"{self.base}/static/rate.js", timeout=1)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise SystemExit("the server did not start")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


async def _session(server: _Server, links: list[str], seconds: float) -> _Seen:
    seen, until = _Seen(), time.monotonic() + seconds

    async def killing() -> None:
        await asyncio.sleep(seconds / 2)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

    await asyncio.gather(killing(), *(_rate(server.port, link, until, seen) for link in links))
    return seen


async def _rate(port: int, link: str, until: float, seen: _Seen) -> None:
    chance, browser = random.Random(link), Browser(port)
    await asyncio.sleep(chance.random() * 2)
    page = await _sure(lambda: browser.get(f"/join/{link}"), seen)
    csrf = _field(page.text, "csrf")
    await _sure(lambda: browser.post("/rate/load/ready", {"csrf": csrf}, "text/html"), seen)
    while time.monotonic() < until:
        page = await _sure(lambda: browser.get("/rate/load"), seen, seen.pages)
        ticket = _field(page.text, "ticket")
        await asyncio.sleep(0.5 + chance.random())
        value = chance.choice(["safe", "unsafe"])
        data = {"csrf": csrf, "ticket": ticket, "value": value, "active": "1.0"}
        said = await _sure(
            lambda data=data: browser.post("/rate/load", data),  # type: ignore[misc]
            seen, seen.votes,
        )  # fmt: skip
        if json.loads(said.text)["outcome"] not in ("stored", "again"):
            raise SystemExit(f"a vote was answered with {said.text}")
        body = json.loads(base64.urlsafe_b64decode(ticket.split(".")[0]))
        seen.told[body["nonce"]] = (body["item"], value)


async def _sure(
    ask: Callable[[], Awaitable[Page]], seen: _Seen, times: list[float] | None = None
) -> Page:
    """Return an answer of 200, asking again while the server is away."""
    while True:
        begun = time.perf_counter()
        try:
            answer = await ask()
        except (OSError, EOFError):
            seen.retried += 1
            await asyncio.sleep(0.3)
            continue
        if answer.status in (429, 503):
            seen.retried += 1
            await asyncio.sleep(0.3)
            continue
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {answer.text[:300]}")
        if times is not None:
            times.append(time.perf_counter() - begun)
        return answer


def _batch(store: Store, size: int, name: str, overlap: int = 3) -> BatchSpec:
    spec = BatchSpec(id=name, title=name, task="harm", overlap=overlap, repeats=0, gold=0)
    text = "It depends on what you mean, and here is a plain answer of some words. " * 4
    items = [
        NewItem(f"r{n}", Content(row=f"r{n}", query=f"Question {n}?", response=f"{n}: {text}",
                                 policies=("hate",)))
        for n in range(size)
    ]  # fmt: skip
    with store.writing() as connection:
        create_batch(connection, spec, items)
        refresh(connection, builtin_policies())
        set_status(connection, spec.id, "open")
    return spec


def _fill(store: Store, spec: BatchSpec, size: int) -> list[int]:
    """Give three votes to every item, of 300 raters in turn, as their sessions would have."""
    rng = np.random.default_rng(0)
    with store.writing() as connection:
        raters = [invite(connection, spec, f"r{n}").rater for n in range(400)]
        rows = connection.execute(
            select(schema.items.c.id, schema.items.c.position).where(
                schema.items.c.batch == spec.id
            )
        ).all()
        version = "0" * 16
        votes = []
        for row in rows:
            true = "unsafe" if rng.random() < 0.3 else "safe"
            for turn in range(3):
                rater = raters[(row.position * 3 + turn) % 300]
                value = true if rng.random() < 0.9 else ("safe" if true == "unsafe" else "unsafe")
                votes.append({
                    "submission": f"{row.id}-{turn}", "batch": spec.id, "item": row.id,
                    "rater": rater, "round": 1, "purpose": "work", "grp": "", "number": 1,
                    "value": value, "flags": {}, "note": "", "edited": None, "shown_order": "ab",
                    "instructions": version, "seconds": 5.0, "active_seconds": 4.0, "at": 1.0,
                })  # fmt: skip
        for start in range(0, len(votes), 5_000):
            connection.execute(insert(schema.votes), votes[start : start + 5_000])
        connection.execute(schema.items.update().values(votes=3))
        connection.execute(schema.needs.update().values(remaining=3))
        connection.execute(schema.memberships.update().values(given=size * 3 // 300))
    return raters


def _stores(folder: Path, postgres: bool) -> list[tuple[str, str]]:
    folder.mkdir(parents=True, exist_ok=True)
    made = [("sqlite", f"sqlite:///{folder / 'store.db'}")]
    if postgres:
        import psycopg

        server = os.environ["SELARAS_TEST_POSTGRES"]
        name = f"load_{os.urandom(6).hex()}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        made.append(("postgresql", server.rpartition("/")[0] + f"/{name}"))
    return made


def _hash(votes: dict[str, tuple[int, str]]) -> str:
    lines = sorted(f"{number} {item} {value}" for number, (item, value) in votes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _field(text: str, name: str) -> str:
    found = re.search(f'name="{name}" value="(.*?)"', text)
    if not found:
        raise SystemExit(f"no field {name} in: {text[:300]}")
    return found[1]


def _ms(times: list[float], percentile: int) -> float:
    return round(1000 * float(np.percentile(times, percentile)), 1) if times else math.nan


def _load_line(row: dict[str, Any]) -> str:
    same = "equal" if row["sent_hash"] == row["stored_hash"] else "DIFFERENT"
    return (
        f"{row['name']}: {row['raters']} raters, {row['seconds']:.0f} s, killed once: "
        f"{row['sent']} sent, {row['stored']} stored, {row['lost']} lost, "
        f"{row['doubled']} doubled, hashes {same} ({row['stored_hash']}); "
        f"p95 page {row['page_p95_ms']} ms, vote {row['vote_p95_ms']} ms, both {row['p95_ms']} ms; "
        f"{row['retried']} sent again"
    )


def _scale_line(row: dict[str, Any]) -> str:
    return (
        f"{row['name']}: next item p50 {row['next_p50_ms']} ms, p95 {row['next_p95_ms']} ms, "
        f"worst {row['next_worst_ms']} ms; agreement {row['agreement_seconds']} s"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--postgres", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
