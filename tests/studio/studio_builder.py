"""The studio in process, and raters with a session."""

import re
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from rating.rating_builder import harm_items, make_batch
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import NewItem
from selaras.rating.people import invite
from selaras.rating.store import Store, open_store
from selaras.studio.app import Opened, studio_app

BASE = "http://127.0.0.1:8330"


class Site:
    """A studio over a new store with one batch."""

    def __init__(self, folder: Path, items: list[NewItem] | None = None, project: Any = None,
                 **spec: Any) -> None:  # fmt: skip
        self.store: Store = open_store(f"sqlite:///{folder / 'store.db'}")
        self.spec: BatchSpec = make_batch(self.store, items or harm_items(6), **spec)
        self.opened: Opened = studio_app(self.store, project)

    def client(self) -> TestClient:
        """Return a browser without a session."""
        return TestClient(self.opened.app, base_url=BASE, follow_redirects=True)

    def link(self, name: str = "ana", **more: Any) -> str:
        """Return a rater's invitation path."""
        with self.store.writing() as connection:
            return f"/join/{invite(connection, self.spec, name, **more).token}"

    def rater(self, name: str = "ana") -> TestClient:
        """Return the browser of a rater who has read the warning."""
        client = self.client()
        page = client.get(self.link(name))
        assert client.post(f"/rate/{self.spec.id}/ready", data={"csrf": field(page, "csrf")})
        return client

    def lead(self) -> TestClient:
        """Return the lead's browser."""
        client = self.client()
        assert client.get(self.opened.lead_path).status_code == 200
        return client


def field(page: Any, name: str) -> str:
    """Return the value of a hidden field of a page."""
    found = re.search(f'name="{name}" value="(.*?)"', page.text)
    assert found, page.text[:2000]
    return found[1]


def answer(
    client: TestClient, page: Any, value: str = "safe", batch: str = "b", **more: str
) -> Any:
    """Send the form of an item's page."""
    data = {"csrf": field(page, "csrf"), "ticket": field(page, "ticket"), "value": value, **more}
    return client.post(f"/rate/{batch}", data=data)
