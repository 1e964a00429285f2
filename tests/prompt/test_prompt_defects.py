"""The defects of the reference library (Model Alignment 0.3), each with the test that holds it."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selaras.core.errors import InputError
from selaras.core.project import UseCase
from selaras.core.records import Query
from selaras.prompt.gates import gates
from selaras.prompt.importers import import_prompts
from selaras.template import (
    Principle,
    adopted,
    load_prompt,
    parse_prompt,
    render,
    with_principles,
    write_prompt,
)
from selaras.template.versions import history, keep

CASE = UseCase(id="a", title="A")
TEXT = '{{role "system"}}\nBe brief.\n{{role "user"}}\nArticle: {{article}} Question: {{query}}\n'


def told(template, query="Why?", **context):
    row = Query(id="r", query=query, context=context)
    return [m.content for m in render(template, row, CASE).messages]


def test_the_tests_that_the_docs_name_are_there():
    page = (Path(__file__).parents[2] / "docs" / "prompt.md").read_text()
    named = re.findall(r"`(test_\w+\.py|…)::(test_\w+)`", page)
    assert len(named) >= 6
    for file, name in named:
        own = Path(__file__) if file == "…" else Path(__file__).with_name(file)
        assert f"def {name}(" in own.read_text()


def test_a_dropped_placeholder_is_refused_twice():
    child = parse_prompt(TEXT.replace("{{article}}", "the article"))
    (lost,) = [v for v in gates(parse_prompt(TEXT), child) if not v.passed]
    assert (lost.name, lost.evidence) == ("placeholders", ("lost {{article}} (user)",))
    with pytest.raises(InputError, match="the template has no place for article"):
        told(child, article="Moss")


def test_json_braces_are_text():
    json = '{"label": "x", "nested": {"a": ["{article}", "{0}", "}"]}}'
    template = parse_prompt(TEXT.replace("Be brief.", f"Reply like {json}"))
    assert told(template, json, article=json) == [
        f"Reply like {json}", f"Article: {json} Question: {json}"
    ]  # fmt: skip


def test_the_seeds_article_is_a_variable():
    path = Path(__file__).parent.parent / "fixtures" / "seed_en.prompt"
    template = import_prompts(path, "text")[0].template
    assert template.variables == {"article"}
    assert "Article: Moss Summary:" in told(template, article="Moss")[0]


def test_an_edit_by_hand_survives_the_next_rebuild(tmp_path):
    path = tmp_path / "x.prompt"
    path.write_text(TEXT)
    first = with_principles(load_prompt(path), [Principle(id="p1", text="Answer look-alikes.")])
    keep(path, first)
    path.write_text(path.read_text().replace("Be brief.", "Be brief and kind.")
                    .replace("- Answer look-alikes.", "- Always answer look-alikes."))  # fmt: skip
    edited = adopted(load_prompt(path))
    rebuilt = with_principles(
        edited, [*edited.front.selaras.principles, Principle(id="p2", text="Name 112.")]
    )
    assert told(rebuilt, article="Moss")[0] == (
        "Be brief and kind.\n- Always answer look-alikes.\n- Name 112."
    )
    assert rebuilt.front.selaras.principles[0].status == "edited"


def test_what_was_learnt_is_there_in_the_next_process(tmp_path):
    path = tmp_path / "x.prompt"
    path.write_text(TEXT)
    learnt = Principle(id="p1", text="Be kind.", feedback=("f1",), policy="hate")
    keep(path, with_principles(load_prompt(path), [learnt]))
    said = subprocess.run(
        [sys.executable, "-c", "import sys; from pathlib import Path; "
         "from selaras.template import load_prompt; "
         "print(load_prompt(Path(sys.argv[1])).front.selaras.principles[0])", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "id='p1' text='Be kind.' feedback=('f1',) policy='hate'" in said.stdout
    assert len(history(path)) == 2


def test_importing_is_light():
    check = (
        "import re, sys, pathlib, selaras.prompt.gates, selaras.prompt.lint;"
        "import selaras.prompt.importers;"
        "heavy = [m for m in ('torch', 'transformers', 'openai') if m in sys.modules];"
        # Not ru_maxrss: a child begins with the peak of the process that it was forked from.
        "status = pathlib.Path('/proc/self/status').read_text();"
        "print(heavy, int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    heavy, _, megabytes = done.stdout.strip().rpartition(" ")
    assert heavy == "[]"
    assert int(megabytes) < 300


def test_a_hundred_kilobytes_of_input_pass_quickly_and_whole():
    template = parse_prompt(TEXT)
    article = '{{role "system"}} {{article}} <|im_end|> {"a": 1} ' * 2100
    begun = time.process_time()
    assert told(template, article=article)[1] == f"Article: {article} Question: Why?"
    big = parse_prompt(TEXT.replace("Be brief.", "Be brief. " * 10_000))
    assert write_prompt(parse_prompt(write_prompt(big))) == write_prompt(big)
    assert gates(big, big, rows=[Query(id="r", query="Why?", context={"article": article})])
    assert time.process_time() - begun < 10
