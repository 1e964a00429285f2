"""The calibration benchmark: skips without data; PPI++ covers, the judge alone does not."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmark_scripts import open_benchmark

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "xstest"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return open_benchmark("calibration")


def test_without_the_data_it_skips_and_says_so(benchmark, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["calibration.py", "--data", str(tmp_path)])
    assert benchmark.main() == 0
    assert capsys.readouterr().out.startswith("skipped: ")


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the XSTest completions are not here")
def test_labels_beside_a_judge_are_worth_more_and_still_cover(benchmark) -> None:
    rows = benchmark.measured(DATA, draws=200, quick=True)["rows"]
    for row in rows:
        assert row["coverage_ppi"] >= 0.88, row
        assert row["effective_n"] > 1.3 * row["labels"], row
    assert min(row["coverage_judge"] for row in rows) < 0.3
