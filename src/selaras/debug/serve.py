"""The page served live on this machine: maps in an instant, verified with progress and cancel.

Plain routes on Starlette behind `core.loopback`: no other host name, no other site's page. One lock
around the model, jobs in threads; a cancelled job keeps what it has run in the store.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from selaras.core.errors import InputError, MissingExtraError, SelarasError, one_line
from selaras.core.files import parse_json
from selaras.core.loopback import App, guarded
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Message
from selaras.debug.opening import Asked, open_probe, same_response
from selaras.debug.page import program, render_page
from selaras.debug.panel import gradient_of, panel, unit_of, verified
from selaras.debug.probe import LocalProbe
from selaras.debug.segments import cut
from selaras.debug.settings import Settings
from selaras.debug.target import Target, select
from selaras.template import Rendered
from selaras.template import Segment as Stretch

LARGEST = 1 << 20  # bytes of a request
PANELS = 2


class CancelledError(Exception):
    """Raised inside a job whose user does not want it any more."""


@dataclass(slots=True)
class Job:
    """A verification in progress; `share` of it is done."""

    state: str = "running"
    share: float = 0.0
    unit: dict[str, Any] | None = None
    error: str | None = None
    stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def task(self, title: str, total: float) -> Iterator["Job"]:  # noqa: ARG002
        """Show a task (the `Progress` protocol): shares are of its total."""
        self._total = max(total, 1e-9)
        yield self

    def advance(self, amount: float = 1, note: str | None = None) -> None:  # noqa: ARG002
        """Count what is done; raises CancelledError where the user has cancelled."""
        if self.stopped.is_set():
            raise CancelledError
        self.share = min(1.0, self.share + amount / self._total)

    def say(self, line: str) -> None:
        """Show nothing."""

    _total: float = 1.0


@dataclass(slots=True)
class Live:
    """What the page works on: the model, up to two prompts, and the jobs.

    `note` says what stands between the model and the one that was asked for, `regex` what the unit
    of that name is cut by.
    """

    model: Any
    rendered: list[Rendered]
    probes: list[LocalProbe]
    shown: list[dict[str, Any]]
    unit: str
    cache: Any
    regex: str | None = None
    note: str | None = None
    settings: Settings = field(default_factory=Settings)
    jobs: dict[str, Job] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self) -> str:
        """Return the page with what is known now."""
        return render_page(self.shown, unit=self.unit, live=True, regex=self.regex)

    def gradient(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the gradient's map of a target."""
        probe = self.probe(asked)
        chosen = [int(token) for token in asked["chosen"]]
        offsets = probe.target.responses[0].offsets
        if not chosen or not all(0 <= token < len(offsets) for token in chosen):
            raise InputError("the target is empty", field="chosen")
        target = select(probe.target, [offsets[token] for token in chosen])
        if not asked.get("contrast"):
            target = Target(target.responses[:1], target.chosen, target.spans)
        with self.lock:
            found = gradient_of(LocalProbe(self.model, probe.view, target, probe.store))
        return {**found, "chosen": chosen}

    def verify(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Start the ablations of a unit; return the job's name."""
        probe, unit = self.probe(asked), str(asked.get("unit", self.unit))
        segments = cut(probe.view, unit, self.regex if unit == "regex" else None)
        job, name = Job(), uuid.uuid4().hex
        self.jobs[name] = job
        work = partial(self._verified, job, probe, segments, int(asked["panel"]), unit)
        threading.Thread(target=work, daemon=True).start()
        return {"job": name}

    def cut(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Cut the prompts by a regex; return the unit of each, not verified."""
        regex = str(asked["regex"])
        units = [unit_of(probe, "regex", regex) for probe in self.probes]
        self.regex = regex
        for shown, unit in zip(self.shown, units, strict=True):
            shown["units"]["regex"] = unit
        return {"units": units}

    def _verified(self, job: Job, probe: LocalProbe, segments: Any, number: int, unit: str) -> None:
        try:
            with self.lock:
                own = LocalProbe(self.model, probe.view, probe.target, probe.store, job)
                job.unit = verified(own, segments, self.settings)
            self.shown[number]["units"][unit] = job.unit
            job.state = "done"
        except CancelledError:
            job.state = "cancelled"
        except (SelarasError, RuntimeError, MemoryError) as error:
            job.state, job.error = "failed", str(error) or type(error).__name__

    def job(self, name: str) -> dict[str, Any]:
        """Return a job's state, with the unit when it is done."""
        job = self.jobs.get(name)
        if job is None:
            raise InputError("no such job")
        return {"state": job.state, "share": job.share, "unit": job.unit, "error": job.error}

    def cancel(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Stop a job at its next step."""
        if (job := self.jobs.get(str(asked.get("job")))) is not None:
            job.stopped.set()
        return {}

    def open(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Read a prompt anew with another system message or contrast, in its place or beside it."""
        number, place = int(asked["panel"]), int(asked.get("as", 0))
        probe = self.probe(asked)
        if not 0 <= place < PANELS or place > len(self.probes):
            raise InputError("there is room for two prompts", field="as")
        rendered = with_system(self.rendered[number], str(asked.get("system", "")))
        against = tuple(map(str, asked.get("against", ())))
        response = probe.target.responses[0].text
        with self.lock:
            made = open_probe(self.model, rendered, Asked(response, against=against), self.cache)
            made.target = select(made.target, probe.target.spans)
            title = "A" if place == 0 else "B"
            shown = panel(made, title, self.shown[0]["model"], self.note, self.regex)
        shown["system"] = system_of(rendered)
        for held, value in ((self.probes, made), (self.shown, shown), (self.rendered, rendered)):
            held[place : place + 1] = [value]  # type: ignore[list-item]
        return shown

    def probe(self, asked: dict[str, Any]) -> LocalProbe:
        """Return the probe of the panel that is asked about."""
        number = asked.get("panel")
        if not isinstance(number, int) or not 0 <= number < len(self.probes):
            raise InputError("no such panel", field="panel")
        return self.probes[number]


def open_live(
    model: Any, prompts: Sequence[tuple[str, Rendered]], asked: Asked, unit: str, cache: Any,
    progress: Progress = SILENT, *, regex: str | None = None, note: str | None = None,
) -> Live:  # fmt: skip
    """Return what the page works on: one or two prompts, asked for one response."""
    live = Live(model, [], [], [], unit, cache, regex, note)
    for title, rendered in prompts[:PANELS]:
        probe = open_probe(model, rendered, asked, cache, progress)
        shown = panel(probe, title, str(model.identity["name"]), note, regex)
        live.rendered.append(rendered)
        live.probes.append(probe)
        live.shown.append({**shown, "system": system_of(rendered)})
        asked = same_response(probe.target)
    return live


def system_of(rendered: Rendered) -> str:
    """Return the system message's text, or nothing."""
    first = rendered.messages[0]
    return first.content if first.role == "system" else ""


def with_system(rendered: Rendered, text: str) -> Rendered:
    """Return the prompt with another system message; an empty one takes it out."""
    had = rendered.messages[0].role == "system"
    rest, off = rendered.messages[1 if had else 0 :], (1 if had else 0)
    kept = [s for s in rendered.segments if s.message >= off]
    new = (Message(role="system", content=text),) if text.strip() else ()
    shift = len(new) - off
    moved = [Stretch(s.role, s.origin, s.message + shift, s.start, s.end, s.name) for s in kept]
    own = [Stretch("system", "system", 0, 0, len(text))] if new else []
    return Rendered((*new, *rest), (*own, *moved))


def application(live: Live) -> App:
    """Return the ASGI application; raises MissingExtraError without Starlette."""
    try:
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import HTMLResponse, Response
        from starlette.routing import Route
    except ImportError as error:
        raise MissingExtraError(error.name or "starlette", "studio") from error

    async def home(_: Request) -> Response:
        policy = program(live.shown, live.unit, live=True, regex=live.regex).policy
        headers = {"content-security-policy": f"{policy}; frame-ancestors 'none'"}
        return HTMLResponse(live.page(), headers=headers)

    works = {"gradient": live.gradient, "verify": live.verify, "cancel": live.cancel,
             "open": live.open, "cut": live.cut}  # fmt: skip
    routes = [Route("/", home)]
    routes += [Route("/api/job/{name}", _answering(lambda asked: live.job(asked["name"])))]
    routes += [Route(f"/api/{name}", _answering(work), methods=["POST"])
               for name, work in works.items()]  # fmt: skip
    return guarded(Starlette(routes=routes))


def _answering(work: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return the endpoint that answers JSON with JSON; what is wrong is one line."""
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    async def answer(request: Request) -> JSONResponse:
        try:
            body = await request.body() if request.method == "POST" else b"{}"
            asked = parse_json(body.decode()) if len(body) <= LARGEST else None
            if not isinstance(asked, dict):
                raise InputError("an object of 1 MB at most is needed")
            work_on = {**asked, **request.path_params}
            return JSONResponse(await run_in_threadpool(work, work_on))
        except (SelarasError, ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": one_line(f"cannot be done: {error}", 300)}, 400)

    return answer
