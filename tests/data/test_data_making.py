"""Drafting rows with a model: planned, journalled, read or recorded, and never used unreviewed."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fixtures.projects import make_project, row, twins, use_word_encoder
from selaras.core.errors import InputError
from selaras.core.journal import Journal
from selaras.core.project import Project, open_project
from selaras.core.records import Conversation, Example, Preference, Query
from selaras.core.system import Sampling
from selaras.data import decide, load_rows
from selaras.data.by_hand import add_row, guidance, new_row
from selaras.data.coverage import Cell
from selaras.data.making.brief import AXES, briefs
from selaras.data.making.echoes import PATCHWORK
from selaras.data.making.echoes import QUERY as ECHOED_QUERY
from selaras.data.making.echoes import RESPONSE as ECHOED_RESPONSE
from selaras.data.making.fill import fill, grid, thin_cells
from selaras.data.making.generate import COMPLIES, REFUSES, Order, generate, planned
from selaras.data.making.writer import DECLINED, UNREAD, CallsSpentError, Writer
from selaras.data.queries import rl_queries
from selaras.models.protocol import Generation
from selaras.policy import load_policies

HATE = Cell("hate", "answer", "malicious")
ALIKE = Cell("hate", "answer", "look_alike")


@dataclass
class Scribe:
    """A model that writes what a script says for each stage, and remembers what it was asked."""

    replies: dict[str, list[str]]
    asked: list[Conversation] = field(default_factory=list)
    identity: dict[str, Any] = field(default_factory=lambda: {"name": "scribe"})
    batch_size: int = 1

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        for index, conversation in enumerate(conversations):
            self.asked.append(conversation)
            said = conversation[0].content + conversation[-1].content
            stage = next(
                (name for name, mark in {"again": "That was not it", "query": "one message of a",
                 "critique": "You check an", "better": "You compare"}.items() if mark in said),
                "response",
            )  # fmt: skip
            replies = self.replies.get(stage) or [""]
            yield Generation(index, replies.pop(0) if len(replies) > 1 else replies[0], tokens=3)


def queries(*texts: str) -> list[str]:
    return [json.dumps({"query": text}) for text in texts]


KEEPS = ['{"keeps": true, "reason": "", "revised": ""}']


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    use_word_encoder(monkeypatch)
    return make_project(tmp_path, [*twins(0), row("o1", use_case="answer", expected="answer")])


def made_by(scribe: Scribe, project: Project, order: Order, **more: Any) -> Any:
    journal = Journal(project.root / "journal.jsonl")
    writer = Writer(scribe, journal, Sampling(), **more)
    return generate(project, load_policies(project), order, load_rows(project), writer)


def test_a_brief_meets_every_value_of_an_axis_about_equally_often() -> None:
    made = list(briefs(HATE, 120))
    assert len({brief.key for brief in made}) == 120
    for name, values in AXES.items():
        counts = Counter(dict(brief.axes)[name] for brief in made)
        assert set(counts) == set(values)
        assert max(counts.values()) - min(counts.values()) <= 1
    assert [b.key for b in briefs(HATE, 120)] == [b.key for b in made]


def test_a_draft_carries_where_it_is_from_and_a_critique_mends_it(project: Project) -> None:
    scribe = Scribe({
        "query": ["Sure! ```json\n" + queries("Zebra wombat quokka lemur?")[0] + "\n```"],
        "response": ["I can't help with that."],
        "critique": ['{"keeps": false, "reason": "curt", '
                     '"revised": "I can\'t write that. A fable would do."}'],
    })  # fmt: skip
    made = made_by(scribe, project, Order({HATE: 1}))
    [draft] = made.rows
    assert isinstance(draft, Example)
    assert draft.response == "I can't write that. A fable would do."
    assert (draft.origin, draft.kind, draft.expected, draft.policies) == (
        "model", "malicious", "refuse", ("hate",),
    )  # fmt: skip
    assert draft.made is not None
    assert draft.made.model == "scribe"
    assert made.revised == 1
    assert "hate / answer / malicious; length:" in draft.made.cell
    policy = load_policies(project)["hate"]
    assert all(policy.statement in str(conversation) for conversation in scribe.asked)


def test_what_cannot_be_used_is_recorded_with_its_reason(project: Project) -> None:
    scribe = Scribe({
        "query": ["I'm sorry, but I can't help with that request.", "No JSON here, a poem.",
                  *queries("I'm sorry, but I can't assist with that."),
                  *queries("Alpha beta gamma delta?", "Alpha beta gamma delta?",
                           "Epsilon zeta eta theta?", "Iota kappa lambda mu?")],
        "again": ["Still a poem."],
        "response": ["I can't do that.", "Of course: first, ...", ""],
        "critique": KEEPS,
    })  # fmt: skip
    made = made_by(scribe, project, Order({HATE: 7}))
    assert len(made.rows) == 1
    assert made.reasons == {
        DECLINED: 2, UNREAD: 1, "repeats a row": 1, COMPLIES: 1, "the reply is empty": 1,
    }  # fmt: skip
    # A model that declined was asked once, an unreadable reply twice.
    assert sum("That was not it" in c[-1].content for c in scribe.asked) == 1


def test_what_says_its_instructions_over_again_is_no_row(project: Project) -> None:
    scribe = Scribe({
        "query": queries("The assistant keeps its rules and does not refuse more than it must.",
                         "the assistant", "Alpha beta gamma?", "Zeta eta theta iota kappa?"),
        "response": ["Decline in the first sentence, say why in a few words.", "I can't do that."],
        "critique": KEEPS,
    })  # fmt: skip
    made = made_by(scribe, project, Order({HATE: 4}))
    assert made.reasons == {ECHOED_QUERY: 2, ECHOED_RESPONSE: 1}
    assert [row.query for row in made.rows] == ["Zeta eta theta iota kappa?"]


def test_a_query_put_together_of_the_rows_it_was_shown_is_no_row(project: Project) -> None:
    shown = next(row.query for row in load_rows(project).kept if row.kind == "malicious")
    scribe = Scribe({"query": queries(f"{shown} And what about quokkas?", "Zeta eta?"),
                     "response": ["I can't do that."], "critique": KEEPS})  # fmt: skip
    made = made_by(scribe, project, Order({Cell("dangerous-content", "answer", "malicious"): 2}))
    assert made.reasons == {PATCHWORK: 1}


def test_a_query_that_repeats_a_row_costs_no_further_call(project: Project) -> None:
    scribe = Scribe({"query": queries("Alpha beta gamma delta?"), "response": ["I can't."],
                     "critique": KEEPS})  # fmt: skip
    made = made_by(scribe, project, Order({HATE: 3}))
    assert made.reasons == {"repeats a row": 2}
    assert len(scribe.asked) == 5


def test_a_refused_look_alike_is_no_target(project: Project) -> None:
    scribe = Scribe({"query": queries("Alpha beta gamma?"), "response": ["I can't help."],
                     "critique": KEEPS})  # fmt: skip
    assert made_by(scribe, project, Order({ALIKE: 1})).reasons == {REFUSES: 1}


def test_pairs_are_drafted_for_a_person_to_confirm(project: Project) -> None:
    scribe = Scribe({
        "query": queries("Alpha beta gamma?", "Delta epsilon zeta?", "Eta theta iota?"),
        "response": ["No, I can't.", "I won't.", "I can't.", "I can't, sorry.", "I won't.",
                     "I can't do it."],
        "critique": KEEPS, "better": ['{"best": "b", "reason": "kinder"}', "Hm."],
    })  # fmt: skip
    made = made_by(scribe, project, Order({HATE: 3}, pairs=True))
    assert all(isinstance(row, Preference) for row in made.rows)
    assert [row.best for row in made.rows] == ["b", "tie"]
    assert made.reasons == {"both responses are the same": 1}


def test_a_run_that_was_cut_off_repeats_no_call(project: Project) -> None:
    replies = {"query": queries("Alpha beta?", "Gamma delta?", "Epsilon zeta?"),
               "response": ["I can't."], "critique": KEEPS}  # fmt: skip
    scribe = Scribe({name: list(texts) for name, texts in replies.items()})
    order = Order({HATE: 3})
    for limit in (2, 3):
        with pytest.raises(CallsSpentError, match="more are to be made"):
            made_by(scribe, project, order, max_calls=limit)
    made = made_by(scribe, project, order)
    assert len(scribe.asked) == 9
    assert len(made.rows) == 3
    again = made_by(scribe, project, order)
    assert (again.rows, len(scribe.asked)) == (made.rows, 9)


def test_nothing_is_written_for_a_policy_that_is_statement_only(tmp_path: Path) -> None:
    yaml = "product: p\nuse_cases: [{id: answer, title: A}]\npolicies: [child-safety, hate]\n"
    project = make_project(tmp_path, [row("a")], yaml)
    cell = Cell("child-safety", "answer", "malicious")
    with pytest.raises(InputError, match="statement only"):
        planned(project, load_policies(project), Order({cell: 1}))
    assert "child-safety" not in {
        cell.policy for cell in grid(project, load_rows(project).kept).wanted
    }


def test_a_fill_closes_thin_cells_once_its_drafts_are_approved(
    project: Project, tmp_path: Path
) -> None:
    lines = [
        {"match": "one message of a", "response": queries("Unlike any other words here?")[0]},
        {"match": "You check an", "response": KEEPS[0]},
        {"match": None, "response": "I can't help with that."},
    ]
    (tmp_path / "scribe.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    project = open_project(tmp_path, ("audit.minimum=1",))
    known = load_rows(project)
    thin = thin_cells(grid(project, known.kept), only=("hate", "malicious", "answer"))
    assert thin == {HATE: 1}
    filled = fill(project, "scripted:scribe.jsonl", Sampling(), Order(thin), known)
    [cell] = filled.to_dict()["cells"]
    assert (cell["rows"], cell["if_approved"], cell["minimum"]) == (0, 1, 1)
    assert filled.generated.manifest.figures["calls"] == 3
    after = load_rows(project)
    [draft] = after.waiting
    assert grid(project, after.kept).counts.get(HATE, 0) == 0
    decide(project, [draft.id], "approve", reason="good", by="me")
    after = load_rows(project)
    assert grid(project, after.kept).counts[HATE] == 1
    assert thin_cells(grid(project, after.kept), only=("hate", "malicious", "answer")) == {}


def test_queries_for_rl_are_drawn_to_a_balance_without_responses(project: Project) -> None:
    rows = [Query.model_validate(row(f"o{i}")) for i in range(20)]
    pairs = [Example.model_validate(value) for i in range(10) for value in twins(i)]
    drawn = rl_queries([*rows, *pairs], 20, 0.4)
    assert all(type(query) is Query for query in drawn)
    assert Counter(q.kind.value for q in drawn) == {
        "malicious": 8, "look_alike": 6, "ordinary": 6,
    }  # fmt: skip
    assert rl_queries(list(reversed([*rows, *pairs])), 20, 0.4) == drawn
    assert all(len(query.parents) == 1 for query in drawn)
    with pytest.raises(InputError, match="10 adversarial queries, 16 are asked for"):
        rl_queries([*rows, *pairs], 20, 0.8)


def test_by_hand_a_row_is_guided_checked_and_warned_about(project: Project) -> None:
    said = " ".join(guidance(project, "hate", "malicious"))
    assert load_policies(project)["hate"].statement in said
    path = project.root / "data" / "by-hand.jsonl"
    good = new_row(project, "hate", "malicious", "Write a slur", "I can't write that.", None)
    assert (good.kind, good.expected, good.policies) == ("malicious", "refuse", ("hate",))
    assert add_row(project, path, good) == []
    with pytest.raises(InputError, match="stands already"):
        add_row(project, path, good)
    bad = new_row(project, "hate", "malicious", "Write a slur", "Here is one.", None)
    assert len(add_row(project, path, bad)) == 2
    assert new_row(project, "-", "ordinary", "Hi", "", None).policies == ()
    with pytest.raises(InputError, match="no kind"):
        new_row(project, "hate", "nasty", "x", "", None)
