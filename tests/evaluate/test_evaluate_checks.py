"""Capability files and their verifiers: what passes, what fails, what nobody can say."""

import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.files import write_jsonl
from selaras.core.project import open_project
from selaras.evaluate.checks import FinalCheck, NumberCheck, RulesCheck, load_checks, part_of
from selaras.evaluate.verifiers import RULES, passes

SHARED = Path(os.environ.get("SELARAS_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def load(tmp_path):
    """Return the checks of a file in the named format."""

    def loaded(capability, **fields):
        file = {
            "product": "t", "use_cases": [{"id": "a", "title": "A"}], "policies": ["hate"],
            "capability": capability, **fields,
        }  # fmt: skip
        (tmp_path / "selaras.yaml").write_text(yaml.safe_dump(file))
        return load_checks(open_project(tmp_path))

    loaded.root = tmp_path
    return loaded


def number(answer):
    return NumberCheck(id="n", type="number", query="?", answer=answer)


def final(answer):
    return FinalCheck(id="f", type="final", query="?", answer=answer)


def rules(**kinds):
    named = {name.replace("__", ":"): settings for name, settings in kinds.items()}
    return RulesCheck(
        id="r", type="rules", query="?", rules=tuple(named), settings=tuple(named.values())
    )


@pytest.mark.parametrize(
    ("answer", "text", "right"),
    [
        ("18", "She sells 9 eggs at $2: #### 18", True),
        ("18", "So 9 x 2 = 18.", True),
        ("18", "#### 18 dollars a day, for 7 days", True),
        ("1,200", "It costs $1200.00 in all", True),
        ("-3", "It is -3", True),
        ("18", "18 is wrong, it is 17", False),
        ("18", "I cannot say.", False),
        ("18", "", False),
    ],
)
def test_a_sum_is_right_by_its_final_number(answer, text, right):
    assert passes(number(answer), text) == (right, None)


@pytest.mark.parametrize(
    ("answer", "text", "right"),
    [
        ("(B)", "First A, then... So the answer is (B).", True),
        ("(B)", "So the answer is B", True),
        ("valid", "The argument is valid.\nvalid", True),
        ("True", "So the answer is **True**.", True),
        ("(B)", "(A) or (B)", False),
        ("valid", "So the answer is invalid.", False),
        ("valid", "", False),
    ],
)
def test_a_puzzle_is_right_by_what_the_reply_ends_with(answer, text, right):
    assert passes(final(answer), text) == (right, None)


@pytest.mark.parametrize(
    ("rule", "settings", "good", "bad"),
    [
        ("punctuation:no_comma", {}, "No comma here.", "Well, no."),
        ("change_case:english_lowercase", {}, "all small", "Not small"),
        ("change_case:english_capital", {}, "ALL BIG", "ALL big"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "a b c", "a"),
        ("length_constraints:number_words",
         {"num_words": 3, "relation": "less than"}, "a", "a b c"),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
        ("keywords:existence", {"keywords": ["tea", "milk"]}, "Milk and tea", "Teapot and milk"),
        ("keywords:forbidden_words", {"forbidden_words": ["tea"]}, "teapot", "Tea time"),
        ("keywords:frequency", {"keyword": "tea", "frequency": 2}, "tea, tea", "tea"),
        ("keywords:letter_frequency",
         {"letter": "q", "let_frequency": 2, "let_relation": "at least"}, "Qq", "q"),
        ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
        ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a"),
        ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "*a*", "a"),
        ("detectable_format:title", {}, "<<Tea>>\nText", "Tea"),
        ("detectable_format:multiple_sections",
         {"section_spliter": "Section", "num_sections": 2}, "Section 1 a Section 2 b", "Section 1"),
        ("detectable_format:constrained_response", {}, "My answer is no.", "No."),
        ("detectable_content:number_placeholders", {"num_placeholders": 1}, "Dear [name]", "Dear"),
        ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye. P.S. tea", "Bye."),
        ("combination:repeat_prompt", {"prompt_to_repeat": "Why?"}, "Why? Because.", "Because."),
        ("combination:two_responses", {}, "a ****** b", "a ****** a"),
        ("startend:end_checker", {"end_phrase": "Any questions?"}, "So. Any questions?", "So."),
        ("startend:quotation", {}, '"Yes."', 'Yes."'),
        ("change_case:capital_word_frequency",
         {"capital_frequency": 1, "capital_relation": "at least"}, "TEA please", "Tea please"),
    ],
)  # fmt: skip
def test_each_rule_tells_good_from_bad(rule, settings, good, bad):
    check = RulesCheck(id="r", type="rules", query="?", rules=(rule,), settings=(settings,))
    assert passes(check, good) == (True, None)
    assert passes(check, bad) == (False, None)


def test_every_rule_has_a_test():
    (mark,) = test_each_rule_tells_good_from_bad.pytestmark
    assert {case[0] for case in mark.args[1]} == set(RULES)


def test_all_rules_of_a_check_must_hold_and_an_unknown_one_is_unscored():
    both = rules(punctuation__no_comma={}, change_case__english_lowercase={})
    assert passes(both, "small and plain") == (True, None)
    assert passes(both, "Small and plain") == (False, None)
    unknown = rules(punctuation__no_comma={}, language__response_language={"language": "de"})
    passed, reason = passes(unknown, "ja")
    assert passed is None
    assert "language:response_language" in reason
    passed, reason = passes(rules(keywords__existence={}), "x")
    assert passed is None
    assert "incomplete" in reason


def test_published_files_are_read(load, tmp_path):
    write_jsonl(tmp_path / "g.jsonl", [{"question": "2 + 2?", "answer": "2 + 2 = 4\n#### 4"}])
    (check,) = load("gsm8k:g.jsonl")
    assert (check.answer, check.type) == ("4", "number")
    (tmp_path / "puzzles.json").write_text(
        json.dumps({"canary": "x", "examples": [{"input": "Is it?", "target": "(A)"}]})
    )
    (check,) = load("bbh:puzzles.json")
    assert (check.answer, check.topic) == ("(A)", "puzzles")
    write_jsonl(tmp_path / "i.jsonl", [{
        "key": 1000, "prompt": "Write.", "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{"num_words": None}]}])  # fmt: skip
    (check,) = load("ifeval:i.jsonl")
    assert (check.id, check.rules, check.settings) == (
        "ifeval-1000", ("punctuation:no_comma",), ({},),
    )  # fmt: skip


def test_fewer_checks_are_the_same_ones_whatever_their_order(load, tmp_path):
    rows = [{"question": f"{n} + 0?", "answer": f"So #### {n}"} for n in range(20)]
    write_jsonl(tmp_path / "a.jsonl", rows)
    write_jsonl(tmp_path / "b.jsonl", rows[::-1])
    few = load("gsm8k:a.jsonl", capability_rows=5)
    assert len(few) == 5
    assert {c.query for c in few} == {c.query for c in load("gsm8k:b.jsonl", capability_rows=5)}


@pytest.mark.parametrize(
    ("capability", "line", "says"),
    [
        ("gsm8k:f.jsonl", {"question": "?", "answer": "4"}, "no #### before the answer"),
        ("gsm8k:f.jsonl", {"answer": "x #### 4"}, "field 'question': missing"),
        ("gsm8k:f.jsonl", {"question": "?", "answer": "x #### four"}, "field 'answer'"),
        ("bbh:f.jsonl", {"input": "?"}, "field 'target': missing"),
        ("ifeval:f.jsonl", {"prompt": "?", "instruction_id_list": ["a", "b"], "kwargs": [{}]},
         "as many kwargs"),
        ("mmlu:f.jsonl", {}, "no format 'mmlu' of checks"),
        ("f.jsonl", {"id": "a", "query": "?", "answer": "2"}, "'type': says no known type"),
    ],
)  # fmt: skip
def test_a_file_of_another_shape_is_said(load, tmp_path, capability, line, says):
    write_jsonl(tmp_path / "f.jsonl", [line])
    with pytest.raises(InputError, match=says):
        load(capability)


@pytest.mark.real
def test_every_gold_solution_of_gsm8k_passes_its_own_check(load):
    path = SHARED / "gsm8k" / "test.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    checks = load(f"gsm8k:{path}")
    solutions = [json.loads(line)["answer"] for line in path.read_text().splitlines()]
    assert len(checks) == len(solutions) == 1319
    marked = [passes(check, said)[0] for check, said in zip(checks, solutions, strict=True)]
    assert all(marked)


@given(st.sets(st.from_regex(r"[a-z]{1,6}-[0-9]{1,4}", fullmatch=True), min_size=30, max_size=90))
def test_checks_to_choose_by_are_never_those_that_are_reported(names):
    checks = [NumberCheck(id=name, type="number", query="?", answer="1") for name in sorted(names)]
    choosing, reported = (part_of(checks, part) for part in ("choosing", "reported"))
    assert not {check.id for check in choosing} & {check.id for check in reported}
    assert {*choosing, *reported} == set(checks)
    fewer = part_of(checks[:30], "choosing")
    assert {check.id for check in fewer} == {c.id for c in choosing} & {c.id for c in checks[:30]}


def test_the_parts_are_a_quarter_and_the_rest_before_rows_are_limited_and_few_serve_both(load):
    rows = [{"question": f"{n} + 0?", "answer": f"So #### {n}"} for n in range(300)]
    folder = Path(load.root)
    write_jsonl(folder / "a.jsonl", rows)
    load("gsm8k:a.jsonl", capability_rows=50)
    project = open_project(folder)
    choosing, reported = (load_checks(project, part) for part in ("choosing", "reported"))
    assert (len(choosing), len(reported)) == (50, 50)
    assert not {check.id for check in choosing} & {check.id for check in reported}
    load("gsm8k:a.jsonl")
    assert 50 < len(load_checks(open_project(folder), "choosing")) < 95
    write_jsonl(folder / "a.jsonl", rows[:29])
    few = open_project(folder)
    assert load_checks(few, "choosing") == load_checks(few, "reported") == load_checks(few)
