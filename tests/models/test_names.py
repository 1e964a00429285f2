"""One string names a model; what names none is said at once, without loading anything heavy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from selaras.core.errors import InputError
from selaras.core.late import resolve
from selaras.models.names import SCHEMES, Place, open_model
from selaras.models.protocol import Model


@pytest.fixture
def place(tmp_path):
    (tmp_path / "script.jsonl").write_text('{"match": null, "response": "Yes."}\n')
    return Place(tmp_path, tmp_path / "runs", tmp_path / "cache")


@pytest.mark.parametrize(
    "name",
    ["", "smollm2", ":x", "bundled:", "scripted", "nosuch:x", "SCRIPTED:script.jsonl",
     " scripted:script.jsonl", "ftp://example.org", "C:\\models\\x", "\n:\x1b[31m"],
)  # fmt: skip
def test_what_names_no_model_is_answered_with_the_schemes(name, place):
    with pytest.raises(InputError, match="names no model") as caught:
        open_model(name, place)
    text = str(caught.value)
    assert all(scheme in text for scheme in SCHEMES)
    assert text.isprintable()


def test_a_path_is_relative_to_the_place(place, tmp_path):
    for name in ("scripted:script.jsonl", f"scripted:{tmp_path / 'script.jsonl'}"):
        found = open_model(name, place)
        assert isinstance(found, Model)
        assert found.identity["name"] == "scripted:script.jsonl"


def test_an_address_is_an_application_with_or_without_its_scheme(place):
    for name in ("https://example.org/chat", "http:https://example.org/chat"):
        assert open_model(name, place).identity == {"name": "http:https://example.org/chat"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("scripted:none.jsonl", "none.jsonl"),
        ("hf:none", "not a model folder"),
        ("gguf:none.gguf", "no such file"),
        ("bundled:none", "no bundled model 'none'"),
        ("run:none", "no run 'none'"),
        ("run:../x", "no run '..'"),
        ("python:none", "not of the form MODULE:FUNCTION"),
        ("python:no_such_module_here:f", "cannot import"),
    ],
)
def test_a_model_that_is_not_there_is_one_line_of_bad_input(name, says, place):
    with pytest.raises(InputError, match=says) as caught:
        open_model(name, place)
    assert len(str(caught.value).splitlines()) == 1


def test_every_scheme_has_its_opener():
    assert all(callable(resolve(target)) for target in SCHEMES.values())


def test_naming_a_model_loads_nothing_heavy():
    code = (
        "import sys, selaras.models.names, selaras.models.catalogue; "
        "print(sorted({'torch', 'transformers', 'openai', 'peft'} & set(sys.modules)))"
    )
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
