"""Pairs on the command line: trained, measured on the sealed ones, judged by."""

import shutil
from pathlib import Path

import pytest
import yaml
from cli_value import value

from fixtures.projects import row
from selaras.core.files import write_jsonl


@pytest.fixture
def paired(project: Path, tiny_folder: Path) -> Path:
    """Return the project with the tiny model and forty pairs of both directions."""
    shutil.copytree(tiny_folder, project / "model")
    pairs = [
        row(f"pair{i}", kind=kind, expected=expected, policies=["dangerous-content"],
            response_a="Open a window.", response_b="I can't help with that.", best=best)
        for i in range(20)
        for kind, expected, best in [("malicious", "refuse", "b"), ("look_alike", "answer", "a")][
            i % 2 : i % 2 + 1
        ]
    ]  # fmt: skip
    write_jsonl(project / "data" / "pairs.jsonl", pairs)
    file = yaml.safe_load((project / "selaras.yaml").read_text())
    small = {"epochs": 1, "rank": 2, "layers": 0.5, "learning_rate": 0.01}
    file["tune"] = {"model": "hf:model", "reward": small,
                    "preference": {**small, "minimum_pairs": 1, "scales": [1.0]}}  # fmt: skip
    file["systems"]["base"]["sampling"] = {"max_tokens": 8}
    (project / "selaras.yaml").write_text(yaml.safe_dump(file))
    return project


@pytest.mark.usefixtures("one_thread")
def test_a_reward_model_is_planned_trained_sealed_and_judged_by(run, paired: Path) -> None:
    value(run("data", "split", "--json"))
    (plan,) = value(run("tune", "reward", "--dry-run", "--json"))["plans"]
    assert plan["directions"]["safe over unsafe"] > 0
    assert not (paired / "runs").exists()
    (made,) = value(run("tune", "reward", "--json"))["runs"]
    assert set(made["figures"]) == {"aside"}
    assert value(run("data", "list", "--json"))["looks"] == 0
    (sealed,) = value(run("tune", "reward", "--sealed", "--json"))["runs"]
    assert sealed["id"] == made["id"], "read, not trained again"
    assert sealed["figures"]["sealed"]["accuracy"]["n"] >= 4
    assert value(run("data", "list", "--json"))["looks"] == 1
    told = run("tune", "reward", "--sealed")
    assert "sealed pairs: the better side wins in" in told.stderr
    judge = f"reward:run:{made['id']}"
    (system,) = value(run("eval", "base", "--development", "--judge", judge, "--json"))["systems"]
    assert system["figures"]["quality"]["n"] == system["figures"]["rows"]
    refused = run("eval", f"run:{made['id']}", "--development")
    assert refused.exit_code == 2
    assert "scores answers and gives none" in refused.stderr


@pytest.mark.usefixtures("one_thread")
def test_a_preference_tuning_is_planned_tuned_and_measured(run, paired: Path) -> None:
    plan = value(run("tune", "preference", "--dry-run", "--json"))
    assert plan["notes"] == []
    (made,) = value(run("tune", "preference", "--json"))["runs"]
    assert made["chosen"]["scale"] == 1.0
    (system,) = value(run("eval", f"run:{made['id']}", "--development", "--json"))["systems"]
    assert system["figures"]["over_refusal_rate"]["n"] > 0


def test_what_cannot_be_trained_on_is_one_line(run, paired: Path) -> None:
    for given, said in (
        (["tune", "reward", "--policy", "magic"], "unknown policy 'magic'"),
        (["tune", "reward", "--set", "tune.reward.max_tokens=16"], "longer than 16 tokens"),
        (["tune", "preference", "--set", "tune.preference.minimum_pairs=99"], "99 are needed"),
        (["eval", "base", "--development", "--judge", "reward:run:none"], "no run 'none'"),
    ):
        done = run(*given)
        assert done.exit_code == 2, given
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
