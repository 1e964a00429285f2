"""docs/policy.md: its code runs, its YAML is a policy, and its table is true."""

import re
from pathlib import Path

import pytest
import yaml

from selaras.core.project import UseCase
from selaras.policy import Policy, builtin_policies, check_overrides

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.M | re.S)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_each_python_block_runs_alone(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[number], "docs/policy.md", "exec"), {"__name__": "page"})


def test_the_example_is_a_policy_with_every_field_but_the_default() -> None:
    value = yaml.safe_load(blocks("yaml")[0])
    policy = Policy.model_validate(value)
    assert set(value) == set(Policy.model_fields) - {"statement_only"}
    assert policy.id not in builtin_policies()


def test_the_example_of_overrides_is_valid() -> None:
    value = yaml.safe_load(blocks("yaml")[1])
    cases = [UseCase.model_validate(case) for case in value["use_cases"]]
    check_overrides(builtin_policies(), cases)
    assert cases[1].overrides


def test_the_table_is_the_package() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (\w+) \| (\w+) \|$", PAGE, flags=re.M)
    told = {name: tuple(rest) for name, *rest in rows}
    assert len(rows) == len(told)
    assert told == {
        name: (policy.title, policy.severity, policy.desired.expected.value)
        for name, policy in builtin_policies().items()
    }
    families = [builtin_policies()[name].family for name, *_ in rows]
    assert families == ["harm"] * 10 + ["product"] * 4


def test_the_page_names_every_required_field() -> None:
    required = [name for name, field in Policy.model_fields.items() if field.is_required()]
    assert f"`{', '.join(required)}` are required" in PAGE
