"""The user's own application as a model: with its retrieval, its tools and its own safeguards.

    python:MODULE:FUNCTION     def respond(messages: list[dict[str, str]]) -> str, or async def
    http:URL                   POST {"messages": [...]}, answered by {"response": "..."}

`messages` are [{"role": "user", "content": "..."}, ...]. The application decides how it samples:
max_tokens, temperature and seed are not passed on. What goes wrong in it is that row's error.
"""

import asyncio
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selaras.core.errors import InputError, one_line
from selaras.core.files import parse_json
from selaras.core.fingerprint import sha256_file
from selaras.core.late import resolve
from selaras.core.records import Conversation
from selaras.core.system import Sampling
from selaras.models.answer import TooLargeError, answered, collected, failed, storable
from selaras.models.call_loop import CallLoop
from selaras.models.names import Place
from selaras.models.protocol import Generation

LARGEST_RESPONSE = 1 << 20


class PythonApplication:
    """A function of the user's that answers a conversation.

    A plain function is called in the caller's thread, one row after the other; a coroutine
    function runs for `concurrency` rows at once, in one event loop for all batches. An exception
    in it is the row's error, of one line.
    """

    batch_size = 1

    def __init__(self, name: str, function: Callable[..., Any], concurrency: int = 4) -> None:
        if not callable(function):
            raise InputError(f"{name} is a {type(function).__name__}, not a function")
        if concurrency < 1:
            raise InputError("concurrency is 1 or more")
        self.name, self.concurrency = name, concurrency
        self._function = function
        self._calls = CallLoop()
        self._source_sha256 = _source_sha256(function)

    @property
    def identity(self) -> dict[str, Any]:
        """MODULE:FUNCTION, and the sha256 of the file that defines it where there is one.

        Other files that the function uses are not in it.
        """
        source = {"sha256": self._source_sha256} if self._source_sha256 else {}
        return {"name": f"python:{self.name}", **source}

    def generate(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling,  # noqa: ARG002 - the application decides how it samples
    ) -> Iterator[Generation]:
        """Yield what the function returns for each conversation."""
        rows = list(enumerate(conversations))
        if _is_async(self._function):
            yield from self._calls.finished(self._awaited, rows, self.concurrency)
        else:
            for row in rows:
                yield self._called(row)

    def _called(self, row: tuple[int, Conversation]) -> Generation:
        index, conversation = row
        try:
            said = self._function(_messages(conversation))
            if inspect.isawaitable(said):  # a plain function around a coroutine function
                said = self._calls.run(_value_of(said))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code raises anything
            return failed(index, _raised(error))
        return _returned(index, said)

    async def _awaited(self, row: tuple[int, Conversation]) -> Generation:
        index, conversation = row
        try:
            said = await self._function(_messages(conversation))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code raises anything
            return failed(index, _raised(error))
        return _returned(index, said)


class HttpApplication:
    """An application behind a URL. Every failure is the row's error; nothing is tried again.

    The identity holds the URL without user name, password and query: what tells two variants of an
    application apart belongs into the path. Redirects are not followed.
    """

    batch_size = 1

    def __init__(self, url: str, concurrency: int = 4, timeout: float = 60.0) -> None:
        if concurrency < 1 or timeout <= 0:
            raise InputError("concurrency is 1 or more, and timeout over 0")
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or parts.scheme not in {"http", "https"} or not url.isprintable():
            raise InputError(
                "an application's URL is http:// or https:// with a host",
                fix="write http:https://HOST/PATH",
            )
        shown = f"[{host}]" if ":" in host else host
        self.shown = f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path}"
        self.concurrency, self.timeout = concurrency, timeout
        self._url = url.strip()
        self._local = host in {"localhost", "127.0.0.1", "::1"}
        self._calls = CallLoop()

    @property
    def identity(self) -> dict[str, Any]:
        """The URL, without credentials or query."""
        return {"name": f"http:{self.shown}"}

    def generate(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling,  # noqa: ARG002 - the application decides how it samples
    ) -> Iterator[Generation]:
        """Yield the application's responses as they come, `concurrency` calls at once."""
        import httpx

        client = httpx.AsyncClient(
            timeout=self.timeout, follow_redirects=False, trust_env=not self._local
        )
        rows = list(enumerate(conversations))
        try:
            yield from self._calls.finished(partial(self._answer, client), rows, self.concurrency)
        finally:
            self._calls.farewell(client.aclose())

    async def _answer(self, client: Any, row: tuple[int, Conversation]) -> Generation:
        import httpx

        index, conversation = row
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        content = json.dumps({"messages": _messages(conversation)}).encode()
        try:
            async with (
                asyncio.timeout(self.timeout),
                client.stream("POST", self._url, content=content, headers=headers) as response,
            ):
                status = response.status_code
                body = await collected(response.aiter_bytes(), LARGEST_RESPONSE)
        except (TimeoutError, httpx.TimeoutException):
            return failed(index, f"no answer within {self.timeout:g} s")
        except TooLargeError as error:
            return failed(index, str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return failed(index, f"the connection failed ({type(error).__name__})")
        return _response(index, status, body)


def open_python(argument: str, place: Place | None = None) -> PythonApplication:
    """Return the application of `python:MODULE:FUNCTION`; raises InputError where there is none.

    The place's root, or the current folder, is searched last: a file in it cannot take the place
    of a library's.
    """
    module, _, function = argument.strip().partition(":")
    if not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise InputError(f"{argument!r} is not of the form MODULE:FUNCTION")
    here = str(place.root if place else Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found = resolve(f"{module}:{function}")
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"importing {module!r} failed: {_raised(error)}") from error
    return PythonApplication(f"{module}:{function}", found)


def open_http(argument: str, place: Place | None = None) -> HttpApplication:  # noqa: ARG001
    """Return the application of `http:URL`; the URL by itself will do as well.

    >>> open_http("https://me:secret@example.org/chat?key=1").identity
    {'name': 'http:https://example.org/chat'}
    """
    prefixed = argument.startswith("http:") and not argument.startswith("http://")
    return HttpApplication(argument.removeprefix("http:") if prefixed else argument)


def _messages(conversation: Conversation) -> list[dict[str, str]]:
    return [
        {"role": message.role, "content": storable(message.content)} for message in conversation
    ]


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object's own async __call__
    )


async def _value_of(awaitable: Any) -> Any:
    return await awaitable


def _raised(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}".rstrip(": "), 300)


def _returned(index: int, said: Any) -> Generation:
    if not isinstance(said, str):
        return failed(index, f"the function returned {type(said).__name__}, not str")
    return answered(index, said)


def _response(index: int, status: int, body: bytes) -> Generation:
    if status != 200:
        said = one_line(body[:400].decode("utf-8", "replace"), 200)
        return failed(index, f"HTTP {status}" + (f": {said}" if said else ""))
    try:
        value = parse_json(body.decode("utf-8"))
    except ValueError:
        start = one_line(body[:200].decode("utf-8", "replace"), 80)
        return failed(index, f"the body is not JSON: {start!r}")
    response = value.get("response") if isinstance(value, dict) else None
    if not isinstance(response, str):
        return failed(index, 'the body is not {"response": "..."}')
    return answered(index, response)


def _source_sha256(function: Callable[..., Any]) -> str | None:
    found = inspect.unwrap(function)
    try:
        source = inspect.getsourcefile(found)
    except TypeError:  # partials and instances: the file of their class, or of none
        try:
            source = inspect.getsourcefile(type(found))
        except TypeError:
            source = None
    return sha256_file(Path(source)) if source and Path(source).is_file() else None
