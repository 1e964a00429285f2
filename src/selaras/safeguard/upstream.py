"""Where an allowed request goes on to: a server of chat completions behind HTTP.

Its faults are answers of the API's own error form. What it says in an error is passed on only where
it looks like an identifier, or was checked like any other text of a response.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import httpx

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
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(self.patience.idle, connect=self.patience.connect),
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            follow_redirects=False,
            trust_env=not self.address.loopback,
        )

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
        await self._client.aclose()

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[Answer]:
        try:
            async with self._client.stream(
                method, url, content=body, headers=self._sent(headers)
            ) as response:
                if self._own_key and response.status_code in {401, 402, 403}:
                    raise fault("the upstream does not accept this proxy's key")
                yield Answer(response.status_code, response.headers, response.aiter_bytes())
        except httpx.TimeoutException:
            raise fault("the upstream did not answer in time", 504) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
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
