"""The database of raters and votes: SQLite beside the project, or PostgreSQL by URL for a team.

SQLite runs with a write-ahead log and waits for the disk at every vote: one that was called stored
survives the process and the machine. Writers of one process queue at a lock of ours, which
is fair, where SQLite's own waiting is not.
"""

import contextlib
import math
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selaras.core.errors import InputError, MissingExtraError, SelarasError, one_line
from selaras.core.project import Project

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

FILE = "store.db"
VARIABLE = "SELARAS_STORE"
_PATIENCE_MS = 5_000
_RESTED_SECONDS = 2.0


class StoreError(SelarasError):
    """Raised when the database is gone, locked or full: what was to be written is not stored."""


@dataclass(frozen=True, slots=True)
class Store:
    """An open database. Statements run inside `reading()` or `writing()`."""

    engine: "Engine" = field(repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextlib.contextmanager
    def reading(self, *, once: bool = False) -> "Iterator[Connection]":
        """Yield a connection; nothing is written.

        On SQLite all statements see one state, on PostgreSQL each what was committed before it.
        `once` says that there is a single statement, which needs no transaction around it.
        """
        with _translated(), self.engine.connect() as connection:
            if once and self.kind == "postgresql":
                connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    @contextlib.contextmanager
    def writing(self, *, durable: bool = True) -> "Iterator[Connection]":
        """Yield a connection whose statements are all stored when the block ends, or none.

        What is not `durable` (who looks at what, a begun answer) survives the process, but need not
        survive the machine: the database does not wait for the disk.
        """
        held = self._lock if self.kind == "sqlite" else contextlib.nullcontext()
        with _translated(), held, self.engine.connect() as connection:
            connection.execution_options(writing="FULL" if durable else "NORMAL")
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def store_url(project: Project) -> str:
    """Return the database of a project: SELARAS_STORE, `store` in selaras.yaml, or its own file.

    A password belongs into the environment (SELARAS_STORE, or PGPASSWORD beside `store`).
    """
    given = os.environ.get(VARIABLE) or project.file.store
    return given or f"sqlite:///{(project.cache / FILE).resolve()}"


def open_store(url: str) -> Store:
    """Return the store at a URL, made or brought to the present version where that is needed.

    Raises InputError for a URL that is none or a database of a newer version, MissingExtraError
    without SQLAlchemy, StoreError where the database cannot be reached.
    """
    try:
        import sqlalchemy
    except ImportError as error:
        raise MissingExtraError("sqlalchemy", "studio") from error
    store = Store(_engine(url, sqlalchemy))
    try:
        with store.writing() as connection:
            _brought_to_date(connection, url)
    except BaseException:
        store.close()
        raise
    return store


def _brought_to_date(connection: "Connection", url: str) -> None:
    import sqlalchemy

    from selaras.rating import schema

    if not sqlalchemy.inspect(connection).has_table("meta"):
        schema.create(connection)
        return
    known = connection.execute(
        sqlalchemy.select(schema.meta.c.value).where(schema.meta.c.name == "schema_version")
    ).scalar()
    version = int(known or 0)
    if version > schema.VERSION:
        raise InputError(
            f"the store has version {version}, this program knows {schema.VERSION}",
            path=_shown(url), fix="use the newer program that made it",
        )  # fmt: skip
    if version < schema.VERSION:
        schema.upgrade(connection, version)


def _engine(url: str, sqlalchemy: Any) -> "Engine":
    if url.startswith(("postgres://", "postgresql://")):
        url = "postgresql+psycopg://" + url.partition("://")[2]
    try:
        made = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise InputError(
            "not a database URL", field="store",
            fix="write sqlite:///FILE or postgresql://USER@HOST/NAME",
        ) from error  # fmt: skip
    if made.get_backend_name() not in {"sqlite", "postgresql"}:
        raise InputError(
            f"no store of the kind {made.get_backend_name()!r}", field="store",
            fix="write sqlite:///FILE or postgresql://USER@HOST/NAME",
        )  # fmt: skip
    if made.get_backend_name() == "postgresql":
        try:
            engine = sqlalchemy.create_engine(made, pool_size=20, max_overflow=20, pool_timeout=10)
        except ImportError as error:
            raise MissingExtraError("psycopg", "studio") from error
        sqlalchemy.event.listen(engine, "begin", _lightly)
        sqlalchemy.event.listen(engine, "checkin", _rested)
        sqlalchemy.event.listen(engine, "checkout", _greeted)
        return engine  # type: ignore[no-any-return]
    if made.database:
        _make_file(Path(made.database))
    return _sqlite(made, sqlalchemy)


def _sqlite(url: Any, sqlalchemy: Any) -> "Engine":
    engine = sqlalchemy.create_engine(url, pool_size=20, max_overflow=40, pool_timeout=10)

    sqlalchemy.event.listen(engine, "connect", _connected)
    sqlalchemy.event.listen(engine, "begin", _begun)
    return engine  # type: ignore[no-any-return]


def _connected(raw: Any, _: Any) -> None:
    # Transactions are begun below: the driver would begin them late, and never as writers.
    raw.isolation_level = None
    for pragma in ("journal_mode=WAL", "foreign_keys=ON",
                   f"busy_timeout={_PATIENCE_MS}", "cache_size=-65536"):  # fmt: skip
        raw.execute(f"PRAGMA {pragma}")


def _begun(connection: Any) -> None:
    # A reader that turns writer in mid-transaction fails at once when somebody else wrote.
    waits = connection.get_execution_options().get("writing")
    if waits:
        connection.exec_driver_sql(f"PRAGMA synchronous={waits}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if waits else "BEGIN")


def _lightly(connection: Any) -> None:
    if connection.get_execution_options().get("writing") == "NORMAL":
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")


def _rested(_: Any, record: Any) -> None:
    record.info["since"] = time.monotonic()


def _greeted(raw: Any, record: Any, _: Any) -> None:
    """Ask a connection that has rested whether it lives; one in steady use is not asked."""
    from sqlalchemy.exc import DisconnectionError

    if time.monotonic() - record.info.get("since", math.inf) < _RESTED_SECONDS:
        return
    try:
        raw.execute("SELECT 1")
        raw.rollback()
    except Exception as error:
        raise DisconnectionError from error  # the pool opens another


def _make_file(path: Path) -> None:
    """Make an empty database that only its owner reads: it holds people's backgrounds."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(f"{path}: cannot be made ({error.strerror})") from error


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what a driver says of a database that is gone, locked or full into a StoreError."""
    from sqlalchemy.exc import DBAPIError, IntegrityError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    try:
        yield
    except IntegrityError:
        raise  # it tells the caller that somebody was faster
    except (DBAPIError, PoolTimeout) as error:
        said = one_line(str(getattr(error, "orig", None) or error), 200)
        raise StoreError(f"the store cannot be used ({said}); nothing was stored") from error


def _shown(url: str) -> str:
    """Return a URL without the password that may stand in it."""
    head, at, rest = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{rest}" if at else url
