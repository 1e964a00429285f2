"""An upstream for the guard's benchmarks: answers at once, or goes wrong in the way it is told to.

    python benchmarks/guard_upstream.py      prints its port, serves until it is killed

The last message of a request is JSON that says what to do (`{"do": "cut", "plant": "...", "seed":
7}`), or anything else for a plain answer. It is a bare asyncio protocol, which costs little.
`/judge/...` answers as a policy judge does, or goes wrong as the file named by its --judge says.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import random
from pathlib import Path
from typing import Any

WORDS = "the rain had stopped before anyone in the old house woke up and went down to see"
# What is said where nothing goes wrong.
WHOLE, STREAMED = "Yes, it is.", "Yes, it is. " * 12
FAULTS = ("clean", "plain", "split", "disguised", "cut", "malformed", "fields", "choices", "calls",
          "error", "reset", "garbage")  # fmt: skip


def told(body: bytes) -> dict[str, Any]:
    """Return what a request asks for."""
    value, order = json.loads(body or b"{}"), {}
    with contextlib.suppress(ValueError, LookupError, TypeError):
        order = json.loads(value["messages"][-1]["content"])
    return {"stream": value.get("stream", False), **(order if isinstance(order, dict) else {})}


def prose(draw: random.Random, words: int) -> str:
    """Return harmless text."""
    return " ".join(draw.choice(WORDS.split()) for _ in range(words))


def text_of(order: dict[str, Any]) -> str:
    """Return the answer's text, with the plant in it where there is one."""
    draw = random.Random(order.get("seed", 0))
    plant = order.get("plant", "")
    if order.get("do") == "disguised":
        way = draw.choice([str.upper, "\u200b".join, lambda text: text.replace("o", "\u043e")])
        plant = way(plant)
    return f"{prose(draw, draw.randint(0, 120))} {plant} {prose(draw, draw.randint(0, 120))}"


def answer(order: dict[str, Any]) -> bytes:
    """Return the whole answer to a request that is not streamed, headers included."""
    do, text = order.get("do"), text_of(order) if "do" in order else WHOLE
    plant = order.get("plant", "")
    if do == "error":
        return packed(json.dumps({"error": {"message": plant, "code": plant}}).encode(), 400)
    if do == "garbage":
        return packed(f"<html>{text}</html>".encode())
    message: dict[str, Any] = {"role": "assistant", "content": text}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
    choices = [choice]
    if do in ("fields", "choices", "calls"):
        message["content"] = "Fine."
    if do == "fields":
        message["reasoning_content"] = choice["logprobs"] = text
    if do == "choices":
        choices += [{"index": n, "message": {"role": "assistant", "content": text}}
                    for n in range(1, 2_000)]  # fmt: skip
    if do == "calls":
        arguments = json.dumps({"text": text})
        call = {"name": "tell", "arguments": arguments}
        message["tool_calls"] = [{"id": "c", "type": "function", "function": call}]
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
             "choices": choices}  # fmt: skip
    made = packed(json.dumps(whole).encode())
    return made[: len(made) // 2] if do in ("cut", "malformed") else made


def chunk(delta: Any, finish: str | None = None, **more: Any) -> bytes:
    """Return one event."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
    value = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**value, "choices": [choice]}).encode() + b"\n\n"


def stream(order: dict[str, Any]) -> list[bytes]:
    """Return the pieces of a streamed answer after its headers; None at the end is a reset."""
    draw = random.Random(order.get("seed", 0))
    do, text = order.get("do"), text_of(order) if "do" in order else STREAMED
    step = 1 if do == "split" else draw.randint(1, 40)
    parts = [text[i : i + step] for i in range(0, len(text), step)]
    events = [chunk({"content": part}) for part in parts]
    if do == "fields":
        events = [
            chunk({"reasoning_content": part}, logprobs={"content": [part]}) for part in parts
        ]
    if do == "choices":
        events = [event.replace(b'"index": 0', b'"index": 1') for event in events]
    if do == "calls":
        arguments = json.dumps({"text": text})
        call = {"index": 0, "id": "c", "function": {"name": "tell"}}
        events = [chunk({"tool_calls": [{**call, "function": {
                      "name": "" if at else "tell", "arguments": arguments[at : at + step]}}]})
                  for at in range(0, len(arguments), step)]  # fmt: skip
    if do in ("cut", "reset", "garbage", "malformed", "error"):
        place = draw.randint(0, len(events))
        bad = {"malformed": [b"data: {\"choices\": [" + text.encode() + b"\n\n"],
               "error": [b"data: " + json.dumps({"error": {"message": text}}).encode() + b"\n\n"],
               "garbage": [bytes(draw.randrange(256) for _ in range(300)) + b"\n\n"]}  # fmt: skip
        return events[:place] + bad.get(str(do), [])
    return [*events, chunk({}, "stop"), b"data: [DONE]\n\n"]


def packed(body: bytes, status: int = 200) -> bytes:
    """Return a whole HTTP answer."""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def framed(piece: bytes) -> bytes:
    """Return a piece as an HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


class Upstream(asyncio.Protocol):
    """One connection."""

    judge: Path | None = None

    def __init__(self) -> None:
        self.came = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.came += data
        while (end := self.came.find(b"\r\n\r\n")) >= 0:
            head = self.came[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(self.came) < end + 4 + length:
                return
            body, self.came = self.came[end + 4 : end + 4 + length], self.came[end + 4 + length :]
            if b"/judge/" in head.split(b"\r\n")[0]:
                self._judged()
            else:
                self._answer(told(body))

    def _answer(self, order: dict[str, Any]) -> None:
        write, do = self.transport.write, order.get("do")
        if not order["stream"]:
            write(answer(order))
            if do in ("cut", "malformed"):
                self.transport.close()
            if do == "reset":
                self.transport.abort()
            return
        write(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n"
              b"transfer-encoding: chunked\r\n\r\n")  # fmt: skip
        if "do" in order:
            for piece in stream(order):
                write(framed(piece))
        else:
            write(b"".join(map(framed, stream(order))))
        if do == "reset":
            self.transport.abort()
        elif do == "cut":
            self.transport.close()
        else:
            write(b"0\r\n\r\n")

    def _judged(self) -> None:
        way = self.judge.read_text() if self.judge else "fine"
        if way == "down":
            self.transport.abort()
        elif way != "slow":
            top = [{"token": "No", "logprob": -0.01}, {"token": "Yes", "logprob": -5.0}]
            choice = {"index": 0, "message": {"role": "assistant", "content": "No"},
                      "finish_reason": "length",
                      "logprobs": {"content": [{**top[0], "top_logprobs": top}]}}  # fmt: skip
            self.transport.write(packed(json.dumps({"model": "j", "choices": [choice]}).encode()))


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--judge", type=Path, help="a file that says fine, down or slow")
    Upstream.judge = parser.parse_args().judge
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # clients that hang up are the point
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
