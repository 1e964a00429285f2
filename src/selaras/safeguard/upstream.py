"""Where an allowed request goes on to: a server of chat completions behind HTTP.

Its faults are answers of the API's own error form. What it says in an error is passed on only where
it looks like an identifier, or was checked like any other text of a response.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from selaras.core.errors import one_line
from selaras.core.files import parse_json
from selaras.models.answer import TooLargeError, collected
from selaras.models.remote_address import Address
from selaras.safeguard.api import RefusedError
from selaras.safeguard.completion import identifier

LARGEST_ANSWER = 8 << 20
_LARGEST_ERROR = 1 << 16
_PASSED_ON = ("authorization", "api-key", "openai-organization", "openai-project")
_AS_IT_IS = frozenset({400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 503})


@dataclass(frozen=True, slots=True)
class Answer:
    """The beginning of an answer; its body is still to come."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


Post = Callable[[bytes, Mapping[str, str]], AbstractAsyncContextManager[Answer]]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for an upstream: to connect, for the next bytes."""

    connect: float = 5.0
    idle: float = 60.0


class Upstream:
    """A base URL. With `key_env` its key is sent, else the client's own Authorization.

    Connections are kept open; `close` ends them.
    """

    def __init__(
        self, base_url: str, key_env: str | None = None, patience: Patience | None = None,
        at_once: int = 64,
    ) -> None:  # fmt: skip
        self.address = Address(base_url, key_env)
        self.patience = patience or Patience()
        self._own_key = f"Bearer {self.address.key()}" if key_env else None
        self._at_once = at_once
        self._opened: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def post(self, body: bytes, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        """Ask for a completion; raises RefusedError where there is no answer, or it is cut."""
        url = f"{self.address.base_url}/chat/completions"
        async with self._request("POST", url, headers, body) as answer:
            yield answer

    async def model_names(self, headers: Mapping[str, str]) -> list[str]:
        """Return the names that the upstream lists; raises RefusedError."""
        async with self._request("GET", f"{self.address.base_url}/models", headers) as answer:
            if answer.status != 200:
                raise (await refusal_of(answer))[0]
            body = await collected(answer.chunks, LARGEST_ANSWER)
        try:
            rows = parse_json(body.decode())["data"]
            return [name for row in rows if (name := identifier(row["id"]))]
        except (ValueError, KeyError, TypeError):
            raise fault("the upstream's list of models cannot be read") from None

    async def close(self) -> None:
        """End all connections."""
        opened, self._opened = self._opened, None
        if opened:
            await opened.close()

    def _session(self) -> aiohttp.ClientSession:
        # Opened at the first request: a session belongs to the loop that it was made in.
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                # Dropped before an upstream's usual five seconds are over and it hangs up first.
                connector=aiohttp.TCPConnector(limit=self._at_once, keepalive_timeout=4.0),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self.patience.connect, sock_read=self.patience.idle
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=_proxy_of(self.address),
            )
        return self._opened

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[Answer]:
        try:
            async with self._session().request(
                method, URL(url, encoded=True), data=body, headers=self._sent(headers),
                allow_redirects=False,
            ) as response:  # fmt: skip
                if self._own_key and response.status in {401, 402, 403}:
                    raise fault("the upstream does not accept this proxy's key")
                yield Answer(response.status, response.headers, response.content.iter_any())
        except aiohttp.ServerTimeoutError:
            raise fault("the upstream did not answer in time", 504) from None
        except (aiohttp.ClientError, OSError) as error:
            raise fault(f"the upstream's connection failed ({type(error).__name__})") from None
        except TooLargeError as error:
            raise fault(f"the upstream: {error}") from None

    def _sent(self, headers: Mapping[str, str]) -> dict[str, str]:
        sent = {name: headers[name] for name in _PASSED_ON if name in headers}
        if self._own_key:
            sent = {"authorization": self._own_key}
        return {
            **sent, "content-type": "application/json", "accept-encoding": "identity",
            "user-agent": "selaras-guard",
        }  # fmt: skip


def _proxy_of(address: Address) -> str | None:
    """Return the proxy that the environment names for an address; none for this machine."""
    if address.loopback or proxy_bypass(address.host):
        return None
    named = getproxies()
    return named.get(urlsplit(address.base_url).scheme) or named.get("all")


def fault(what: str, status: int = 502) -> RefusedError:
    """Return the error of an upstream that could not do its part."""
    return RefusedError(status, what, "upstream_error", code="upstream_failed")


async def refusal_of(answer: Answer) -> tuple[RefusedError, str]:
    """Return an upstream's error status as the error to answer with, and the upstream's own words.

    The words are not in the error: they are to be checked first.
    """
    try:
        value = parse_json((await collected(answer.chunks, _LARGEST_ERROR)).decode())
    except (ValueError, TooLargeError):
        value = None
    said = value.get("error") if isinstance(value, dict) else None
    said = said if isinstance(said, dict) else {}
    again = answer.headers.get("retry-after", "")
    error = RefusedError(
        answer.status if answer.status in _AS_IT_IS else 502,
        f"the upstream answered with HTTP {answer.status}",
        identifier(said.get("type"), "upstream_error"),
        code=identifier(said.get("code")) or "upstream_failed",
        param=identifier(said.get("param")) or None,
        retry_after=float(again) if again.isdigit() else None,
    )
    words = said.get("message")
    return error, one_line(words, 300) if isinstance(words, str) else ""
