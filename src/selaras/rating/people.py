"""Raters: invited by a link, known by a pseudonym, forgotten on request.

A token is 256 random bits, stands in the database as its sha256 only, and is exchanged for a
session at once, so that the link is not what a browser keeps. A background is optional, given with
consent, and stands in a table of its own.
"""

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.rating import schema
from selaras.rating.batch import BatchSpec

SESSION_SECONDS = 14 * 24 * 3600.0
_LONGEST = 100
# Asked at every request, so made once.
_SESSION = (
    select(schema.sessions.c.rater, schema.raters.c.language)
    .outerjoin(schema.raters, schema.raters.c.id == schema.sessions.c.rater)
    .where(
        schema.sessions.c.token_hash == bindparam("hash"),
        schema.sessions.c.expires > bindparam("at"),
    )
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A rater who was invited; `token` is shown once, here, and stored nowhere."""

    rater: int
    pseudonym: str
    token: str
    code: str


@dataclass(frozen=True, slots=True)
class Session:
    """Who a cookie belongs to: a rater, or the lead (None)."""

    rater: int | None
    language: str = "en"


def digest(token: str) -> str:
    """Return what is stored of a token. It is random, so one round of sha256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def invite(
    connection: Connection,
    spec: BatchSpec,
    pseudonym: str | None = None,
    *,
    background: Mapping[str, str] | None = None,
    external: str | None = None,
    language: str | None = None,
) -> Invitation:
    """Make a rater with a link to a batch, or add the batch to a rater who is there.

    `background` is what the rater agreed to have stored. A rater who is there gets a new link,
    and the old one ends. Raises InputError for a name that cannot be one.
    """
    rater, name = rater_named(connection, pseudonym, language or spec.language)
    token = secrets.token_urlsafe(32)
    given = {"language": language, "external": (external or "")[:200] or None}
    values = {"token_hash": digest(token)} | {k: v for k, v in given.items() if v}
    connection.execute(update(schema.raters).where(schema.raters.c.id == rater).values(**values))
    for field, value in (background or {}).items():
        set_background(connection, rater, field, value)
    return Invitation(rater, name, token, join_batch(connection, spec, rater))


def rater_named(
    connection: Connection, pseudonym: str | None, language: str = "en"
) -> tuple[int, str]:
    """Return the number and pseudonym of a rater, made without a link where there is none yet.

    Without a pseudonym one is made up. Raises InputError for a name that cannot be one.
    """
    name = pseudonym or f"rater-{secrets.token_hex(4)}"
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise InputError(f"a pseudonym has 1 to {_LONGEST} printable characters", field="pseudonym")
    raters = schema.raters
    found = connection.execute(select(raters.c.id).where(raters.c.pseudonym == name)).scalar()
    if found is None:
        found = connection.execute(
            insert(raters)
            .values(pseudonym=name, created=now(), language=language)
            .returning(raters.c.id)
        ).scalar_one()
    return int(found), name


def join_batch(connection: Connection, spec: BatchSpec, rater: int) -> str:
    """Make a rater a member of a batch and return the completion code; no change for a member."""
    member = schema.memberships
    found = connection.execute(
        select(member.c.code).where(member.c.rater == rater, member.c.batch == spec.id)
    ).scalar()
    if found is not None:
        return str(found)
    code = spec.completion or secrets.token_hex(5).upper()
    status = "qualifying" if spec.qualification else "active"
    connection.execute(
        insert(member).values(
            rater=rater, batch=spec.id, status=status, code=code, cursor=0, given=0,
            warned=False, began=0.0, seen=0.0, joined=now(),
        )
    )  # fmt: skip
    return code


def join_from_crowd(connection: Connection, spec: BatchSpec, external: str) -> int:
    """Return the rater of a platform's worker id in a batch, made at the first visit.

    Raises InputError where all places of the batch's own link are taken.
    """
    found = connection.execute(
        select(schema.raters.c.id)
        .join(schema.memberships, schema.memberships.c.rater == schema.raters.c.id)
        .where(schema.raters.c.external == external, schema.memberships.c.batch == spec.id)
    ).scalar()
    if found is not None:
        return int(found)
    taken = connection.execute(
        select(schema.raters.c.id)
        .join(schema.memberships, schema.memberships.c.rater == schema.raters.c.id)
        .where(schema.memberships.c.batch == spec.id, schema.raters.c.external.is_not(None))
    ).all()
    if len(taken) >= spec.places:
        raise InputError(f"all {spec.places} places of this batch are taken")
    return invite(connection, spec, external=external).rater


def crowd_token(connection: Connection, batch: str) -> str:
    """Return a new link token for a batch; the batch's earlier one ends."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        update(schema.batches).where(schema.batches.c.id == batch).values(crowd_hash=digest(token))
    )
    return token


def rater_of_token(connection: Connection, token: str) -> int | None:
    """Return the rater whom an invitation's token belongs to."""
    found = connection.execute(
        select(schema.raters.c.id).where(
            schema.raters.c.token_hash == digest(token), schema.raters.c.forgotten.is_(None)
        )
    ).scalar()
    return None if found is None else int(found)


def begin_session(connection: Connection, rater: int | None) -> str:
    """Return the token of a new session, of a rater or (None) of the lead."""
    token = secrets.token_urlsafe(32)
    session = schema.sessions
    connection.execute(delete(session).where(session.c.expires < time.time()))
    expires = time.time() + SESSION_SECONDS
    connection.execute(
        insert(session).values(token_hash=digest(token), rater=rater, expires=expires)
    )
    return token


def session_of(connection: Connection, token: str) -> Session | None:
    """Return whose session a cookie's token is, None where it is nobody's or has expired."""
    asked = {"hash": digest(token), "at": time.time()}
    found = connection.execute(_SESSION, asked).one_or_none()
    return None if found is None else Session(found.rater, found.language or "en")


def set_background(connection: Connection, rater: int, field: str, value: str) -> None:
    """Store one consented field of a rater's background; an empty value takes it back."""
    table = schema.backgrounds
    connection.execute(delete(table).where(table.c.rater == rater, table.c.field == field))
    if value.strip():
        connection.execute(
            insert(table).values(
                rater=rater, field=field[:_LONGEST], value=value.strip()[:200], consented=now()
            )
        )


def background_of(connection: Connection, rater: int) -> dict[str, str]:
    """Return what a rater agreed to have stored, by field."""
    table = schema.backgrounds
    rows = connection.execute(select(table.c.field, table.c.value).where(table.c.rater == rater))
    return {row.field: row.value for row in rows}


def forget(connection: Connection, pseudonym: str, *, votes: bool = False) -> int:
    """Delete what is stored of a rater and return how many votes stay, under a number alone.

    Name, link, sessions, background, drafts and all free text go; with `votes` the votes go, too,
    and their places open again. Raises InputError for an unknown rater.
    """
    raters = schema.raters
    rater = connection.execute(
        select(raters.c.id).where(raters.c.pseudonym == pseudonym, raters.c.forgotten.is_(None))
    ).scalar()
    if rater is None:
        raise InputError(f"no rater {pseudonym!r}", fix="see: selaras rate progress BATCH")
    for table in (schema.backgrounds, schema.sessions, schema.drafts):
        connection.execute(delete(table).where(table.c.rater == rater))
    _release(connection, rater)
    connection.execute(
        update(raters)
        .where(raters.c.id == rater)
        .values(pseudonym=f"forgotten-{rater}", token_hash=None, external=None, forgotten=now())
    )
    if votes:
        _reopen_places(connection, rater)
        connection.execute(delete(schema.votes).where(schema.votes.c.rater == rater))
        return 0
    kept = connection.execute(
        update(schema.votes)
        .where(schema.votes.c.rater == rater)
        .values(note="", edited=None, flags={})
    )
    return kept.rowcount


def _release(connection: Connection, rater: int) -> None:
    leases, needs = schema.leases, schema.needs
    held: Sequence[tuple[int, str | None]] = [
        (row.item, row.grp)
        for row in connection.execute(
            select(leases.c.item, leases.c.grp).where(leases.c.rater == rater)
        )
    ]
    connection.execute(delete(leases).where(leases.c.rater == rater))
    for item, group in held:
        connection.execute(
            update(needs)
            .where(needs.c.item == item, needs.c.grp == group)
            .values(remaining=needs.c.remaining + 1)
        )


def _reopen_places(connection: Connection, rater: int) -> None:
    from selaras.rating.results import current_votes

    for vote in current_votes(connection, rater=rater):
        if vote.purpose != "work":
            continue
        items, needs = schema.items, schema.needs
        connection.execute(
            update(items).where(items.c.id == vote.item).values(votes=items.c.votes - 1)
        )
        connection.execute(
            update(needs)
            .where(needs.c.item == vote.item, needs.c.grp == vote.group)
            .values(remaining=needs.c.remaining + 1)
        )
