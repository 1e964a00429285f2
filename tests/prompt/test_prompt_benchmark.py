"""The benchmark of searches on the scripted world: the quick run, as CI makes it."""

import argparse
import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark(world):
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location(
            "prompt_search_benchmark", BENCHMARKS / "prompt_search.py"
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["prompt_search_benchmark"] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


@pytest.mark.skipif(importlib.util.find_spec("gepa") is None, reason="gepa is not installed")
def test_ours_gains_on_rows_it_never_saw_and_random_edits_do_not(benchmark, tmp_path) -> None:
    options = argparse.Namespace(seeds=1, calls=300, model="")
    rows = {row["name"]: row for row in benchmark.measured(benchmark.TASKS["world"], options,
                                                           tmp_path)}  # fmt: skip
    assert rows["selaras"]["low"] > 0
    assert rows["random edits"]["gain"] <= 0.02
    for row in rows.values():
        assert row["calls"] <= 300
        assert row["n"] == 120
    assert rows["selaras, half the calls"]["calls"] <= 150
    assert "held-out gain" in benchmark.shown({"rows": list(rows.values())})


def test_held_out_twins_are_no_development_rows(benchmark, tmp_path) -> None:
    setting = benchmark.setting_of(benchmark.TASKS["policy"], "openai:x@http://127.0.0.1:9/v1", 1,
                                   tmp_path)  # fmt: skip
    held = {row.cluster for row in setting.held_out}
    assert not held & {row.cluster for row in (*setting.rows.reflect, *setting.rows.select)}
    assert {row.response for row in setting.held_out} == {"safe", "unsafe"}
    dates = benchmark.TASKS["format"].rows(20, 3)
    assert len({row.query for row in dates}) == 20
