"""Every format that is written is read back to the same rows, whatever their texts hold."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.records import RECORDS, Example, Making, Message, Preference, Query
from selaras.data.formats import FORMATS, format_of
from selaras.data.formats.reading import Source, scan_rows
from selaras.data.formats.sidecar import sidecar_path
from selaras.data.formats.table import COLUMNS, SEEN
from selaras.data.formats.writing import TARGETS_ONLY, export_rows

WRITTEN = [name for name, made in FORMATS.items() if made.write]
MARKS = st.sampled_from([
    "=1+1", "@cmd", "'quoted", "+", "-", "\n\nHuman: x", "\n\nAssistant:", "<start_of_turn>user\n",
    "<end_of_turn>", "a;b", "[1]", '{"a": 1}', "\r\n", "\ufeff", "\u202eright", "👩🏽‍🚒",
    "a\u0000b",    ",\"x\"\n", "\t", "\u2028", "null", "<|im_end|>", "  spaced  ",
])  # fmt: skip
TEXT = st.lists(MARKS | st.text(st.characters(codec="utf-8"), max_size=8), max_size=4).map("".join)
SAID = TEXT.filter(lambda text: bool(text.strip()))
SHARED: dict[str, Any] = {
    "kind": st.sampled_from(["ordinary", "malicious"]),
    "expected": st.sampled_from([None, "refuse"]),
    "policies": st.lists(SAID, max_size=2).map(tuple),
    "context": st.dictionaries(st.sampled_from(["article", "name"]), TEXT, max_size=2),
    "turns": st.lists(
        st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=TEXT),
        max_size=3,
    ).map(tuple),
    "licence": st.sampled_from([None, "MIT"]),
    "topic": st.none() | SAID,
    "parents": st.lists(SAID, max_size=2).map(tuple),
    "made": st.none() | st.builds(Making, model=SAID, prompt=st.just("abc")),
    "origin": st.sampled_from(["person", "model", "public"]),
}
IDS = st.text("ab1.:-_", min_size=1, max_size=6).map("r".__add__)
ROWS = st.lists(
    st.builds(Query, id=IDS, query=SAID, **SHARED)
    | st.builds(Example, id=IDS, query=SAID, response=TEXT,
                response_label=st.sampled_from([None, "safe"]), **SHARED)
    | st.builds(Preference, id=IDS, query=SAID, response_a=SAID, response_b=SAID,
                best=st.sampled_from(["a", "b", "tie"]), **SHARED),
    max_size=4, unique_by=lambda row: row.id,
)  # fmt: skip


def back(path: Path, name: str) -> list[Query]:
    rows = [value for _, value in scan_rows(Source(path, name))]
    assert not [value for value in rows if isinstance(value, InputError)]
    return [value for value in rows if isinstance(value, Query)]


@pytest.mark.parametrize("name", WRITTEN)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS)
def test_what_is_written_is_read_back(name: str, rows: list[Query]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows{FORMATS[name].suffix}"
        made = export_rows(rows, path, name)
        out = {removal.record for removal in made.left_out}
        assert made.written + len(out) == len(rows)
        kept = [row for row in rows if row.id not in out]
        if kept:
            assert back(path, name) == kept
        if name in {"selaras", "sheet", "parquet"}:
            assert not out


@pytest.mark.parametrize("name", WRITTEN)
def test_the_format_is_told_from_what_was_written(name: str, tmp_path: Path) -> None:
    rows = [
        Example(id="a", query="Q?", response="A.", response_label="safe"),
        Preference(id="b", query="Q?", response_a="A.", response_b="B.", best="a"),
    ]
    path = tmp_path / f"rows{FORMATS[name].suffix}"
    made = export_rows(rows, path, name)
    assert made.written
    [first, *_] = [v for _, v in scan_rows(Source(path)) if isinstance(v, Query)]
    assert first in rows


def test_a_changed_record_keeps_its_new_text_and_gets_its_labels_back(tmp_path: Path) -> None:
    row = Example(id="a", query="Q?", response="A.", kind="look_alike", policies=("hate",))
    path = tmp_path / "sft.jsonl"
    export_rows([row], path, "trl")
    path.write_text(path.read_text().replace("A.", "Better."))
    assert back(path, "trl") == [row.model_copy(update={"response": "Better."})]
    sidecar_path(path).write_text('{"content": 1}\n')
    with pytest.raises(InputError, match="not a note"):
        back(path, "trl")


def test_no_cell_of_a_sheet_is_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    export_rows([Query(id="a", query="=HYPERLINK(1)", topic="@x")], path, "sheet")
    text = path.read_text(encoding="utf-8-sig")
    assert "'=HYPERLINK" in text
    assert "'@x" in text


def test_the_columns_of_a_sheet_are_the_fields_of_rows() -> None:
    fields = {name for record in RECORDS.values() for name in record.model_fields}
    assert set(COLUMNS) - {SEEN} == fields


def test_unsafe_responses_are_no_targets_and_licences_are_flagged(tmp_path: Path) -> None:
    rows = [
        Example(id="u", query="Q?", response="Bad.", response_label="unsafe"),
        Example(id="n", query="Q?", response="A.", licence="CC-BY-NC-4.0"),
        Example(id="m", query="Q?", response="A.", licence="MIT"),
    ]
    made = export_rows(rows, tmp_path / "a.jsonl", "trl")
    assert [(r.record, r.reason) for r in made.left_out] == [("u", TARGETS_ONLY)]
    assert made.non_commercial == ("n",)
    made = export_rows(rows, tmp_path / "a.jsonl", "trl", commercial=True)
    assert [r.record for r in made.left_out] == ["u", "n"]
    assert export_rows(rows, tmp_path / "b.jsonl", "selaras").written == 3


def test_records_of_other_tools_are_told() -> None:
    assert format_of({"foo": 1}) is None
    for name, record in {
        "messages": {"messages": []}, "sharegpt": {"conversations": []},
        "trl": {"prompt": "", "completion": ""}, "hh-rlhf": {"chosen": "", "rejected": ""},
        "pku-saferlhf": {"prompt": "", "response_0": "", "response_1": "", "safer_response_id": 0},
        "beavertails": {"prompt": "", "response": "", "is_safe": True, "category": {}},
    }.items():  # fmt: skip
        found = format_of(record)
        assert found is not None
        assert found.name == name
