"""What the benchmarks share: options, costs of calls and processes, and turns."""

import json
import sys
from pathlib import Path

import pytest

from benchmark_scripts import FOLDER, open_benchmark

measure = open_benchmark("measure")


def test_every_benchmark_takes_the_same_options() -> None:
    for path in FOLDER.glob("*.py"):
        text = path.read_text()
        if "def shown(" in text:
            assert "arguments(__doc__" in text, path.name
            assert "finish(options" in text, path.name


def test_a_process_is_measured_with_its_children_and_its_failure_is_said(tmp_path: Path) -> None:
    spend = "x = 0\nfor n in range(10**6): x += n"
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spend!r}]); print('x')"
    alone, _ = measure.run_apart([sys.executable, "-c", "pass"])
    cost, said = measure.run_apart([sys.executable, "-c", inner])
    assert said == "x\n"
    assert cost["cpu_seconds"] > alone["cpu_seconds"]
    with pytest.raises(RuntimeError, match="failed: ValueError: seven"):
        measure.run_apart([sys.executable, "-c", "raise ValueError('seven')"])
    with pytest.raises(RuntimeError, match="took more than 0 s"):
        measure.run_apart([sys.executable, "-c", "import signal; signal.pause()"], limit=0.05)


def test_turns_alternate_and_medians_are_taken_figure_by_figure() -> None:
    assert list(measure.alternating(["a", "b"], 3)) == ["a", "b", "b", "a", "a", "b"]
    assert measure.median([{"s": 1.0}, {"s": 9.0}, {"s": 2.0}]) == {"s": 2.0}


def test_a_result_is_printed_and_written(tmp_path: Path, capsys: object) -> None:
    options = measure.arguments("What?\n\nMore.", quick="less").parse_args(
        ["--json", "--out", str(tmp_path / "o.json")]
    )
    cost, value = measure.timed(lambda: 7)
    result = measure.report([{"name": "a", "ours": True, **cost}], measure.versions("numpy"))
    assert measure.finish(options, result, str) == 0
    written = json.loads((tmp_path / "o.json").read_text())
    assert value == 7
    assert set(written["rows"][0]) == {"name", "ours", "wall_seconds", "cpu_seconds", "peak_mb"}
    assert json.loads(capsys.readouterr().out) == written
