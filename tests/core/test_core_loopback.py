"""Which requests a local server answers, and what it says with its answers."""

import asyncio
from typing import Any

import pytest

from selaras.core.errors import InputError
from selaras.core.loopback import HEADERS, bound_socket, guarded


async def hello(scope: Any, receive: Any, send: Any) -> None:
    own = [(b"cache-control", b"max-age=60")]
    await send({"type": "http.response.start", "status": 200, "headers": own})
    await send({"type": "http.response.body", "body": b"hello"})


def ask(*headers: tuple[str, str], kind: str = "http", hosts: tuple[str, ...] = ()) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {}

    scope = {"type": kind, "headers": [(k.encode(), v.encode()) for k, v in headers]}
    asyncio.run(guarded(hello, hosts)(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("host", "127.0.0.1:8000")], 200),
        ([("host", "LOCALHOST")], 200),
        ([("host", "[::1]:8000")], 200),
        ([("host", "rate.example.org")], 200),
        ([("host", "127.0.0.1:8000"), ("origin", "http://127.0.0.1:8000")], 200),
        ([], 421),
        ([("host", "evil.example")], 421),
        ([("host", "127.0.0.1.evil.example:8000")], 421),
        ([("host", "127.0.0.1"), ("host", "evil.example")], 421),
        ([("host", "127.0.0.1:8000"), ("origin", "http://evil.example")], 403),
        ([("host", "127.0.0.1:8000"), ("origin", "http://127.0.0.1:9000")], 403),
        ([("host", "127.0.0.1:8000"), ("origin", "null")], 403),
        ([("host", "127.0.0.1:8000"), ("origin", "http://[bad")], 403),
    ],
)
def test_host_and_origin(headers: Any, status: int) -> None:
    start, body = ask(*headers, hosts=("rate.example.org",))
    assert start["status"] == status
    assert (body["body"] == b"hello") == (status == 200)


def test_headers_stand_on_every_answer_and_the_app_may_write_its_own() -> None:
    for host, cached in (("localhost", "max-age=60"), ("evil.example", "no-store")):
        found = {k.decode(): v.decode() for k, v in ask(("host", host))[0]["headers"]}
        assert found.keys() >= HEADERS.keys()
        assert found["cache-control"] == cached


def test_a_websocket_of_another_site_is_closed() -> None:
    (closed,) = ask(("host", "evil.example"), kind="websocket")
    assert closed["type"] == "websocket.close"


@pytest.mark.enable_socket
def test_a_port_that_is_taken_is_said_with_what_to_do():
    with bound_socket("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        assert port
        with pytest.raises(InputError, match=rf"cannot listen on .*:{port} .*another --port"):
            bound_socket("127.0.0.1", port)
