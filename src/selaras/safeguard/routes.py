"""Which upstream and which guard serve which requests, as a project keeps it: `guards/serve.yaml`.

    routes:
      - {upstream: "http://127.0.0.1:8088/v1", guard: guards/main.yaml}
      - {path: /kids/v1, upstream: "https://api.openai.com/v1", guard: guards/kids.yaml,
         models: {tutor: gpt-5-mini}}
    at_once: 32

Of the routes of one path, the first that serves the model asked for takes a request.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path as FilePath
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.project import load_yaml
from selaras.core.records import Record
from selaras.models.keys import bound_variable, keys_file
from selaras.models.remote_address import Address
from selaras.safeguard.admission import Admission
from selaras.safeguard.checks import Checker, Checks
from selaras.safeguard.endpoint import Limits, Route
from selaras.safeguard.proxy import Path
from selaras.safeguard.upstream import Patience, Upstream

UrlPath = Annotated[str, StringConstraints(pattern=r"^(/[\w.~-]+)+$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class RouteSpec(Record):
    """One upstream under one guard.

    `models` are the names that clients may ask for, with the upstream's own names where these
    differ; none means every name. `key` is whose key the upstream sees: the client's Authorization
    as it came, or this proxy's `own`, from the variable that the user's keys file binds to the URL.
    """

    upstream: str
    guard: str | None = None
    path: UrlPath = "/v1"
    models: Mapping[str, str] = Field(default_factory=dict)
    key: Literal["client", "own"] = "client"

    @field_validator("models", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        return {name: name for name in value} if isinstance(value, list) else value


class ServeSpec(Record):
    """All of a routes file.

    Requests beyond `at_once` wait, `waiting` of them at most and `wait_seconds` each. A check may
    take `check_seconds`, in one of `threads` where its stages are not quick; an upstream may be
    silent for `idle_seconds`; a whole request may take `answer_seconds` and a body `body_bytes`.
    """

    routes: tuple[RouteSpec, ...] = Field(min_length=1)
    at_once: int = Field(default=64, ge=1, le=4_096)
    waiting: int = Field(default=128, ge=0, le=65_536)
    wait_seconds: Seconds = 5.0
    check_seconds: Seconds = 20.0
    idle_seconds: Seconds = 60.0
    answer_seconds: Seconds = 600.0
    body_bytes: int = Field(default=2 << 20, ge=1_000, le=64 << 20)
    threads: int = Field(default=8, ge=1, le=256)

    @property
    def admission(self) -> Admission:
        """How many are let in."""
        return Admission(self.at_once, self.waiting, self.wait_seconds)

    @property
    def limits(self) -> Limits:
        """What one request may take."""
        return Limits(self.body_bytes, min(15.0, self.answer_seconds), self.answer_seconds)


def read_routes(file: FilePath) -> ServeSpec:
    """Return a routes file; raises InputError with the field that is wrong."""
    return checked(ServeSpec, load_yaml(file) or {}, path=file)


def open_paths(
    spec: ServeSpec, guard_of: Callable[[str | None], Checker], threads: Executor
) -> list[Path]:
    """Return what is served under each path. One upstream object serves all routes to its URL.

    Raises InputError for a route that no request can take and for a key that is not there.
    """
    upstreams: dict[tuple[str, str], Upstream] = {}
    guards: dict[str | None, Checks] = {}
    paths: dict[str, list[tuple[Route, Upstream]]] = {}
    for number, route in enumerate(spec.routes):
        own = paths.setdefault(route.path, [])
        _check_reachable(route, [earlier for earlier, _ in own], number)
        if route.guard not in guards:
            guards[route.guard] = Checks(guard_of(route.guard), threads, spec.check_seconds)
        where = (route.upstream, route.key)
        if where not in upstreams:
            upstreams[where] = _upstream(route, spec)
        upstream = upstreams[where]
        name = f"{route.path} -> {upstream.address.base_url}"
        own.append((Route(name, guards[route.guard], upstream.post, route.models), upstream))
    return [Path(path, routes) for path, routes in paths.items()]


def _upstream(route: RouteSpec, spec: ServeSpec) -> Upstream:
    address = Address(route.upstream)
    variable = None
    if route.key == "own":
        variable = bound_variable(address.base_url) or address.variable
        if variable is None:
            raise InputError(
                f"no environment variable is bound to {address.base_url}, so there is no own key",
                fix=f"write '{address.base_url}: VARIABLE' to {keys_file()}",
            )
    patience = Patience(idle=spec.idle_seconds)
    return Upstream(address.base_url, variable, patience, spec.at_once)


def _check_reachable(route: RouteSpec, earlier: Sequence[Route], number: int) -> None:
    taken = any(not other.models for other in earlier)
    if taken or (route.models and all(any(o.serves(m) for o in earlier) for m in route.models)):
        raise InputError(
            f"no request can take this route: an earlier one of {route.path} serves its models",
            field=f"routes.{number}", fix="give it another path, or the earlier one its `models`",
        )  # fmt: skip
