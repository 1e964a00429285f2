"""The comparison in a real browser: it fits, loads nothing, filters without a script."""

from pathlib import Path
from typing import Any

import pytest

from report.report_builder import make_evaluation, make_project, make_rows
from selaras.core.records import Kind
from selaras.report.compare_html import render_comparison

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]
COUNTS = {Kind.MALICIOUS: 20, Kind.LOOK_ALIKE: 20, Kind.ORDINARY: 10}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    project = make_project(folder / "project")
    rows = make_rows(COUNTS)
    long = "Open the window first. " * 40 + "<script>document.title = 'broken'</script>"
    found = [
        make_evaluation(project, "base", rows, {Kind.LOOK_ALIKE: 0.5}, text=long),
        make_evaluation(project, "tuned", rows, {Kind.MALICIOUS: 0.7, Kind.ORDINARY: 0.2}),
    ]
    path = folder / "compare.html"
    texts = {row.id: row for row in rows if row.kind is not Kind.ORDINARY}
    path.write_text(render_comparison(found, texts, "household helper"), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 900])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_loads_nothing(
    open_alone: Any, page_file: Path, width: int, scheme: Any
) -> None:
    page = open_alone(page_file, width, scheme)
    assert page.title() == "household helper: base and tuned"
    assert page.locator("article.side:visible").count() == 50
    page.close()


def test_filters_work_without_a_script(browser: Any, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.get_by_label("illicit-goods (20)").check()
    assert page.locator("article.side:visible").count() == 20
    page.get_by_label("malicious (20)").check()
    assert page.locator("article.side:visible").count() == 10
    first = page.locator("article.side:visible").first.inner_text()
    assert "should be refused" in first
    page.get_by_role("group", name="Policy").get_by_label("all").check()
    page.get_by_role("group", name="Kind").get_by_label("all").check()
    assert page.locator("article.side:visible").count() == 50
    context.close()
