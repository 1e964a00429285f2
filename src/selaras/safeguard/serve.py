"""Running the proxy: a server that tells where it is, logs a line a request and ends in good order.

On SIGTERM or Ctrl-C nothing new is let in, and what is under way has `grace` seconds to end.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, MissingExtraError
from selaras.core.loopback import bound_socket, is_loopback
from selaras.core.records import Message
from selaras.safeguard.checks import Checker
from selaras.safeguard.endpoint import Route
from selaras.safeguard.proxy import Doors, proxy
from selaras.safeguard.routes import ServeSpec, open_paths


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen and who may come: `token_env` names the variable with the clients' token."""

    host: str = "127.0.0.1"
    port: int = 8100
    hosts: Sequence[str] = ()
    token_env: str | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """Where the log goes (None: stderr), and whether it holds texts."""

    file: Path | None = None
    texts: bool = False


def serve(
    spec: ServeSpec,
    guard_of: Callable[[str | None], Checker],
    place: Place,
    journal: Journal,
    say: Callable[[str], None],
    *,
    grace: float = 10.0,
) -> None:
    """Serve until told to stop; raises InputError or SelarasError where it cannot begin."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("uvicorn", "guard") from error
    doors = _doors(spec, place)
    threads = ThreadPoolExecutor(spec.threads, thread_name_prefix="guard")
    paths = open_paths(spec, guard_of, threads)
    app = proxy(
        paths, admission=spec.admission, limits=spec.limits, doors=doors, log_texts=journal.texts
    )
    _log_to(journal)
    with bound_socket(place.host, place.port) as bound:
        for path in paths:
            for route, _ in path.routes:
                say(_introduced(route))
        host, port = bound.getsockname()[:2]
        say(f"serving on http://{f'[{host}]' if ':' in host else host}:{port}")
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, ws="none",
            lifespan="on", timeout_keep_alive=30, timeout_graceful_shutdown=max(1, int(grace)),
            limit_concurrency=2 * (spec.at_once + spec.waiting) + 64,
        )  # fmt: skip
        try:
            uvicorn.Server(config).run([bound])
        except KeyboardInterrupt:
            pass
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _introduced(route: Route) -> str:
    """Return what is said of a route; its guard's encoders and models are open after it."""
    guard = route.checks.guard
    tried = guard.check_response((Message(role="user", content="Hello."),), "Hello there.")
    faults = f" (now: {tried.faults[0]})" if tried.faults else ""
    open_ = ", FAILS OPEN" if guard.on_fault == "open" else ""
    return f"{route.name} under guard {getattr(guard, 'name', '')}{open_}{faults}"


def _doors(spec: ServeSpec, place: Place) -> Doors:
    token = None
    if place.token_env:
        token = os.environ.get(place.token_env, "").strip()
        if not token:
            raise InputError(f"the environment variable {place.token_env} is not set")
        if any(route.key == "client" for route in spec.routes):
            raise InputError(
                "clients cannot send both this proxy's token and a key for the upstream",
                fix="use the proxy's own key upstream: key: own, or --own-key",
            )
    elif not is_loopback(place.host) and any(route.key == "own" for route in spec.routes):
        raise InputError(
            f"everybody who reaches {place.host} could use this proxy's own key",
            fix="ask for a token: --token-env VARIABLE",
        )
    own = () if is_loopback(place.host) or place.host in {"0.0.0.0", "::"} else (place.host,)  # noqa: S104
    return Doors((*own, *place.hosts), token)


def _log_to(journal: Journal) -> None:
    handler: Any = logging.FileHandler(journal.file) if journal.file else logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name, level in (("selaras.guard", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
