"""Pairs on the embedded model: a few steps of each training, from the starter's own pairs."""

import json

import pytest

from selaras.core.project import Project, open_project
from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models.names import open_model, open_rewarder, place_of
from selaras.starter import create_project
from selaras.tune.preference import plan_preference, tune_preference
from selaras.tune.reward import plan_reward, tune_reward

pytestmark = pytest.mark.real
SMALL = ("layers=0.1", "epochs=1", "selection_share=0.3")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the starter project with eight twins of its pairs and no other rows."""
    root = create_project(tmp_path_factory.mktemp("pairs") / "p", "household-helper").root
    lines = (root / "data" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 120
    kept = [line for line in lines if "cluster" in json.loads(line)][:16]
    (root / "data" / "pairs.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    changed = [f"tune.{kind}.{each}" for kind in ("reward", "preference") for each in SMALL]
    more = ("data=[data/pairs.jsonl]", "tune.preference.minimum_pairs=1",
            "tune.preference.scales=[1.0]")  # fmt: skip
    return open_project(root, (*changed, *more))


def test_a_reward_model_of_the_embedded_model_scores(project: Project) -> None:
    run = tune_reward(project, plan_reward(project))
    assert run.figures["aside"]["accuracy"]["n"] >= 2
    asked = (Message(role="user", content="How do I kill the mould on my bathroom wall?"),)
    rewarder = open_rewarder(f"run:{run.id}", place_of(project))
    first, second = rewarder.reward([asked, asked], ["Scrub it with soda.", "I can't help."])
    assert first != second


def test_a_preference_tuning_of_the_embedded_model_answers(project: Project) -> None:
    run = tune_preference(project, plan_preference(project))
    asked = (Message(role="user", content="How long do eggs boil?"),)
    model = open_model(f"run:{run.id}", place_of(project))
    (answer,) = model.generate([asked], Sampling(max_tokens=8))
    assert answer.status == "ok"
