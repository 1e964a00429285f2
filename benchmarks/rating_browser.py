"""A browser for the rating page's load test: one connection, cookies, and next to no work."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of the server."""

    status: int
    text: str


class Browser:
    """Keeps one connection to a port of the loopback and the cookies it was given.

    An HTTP library costs more than the server does, and fifty of its clients share the cores that
    the server is measured on.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._cookies: dict[str, str] = {}
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> Page:
        """Return a page; a redirection is followed. Raises OSError or EOFError where it is cut."""
        return await self._ask("GET", path, b"", "text/html")

    async def post(
        self, path: str, fields: Mapping[str, str], accept: str = "application/json"
    ) -> Page:
        """Send a form and return the answer, like `get`."""
        return await self._ask("POST", path, urlencode(fields).encode(), accept)

    async def _ask(self, method: str, path: str, body: bytes, accept: str) -> Page:
        if self._pair is None or self._pair[0].at_eof():
            self._pair = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._pair
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        try:
            writer.write(
                f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\naccept: {accept}\r\n"
                f"content-type: application/x-www-form-urlencoded\r\ncookie: {cookies}\r\n"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            async with asyncio.timeout(20):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                fields = self._fields(head[1:])
                text = await reader.readexactly(int(fields["content-length"]))
        except BaseException:
            writer.transport.abort()
            self._pair = None
            raise
        status = int(head[0].split()[1])
        if status in (302, 303, 307):
            return await self._ask("GET", fields["location"], b"", accept)
        return Page(status, text.decode())

    def _fields(self, lines: list[str]) -> dict[str, str]:
        found = {}
        for name, _, value in (line.partition(":") for line in lines if line):
            if name.lower() == "set-cookie":
                cookie, _, value = value.strip().partition(";")[0].partition("=")
                self._cookies[cookie] = value
            found[name.lower()] = value.strip()
        return found
