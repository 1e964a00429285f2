"""A real HTTP endpoint on loopback that misbehaves on demand and counts what it is asked."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from selaras.core.records import Conversation, Message


@dataclass
class Reply:
    """One answer. `cut` promises more bytes than come; `hang` waits until the test has ended."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    hang: bool = False


def completion(text: Any = "Yes.", **changes: Any) -> dict[str, Any]:
    """Return the body of a chat completion; `changes` replace its fields."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return {"id": "x", "model": "tiny", "choices": [choice], "usage": usage, **changes}


class Endpoint:
    """The server. `answer` maps (call number from 0, request body) to a Reply."""

    def __init__(self) -> None:
        self.answer: Callable[[int, Any], Reply] = lambda number, body: Reply(body=completion())
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.in_flight = self.peak = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    @property
    def calls(self) -> int:
        return len(self.requests)

    def script(self, *replies: Reply) -> None:
        """Answer the calls with these in turn; the last one goes on."""
        self.answer = lambda number, body: replies[min(number, len(replies) - 1)]

    def taken(self, path: str, headers: dict[str, str], body: Any) -> Reply:
        with self._lock:
            number = len(self.requests)
            self.requests.append((path, headers, body))
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
        return self.answer(number, body)

    def left(self) -> None:
        with self._lock:
            self.in_flight -= 1


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is what some tests are about."""


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            reply = endpoint.taken(self.path, dict(self.headers), json.loads(raw))
            try:
                time.sleep(reply.delay)
                if reply.hang:
                    endpoint.ended.wait(20)
                body = reply.body if isinstance(reply.body, bytes) else _json(reply.body)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + 100 * reply.cut))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = reply.cut or reply.hang
            finally:
                endpoint.left()

    return Handler


def _json(value: Any) -> bytes:
    return b"" if value is None else json.dumps(value).encode()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    served = Endpoint()
    yield served
    served.ended.set()
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def body() -> Callable[..., dict[str, Any]]:
    return completion


@pytest.fixture
def ask() -> Callable[..., list[Conversation]]:
    """Return conversations of one user message each."""
    return lambda *texts: [(Message(role="user", content=text),) for text in texts]
