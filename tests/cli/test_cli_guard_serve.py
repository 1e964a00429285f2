"""`selaras guard serve` as people start it: a process that serves, logs and ends in good order."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from selaras.core.files import write_text

RULES = "rules: [{policy: dangerous-content, pattern: the butler did it}]\n"
GUARD = "stages: [{type: rules, file: guards/rules.yaml}]\nmessages: {dangerous-content: 'No.'}\n"
ASKED = {"model": "m", "messages": [{"role": "user", "content": "So THE BUTLER did it?"}]}


@pytest.fixture
def guarded(project: Path) -> Path:
    write_text(project / "guards" / "rules.yaml", RULES)
    write_text(project / "guards" / "main.yaml", GUARD)
    return project


def test_it_serves_until_it_is_told_to_stop(guarded: Path) -> None:
    log = guarded / "log.jsonl"
    command = [sys.executable, "-m", "selaras", "guard", "serve", "-C", str(guarded), "--port", "0",
               "--upstream", "http://127.0.0.1:9/v1", "--log", str(log)]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as child:
        assert child.stderr is not None
        try:
            route, where = child.stderr.readline(), child.stderr.readline()
            url = where.split()[-1]
            assert route.strip() == "/v1 -> http://127.0.0.1:9/v1 under guard main"
            blocked = httpx.post(f"{url}/v1/chat/completions", json=ASKED).json()
            safe = {**ASKED, "messages": [{"role": "user", "content": "Hello?"}]}
            unreached = httpx.post(f"{url}/v1/chat/completions", json=safe)
        finally:
            child.send_signal(signal.SIGTERM)
        assert child.wait(20) in (0, -signal.SIGTERM)
    assert blocked["choices"][0]["message"]["content"] == "No."
    assert unreached.status_code == 502
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["action"], row["status"]) for row in rows] == [("block", 200), ("error", 502)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "give --upstream URL"),
        (("--upstream", "ftp://x"), "a base URL is http"),
        (("--upstream", "http://u:p@x/v1"), "without a user name"),
        (("--upstream", "http://127.0.0.1:9/v1", "--guard", "guards/none.yaml"), "none.yaml"),
        (("--upstream", "https://x.example/v1", "--own-key"), "no environment variable is bound"),
        (("--routes", "no.yaml"), "no such file"),
        (("--routes", "selaras.yaml"), "unknown field"),
        (("--upstream", "http://127.0.0.1:9/v1", "--host", "203.0.113.1"), "cannot listen"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    guarded: Path, run: Callable[..., Any], options: tuple[str, ...], words: str
) -> None:
    placed = [str(guarded / o) if o.endswith(".yaml") and o[:2] != "gu" else o for o in options]
    done = run("guard", "serve", *placed)
    assert done.exit_code in (1, 2)
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
