"""`selaras tune sft` on the command line: planned, trained, read again, refused in one line."""

import shutil
from pathlib import Path

import pytest
import yaml
from cli_value import value

from fixtures.projects import row
from selaras.core.files import write_jsonl

SAFE = {"policies": ["dangerous-content"], "response_label": "safe"}


@pytest.fixture
def tunable(project: Path, tiny_folder: Path) -> Path:
    """Return the project with the tiny model and rows of both directions, some of them no use."""
    shutil.copytree(tiny_folder, project / "model")
    rows = [
        made
        for i in range(12)
        for made in (
            row(f"m{i}", kind="malicious", expected="refuse", response="I can't do that.", **SAFE),
            row(f"l{i}", kind="look_alike", expected="answer", response="Open a window.", **SAFE),
        )
    ]
    useless = {"kind": "malicious", "expected": "refuse", "policies": ["dangerous-content"]}
    for i in range(3):
        rows.append(row(f"long{i}", expected="answer", response="word " * 400,
                        response_label="safe"))  # fmt: skip
        rows.append(row(f"bad{i}", response="Mix both.", response_label="unsafe", **useless))
    write_jsonl(project / "data" / "tuning.jsonl", rows)
    file = yaml.safe_load((project / "selaras.yaml").read_text())
    file["tune"] = {"model": "hf:model", "epochs": 1, "rank": 2, "learning_rate": 0.01,
                    "scales": [1.0], "max_tokens": 200}  # fmt: skip
    (project / "selaras.yaml").write_text(yaml.safe_dump(file))
    return project


@pytest.mark.usefixtures("one_thread")
def test_a_tuning_is_planned_trained_and_read_again(run, tunable: Path) -> None:
    planned = value(run("tune", "sft", "--dry-run", "--json"))
    assert "long" in planned["too_long"][0]
    assert planned["forecast"]["steps"] > 0
    assert not (tunable / "runs").exists()
    done = run("tune", "sft")
    assert done.exit_code == 0, done.output
    assert f"{len(planned['too_long'])} of them too long and left out: long" in done.stderr
    assert "never a target" in done.stderr
    assert "each figure rests on one training seed\n" in done.stderr
    (made,) = value(run("tune", "sft", "--json", "--set", "tune.rl.steps=3"))["runs"]
    assert f"next: selaras eval run:{made['id']}" in done.stderr
    assert [path.name for path in (tunable / "runs").iterdir()] == [made["id"]]


def test_what_cannot_be_tuned_is_one_line(run, tunable: Path) -> None:
    (tunable / "trl.yaml").write_text("- no mapping\n")
    for given, said in (
        (["--recipe", "magic"], "no recipe 'magic'"),
        (["--processes", "2"], "--processes needs --accelerate"),
        (["--accelerate", "tpu"], "neither a preset nor a file"),
        (["--set", "tune.scales=[]"], "scales"),
        (["--set", "tune.learning_rate=fast"], "learning_rate"),
        (["--set", "tune.rate=1"], "rate"),
        (
            ["--set", "tune.epoch=3"],
            "--set tune.epoch: unknown field. To mend it: did you mean epochs?",
        ),
        (["--set", "tune.reward.foo=3"], "To mend it: the fields are batch_size, center, epochs"),
        (["--set", "tune.model=hf:nowhere"], "nowhere"),
        (["--set", "tune.mix=none"], "no mix named 'none'"),
        (["--set", "tune.use_cases=[nowhere]"], "unknown use case 'nowhere'"),
        (["--trl-config", str(tunable / "trl.yaml")], "trl.yaml"),
        (["--trl-config", str(tunable / "lost.yaml")], "lost.yaml"),
    ):
        done = run("tune", "sft", *given)
        assert done.exit_code == 2, (given, done.output)
        assert said in done.stderr, given
        # Progress may be said before; of the error there is one line.
        assert done.stderr.count("selaras: ") == 1, given
        assert done.stderr.splitlines()[-1].startswith("selaras: "), given
    with (tunable / "data" / "tuning.jsonl").open("a") as sink:
        sink.write('{"id": "odd", "query": "Hi", "response": "x", "response_label": "maybe"}\n')
    done = run("tune", "sft")
    assert done.exit_code == 2
    assert "tuning.jsonl, line 31, field 'response_label'" in done.stderr
