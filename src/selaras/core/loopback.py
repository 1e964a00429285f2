"""What every local web server of ours asks of a request, and says with an answer; plain ASGI.

A page on another site can make a browser send requests to this machine, and a name of its own can
be made to point here (DNS rebinding). So a request is answered only under a host name that was
allowed, and only where its Origin, if it has one, is the server itself.

    app = guarded(app, hosts=("rate.example.org",))

It imports no web framework, so that Starlette, a proxy and a test can all be wrapped.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from selaras.core.errors import InputError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # A document with no-referrer sends "Origin: null" with its own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address, port 0 for any that is free.

    Raises InputError where the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol's name asyncio leaves Nagle's algorithm on: 40 ms for every answer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), port))
    except OSError as error:
        bound.close()
        raise InputError(
            f"cannot listen on {host}:{port} ({error.strerror})", fix="choose another --port"
        ) from error
    bound.listen(1_024)
    return bound


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine only.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def guarded(app: App, hosts: Iterable[str] = (), headers: Mapping[str, str] = HEADERS) -> App:
    """Return the app behind a check of Host and Origin, with security headers on its answers.

    `hosts` are names (without port) that are answered beside those of the loopback. `headers` are
    added where the app did not write them itself. What is refused gets a line of plain text: 421
    for a strange Host, 403 for a strange Origin; a websocket is closed.
    """
    allowed = {name.lower() for name in (*LOOPBACK, *hosts)}
    extra = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        if refusal := refused(scope, allowed):
            await _refuse(scope, send, *refusal, extra)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                names = {name.lower() for name, _ in own}
                own += [pair for pair in extra if pair[0] not in names]
                message = {**message, "headers": own}
            await send(message)

        await app(scope, receive, sending)

    return wrapped


def refused(scope: Scope, allowed: Collection[str]) -> tuple[int, str] | None:
    """Return the status and reason for which a request is not answered, None where it is."""
    found = scope.get("headers", ())
    hosts = [value.decode("latin-1").lower() for name, value in found if name == b"host"]
    if len(hosts) != 1 or _name(hosts[0]) not in allowed:
        return 421, "this server does not answer under that name"
    origins = [value.decode("latin-1").lower() for name, value in found if name == b"origin"]
    if not origins:
        return None
    try:
        origin = urlsplit(origins[0]).netloc if len(origins) == 1 else ""
    except ValueError:
        origin = ""
    return None if origin == hosts[0] else (403, "the request comes from another site")


def _name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


async def _refuse(
    scope: Scope, send: Send, status: int, reason: str, extra: list[tuple[bytes, bytes]]
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    own = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": own + extra})
    await send({"type": "http.response.body", "body": reason.encode() + b"\n"})
