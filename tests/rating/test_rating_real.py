"""Agreement on public sets against what is known of them. Skipped where the data is absent."""

from pathlib import Path

import pytest

from benchmark_scripts import open_benchmark

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data (see its README.md)"),
]


def test_known_agreement_is_found() -> None:
    script = open_benchmark("rating_agreement")
    found = {name: script._measured(name, *made) for name, made in script._sets(DATA, True)}
    assert found["pandalm"]["unanimous"] == 879
    assert found["pandalm"]["kappa_first_two"] == pytest.approx(0.852, abs=5e-4)
    for model, kappa in (("llama2orig", 0.93), ("llama2new", 0.93), ("mistralguard", 0.89)):
        assert found[f"xstest {model}"]["kappa_first_two"] == pytest.approx(kappa, abs=5e-3)
    for row in found.values():
        assert row["alpha"] == pytest.approx(row["alpha_of_krippendorff"], abs=1e-4)
        assert row["alpha_low"] < row["alpha"] < row["alpha_high"]
