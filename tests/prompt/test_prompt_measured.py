"""Findings of `selaras debug --rows`: read, found in the template, linted, turned into edits."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.files import write_jsonl, write_text
from selaras.prompt.lint import lint
from selaras.prompt.measured import changes_for, place_of, reworded, without
from selaras.prompt.proposals import Workshop, finding_proposer
from selaras.template import parse_prompt, write_prompt
from selaras.template.finding import Finding, findings_on, read_findings

TEXT = """\
---
name: a
selaras:
  principles:
  - {id: p1, text: Be kind. Wave.}
  - {id: p2, text: Say hi.}
  examples: {inline: [{query: a, response: b}, {query: c, response: d}]}
---
{{role "system"}}
Be brief. Use \\{{x}} always. Be brief. Never
shout. {{! frozen:law }}Obey the law.{{! /frozen:law }}
{{! principles }}
- Be kind. Wave.
- Say hi.
{{! /principles }}
{{! examples }}
{{role "user"}}
{{query}}
{{role "model"}}
{{response}}
{{! /examples }}
{{role "user"}}
{{input}}
"""
TEMPLATE = parse_prompt(TEXT)
SHOT = {"origin": "few_shot", "role": "user", "name": "example:inline-2"}


def found(text: str, finding: str = "harms", **part: Any) -> Finding:
    given_part = {"role": "system", "origin": "system", "start": 0, "end": 9, **part, "text": text}
    return Finding.model_validate({
        "finding": finding, "segment": given_part, "n": 9, "mean": 1.5, "low": 0.5, "high": 2.5,
        "unit": "nats", "proposed": "delete it", "system": "s", "prompt": "a.prompt",
        "template": TEMPLATE.fingerprint, "model": "m",
    })  # fmt: skip


@pytest.mark.parametrize(("finding", "gone", "left"), [
    (found("Be brief."), "{{role \"system\"}}\nUse \\{{x}} always. Be brief.", "Never\nshout."),
    (found("Be brief.", nth=1), "\nBe brief. Use \\{{x}} always. Never\nshout.", "- Say hi."),
    (found("Use {{x}} always."), "\nBe brief. Be brief. Never", "Obey"),
    (found("Never\nshout."), "Be brief. {{! frozen:law }}", "Obey"),
    (found("- Be kind."), "{{! principles }}\n- Wave.\n- Say hi.", "text: Wave."),
    (found("- Say hi."), "{{! principles }}\n- Be kind. Wave.\n{{!", "status: deleted"),
    (found("x\nc\ny\nd", **SHOT), "inline:\n    - query: a\n      response: b\n---", "Be brief."),
])  # fmt: skip
def test_a_part_is_deleted_where_it_stands_and_nothing_else(
    finding: Finding, gone: str, left: str
) -> None:
    child = write_prompt(without(TEMPLATE, finding))
    assert gone in child
    assert left in child
    assert place_of(TEMPLATE, finding) is not None


def test_a_part_is_reworded_in_its_place_braces_and_principles_too() -> None:
    assert "Say {" not in TEXT
    child = reworded(TEMPLATE, found("Use {{x}} always."), "Say {{y}}.")
    assert "Be brief. Say \\{{y}}. Be brief." in child.body
    assert child.variables == TEMPLATE.variables
    kind = reworded(TEMPLATE, found("- Be kind."), "Be warm.").front.selaras.principles[0]
    assert (kind.text, kind.status) == ("Be warm. Wave.", "edited")
    for wrong in (found("Sing."), found("x", **SHOT), found("c", **{**SHOT, "name": None})):
        with pytest.raises(InputError):
            without(TEMPLATE, wrong)
    with pytest.raises(InputError, match="not written anew"):
        reworded(TEMPLATE, found("c\nd", **SHOT), "x")


@given(st.lists(st.sampled_from(["Be brief.", "Wait!", "No a {{b}}.", "Go\non."]), min_size=2,
                max_size=6), st.integers(0, 5), st.sampled_from([" ", "\n", "\n\n"]))  # fmt: skip
def test_deleting_the_nth_sentence_leaves_the_others(
    said: list[str], place: int, between: str
) -> None:
    place %= len(said)
    body = between.join(said).replace("{{", "\\{{")
    template = parse_prompt(f'{{{{role "system"}}}}\n{body}\n{{{{role "user"}}}}\n{{{{input}}}}\n')
    part = found(said[place], nth=said[:place].count(said[place]))
    child = without(template, part).turns[0].pieces[0]
    assert child.text.split() == " ".join(said[:place] + said[place + 1 :]).split()  # type: ignore[union-attr]


def test_what_works_is_never_deleted_for_another_finding() -> None:
    over, works = found("a", "raises_over_refusal"), found("a", "makes_it_refuse")
    assert changes_for(over, [over]) == ("reword", "delete")
    assert changes_for(over, [over, works]) == ("reword",)
    assert changes_for(works, [over, works]) == ()
    assert changes_for(found("a"), []) == ("delete", "reword")
    assert changes_for(found("a", "never_matters"), []) == ("delete",)
    assert changes_for(found("a", origin="silent"), []) == ()
    assert changes_for(found("c\nd", **SHOT), []) == ("delete",)


def test_lint_tells_findings_at_their_lines() -> None:
    measured = [found("Never\nshout.", "raises_over_refusal"), found("Wave.", "never_matters"),
                found("c\nd", **SHOT), found("hidden", origin="silent")]  # fmt: skip
    remarks = lint(TEMPLATE, only=["measured"], findings=measured)
    lines = TEXT.split("\n")
    assert [lines[r.line - 1] for r in remarks[:3]] == [
        '{{role "system"}}',
        "Be brief. Use \\{{x}} always. Be brief. Never",
        '{{role "user"}}',
    ]
    over = remarks[1]
    assert TEMPLATE.body[over.start : over.end] == "Never\nshout."
    assert over.severity == "warning"
    assert over.why == "+1.50 [+0.50, +2.50] nats, n 9, m; delete it"
    assert (remarks[3].severity, lines[remarks[3].line - 1]) == ("note", "- Be kind. Wave.")
    assert "chat template's own" in remarks[0].what


def test_a_file_of_findings_is_of_one_version(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    write_jsonl(path, [found("Be brief.").model_dump(mode="json")])
    read = read_findings(path)
    assert read == (found("Be brief."),)
    assert findings_on(read, TEMPLATE, Path("a.prompt"), path) == read
    changed = without(TEMPLATE, read[0])
    with pytest.raises(InputError, match=r"in version .*debug --rows"):
        findings_on(read, changed, Path("a.prompt"), path)
    assert findings_on((), changed, Path("a.prompt"), path) == ()
    write_text(path, '{"finding": "harms"}\n')
    with pytest.raises(InputError, match="line 1"):
        read_findings(path)


def test_the_proposer_tries_every_finding_once_and_protects_what_is_frozen(
    editor: Any,
) -> None:
    asked = editor('{"text": "Be calm.", "reason": "softer"}')
    findings = (found("Obey the law."), found("Be brief.", "never_matters"),
                found("Never\nshout.", "raises_over_refusal"), found("Sing."))  # fmt: skip
    propose = finding_proposer(Workshop(asked, {}, (), (), findings=findings))
    made = [propose(TEMPLATE, [], random.Random(0)) for _ in range(7)]
    assert [each.spent for each in made] == [False] * 6 + [True]
    deleted, said, calm, quiet, lost, mute, _ = made
    assert "gate frozen" in (deleted.problem or "")
    assert "gate frozen" in (said.problem or "")
    assert calm.template is not None
    assert "Be brief. Be calm." in calm.template.body
    assert calm.how == "reword 'Never shout.': Be calm. (raises over refusal +1.50)"
    assert quiet.template is not None
    assert "shout" not in quiet.template.body
    assert "does not stand" in (lost.problem or "")
    assert mute.template is None
    _, talk, *_ = asked.model.talks
    assert "pushes towards refusing what should be answered (+1.50" in talk[0].content
