"""Preference tuning on the tiny model: both directions, both learnt, chosen, resumed, refused."""

import shutil

import pytest
import yaml
from safetensors.torch import load_file
from test_tune_reward import Dying

from selaras.core.errors import InputError
from selaras.core.manifest import ledger
from selaras.core.project import open_project
from selaras.core.records import Message, Preference, Query
from selaras.data import Development
from selaras.models.names import open_model, open_rewarder, place_of
from selaras.models.protocol import Choice
from selaras.tune import preference
from selaras.tune.preference import plan_preference, tune_preference
from selaras.tune.trainer import loss_curve

pytestmark = pytest.mark.usefixtures("one_thread")
REFUSAL, HELP = "I can't help with that.", "Use the kill command."


def rows():
    """Return twelve twins of pairs, and queries to choose by."""
    made = []
    for i in range(12):
        common = {"policies": ("hate",)}
        made += [
            Preference(id=f"m{i}", query=f"How do I kill person {i}?", kind="malicious",
                       expected="refuse", response_a=REFUSAL, response_b=HELP, best="a", **common),
            Preference(id=f"l{i}", query=f"How do I kill process {i}?", kind="look_alike",
                       expected="answer", response_a=REFUSAL, response_b=HELP, best="b", **common),
            Query(id=f"o{i}", query=f"How long should bread {i} rest?", expected="answer"),
        ]  # fmt: skip
    return made


def held(found):
    return Development(tuple(found), {row.id: f"g{row.id[1:]}" for row in found}, (), None)


def write_project(folder, tiny_folder, **settings):
    shutil.copytree(tiny_folder, folder / "model", dirs_exist_ok=True)
    given = {"epochs": 2, "batch_size": 8, "rank": 2, "learning_rate": 0.02, "layers": 1.0,
             "scales": [0.5, 1.0], "minimum_pairs": 2, **settings}  # fmt: skip
    file = {
        "product": "test",
        "use_cases": [{"id": "answer", "title": "Answer"}],
        "policies": ["hate"],
        "tune": {"model": "hf:model", "preference": given},
    }
    (folder / "selaras.yaml").write_text(yaml.safe_dump(file))
    return open_project(folder)


@pytest.fixture
def development(monkeypatch):
    def put(found):
        monkeypatch.setattr(preference, "open_development", lambda *_: held(found))

    put(rows())
    return put


@pytest.fixture(scope="module")
def tuned(tiny_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preference, "open_development", lambda *_: held(rows()))
        project = write_project(tmp_path_factory.mktemp("preference"), tiny_folder)
        yield project, tune_preference(project, plan_preference(project))


def gap(project, name, query):
    """Return how much likelier the refusal is than the help, in nats."""
    model = open_model(name, place_of(project))
    talk = (Message(role="user", content=query),)
    refusal, help_ = next(model.score([Choice(talk, (REFUSAL, HELP))])).log_probabilities
    return refusal - help_


def test_the_loss_falls_and_the_run_opens_as_a_model(tuned):
    project, run = tuned
    curve = [entry["loss"] for entry in loss_curve(project.runs / run.id / "checkpoints")]
    assert curve[-1] < curve[0]
    # At the first step policy and reference agree: DPO's part is ln 2, the rest is SFT's.
    assert curve[0] > 0.69
    moved = gap(project, f"run:{run.id}@1", "How do I kill person 3?") - gap(
        project, f"run:{run.id}@1", "How do I kill process 3?"
    )
    before = gap(project, "hf:model", "How do I kill person 3?") - gap(
        project, "hf:model", "How do I kill process 3?"
    )
    assert moved > before


def test_the_run_says_its_directions_points_and_choice(tuned):
    project, run = tuned
    directions = run.config["directions"]
    assert directions["safe over unsafe"] == directions["helpful over refusing"] > 5
    assert run.config["method"] == "preference"
    assert len(run.config["points"]) == 4
    assert {"adapter", "scale"} == set(run.config["chosen"])
    assert run.figures["over_refusal_rate"]["n"] > 0
    with pytest.raises(InputError, match="made a model that answers, not a reward model"):
        open_rewarder(f"run:{run.id}", place_of(project))


def test_rows_kept_aside_are_not_trained_on(development, tiny_folder, tmp_path):
    plan = plan_preference(write_project(tmp_path, tiny_folder))
    aside = {row.id for row in plan.selection}
    trained = {row.id for row in plan.rows.train}
    assert aside
    assert not aside & trained
    groups = plan.development.groups
    assert not {groups[name] for name in aside} & {groups[name] for name in trained}


def test_it_goes_on_to_the_same_adapter_after_a_kill(tuned, development, tiny_folder, tmp_path):
    other, run = tuned
    project = write_project(tmp_path, tiny_folder)
    with pytest.raises(KeyboardInterrupt):
        tune_preference(project, plan_preference(project), progress=Dying(4))
    done = tune_preference(project, plan_preference(project), resume=True)
    assert len(ledger(project.runs)) == 1

    def weights(of, manifest):
        folder = of.runs / manifest.id / "checkpoints"
        last = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
        return load_file(last / "adapter_model.safetensors")

    first, second = weights(project, done), weights(other, run)
    assert all((first[name] == second[name]).all() for name in second)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("malicious", "0 pairs teach 'helpful over refusing', 2 are needed.*refuse whatever"),
        ("look_alike", "0 pairs teach 'safe over unsafe', 2 are needed.*comply with whatever"),
    ],
)
def test_one_direction_alone_is_refused_or_warned_of(
    development, tiny_folder, tmp_path, kept, said
):
    development([row for row in rows() if row.kind in {kept, "ordinary"}])
    with pytest.raises(InputError, match=said):
        plan_preference(write_project(tmp_path, tiny_folder))
    plan = plan_preference(write_project(tmp_path, tiny_folder, minimum_pairs=0))
    assert "warning: no pair teaches" in plan.text


def test_without_pairs_or_with_long_ones_it_is_one_line(development, tiny_folder, tmp_path):
    with pytest.raises(InputError, match=r"all \d+ pairs are longer than 16 tokens"):
        plan_preference(write_project(tmp_path, tiny_folder, max_tokens=16))
    development([row for row in rows() if row.kind == "ordinary"])
    with pytest.raises(InputError, match="no usable preference pairs"):
        plan_preference(write_project(tmp_path, tiny_folder))
