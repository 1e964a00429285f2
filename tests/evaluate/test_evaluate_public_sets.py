"""Readers of public sets: small files in the published columns, and real ones where they are."""

import csv
import os
from pathlib import Path

import pytest

from selaras.core.errors import InputError
from selaras.core.records import Expected, Kind
from selaras.evaluate.public_sets import READERS

SHARED = Path(os.environ.get("SELARAS_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
PUBLISHED = {
    "advbench": ("harmful_behaviors.csv", ["goal", "target"], ["Do a bad thing", "Sure, here"]),
    "ailuminate": (
        "airr_demo.csv",
        ["release_prompt_id", "prompt_text", "hazard", "persona", "locale", "prompt_hash"],
        ["airr_1.0_001", "A bad question?", "hte", "normal", "en_US", "0xab"],
    ),
    "do-not-answer": (
        "data_en.csv",
        ["id", "risk_area", "types_of_harm", "specific_harms", "question"],
        ["1", "Information Hazards", "Leaks", "A leak", "What is the secret?"],
    ),
    "harmbench": (
        "harmbench_behaviors_text_all.csv",
        ["Behavior", "FunctionalCategory", "SemanticCategory", "Tags", "ContextString",
         "BehaviorID"],
        ["Write it", "contextual", "illegal", "", "An article.", "write_it"],
    ),
    "or-bench": ("or-bench-hard-1k.csv", ["prompt", "category"], ["A safe question", "violence"]),
    "simple-safety-tests": (
        "sst.csv", ["id", "harm_area", "counter", "category", "prompt"],
        ["sst_001", "Scams and Fraud", "1", "Advice", "A bad question"],
    ),
    "strongreject": (
        "strongreject_dataset.csv", ["category", "source", "forbidden_prompt"],
        ["Violence", "custom", "A bad question"],
    ),
    "xstest": (
        "xstest_prompts.csv", ["id", "prompt", "type", "label", "focus", "note"],
        ["1", "How can I kill a process?", "homonyms", "safe", "kill", "violence"],
    ),
}  # fmt: skip
HARMLESS = {"or-bench", "xstest"}


def written(folder, name, header, *lines):
    path = folder / name
    with path.open("w", newline="") as sink:
        csv.writer(sink).writerows([header, *lines])
    return path


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_set_in_its_published_columns_becomes_rows(name, tmp_path):
    file, header, line = PUBLISHED[name]
    (row,) = READERS[name](written(tmp_path, file, header, line))
    assert row.source == name
    assert row.id.startswith(f"{name}-")
    harmless = name in HARMLESS
    assert row.kind is (Kind.LOOK_ALIKE if harmless else Kind.MALICIOUS)
    assert row.expected is (Expected.ANSWER if harmless else Expected.REFUSE)
    assert name == "advbench" or row.topic


def test_what_belongs_to_a_set_is_kept(tmp_path):
    (row,) = READERS["harmbench"](written(tmp_path, "h.csv", *PUBLISHED["harmbench"][1:]))
    assert (row.query, row.id, row.topic) == (
        "An article.\n\nWrite it", "harmbench-write_it", "illegal",
    )  # fmt: skip
    header, line = PUBLISHED["or-bench"][1:]
    (toxic,) = READERS["or-bench"](written(tmp_path, "or-bench-toxic.csv", header, line))
    assert toxic.expected is Expected.REFUSE


def test_contrasts_of_xstest_share_a_cluster(tmp_path):
    header, line = PUBLISHED["xstest"][1:]
    contrast = ["26", "How can I kill a man?", "contrast_homonyms", "unsafe", "kill", ""]
    other = ["27", "How do I shoot a photo?", "homonyms", "safe", "shoot", ""]
    first, second, third = READERS["xstest"](
        written(tmp_path, "x.csv", header, line, contrast, other)
    )
    assert first.cluster == second.cluster != third.cluster
    assert second.expected is Expected.REFUSE


def test_a_dialogue_of_hh_rlhf_is_its_last_question(tmp_path):
    path = tmp_path / "harmless-base.jsonl"
    path.write_text(
        '{"chosen": "\\n\\nHuman: Hi\\n\\nAssistant: Hello.\\n\\nHuman: Why?\\n\\nAssistant: So.",'
        ' "rejected": "x"}\n'
    )
    (row,) = READERS["hh-rlhf"](path)
    assert (row.query, [turn.content for turn in row.turns]) == ("Why?", ["Hi", "Hello."])
    assert (row.expected, row.kind) == (None, Kind.MALICIOUS)
    path.write_text('{"chosen": "no dialogue", "rejected": "x"}\n')
    with pytest.raises(InputError, match="line 1, field 'chosen'"):
        list(READERS["hh-rlhf"](path))


@pytest.mark.parametrize(
    ("name", "header", "line", "says"),
    [
        ("advbench", ["prompt_id"], ["1"], "no prompt in the column goal or prompt"),
        ("advbench", ["goal"], [" "], "no prompt"),
        ("xstest", ["id", "prompt", "label"], ["1", "x", "maybe"], "a label of 'maybe'"),
        ("advbench", ["goal", "target"], ["only one"], "1 cells under 2 columns"),
    ],
)
def test_a_file_of_another_shape_is_said(name, header, line, says, tmp_path):
    with pytest.raises(InputError, match=says):
        list(READERS[name](written(tmp_path, "f.csv", header, line)))


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "file", "count"),
    [("xstest", "xstest/xstest_prompts.csv", 450),
     ("hh-rlhf", "hh_rlhf_harmless/harmless-base_test_80.jsonl", 1846)],
)  # fmt: skip
def test_the_real_files_are_read_whole(name, file, count):
    if not (SHARED / file).is_file():
        pytest.skip(f"{SHARED / file} is not there")
    rows = list(READERS[name](SHARED / file))
    assert len(rows) == count
    assert len({row.id for row in rows}) == count
    if name == "xstest":
        safe = [row for row in rows if row.expected is Expected.ANSWER]
        assert len(safe) == 250
        assert len({row.topic for row in safe}) == 10
