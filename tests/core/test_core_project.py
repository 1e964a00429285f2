"""The project file: what is misspelt is never ignored, what is wrong is one line."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from selaras.core.errors import InputError
from selaras.core.project import Project, ProjectFile, json_schema, load_yaml, open_project

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "selaras.schema.json"
STARTER = Path(str(files("selaras.starter") / "household_helper" / "selaras.yaml"))
LEAST: dict[str, Any] = {
    "product": "helper",
    "use_cases": [{"id": "answer", "title": "Answer"}],
    "policies": ["hate"],
}


def make(folder: Path, **changes: Any) -> Path:
    path = folder / "selaras.yaml"
    path.write_text(yaml.safe_dump({**LEAST, **changes}))
    return path


def refused(folder: Path, *overrides: str) -> InputError:
    with pytest.raises(InputError) as caught:
        open_project(folder, overrides)
    assert "\n" not in str(caught.value)
    return caught.value


def test_it_is_found_from_a_folder_below(tmp_path: Path) -> None:
    make(tmp_path)
    below = tmp_path / "data" / "more"
    below.mkdir(parents=True)
    assert open_project(below).root == tmp_path
    assert open_project(below).file == ProjectFile.model_validate(LEAST)


def test_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert "selaras init" in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"prodcut": "x"}, "prodcut", "did you mean product? the fields are audit, candidate"),
        ({"tune": {"learning_rat": 1}}, "tune.learning_rat", "unknown field"),
        ({"product": ""}, "product", "at least 1 character"),
        ({"policies": []}, "policies", "at least 1 item"),
        ({"held_out_share": 1}, "held_out_share", "less than 0.9, not 1"),
        ({"held_out_share": float("nan")}, "held_out_share", "not nan"),
        ({"look_budget": 0}, "look_budget", "greater than or equal to 1"),
        ({"systems": {"a b": {"model": "x"}}}, "systems.a b.[key]", "should match pattern"),
        ({"systems": {"a": {}}}, "systems.a.model", "missing"),
        ({"systems": {"a": {"model": "x", "sampling": {"temperature": -1}}}},
         "systems.a.sampling.temperature", "greater than or equal to 0"),
        ({"gates": [{"figure": "capability"}]}, "gates.0", "a gate has at_most or at_least"),
        ({"gates": [{"figure": "capability", "at_least": 0.5, "policy": "haet"}]}, "gates",
         "unknown policy 'haet'"),
        ({"gates": [{"figure": "niceness", "at_least": 0.5}]}, "gates.0.figure", "niceness"),
        ({"enforced_by": {"haet": ["prompt"]}}, "enforced_by", "unknown policy 'haet'"),
        ({"enforced_by": {"hate": ["magic"]}}, "enforced_by.hate.0", "not 'magic'"),
        ({"use_cases": [{"id": "a", "title": "A"}, {"id": "a", "title": "B"}]}, "use_cases",
         "two use cases have the id 'a'"),
        ({"data": ["/etc/*"]}, "data", "inside"),
        ({"data": ["../other/*.jsonl"]}, "data", "inside"),
        ({"data": [""]}, "data", "relative to the project"),
        ({"tune": {"scales": [0]}}, "tune.scales.0", "greater than 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    tmp_path: Path, changes: dict[str, Any], field: str, said: str
) -> None:
    path = make(tmp_path, **changes)
    error = refused(tmp_path)
    assert (error.path, error.field) == (path, field)
    assert said in str(error)


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "a: b: c", "a: [1\nb: 2", "product: !!int x", "@", "a: \x07"]
)
def test_what_is_no_mapping_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "selaras.yaml").write_text(text)
    assert refused(tmp_path).path == tmp_path / "selaras.yaml"
    assert refused(tmp_path, "seed=1").exit_code == 2


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "selaras.yaml").write_text("product: x\npolicies: [a\nseed: 1\n")
    assert refused(tmp_path).line == 3


def test_yaml_that_is_no_data_is_refused(tmp_path: Path) -> None:
    for text in ("a: !!python/object/apply:os.system [ls]", "[" * 1000, "a: 2026-99-99"):
        path = tmp_path / "a.yaml"
        path.write_text(text)
        with pytest.raises(InputError, match="broken YAML"):
            load_yaml(path)


def test_overrides_reach_into_the_file(tmp_path: Path) -> None:
    make(tmp_path, tune={"epochs": 3})
    made = open_project(
        tmp_path,
        ("tune.learning_rate=1e-4", "seed=7", "systems.base.model=scripted:a.jsonl",
         "systems.base.sampling.max_tokens=9", "tune.scales=[0.5]"),
    ).file  # fmt: skip
    assert (made.tune.learning_rate, made.tune.epochs, made.seed) == (1e-4, 3, 7)
    assert made.systems["base"].sampling.max_tokens == 9
    assert made.tune.scales == (0.5,)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed", "not of the form a.b=value"),
        ("=1", "not of the form a.b=value"),
        ("tune.=1", "not of the form a.b=value"),
        ("seed.x=1", "'seed' holds no fields"),
        ("use_cases.0=1", "'use_cases' holds no fields"),
        ("seed=[", "the value is not YAML"),
        ("seed=" + "[" * 1000, "the value is not YAML"),
        ("seed=2026-99-99", "the value is not YAML"),
        ("seed=soon", "should be a valid integer"),
        ("tune.epoch=1", "unknown field"),
    ],
)
def test_a_bad_override_is_one_line(tmp_path: Path, override: str, said: str) -> None:
    make(tmp_path, seed=1)
    assert said in str(refused(tmp_path, override))


def test_data_files_are_rows_only(tmp_path: Path) -> None:
    make(tmp_path, data=["**/*.jsonl", "data/*"], capability="checks/c.jsonl")
    wanted = ["data/a.jsonl", "data/deep/b.jsonl", "data/c.csv", "more/d.jsonl"]
    others = ["data/decisions.jsonl", "checks/c.jsonl", "holdout/rows.jsonl", "holdout/looks.jsonl",
              "runs/x/journal.jsonl", ".selaras/x.jsonl", "data/.a.jsonl.x.partial",
              "data/.hidden.jsonl"]  # fmt: skip
    for name in (*wanted, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = [str(p.relative_to(tmp_path)) for p in open_project(tmp_path).data_files]
    # A folder is named too, so that reading it says what is wrong with the pattern.
    assert found == sorted([*wanted, "data/deep"])


def test_unknown_names_are_answered_with_those_there_are(tmp_path: Path) -> None:
    make(tmp_path, systems={"base": {"model": "scripted:x"}})
    project = open_project(tmp_path)
    assert project.use_case(None).id == project.use_case("answer").id == "answer"
    assert project.system_spec("base").model == "scripted:x"
    with pytest.raises(InputError, match="use one of: answer"):
        project.use_case("write")
    with pytest.raises(InputError, match="use one of: base"):
        project.system_spec("tuned")
    empty = Project(tmp_path, ProjectFile.model_validate(LEAST))
    with pytest.raises(InputError, match="none yet"):
        empty.system_spec("base")


def test_the_published_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema(), "run: python docs/generate.py"


def test_the_schema_takes_the_starter_and_refuses_what_the_reader_refuses() -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    starter = yaml.safe_load(STARTER.read_text())
    check.validate(starter)
    ProjectFile.model_validate(starter)
    check.validate(LEAST)
    for change in ({"prodcut": 1}, {"policies": []}, {"seed": "x"}, {"tune": {"epochs": 0}}):
        assert not check.is_valid({**LEAST, **change})


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("tune.epoch=3", "--set tune.epoch: unknown field. To mend it: did you mean epochs?"),
        ("tune.epochs=many", "--set tune.epochs: "),
        ("tune={epochs: -1}", "--set tune: "),
    ],
)
def test_a_wrong_override_is_said_of_the_option(tmp_path: Path, override: str, said: str) -> None:
    make(tmp_path)
    assert str(refused(tmp_path, override)).startswith(said)
    make(tmp_path, foo=1)
    assert refused(tmp_path, "tune.epochs=1").path == tmp_path / "selaras.yaml"
