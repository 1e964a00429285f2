"""The whole loop on the tiny model: it ends, it is not repeated, and cut anywhere it goes on."""

import json
import math
from contextlib import contextmanager

import pytest

from fixtures.projects import make_project, some_rows, use_word_encoder
from selaras.core.files import read_jsonl, write_jsonl, write_text
from selaras.recipe import GUARDED, RECIPES, quickstart

pytestmark = pytest.mark.usefixtures("one_thread")
CHECKS = [
    {
        "id": f"c{i}",
        "type": "choice",
        "topic": "sums",
        "query": f"What is {i} and 1?",
        "choices": [str(i + 1), str(i + 9)],
        "answer": 0,
    }
    for i in range(4)
]


class Cut(BaseException):
    """What a kill is to the library: nothing catches it."""


class CutAfter:
    """A progress that ends the run when the n-th thing was done."""

    def __init__(self, n: float = math.inf) -> None:
        self.left, self.titles = n, []

    @contextmanager
    def task(self, title, total):
        self.titles.append(title)
        yield self

    def advance(self, amount=1, note=None):
        self.left -= 1
        if self.left <= 0:
            raise Cut

    def say(self, line):
        self.titles.append(line)


@pytest.fixture
def encoder(monkeypatch):
    use_word_encoder(monkeypatch)
    monkeypatch.setattr("selaras.safeguard.sides.FEWEST", 4)


@pytest.fixture
def project(tmp_path, tiny_folder, encoder):
    return small_project(tmp_path / "p", tiny_folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_folder):
    """Return a folder whose loop was run to its end, and what it found: read only."""
    with pytest.MonkeyPatch.context() as patch:
        use_word_encoder(patch)
        patch.setattr("selaras.safeguard.sides.FEWEST", 4)
        folder = small_project(tmp_path_factory.mktemp("finished") / "p", tiny_folder)
        return folder, quickstart(folder)


def small_project(folder, tiny_folder):
    """Make a small project whose every System is the tiny model."""
    model = f"hf:{tiny_folder}"
    yaml = f"""\
product: helper
use_cases: [{{id: answer, title: Answer}}]
policies: [dangerous-content]
systems:
  base: {{model: "{model}", sampling: {{max_tokens: 4}}}}
  prompted: {{model: "{model}", prompt: prompts/kind.prompt, sampling: {{max_tokens: 4}}}}
capability: checks.jsonl
held_out_share: 0.3
tune: {{model: "{model}", epochs: 2, batch_size: 8, rank: 2, minimum_look_alikes: 2, scales: [1.0]}}
"""
    made = make_project(folder, some_rows(pairs=10, ordinary=10), yaml)
    prompt = '---\n{}\n---\n{{role "system"}}Be kind.\n{{role "user"}}{{input}}\n'
    write_text(made.root / "prompts" / "kind.prompt", prompt)
    write_jsonl(made.root / "checks.jsonl", CHECKS)
    return made.root


def figures(outcome):
    found = outcome.to_dict()
    systems = [{key: s[key] for key in s if key != "run"} for s in found["systems"]]
    return {"systems": systems, "paired": found["paired"], "looks": found["looks"]}


def test_the_loop_ends_in_figures_of_every_system(finished):
    _, outcome = finished
    said = outcome.to_dict()
    assert [system["name"] for system in said["systems"]] == [
        "base", "prompted", *RECIPES, *GUARDED,
    ]  # fmt: skip
    for system in said["systems"]:
        assert {"compliance_rate", "over_refusal_rate", "capability"} <= system["figures"].keys()
        assert set(system["figures"]["over_refusal_rate"]["by_kind"]) == {"look_alike", "ordinary"}
    assert {pair["to"] for pair in said["paired"]} >= set(RECIPES)
    assert said["looks"] == 6
    guarded = [system["figures"]["guard"] for system in said["systems"][4:]]
    assert guarded[0] == guarded[1]  # the same guard over the same questions
    assert said["systems"][0]["figures"]["guard"] is None
    assert json.loads(json.dumps(said)) == said
    page = outcome.report.read_text(encoding="utf-8")
    assert "guarded" in page
    assert "The levers side by side" in page
    assert "src=" not in page
    assert "Findings of the audit" in page


def test_a_finished_loop_is_read_and_not_repeated(finished, encoder):
    folder, outcome = finished
    again = CutAfter()
    assert figures(quickstart(folder, progress=again)) == figures(outcome)
    assert not [title for title in again.titles if title.startswith("tuning")]
    assert "audits" not in again.titles
    assert len(list((folder / "runs").glob("audit-*"))) == 1
    assert not [title for title in again.titles if title.endswith("answering")]


@pytest.mark.parametrize("n", [3, 12, 19])
def test_cut_anywhere_it_goes_on_to_the_same_figures(project, finished, n):
    with pytest.raises(Cut):
        quickstart(project, progress=CutAfter(n))
    assert figures(quickstart(project, resume=True)) == figures(finished[1])
    looks = [look for _, look in read_jsonl(project / "holdout" / "looks.jsonl")]
    assert len({look["system"] for look in looks}) == len(looks) == 6


def test_held_out_text_is_in_no_file_but_the_vault(finished):
    folder, _ = finished
    sealed = [value["query"] for _, value in read_jsonl(folder / "holdout" / "rows.jsonl")]
    assert len(sealed) > 5
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "rows.jsonl":
            text = path.read_bytes().decode("utf-8", errors="ignore")
            assert not [query for query in sealed if query in text], path
