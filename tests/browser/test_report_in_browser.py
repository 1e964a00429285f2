"""The report in a real browser: it loads nothing, fits a phone, prints, and shows its figures."""

from pathlib import Path
from typing import Any

import pytest

from report.report_builder import (
    STORY,
    make_development,
    make_project,
    make_rows,
    make_seal,
    story,
)
from selaras.report import render_report

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]
HOSTILE = "<script>document.title='broken'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    project = make_project(folder / "project", product=f"helper {HOSTILE}")
    rows, dev = make_rows(), make_rows(STORY, "dev")
    seal = make_seal(project, rows, dev)
    path = folder / "report.html"
    html = render_report(project, story(project, rows, seal), (), make_development(dev, seal))
    path.write_text(html, encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_loads_nothing(
    open_alone: Any, page_file: Path, width: int, scheme: Any
) -> None:
    page = open_alone(page_file, width, scheme)
    assert page.title() != "broken"
    assert page.locator("script, img[onerror]").count() == 0
    assert page.locator("table").count() >= 3
    assert page.locator("svg[role=img]:visible").count() >= 1
    assert "guarded" in page.locator("main").inner_text()
    page.close()


def test_it_prints(browser: Any, page_file: Path, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    made = page.pdf(path=str(tmp_path / "report.pdf"))
    assert made.startswith(b"%PDF")
    page.close()


def test_it_reads_by_keyboard(browser: Any, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.getAttribute('href')")
    assert (focused or "").startswith("#")
    page.close()
