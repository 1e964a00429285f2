"""The lead's pages: how far each batch is, what was disputed, policies to read and edit.

They open with the link that `selaras rate serve` prints, new at each start; no rater's link does.
"""

import hmac
from collections.abc import Mapping

import yaml
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from selaras.core.errors import InputError, SelarasError
from selaras.core.files import write_text
from selaras.core.project import Project
from selaras.policy import Policy, load_policies, parse_policy, policy_markdown
from selaras.rating.adjudicate import (
    CAUSES,
    Dispute,
    Level,
    add_example,
    adjudicate,
    disputes,
    proposals,
)
from selaras.rating.batches import list_batches, progress_of, read_batch
from selaras.rating.guides import refresh
from selaras.rating.people import begin_session, digest
from selaras.rating.tasks import TASKS
from selaras.studio.frame import Studio, form_of, guess, html, remember, studio_of, who


async def enter(request: Request) -> Response:
    """Exchange the lead's token for a session."""
    return await run_in_threadpool(_enter, request)


async def overview(request: Request) -> Response:
    """Show how far each batch is."""
    return await run_in_threadpool(_overview, request)


async def disputed(request: Request) -> Response:
    """Show the most disputed item of a batch with what its raters said."""
    return await run_in_threadpool(_disputed, request)


async def decide(request: Request) -> Response:
    """Store a decision on a disputed item."""
    fields = await form_of(request)
    return await run_in_threadpool(_decide, request, fields)


async def policy_list(request: Request) -> Response:
    """List the project's policies and the examples that were proposed to them."""
    return await run_in_threadpool(_policies, request)


async def accept(request: Request) -> Response:
    """Write a proposed example into its policy."""
    fields = await form_of(request)
    return await run_in_threadpool(_accept, request, fields)


async def policy_page(request: Request) -> Response:
    """Show a policy as Markdown, to read and edit."""
    return await run_in_threadpool(_policy, request)


async def policy_save(request: Request) -> Response:
    """Write an edited policy; a raised revision opens its items again."""
    fields = await form_of(request)
    return await run_in_threadpool(_save, request, fields)


ROUTES = [
    Route("/lead", overview),
    Route("/lead/policies", policy_list),
    Route("/lead/policies", accept, methods=["POST"]),
    Route("/lead/policy/{policy}", policy_page),
    Route("/lead/policy/{policy}", policy_save, methods=["POST"]),
    Route("/lead/batch/{batch}", disputed),
    Route("/lead/batch/{batch}", decide, methods=["POST"]),
    Route("/lead/{token}", enter),
]


def _enter(request: Request) -> Response:
    studio = studio_of(request)
    if not hmac.compare_digest(digest(request.path_params["token"]), studio.lead_hash):
        guess(request)
        raise HTTPException(404, "bad_link")
    with studio.store.writing() as connection:
        session = begin_session(connection, None)
    return remember(request, RedirectResponse("/lead", 303), session)


def _overview(request: Request) -> Response:
    studio = studio_of(request)
    who(request, lead=True)
    with studio.store.reading() as connection:
        batches = [progress_of(connection, spec.id) for spec, _ in list_batches(connection)]
        waiting = {one.batch.id: len(disputes(connection, one.batch.id)) for one in batches}
    return html(request, "lead.html", batches=batches, waiting=waiting)


def _disputed(request: Request, wrong: str = "", status: int = 200) -> Response:
    studio, name = studio_of(request), request.path_params["batch"]
    who(request, lead=True)
    try:
        with studio.store.reading() as connection:
            spec, _ = read_batch(connection, name)
            queue = disputes(connection, name)
    except InputError as error:
        raise HTTPException(404, "not_found") from error
    skipped = {int(n) for n in request.query_params.getlist("later") if n.isdigit()}
    queue = [one for one in queue if one.item.id not in skipped] or queue
    first: Dispute | None = queue[0] if queue else None
    return html(
        request, "dispute.html", status=status, spec=spec, task=TASKS[spec.task], causes=CAUSES,
        left=len(queue), one=first, wrong=wrong,
        content=studio.shown.content(first.item.content) if first else None,
    )  # fmt: skip


def _decide(request: Request, fields: Mapping[str, str]) -> Response:
    studio, name = studio_of(request), request.path_params["batch"]
    who(request, lead=True)
    text = fields.get("example", "").strip()
    side: Level = "violating" if fields.get("side") == "violating" else "allowed"
    example = (fields.get("policy", ""), side, text) if text else None
    try:
        with studio.store.writing() as connection:
            adjudicate(
                connection, int(fields.get("item", "0")), fields.get("value", ""),
                fields.get("cause", ""), why=fields.get("why", ""), by="lead", example=example,
            )  # fmt: skip
            if example and studio.project:
                refresh(connection, load_policies(studio.project))
    except (InputError, ValueError) as error:
        return _disputed(request, str(error), 400)
    return RedirectResponse(f"/lead/batch/{name}", 303)


def _policies(request: Request, said: str = "") -> Response:
    studio = studio_of(request)
    who(request, lead=True)
    known = load_policies(_project(studio))
    with studio.store.reading() as connection:
        proposed = proposals(connection, known)
    return html(request, "policies.html", policies=known, proposed=proposed, said=said)


def _accept(request: Request, fields: Mapping[str, str]) -> Response:
    studio = studio_of(request)
    who(request, lead=True)
    project = _project(studio)
    with studio.store.reading() as connection:
        proposed = proposals(connection, load_policies(project))
    wanted = [one for one in proposed if one.text == fields.get("text")
              and one.policy == fields.get("policy")]  # fmt: skip
    if not wanted:
        return RedirectResponse("/lead/policies", 303)
    try:
        add_example(project, wanted[0], raise_revision=bool(fields.get("raise")))
    except SelarasError as error:
        return _policies(request, str(error))
    return _policies(request, _refreshed(studio, project))


def _policy(request: Request, text: str | None = None, wrong: str = "", said: str = "") -> Response:
    studio, name = studio_of(request), request.path_params["policy"]
    who(request, lead=True)
    known = load_policies(_project(studio))
    if name not in known:
        raise HTTPException(404, "not_found")
    shown = policy_markdown(known[name]) if text is None else text
    return html(request, "policy.html", policy=known[name], text=shown, wrong=wrong, said=said,
                status=400 if wrong else 200)  # fmt: skip


def _save(request: Request, fields: Mapping[str, str]) -> Response:
    studio, name = studio_of(request), request.path_params["policy"]
    who(request, lead=True)
    project, text = _project(studio), fields.get("text", "")
    try:
        if name not in load_policies(project):
            raise HTTPException(404, "not_found")
        edited = parse_policy(text)
        if edited.id != name:
            raise InputError(f"the id stays {name!r}", field="id")
        write_policy(project, edited)
    except SelarasError as error:
        return _policy(request, text, str(error))
    return _policy(request, said=_refreshed(studio, project))


def write_policy(project: Project, policy: Policy) -> None:
    """Write a policy as the project's own file; its comments are not kept."""
    value = policy.model_dump(mode="json", exclude_defaults=True)
    folder = project.root / "policies"
    path = folder / f"{policy.id}.yml"
    path = path if path.is_file() else folder / f"{policy.id}.yaml"
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100))


def _refreshed(studio: Studio, project: Project) -> str:
    with studio.store.writing() as connection:
        opened = refresh(connection, load_policies(project))
    if not opened:
        return "Saved. No item opens again: the revision is the same."
    counts = ", ".join(f"{count} of {batch}" for batch, count in opened.items())
    return f"Saved. The revision was raised: items open again ({counts})."


def _project(studio: Studio) -> Project:
    if studio.project is None:
        raise HTTPException(404, "not_found")
    return studio.project
