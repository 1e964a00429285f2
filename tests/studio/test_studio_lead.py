"""The lead's pages: progress, disputes, proposals, policies as Markdown."""

from pathlib import Path

import pytest
from sqlalchemy import select

from fixtures.projects import make_project
from rating.rating_builder import give, harm_items, new_rater
from selaras.core.project import Project, open_project
from selaras.policy import load_policies
from selaras.rating import schema
from selaras.rating.results import stale_count
from studio.studio_builder import Site, field

EXAMPLE = "Quotes a slur to explain to a learner why it hurts."


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project", [])


@pytest.fixture
def site(tmp_path: Path, project: Project) -> Site:
    site = Site(tmp_path, harm_items(2), project, overlap=2)
    for name, value in (("ana", "unsafe"), ("budi", "safe")):
        rater = new_rater(site.store, site.spec, name)
        for _ in range(2):
            give(site.store, site.spec, rater, value, note=f"{name} has a reason")
    return site


def test_a_disagreement_becomes_a_policy_example(site: Site, project: Project) -> None:
    client = site.lead()
    assert "2 disputed" in client.get("/lead").text
    page = client.get("/lead/batch/b")
    assert "ana has a reason" in page.text
    assert "entropy 1.0 bits" in page.text
    data = {"csrf": field(page, "csrf"), "item": field(page, "item"), "value": "safe",
            "cause": "guideline_gap", "why": "Quoting is needed here.", "policy": "hate",
            "side": "allowed", "example": EXAMPLE}  # fmt: skip
    wrong = client.post("/lead/batch/b", data={**data, "cause": "rater_error"})
    assert wrong.status_code == 400
    assert "only a guideline gap" in wrong.text
    assert "1 waiting" in client.post("/lead/batch/b", data=data).text
    with site.store.reading() as connection:
        newest = connection.execute(
            select(schema.instructions.c.text).order_by(schema.instructions.c.id.desc())
        ).scalar()
    assert EXAMPLE in str(newest)
    page = client.get("/lead/policies")
    assert EXAMPLE in page.text
    added = client.post(
        "/lead/policies",
        data={"csrf": field(page, "csrf"), "policy": "hate", "text": EXAMPLE, "raise": "1"},
    )
    assert "items open again (2 of b)" in added.text
    policy = load_policies(open_project(project.root))["hate"]
    assert policy.allowed[-1] == EXAMPLE
    assert policy.revision == 2
    assert "# A built-in policy" in (project.root / "policies" / "hate.yaml").read_text()
    with site.store.reading() as connection:
        assert stale_count(connection, "b") == 4


def test_a_policy_is_read_and_edited_as_markdown(site: Site, project: Project) -> None:
    client = site.lead()
    page = client.get("/lead/policy/hate")
    assert "# Hate speech" in page.text
    csrf = field(page, "csrf")
    text = (
        "# Hate\n\n- id: hate\n- revision: 2\n- owner: me\n- severity: high\n- family: harm\n"
        "- expected: refuse\n\n## Statement\n\nThe assistant must not hate.\n\n"
        "## Desired\n\nDecline.\n"
    )
    for bad, said in ((text.replace("id: hate", "id: love"), "the id stays"),
                      (text.replace("## Desired", "## Wanted"), "no section"),
                      (text.replace("revision: 2", "revision: two"), "revision")):  # fmt: skip
        wrong = client.post("/lead/policy/hate", data={"csrf": csrf, "text": bad})
        assert wrong.status_code == 400
        assert said in wrong.text
    assert not (project.root / "policies" / "hate.yaml").exists()
    saved = client.post("/lead/policy/hate", data={"csrf": csrf, "text": text})
    assert "items open again (2 of b)" in saved.text
    assert load_policies(open_project(project.root))["hate"].title == "Hate"
