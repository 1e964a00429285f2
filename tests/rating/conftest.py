"""A store of each kind: SQLite, and PostgreSQL where SELARAS_TEST_POSTGRES names a server."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selaras.rating.store import Store, open_store

POSTGRES = "SELARAS_TEST_POSTGRES"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_at(request: Any, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    server = os.environ.get(POSTGRES)
    if not server:
        pytest.skip(f"no PostgreSQL: run make test-postgres, or set {POSTGRES}")
    import psycopg

    name = f"test_{os.urandom(6).hex()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield server.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(store_at: str) -> Iterator[Store]:
    """Yield an open, empty store."""
    opened = open_store(store_at)
    yield opened
    opened.close()
