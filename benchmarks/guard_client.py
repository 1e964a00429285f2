"""A client for the guard's benchmarks: raw connections that stay open, so that it costs little."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from guard_upstream import STREAMED, WHOLE

HERE = Path(__file__).resolve().parent


class Client:
    """Keeps connections to one port of the loopback and asks for chat completions over them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, content: str, stream: bool = False, **more: Any) -> bytes:
        """Return the body of an answer; raises OSError or EOFError where it is cut."""
        body = request(content, stream, **more)
        async with self._connection() as (reader, writer):
            writer.write(self._head(len(body)) + body)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"content-length:" in head:
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                return await reader.readexactly(length)
            return b"".join([piece async for piece in _chunks(reader)])

    async def leave(self, content: str, after: float, **more: Any) -> bytes:
        """Ask for a stream and hang up after so many seconds; return what had come."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        body, came = request(content, True, **more), b""
        writer.write(self._head(len(body)) + body)
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(after):
                while piece := await reader.read(65_536):
                    came += piece
        writer.transport.abort()
        return came

    def close(self) -> None:
        """Drop all connections."""
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle.clear()

    def _head(self, length: int) -> bytes:
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"authorization: Bearer sk-bench\r\ncontent-type: application/json\r\n"
            f"content-length: {length}\r\n\r\n"
        ).encode()

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        pair = self._idle.pop() if self._idle else None
        if pair is None or pair[0].at_eof():
            pair = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        try:
            yield pair
        except BaseException:
            pair[1].transport.abort()
            raise
        self._idle.append(pair)


def request(content: str, stream: bool = False, **more: Any) -> bytes:
    """Return the body of a request."""
    messages = [{"role": "user", "content": content}]
    return json.dumps({"model": "m", "messages": messages, "stream": stream, **more}).encode()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readuntil(b"\r\n")).strip() or b"0", 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)


def said(body: bytes, stream: bool) -> str:
    """Return the text of an answer; empty where it is an error."""
    lines = body.split(b"\n") if stream else [b"data:" + body]
    text = ""
    for line in lines:
        if line.startswith(b"data:") and line.strip() != b"data: [DONE]":
            for choice in json.loads(line[5:]).get("choices") or ():
                text += choice["delta" if stream else "message"].get("content") or ""
    return text


async def at_rate(
    client: Client, count: int, rate: float, contents: Sequence[str], stream: bool
) -> list[float]:
    """Return the seconds that each of `count` requests took, sent at a rate whatever comes back.

    Time is counted from when a request was due, so that a queue is not hidden. A request whose
    connection broke, or that was not answered with the upstream's whole text, has no time.
    """
    begun, found = time.perf_counter() + 0.05, []

    async def one(number: int) -> None:
        due = begun + number / rate
        with contextlib.suppress(OSError, EOFError):
            body = await client.ask(contents[number % len(contents)], stream)
            took = time.perf_counter() - due
            if said(body, stream) == (STREAMED if stream else WHOLE):
                found.append(took)

    tasks = []
    for number in range(count):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    return found


@contextlib.contextmanager
def process(command: Sequence[Any], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a command while the block runs."""
    child = subprocess.Popen([str(part) for part in command], text=True, **options)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def upstream(*options: Any) -> Iterator[int]:
    """Run the upstream while the block runs; yield its port."""
    command = [sys.executable, HERE / "guard_upstream.py", *options]
    with process(command, stdout=subprocess.PIPE) as child:
        yield int(child.stdout.readline())
