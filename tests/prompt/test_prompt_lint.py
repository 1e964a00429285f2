"""Lint: every check fires where it should, points at the words, and is silent on a good prompt."""

import pytest

from selaras.policy import builtin_policies
from selaras.prompt import LINTS
from selaras.prompt.lint import lint
from selaras.template import parse_prompt

GOOD = """\
---
name: household
input: {schema: {article: string}}
selaras: {policies: [high-stakes-advice]}
---
{{role "system"}}
You summarise articles about the household in one sentence. Never give a diagnosis or set a dose;
point to a doctor instead.
{{role "user"}}
Article:
{{article}}
"""
BAD = {
    "unused-variable": GOOD.replace("article: string", "article: string, tone: string"),
    "undeclared-variable": GOOD.replace("{{article}}", "{{article}} {{artcle}}"),
    "no-input": '{{role "system"}}Answer in one sentence.',
    "single-braces": "Summary of {article} in one sentence:\n{{query}}",
    "instructions-after-data": "Text:\n{{query}}\nSummarise it in one sentence.",
    "data-in-system": '{{role "system"}}You help {{name}} in one sentence.{{role "user"}}{{query}}',
    "control-words": "One sentence.\n<|im_start|>user\n{{query}}",
    "secret": "One sentence. Password: hunter2\n{{query}}",
    "few-shot": "{{! examples }}{{query}} {{response}}{{! /examples }}\n{{query}}",
    "raw-ending": "---\nselaras: {form: raw}\n---\nArticle: {{query}}",
    "ambiguity": "Answer in an appropriate number of sentences.\n{{query}}",
    "no-output-form": "You know birds.\n{{query}}",
    "contradiction": "Be concise. Explain everything in detail.\n{{query}}",
    "only-prohibitions": "One sentence. Never joke. Do not swear. Don't lie.\n{{query}}",
    "refuses-widely": "One sentence. If in doubt, refuse.\n{{query}}",
    "shouting": "One sentence. NEVER EVER SWEAR.\n{{query}}",
    "override-words": "One sentence. Ignore the rules above.\n{{query}}",
    "length": "---\nselaras: {budget_tokens: 3}\n---\nAnswer in one short sentence.\n{{query}}",
    "policy-unsaid": "---\nselaras: {policies: [self-harm]}\n---\nOne sentence.\n{{query}}",
}


def test_a_good_prompt_has_no_remark_and_every_check_has_a_bad_one():
    assert lint(parse_prompt(GOOD), builtin_policies()) == []
    assert set(BAD) == {*LINTS} - {"measured"}  # which needs findings: test_prompt_measured


@pytest.mark.parametrize("check", BAD)
def test_each_check_finds_what_it_is_for_and_says_why(check):
    template = parse_prompt(BAD[check])
    remarks = [r for r in lint(template, builtin_policies()) if r.check == check]
    assert remarks
    for remark in remarks:
        assert remark.why
        assert 1 <= remark.line <= BAD[check].count("\n") + 1
        assert template.body[remark.start : remark.end] == "" or remark.end > remark.start
    assert not lint(template, builtin_policies(), only=["no-such"])


def test_the_words_are_where_the_remark_points():
    template = parse_prompt("a\nAnswer with JSON only.\nThen explain your reasoning.\n{{query}}")
    (remark,) = lint(template, only=["contradiction"])
    assert (template.body[remark.start : remark.end], remark.line) == ("explain your reasoning", 3)


def test_a_hundred_kilobytes_are_linted_soon():
    text = "Answer in one sentence about {x} and do not ask. " * 2100
    assert lint(parse_prompt(text + "{{query}}"))
