"""docs/data.md: its tables are the records, and its examples are the seed's rows."""

import json
import re
from pathlib import Path

from selaras.core.decisions import Decision
from selaras.core.project import ProjectFile
from selaras.core.records import RECORDS, Expected, Kind, Query
from selaras.data import parse_row

FIXTURES = Path(__file__).parents[1] / "fixtures"
PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def cells(column: int) -> set[str]:
    """Return the words in backticks that begin in one column of the page's tables."""
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row[column])}


def test_every_record_and_field_is_in_a_table() -> None:
    named = cells(1) | cells(2)
    assert {model.__name__ for model in RECORDS.values()} <= named
    for model in RECORDS.values():
        assert set(model.model_fields) <= named
    assert set(Query.model_fields) | set(Kind) <= cells(1) | {"query"}
    assert set(Expected) <= set(re.findall(r"`(\w+)`", PAGE))


def test_the_examples_are_the_fixtures() -> None:
    blocks = re.findall(r"^```jsonl\n(.*?)^```", PAGE, flags=re.M | re.S)
    assert blocks == [(FIXTURES / f"seed_{name}.jsonl").read_text() for name in ("en", "id")]
    for line in "".join(blocks).splitlines():
        parse_row(json.loads(line))


def test_the_template_is_the_fixture() -> None:
    assert (FIXTURES / "seed_id.prompt").read_text() in PAGE


def test_actions_and_defaults_are_those_of_the_code() -> None:
    fields = ProjectFile.model_fields
    assert f"(`held_out_share`, {fields['held_out_share'].default} by default)" in PAGE
    assert f"`look_budget` ({fields['look_budget'].default})" in PAGE
    for action in Decision.model_json_schema()["properties"]["action"]["enum"]:
        assert f"`{action}`" in PAGE
