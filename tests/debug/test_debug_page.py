"""The page's data and its server: the library's figures, hosts checked, jobs cancelled."""

import dataclasses
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from selaras.core.errors import InputError
from selaras.core.records import Message
from selaras.debug import Settings, attribute, cut
from selaras.debug.opening import Asked, open_probe, prepared
from selaras.debug.page import render_page
from selaras.debug.panel import add_maps, panel
from selaras.debug.remote import open_any, remote_probe, text_view
from selaras.debug.serve import Live, application, open_live, system_of, with_system
from selaras.models.names import Place
from selaras.models.protocol import Generation
from selaras.template import Rendered
from selaras.template import Segment as Stretch
from tiny import open_tiny

SYSTEM = "Be brief. Never shout. <script>alert(1)</script> & be kind. Use soda."
USER = "How do I kill a process? It hangs. مرحبا 😀 </script>"
SAID = Rendered(
    (Message(role="system", content=SYSTEM), Message(role="user", content=USER)),
    (Stretch("system", "system", 0, 0, len(SYSTEM)), Stretch("user", "user", 1, 0, len(USER))),
)
pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.enable_socket]


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Any:
    return prepared(open_tiny(tiny_folder))


@pytest.fixture
def live(model: Any) -> Live:
    return open_live(model, [("A", SAID)], Asked("Use the kill command."), "sentence", None)


def client(live: Live) -> TestClient:
    return TestClient(application(live), base_url="http://127.0.0.1:8765")


def wait(http: TestClient, name: str) -> dict[str, Any]:
    for _ in range(400):
        told: dict[str, Any] = http.get(f"/api/job/{name}").json()
        if told["state"] != "running":
            return told
        time.sleep(0.01)
    raise AssertionError("the job does not end")


def test_what_the_page_fits_is_what_the_library_says(model: Any) -> None:
    probe = open_probe(model, SAID, Asked("Use the kill command.", against=("No.",)), None)
    shown = panel(probe, "A", "tiny")
    made, lost = add_maps(shown, probe, ("surrogate", "leave-one-out"), "sentence", Settings())
    unit = shown["units"]["sentence"]
    f = np.array(unit["logp"])[:, shown["chosen"]].sum(axis=1) - np.array(unit["others"][0])
    count = len(unit["deletable"])
    assert f[0] - f[1 : 1 + count] == pytest.approx(lost.scores, abs=2e-3)
    outcome = f[1 + count : 1 + count + unit["design"]]
    fitted = np.array(unit["solve"]) @ (outcome - outcome.mean())
    assert fitted == pytest.approx(made.scores, abs=2e-2)


def test_nothing_of_a_prompt_becomes_markup(model: Any) -> None:
    shown = panel(open_probe(model, SAID, Asked("Yes </script>"), None), "<b>", "tiny")
    html = render_page([shown], unit="sentence")
    assert html.count("<script") == html.count("</script>") == 2
    assert "<b>" not in html
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]+'", html)
    assert "connect-src" not in html
    assert "connect-src 'self'" in render_page([shown], unit="sentence", live=True)


def test_the_server_previews_verifies_and_opens_beside(live: Live) -> None:
    with client(live) as http:
        home = http.get("/")
        assert "connect-src 'self'" in home.headers["content-security-policy"]
        found = http.post("/api/gradient", json={"panel": 0, "chosen": [0, 2]}).json()
        assert found["chosen"] == [0, 2]
        assert len(found["l2"]) == len(live.shown[0]["tokens"])
        told = wait(
            http, http.post("/api/verify", json={"panel": 0, "unit": "sentence"}).json()["job"]
        )
        assert told["state"] == "done"
        made = attribute(live.probes[0], cut(live.probes[0].view, "sentence"), check=False)
        assert made.forwards == 0  # it was all run by the page
        beside = http.post("/api/open", json={"panel": 0, "as": 1, "system": "Shout.",
                                              "against": ["No."]}).json()  # fmt: skip
        assert beside["against"] == ["No."]
        assert "Shout." in beside["text"]
        assert beside["response"]["text"] == "Use the kill command."
        assert len(live.probes) == 2


def test_a_verification_can_be_cancelled(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    from selaras.debug import serve

    def endless(probe: Any, segments: Any, settings: Any) -> Any:
        with probe.progress.task("x", 10**9) as task:
            while True:
                task.advance()
                time.sleep(0.001)

    monkeypatch.setattr(serve, "verified", endless)
    with client(live) as http:
        job = http.post("/api/verify", json={"panel": 0, "unit": "word"}).json()["job"]
        assert http.get(f"/api/job/{job}").json()["state"] == "running"
        http.post("/api/cancel", json={"job": job})
        assert wait(http, job)["state"] == "cancelled"


@pytest.mark.parametrize(("path", "body"), [
    ("gradient", {"panel": 0, "chosen": []}), ("gradient", {"panel": 7, "chosen": [0]}),
    ("gradient", {"panel": 0, "chosen": [999]}), ("verify", {"panel": 0, "unit": "chapter"}),
    ("open", {"panel": 0, "as": 5}), ("gradient", [1]), ("open", {}),
])  # fmt: skip
def test_bad_requests_get_a_line(live: Live, path: str, body: Any) -> None:
    with client(live) as http:
        answer = http.post(f"/api/{path}", json=body)
        assert answer.status_code == 400
        assert "\n" not in answer.json()["error"]


def test_other_hosts_and_sites_are_refused(live: Live) -> None:
    with client(live) as http:
        assert http.get("/", headers={"host": "evil.example"}).status_code == 421
        refused = http.post("/api/cancel", json={}, headers={"origin": "http://evil.example"})
        assert refused.status_code == 403


def test_system_messages_are_exchanged() -> None:
    other = with_system(SAID, "Hi.")
    assert (system_of(other), other.text(other.segments[0])) == ("Hi.", "Hi.")
    bare = with_system(SAID, "")
    assert [m.role for m in bare.messages] == ["user"]
    assert bare.text(bare.segments[0]) == USER
    assert with_system(bare, "Hi.") == other


class Endpoint:
    """Refuses unless the word soda is in the prompt; tells the likeliest first tokens."""

    batch_size = 1

    def __init__(self, tells: bool = True) -> None:
        self.identity = {"name": "openai:fake"}
        self.tells = tells

    def generate(self, talks: Any, sampling: Any) -> Any:
        return (Generation(i, "I can't", "ok") for i in range(len(talks)))

    def first_tokens(self, talks: Any) -> Any:
        for i, talk in enumerate(talks):
            soda = "soda" in " ".join(m.content for m in talk)
            first = (("Use", -0.1), ("I", -4.0)) if soda else (("I", -0.2), ("Use", -5.0))
            yield Generation(i, first[0][0], "ok", first=first if self.tells else ())


def test_an_endpoint_is_explained_by_its_first_token() -> None:
    probe = remote_probe(Endpoint(), SAID, Asked())
    found = attribute(probe, cut(probe.view, "sentence"), "leave-one-out")
    top = found.ranked()[0]
    assert found.texts[top].strip() == "Use soda."
    assert found.scores[top] == pytest.approx(4.9)
    assert found.target_text == "Use"
    assert "".join(map(probe.view.text_of, text_view(SAID).stretches)) == f"{SYSTEM}\n{USER}\n"


def test_an_endpoint_has_a_page_without_a_gradient() -> None:
    probe = remote_probe(Endpoint(), SAID, Asked("Use"))
    shown = panel(probe, "tiny", "openai:fake", "only the first token")
    add_maps(shown, probe, ["surrogate", "leave-one-out"], "sentence", Settings(masks=8))
    assert (shown["gradient"], shown["note"]) == (None, "only the first token")
    assert [made["method"] for made in shown["maps"]] == ["surrogate", "leave-one-out"]
    assert probe.cost.bounded == 0
    assert "only the first token" in render_page([shown], unit="sentence")


def test_values_that_are_only_bounds_are_counted() -> None:
    class Forgets(Endpoint):
        def first_tokens(self, talks: Any) -> Any:
            for made in super().first_tokens(talks):
                told = tuple(t for t in made.first if t[0] == "Use" and t[1] > -1) or made.first[:1]
                yield dataclasses.replace(made, first=told)

    probe = remote_probe(Forgets(), SAID, Asked("Use"))
    attribute(probe, cut(probe.view, "sentence"), "leave-one-out", check=False)
    assert probe.cost.bounded == 1


def test_what_an_endpoint_cannot_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no log-probabilities"):
        remote_probe(Endpoint(tells=False), SAID, Asked())
    with pytest.raises(InputError, match="does not begin with"):
        remote_probe(Endpoint(), SAID, Asked("Zebra"))
    with pytest.raises(InputError, match="no contrast"):
        remote_probe(Endpoint(), SAID, Asked(against=("No",)))
    (tmp_path / "s.jsonl").write_text('{"match": null, "response": "Hm."}\n')
    place = Place(tmp_path, tmp_path, tmp_path)
    with pytest.raises(InputError, match="name a local --proxy"):
        open_any("scripted:s.jsonl", place)


def test_a_regex_cuts_both_prompts_and_the_note_stays(model: Any) -> None:
    live = open_live(model, [("A", SAID)], Asked("Use it."), "regex", None, regex=r"Use \w+",
                     note="tiny is a proxy")  # fmt: skip
    assert live.shown[0]["note"] == "tiny is a proxy"
    http = client(live)
    begun = http.post("/api/verify", json={"panel": 0, "unit": "regex"}).json()
    assert wait(http, begun["job"])["state"] == "done"
    beside = http.post("/api/open", json={"panel": 0, "as": 1, "system": "Use tea. Go."}).json()
    assert beside["note"] == "tiny is a proxy"
    assert "logp" not in beside["units"]["regex"]
    cut_again = http.post("/api/cut", json={"regex": "kind|Go"}).json()["units"]
    assert len(cut_again) == 2
    assert cut_again[0] == live.shown[0]["units"]["regex"]
    broken = http.post("/api/cut", json={"regex": "("})
    assert (broken.status_code, live.regex) == (400, "kind|Go")
    assert "is broken" in broken.json()["error"]
    assert '"kind|Go"' in http.get("/").text
