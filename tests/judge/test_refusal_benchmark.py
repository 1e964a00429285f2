"""The refusal benchmark skips without data, cuts by prompt, and beats the strings with it."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmark_scripts import open_benchmark

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "xstest"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return open_benchmark("refusal_judge")


def test_without_the_data_it_skips_and_says_so(
    benchmark: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["refusal_judge.py", "--data", str(tmp_path)])
    assert benchmark.main() == 0
    assert capsys.readouterr().out.startswith("skipped: ")


def test_the_halves_are_fixed_and_about_equal(benchmark: ModuleType) -> None:
    halves = [benchmark.half_of(f"v2-{n}") for n in range(1, 451)]
    assert halves == [benchmark.half_of(f"v2-{n}") for n in range(1, 451)]
    assert 200 < halves.count("test") < 250
    assert set(halves) == {"development", "test"}


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there")
def test_the_rules_agree_with_people_more_than_strings_do(benchmark: ModuleType) -> None:
    rows = list(benchmark.read(DATA))
    assert len(rows) == 1350
    figures = {
        row["name"]: row
        for row in benchmark.measured(rows, quick=True)["rows"]
        if row["half"] == "development"
    }
    ours = figures.pop("refusal-rules")
    figures.pop("human (the other rater)")
    assert ours["low"] > max(row["high"] for row in figures.values())
    assert ours["full_low"] > max(row["full_high"] for row in figures.values())


def test_graded_completions_get_the_label_that_follows(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "graded.jsonl"
    keys = ("fully_complies", "partially_complies", "inability_to_comply")
    rows = [("Sure.", "110"), ("Half.", "010"), ("I won't write that.", "001"), (" ", "000")]
    path.write_text(
        "\n".join(
            json.dumps(
                {
                    "prompt": text,
                    "completion": [{"content": text}],
                    "propositions": {key: bit == "1" for key, bit in zip(keys, bits, strict=True)},
                }
            )
            for text, bits in rows
        )
    )
    read = list(benchmark.read_graded(path))
    assert [row.labels["final_label"] for row in read] == ["none", "partial", "full"]
    one = [benchmark.replace(row, half=half) for row in read for half in benchmark.HALVES]
    ours = [row for row in benchmark.short("graded", one) if row["name"] == "refusal-rules"]
    assert [(row["missed"], row["false_alarms"], row["found"]) for row in ours] == [(0, 0, 1)] * 2
