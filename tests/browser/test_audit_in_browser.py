"""The audit's page in a real browser: it loads nothing, fits a phone, and shows its plots."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.projects import WordEncoder, make_project, row, some_rows
from selaras.data import AUDITS, Finding, Proposal, load_rows
from selaras.data.audit import run_audits
from selaras.data.finding import AuditInput
from selaras.report.html_audit import render_audit

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]
HOSTILE = "<script>document.title='broken'</script><img src=x onerror=alert(1)> ana@mail.org"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from selaras.core.late import resolve

    folder = tmp_path_factory.mktemp("audit")
    rows = [*some_rows(20, 30), row("hostile", HOSTILE), row("copy", f"{HOSTILE} again")]
    project = make_project(folder / "project", rows)

    def copies(given: AuditInput) -> Iterator[Finding]:
        yield Finding("copies", "near", 1, "review", ("hostile", "copy"), "nearly the same",
                      proposed=(Proposal("copy", "remove", "copy", safe=True),))  # fmt: skip

    names = ("coverage", "diversity", "mislabels", "hygiene")
    audits = {**{name: resolve(AUDITS[name]) for name in names}, "copies": copies}
    given = AuditInput(load_rows(project).kept, WordEncoder().embed, {},
                       project.file.use_cases, project.file.audit, project)  # fmt: skip
    path = folder / "audit.html"
    path.write_text(render_audit(run_audits(given, audits), project), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 900])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_loads_nothing(
    open_alone: Any, page_file: Path, width: int, scheme: Any
) -> None:
    page = open_alone(page_file, width, scheme)
    assert page.title() != "broken"
    assert page.locator("script, img").count() == 0
    assert page.locator("svg[role=img]:visible").count() >= 3
    text = page.locator("main").inner_text()
    assert "0 of 5" in text
    assert "proposed to go" in text
    assert "ana@mail.org" not in page.content()
    page.close()


def test_findings_are_a_click_away(browser: Any, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    link = page.locator("a[href='#find-hygiene-email']")
    link.click()
    assert page.locator("#find-hygiene-email").is_visible()
    broken = page.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')]"
        ".filter(a => !document.getElementById(a.getAttribute('href').slice(1))).length"
    )
    assert broken == 0
    page.close()
