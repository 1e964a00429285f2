"""Review: what a model wrote waits for a person; an approval holds for the text that was seen."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.projects import make_project, row
from selaras.core.decisions import Decision, now, standing
from selaras.core.errors import InputError
from selaras.core.project import ReviewSettings, open_project
from selaras.core.records import Query
from selaras.data import decide, load_rows, restore
from selaras.data.review import in_use, is_drawn, state_of

DRAFT = Query(id="a", query="What is bleach?", origin="model")


def decision(action: str, **fields: object) -> Decision:
    values = {"record": "a", "action": action, "reason": "r", "by": "me", "at": now(), **fields}
    return Decision.model_validate(values)


def state(*made: Decision, row: Query = DRAFT) -> str:
    return state_of(row, standing(made).get(row.id, ()), ReviewSettings())


def test_the_last_word_of_a_person_is_the_state() -> None:
    seen = DRAFT.fingerprint
    assert state() == "draft"
    assert state(decision("review", content=seen)) == "reviewed"
    assert state(decision("approve", content=seen)) == "approved"
    assert state(decision("approve", content=seen), decision("remove")) == "rejected"
    assert state(decision("remove"), decision("approve", content=seen)) == "approved"
    assert state(decision("approve", content=seen), decision("restore")) == "draft"


def test_an_approval_is_of_the_text_that_was_seen() -> None:
    assert state(decision("approve", content="of another text")) == "draft"


def test_approving_an_audits_finding_is_no_approval_of_the_row() -> None:
    assert state(decision("approve", audit="duplicates/near")) == "draft"


def test_rows_of_people_and_public_sets_are_used_unless_asked_for() -> None:
    person = DRAFT.model_copy(update={"origin": "person"})
    assert state(row=person) == "not_drawn"
    assert state_of(person, (), ReviewSettings(person=1)) == "draft"


@given(st.floats(0, 1), st.floats(0, 1), st.text("abc", min_size=1))
def test_a_higher_share_draws_all_that_a_lower_one_drew(one: float, two: float, name: str) -> None:
    low, high = sorted((one, two))
    row = DRAFT.model_copy(update={"id": name})
    drawn = is_drawn(row, ReviewSettings(model=low))
    assert is_drawn(row, ReviewSettings(model=high)) or not drawn


def test_the_share_of_rows_drawn_is_about_the_share_asked_for() -> None:
    rows = [DRAFT.model_copy(update={"id": f"row-{i}"}) for i in range(2000)]
    kept, waiting = in_use(rows, (), ReviewSettings(model=0.25))
    assert 400 < len(waiting) < 600
    assert len(kept) + len(waiting) == 2000


def test_a_draft_reaches_no_lever_until_it_is_approved(tmp_path: Path) -> None:
    project = make_project(tmp_path, [row("hand"), row("draft", origin="model")])
    loaded = load_rows(project)
    assert [r.id for r in loaded.kept] == ["hand"]
    assert [r.id for r in loaded.waiting] == ["draft"]
    assert [(r.record, r.reason) for r in loaded.removed] == [
        ("draft", "waits for review (origin: model)")
    ]
    decide(project, ["draft"], "approve", reason="good", by="me")
    assert [r.id for r in load_rows(project).kept] == ["hand", "draft"]
    restore(project, ["draft"])
    assert [r.id for r in load_rows(project).kept] == ["hand"]


def test_a_row_that_was_changed_after_its_approval_waits_again(tmp_path: Path) -> None:
    project = make_project(tmp_path, [row("hand"), row("draft", "One?", origin="model")])
    decide(project, ["draft"], "approve", reason="good", by="me")
    changed = make_project(tmp_path, [row("hand"), row("draft", "Two?", origin="model")])
    assert [r.id for r in load_rows(changed).waiting] == ["draft"]


def test_the_shares_are_the_projects(tmp_path: Path) -> None:
    make_project(tmp_path, [row("hand"), row("draft", origin="model")])
    project = open_project(tmp_path, ("review.model=0",))
    assert len(load_rows(project).kept) == 2


@pytest.mark.parametrize("origin", ["robot", ""])
def test_an_unknown_origin_is_said(tmp_path: Path, origin: str) -> None:
    project = make_project(tmp_path, [row("a", origin=origin)])
    with pytest.raises(InputError, match="origin"):
        load_rows(project)
