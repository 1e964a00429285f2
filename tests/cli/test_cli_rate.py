"""`selaras rate` from a file to labelled rows, and what it says of bad input."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rating.rating_builder import take
from selaras.core.files import write_jsonl
from selaras.core.project import open_project
from selaras.data.rows import load_rows, read_rows
from selaras.rating.batches import read_batch, read_item
from selaras.rating.store import open_store, store_url
from selaras.rating.tasks import Answer
from selaras.rating.voting import vote


def rows(project: Path) -> Path:
    path = project / "responses.jsonl"
    write_jsonl(path, (
        {"id": f"q{n}", "query": f"Question {n}?", "response": f"Answer {n}.",
         "policies": ["dangerous-content"]}
        for n in range(4)
    ))  # fmt: skip
    return path


def rate(project: Path, names: list[str], disagree: str) -> None:
    store = open_store(store_url(open_project(project)))
    with store.reading() as connection:
        spec, _ = read_batch(connection, "tone")
    for number, name in enumerate(names, 1):
        while ticket := take(store, spec, number):
            value = "unsafe" if name == disagree and ticket.item == 1 else "safe"
            vote(store, ticket, Answer(value=value, note="why"))
    store.close()


def test_from_a_file_to_labelled_rows(project: Path, run: Any, tmp_path: Path) -> None:
    made = run("rate", "create", "tone", "--from", str(rows(project)), "--set", "overlap=2",
               "--set", "gold=0", "--set", "repeats=0", "--json")  # fmt: skip
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["forecast"]["votes"] == 8
    people = tmp_path / "people.csv"
    people.write_text("pseudonym,consent,gender\nana,yes,woman\n=budi,no,man\n")
    links = tmp_path / "links.csv"
    assert run("rate", "invite", "tone", "--csv", str(people), "--out", str(links)).exit_code == 0
    found = list(csv.DictReader(links.read_text().splitlines()))
    assert [row["pseudonym"] for row in found] == ["ana", "'=budi"]
    assert all("/join/" in row["link"] for row in found)
    assert run("rate", "open", "tone").exit_code == 0
    rate(project, ["ana", "=budi"], "ana")
    shown = json.loads(run("rate", "progress", "--json").stdout)["batches"][0]
    assert (shown["given"], shown["wanted"], shown["complete"]) == (8, 8, 4)
    agreed = json.loads(run("rate", "agreement", "tone", "--json").stdout)
    assert agreed["unanimous"]["n"] == 4
    assert "woman" not in json.dumps(agreed)
    printed = run("rate", "agreement", "tone")
    assert "alpha (nominal)" in printed.stdout
    assert "fewer than 5 raters" in printed.stderr
    waiting = json.loads(run("rate", "adjudicate", "tone", "--json").stdout)
    (dispute,) = waiting["disputes"]
    said = ("--value", "safe", "--cause", "guideline_gap", "--example", "Explains airing.")
    decided = run("rate", "adjudicate", "tone", "--item", dispute["item"], *said)
    assert decided.exit_code == 0, decided.output
    accepted = run("rate", "adjudicate", "--accept", "1", "--raise-revision")
    assert "policies/dangerous-content.yaml (revision 2)" in accepted.stderr
    assert "tone: 4 items open again" in accepted.stderr
    rate(project, ["ana", "=budi"], "")
    out = project / "data" / "labelled.jsonl"
    exported = run("rate", "export", "tone", str(out), "--as", "rows")
    assert exported.exit_code == 0, exported.output
    assert all('"response_label": "safe"' in line for line in out.read_text().splitlines())
    assert len(read_rows([out])[0]) == 4
    assert run("rate", "forget", "ana", "--votes").exit_code == 0
    assert run("rate", "close", "tone").exit_code == 0


def test_what_is_wrong_is_one_line(project: Path, run: Any) -> None:
    path = str(rows(project))
    for arguments, said in (
        (("create", "x", "--task", "guess", "--from", path), "no task of that name"),
        (("create", "x", "--from", path, "--set", "overlap=0"), "overlap"),
        (("create", "x", "--from", path, "--set", "quotas.woman=2"), "group_by"),
        (("create", "x", "--from", path, "--set", "qualification=3"), "gold items"),
        (("create", "x", "--from", path, "--run", "r"), "give one of them"),
        (("open", "x"), "no batch 'x'"),
        (("export", "x", "out.jsonl", "--as", "xml"), "use one of: jsonl"),
        (("forget", "nobody"), "no rater"),
        (("adjudicate", "--accept", "1"), "0 proposals"),
    ):
        told = run("rate", *arguments)
        assert told.exit_code == 2, (arguments, told.output)
        assert said in told.stderr
        assert told.stderr.count("\n") == 1


def test_a_dry_run_stores_nothing(project: Path, run: Any) -> None:
    path = str(rows(project))
    told = run("rate", "create", "x", "--from", path, "--dry-run")
    assert "rater hours" in told.stderr
    assert json.loads(run("rate", "progress", "--json").stdout) == {"batches": []}


def test_drafts_are_reviewed_and_come_into_use(project: Path, run: Any) -> None:
    write_jsonl(project / "data" / "drafts.jsonl", (
        {"id": f"d{n}", "query": f"How do I kill process number {n}?", "kind": "look_alike",
         "origin": "model"} for n in range(4)
    ))  # fmt: skip
    made = run("rate", "create", "look", "--task", "review", "--set", "overlap=1", "--set",
               "gold=0", "--set", "repeats=0")  # fmt: skip
    assert "4 items x 1 votes" in made.stderr
    assert run("rate", "invite", "look", "ana").exit_code == 0
    assert run("rate", "open", "look").exit_code == 0
    store = open_store(store_url(open_project(project)))
    with store.reading() as connection:
        spec, _ = read_batch(connection, "look")
    while ticket := take(store, spec, 1):
        with store.reading() as connection:
            draft = dict(read_item(connection, ticket.item).content.draft or {})
        better = json.dumps({**draft, "query": "How do I stop a process?"})
        answers = {"d0": Answer(value="approve"), "d1": Answer(value="reject", note="Odd."),
                   "d2": Answer(value="edited", text=better), "d3": None}  # fmt: skip
        vote(store, ticket, answers[draft["id"]])
    store.close()
    before = len(load_rows(open_project(project)).kept)
    done = json.loads(run("rate", "apply", "look", "--json").stdout)
    assert (done["approved"], done["edited"], done["rejected"]) == (["d0"], ["d2.look"], ["d1"])
    assert [one["record"] for one in done["left"]] == ["d3"]
    rows = load_rows(open_project(project))
    assert len(rows.kept) == before + 2
    assert [row.id for row in rows.waiting] == ["d3"]
    assert {row.id: row.query for row in rows.kept}["d2.look"] == "How do I stop a process?"
    assert json.loads(run("rate", "apply", "look", "--json").stdout)["approved"] == []


def test_without_its_extra_it_says_which_one() -> None:
    code = (
        "import sys; sys.modules['sqlalchemy'] = None; from selaras.cli import app; "
        "app(['rate', 'progress'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'selaras[studio]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_serving_to_others_is_said(project: Path, run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("selaras.studio.serve.serve", lambda *given, **more: None)
    alone = run("rate", "serve")
    assert "warning" not in alone.stderr
    assert "/lead/" in alone.stderr
    told = run("rate", "serve", "--host", "0.0.0.0", "--name", "rate.example.org")
    assert "warning: 0.0.0.0 is reached from other machines; without TLS" in told.stderr
    assert "rate.example.org" in told.stderr
    nameless = run("rate", "serve", "--host", "0.0.0.0")
    assert nameless.exit_code == 2
    assert "--name" in nameless.stderr
