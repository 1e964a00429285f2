"""Which policies a project has, from which files, and what is said when one is wrong."""

import re
from pathlib import Path

import pytest

from selaras.core.errors import InputError
from selaras.core.project import Project, open_project
from selaras.policy import builtin_policies, builtin_text, load_policies, load_policy


def project(root: Path, *policies: str, **own: str) -> Project:
    """Return a project that lists the policies; `own` maps file names (dot as __) to texts."""
    listed = ", ".join(policies)
    (root / "selaras.yaml").write_text(
        f"product: p\nuse_cases: [{{id: answers, title: Answers}}]\npolicies: [{listed}]\n"
    )
    for name, text in own.items():
        path = root / "policies" / name.replace("__", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return open_project(root)


def written(name: str, title: str = "Ours") -> str:
    text = re.sub(r"^title: .*$", f"title: {title}", builtin_text("hate"), flags=re.M)
    return text.replace("id: hate\n", f"id: {name}\n")


def test_listed_policies_come_in_their_order(tmp_path: Path) -> None:
    loaded = load_policies(project(tmp_path, "off-topic", "hate"))
    assert list(loaded) == ["off-topic", "hate"]
    assert loaded["hate"] == builtin_policies()["hate"]


def test_a_projects_file_wins_over_the_built_in(tmp_path: Path) -> None:
    loaded = load_policies(project(tmp_path, "hate", "harassment", hate__yaml=written("hate")))
    assert loaded["hate"].title == "Ours"
    assert loaded["harassment"] == builtin_policies()["harassment"]


def test_a_policy_of_ones_own(tmp_path: Path) -> None:
    loaded = load_policies(project(tmp_path, "house", house__yml=written("house")))
    assert list(loaded) == ["house"]


def test_a_built_in_text_copied_unchanged_is_the_built_in(tmp_path: Path) -> None:
    loaded = load_policies(project(tmp_path, "hate", hate__yaml=builtin_text("hate")))
    assert loaded["hate"] == builtin_policies()["hate"]


def test_hidden_and_other_files_are_left_alone(tmp_path: Path) -> None:
    own = {"__hate__yaml": "not: [a policy", "README__md": "# Ours"}
    made = project(tmp_path, "hate", **own)
    assert (tmp_path / "policies" / ".hate.yaml").exists()
    assert load_policies(made)["hate"] == builtin_policies()["hate"]


def test_an_unknown_policy_names_the_known_ones(tmp_path: Path) -> None:
    made = project(tmp_path, "hate", "hatred", house__yaml=written("house"))
    with pytest.raises(InputError, match="unknown policy 'hatred'") as raised:
        load_policies(made)
    assert raised.value.path == made.root / "selaras.yaml"
    assert raised.value.field == "policies"
    assert all(name in str(raised.value) for name in [*builtin_policies(), "house"])


def test_a_policy_listed_twice_is_an_error(tmp_path: Path) -> None:
    made = project(tmp_path, "hate", "hate")
    with pytest.raises(InputError, match="'hate' is listed twice") as raised:
        load_policies(made)
    assert (raised.value.path, raised.value.field) == (made.root / "selaras.yaml", "policies")


def test_an_id_that_is_not_the_files_name_is_an_error_even_unlisted(tmp_path: Path) -> None:
    made = project(tmp_path, "hate", ours__yaml=written("hate"))
    with pytest.raises(InputError, match="'hate' is not the file's name") as raised:
        load_policies(made)
    assert (raised.value.path, raised.value.field) == (made.root / "policies/ours.yaml", "id")


def test_two_files_of_one_id_are_an_error(tmp_path: Path) -> None:
    made = project(tmp_path, "hate", hate__yaml=written("hate"), hate__yml=written("hate"))
    with pytest.raises(InputError, match="a second file for the policy 'hate'") as raised:
        load_policies(made)
    assert (raised.value.path, raised.value.field) == (made.root / "policies/hate.yml", "id")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("- id: hate\n", "not a mapping"),
        ("just words\n", "not a mapping"),
        ("id: [hate\n", "line 2: broken YAML"),
        ("id: hate\nstatement: a: b\n", "line 2: broken YAML"),
        ("id: !!python/object/apply:os.getcwd []\n", "line 1: broken YAML"),
        ("1: 2\n", "hate.yaml, field"),
    ],
)
def test_a_file_that_is_no_policy_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    made = project(tmp_path, "hate", hate__yaml=text)
    with pytest.raises(InputError, match=re.escape(words)) as raised:
        load_policies(made)
    assert raised.value.path == made.root / "policies/hate.yaml"
    assert "\n" not in str(raised.value)


def test_an_empty_statement_names_file_and_field(tmp_path: Path) -> None:
    text = re.sub(r"statement: >-\n(  .*\n)+", "statement: ''\n", written("hate"))
    made = project(tmp_path, "hate", hate__yaml=text)
    with pytest.raises(InputError) as raised:
        load_policies(made)
    path = made.root / "policies/hate.yaml"
    assert str(raised.value) == f"{path}, field 'statement': must say something, not ''."


def test_bad_files_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_policy(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"title: caf\xe9\n")
    with pytest.raises(InputError, match="not UTF-8"):
        load_policy(tmp_path / "latin.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        load_policy(tmp_path / "folder.yaml")


@pytest.mark.parametrize("name", ["nothing", "../policy", "", "hate.yaml"])
def test_an_unknown_built_in_text_names_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match="use one of: child-safety, competitor-talk"):
        builtin_text(name)


def test_the_built_ins_cannot_be_spoilt_by_a_caller() -> None:
    builtin_policies().clear()
    assert "hate" in builtin_policies()
