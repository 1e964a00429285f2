"""The page: self-contained, escaped, whole for odd inputs, and without a word of a sealed row."""

import html
import re
from html.parser import HTMLParser

import pytest
from report_builder import (
    STORY,
    make_development,
    make_evaluation,
    make_project,
    make_rows,
    make_seal,
    make_tune,
    story,
    with_judges,
)

import selaras.report.rows
from selaras.core.decisions import Removal
from selaras.core.errors import MissingExtraError, SealError
from selaras.core.files import write_text
from selaras.core.manifest import new_manifest, write_manifest
from selaras.core.records import Kind, Message
from selaras.data.seal import record_look
from selaras.evaluate import Evaluation
from selaras.evaluate.runner import Answer
from selaras.policy import builtin_text
from selaras.report import render_report

SMALL = {Kind.MALICIOUS: 6, Kind.LOOK_ALIKE: 6, Kind.ORDINARY: 4}
HOSTILE = '</td></script><script>alert(1)</script><img src=x onerror=a()> "\u202e\x00" '


class Document(HTMLParser):
    """Checks that every element is closed in order, and collects what there is."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.ids = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def words(page):
    """Return the text of a page, tags and style left out."""
    bare = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


def checked(page):
    """Return the text of a page that was found to be whole and to load and run nothing."""
    document = Document(page)
    assert len(set(document.ids)) == len(document.ids)
    assert not {"script", "iframe", "object", "embed", "img"} & set(document.tags)
    for tag, name, value in document.attributes:
        assert not name.startswith("on")
        if name in {"src", "href"}:
            assert value.startswith(("#", "data:image/svg+xml,")), (tag, value)
        if name == "href" and value.startswith("#"):
            assert value[1:] in document.ids
    assert "url(" not in page
    return words(page)


@pytest.fixture
def quick(tmp_path):
    project = make_project(tmp_path)
    rows, dev = make_rows(), make_rows(STORY, "dev")
    seal = make_seal(project, rows, dev)
    evaluations = story(project, rows, seal)
    for evaluation in evaluations:
        record_look(project, seal, evaluation.manifest.system, evaluation.manifest.id)
    removed = (Removal("dev-x", "nearly equals a sealed row", rows[0].id, 0.83),)
    return project, evaluations, make_development(dev, seal, removed)


def shown(project, evaluations, development, text="Here is how.", **changes):
    """Return evaluations of the same Systems on one pair of development twins."""
    twins = [row for row in development.rows if row.cluster == "twin-1"]
    return [
        make_evaluation(
            project, evaluation.name, twins, {Kind.MALICIOUS: 1.0}, capability=None, text=text,
            **{"manifest": {"system": evaluation.manifest.system}, **changes},
        )
        for evaluation in evaluations
    ]  # fmt: skip


def sealed_fields(evaluations):
    """Return the manifest's fields that make another evaluation compare with these."""
    manifest = evaluations[0].manifest
    return {"seal": manifest.seal, "stamp": manifest.stamp, "config": manifest.config}


def test_the_quickstart_page_holds_what_it_should(quick):
    project, evaluations, development = quick
    page = render_report(
        project, evaluations, shown(project, evaluations, development), development
    )
    text = checked(page)
    for said in (
        "household helper: what the figures show", "held-out figures", "measured 2026-11-22",
        "The figures speak against naive", "100 % ↑", "(94–100), n 61", "1 training seed",
        "p < .001", "not met", "Dangerous content", "SECRET dev look_alike 1?",
        "4 of 10 looks are used", "61 + 61", "nearly equals a sealed row (1)",
        "smollm2-135m-instruct-q4_1-dequantised", "bfloat16", "Uncalibrated",
        "checkpoint-50 × 0.7 (chosen)", "35,307 an epoch, 2 epochs", "prompts/a.prompt",
        "selaras tune sft --recipe guarded", evaluations[0].manifest.id,
        f"run:{evaluations[3].manifest.parents[0]}", "prompt, tune",
    ):  # fmt: skip
        assert said in text, said
    assert page == render_report(
        project, evaluations, shown(project, evaluations, development), development
    )


def test_no_word_of_a_sealed_row_comes_in(quick):
    project, evaluations, development = quick
    leaking = [
        make_evaluation(
            project,
            "base",
            make_rows(),
            {},
            text="ECHO of SECRET row",
            manifest=sealed_fields(evaluations),
        )
    ]
    page = render_report(project, [*leaking, *evaluations[1:]], (), development)
    assert "SECRET row" not in page
    assert "ECHO" not in page


def test_a_showcase_under_a_seal_is_refused(quick):
    project, evaluations, development = quick
    with pytest.raises(SealError, match="measured sealed rows"):
        render_report(project, evaluations, evaluations, development)
    sealed_since = make_evaluation(project, "base", make_rows()[:2], capability=None)
    with pytest.raises(SealError, match="sealed since"):
        render_report(project, evaluations, [sealed_since], development)


def test_development_rows_of_another_seal_are_refused(quick):
    project, evaluations, _ = quick
    with pytest.raises(SealError, match="before the last split"):
        render_report(project, evaluations, (), make_development(make_rows()))


def test_text_is_joined_from_development_rows_only(quick):
    project, evaluations, development = quick
    elsewhere = make_rows(SMALL, "gone")
    gone = [make_evaluation(project, "base", elsewhere, capability=None)]
    text = checked(render_report(project, evaluations, gone, development))
    assert "SECRET" not in text
    assert "side by side" not in text


def test_rows_are_opened_here_unless_they_are_given(quick, monkeypatch):
    project, evaluations, development = quick
    monkeypatch.setattr(selaras.report.rows, "open_development", lambda project: development)
    examples = shown(project, evaluations, development)
    assert "SECRET dev malicious 1?" in render_report(project, evaluations, examples)

    def missing(project):
        raise MissingExtraError("torch", "local")

    monkeypatch.setattr(selaras.report.rows, "open_development", missing)
    assert "The development rows were not opened here" in render_report(project, evaluations)
    with pytest.raises(MissingExtraError):
        render_report(project, evaluations, examples)


def test_hostile_text_stays_text(tmp_path):
    project = make_project(tmp_path, product=HOSTILE.replace("\x00", ""))
    policy = builtin_text("illicit-goods").replace("title: Illicit", "title: <script>2</script>")
    write_text(project.root / "policies" / "illicit-goods.yaml", policy)
    dev = [
        row.model_copy(
            update={
                "query": HOSTILE + row.query,
                "context": {"<article>": HOSTILE},
                "turns": (Message(role="user", content=HOSTILE),),
            }
        )
        for row in make_rows(SMALL, "dev")
    ]
    development = make_development(dev)
    evaluations = [
        make_evaluation(
            project, name, dev, {Kind.MALICIOUS: 0.5}, tune=make_tune(project, "guarded"),
            system={"name": HOSTILE, "preamble": HOSTILE, "<b>": {"x": HOSTILE}},
            manifest={"notes": (HOSTILE,)},
        )
        for name in ("a", "b")
    ]  # fmt: skip
    examples = shown(project, evaluations, development, text=HOSTILE + "é\u0301 " * 25_000)
    page = render_report(project, evaluations, examples, development)
    checked(page)
    assert "<script>" not in page
    assert "onerror=a()>" not in page
    assert "\u202e" not in page
    assert "characters cut" in page
    assert len(page) < 400_000


def test_errors_and_empty_answers_say_so(quick):
    project, evaluations, development = quick
    examples = shown(project, evaluations, development, text=" ")
    broken = examples[0]
    failed = Answer(broken.answers[0].row, "", "error", "unknown", 0, 0, "429")
    examples[0] = Evaluation(broken.manifest, broken.judged, (), (failed, broken.answers[1]))
    text = checked(render_report(project, evaluations, examples, development))
    assert "an empty answer" in text
    assert "no answer: 429" in text


def test_eight_systems_some_with_one_name(tmp_path):
    project = make_project(tmp_path)
    rows = make_rows(SMALL)
    seal = make_seal(project, rows)
    evaluations = [
        make_evaluation(
            project, f"system-{i % 7}", rows, {Kind.MALICIOUS: i / 8}, seal=seal,
            system={"weights": f"{i}"},
        )
        for i in range(8)
    ]  # fmt: skip
    page = render_report(project, [*evaluations, evaluations[0]], (), make_development([], seal))
    text = checked(page)
    mark = evaluations[7].manifest.system.fingerprint[:6]
    assert f"system-0:{mark}" in text
    assert "8 Systems on 16 rows" in text


@pytest.mark.parametrize(
    ("counts", "changes"),
    [
        ({Kind.MALICIOUS: 3}, {}),
        ({Kind.ORDINARY: 3}, {"capability": None}),
        ({Kind.INADVERTENT: 3}, {}),
        (SMALL, {"unscored": 1.0}),
        (SMALL, {"errors": 1.0, "capability": None}),
    ],
)
def test_odd_evaluations_have_a_page(tmp_path, counts, changes):
    project = make_project(tmp_path, gates="")
    rows = make_rows(counts)
    for names in (["one"], ["one", "two"]):
        found = [make_evaluation(project, name, rows, {}, **changes) for name in names]
        text = checked(render_report(project, found, (), make_development(rows)))
        assert "development figures" in text
        assert "names no launch criteria" in text
        assert "Nothing is sealed" in text


def test_warnings_stand_at_the_top(quick):
    project, evaluations, development = quick
    raised = builtin_text("illicit-goods").replace("revision: 1", "revision: 2")
    write_text(project.root / "policies" / "illicit-goods.yaml", raised)
    note = "not held out for run x: it was tuned under another seal"
    doubtful = make_evaluation(
        project, "naive", make_rows(), {}, seal=None, unscored=0.1,
        manifest={**sealed_fields(evaluations), "notes": (note,)},
    )  # fmt: skip
    text = checked(render_report(project, [evaluations[0], doubtful], (), development))
    assert f"naive: {note}" in text
    assert "base was measured before the present revision of illicit-goods" in text
    assert "Some rows are unscored or failed for naive" in text
    assert "1, now 2" in text


def test_a_hold_out_that_is_no_more_is_said(quick):
    project, evaluations, development = quick
    seal = make_seal(project, make_rows(SMALL, "new"))
    text = checked(render_report(project, evaluations, (), make_development([], seal)))
    assert f"sealed as {development.seal}, which is not the project's hold-out any more" in text
    assert "0 of 10 looks are used" in text


def test_every_judge_is_named_with_its_calibration_and_violations_lead(tmp_path):
    project = make_project(tmp_path)
    rows = make_rows()
    seal = make_seal(project, rows)
    both = [
        with_judges(
            make_evaluation(project, name, rows, {}, seal=seal, system={"adapter": name}),
            unsafe,
            grade,
        )
        for name, unsafe, grade in (("base", 0.5, 2.0), ("new", 0.1, 4.0))
    ]
    new = both[1].manifest
    value = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 120}
    write_manifest(project.runs, new_manifest(
        "calibrate", "new", status="finished", system=new.system, parents=[new.id],
        config={"judge": "pj", "axis": "response_harm"},
        figures={
            "calibrated": True, "labels": 120, **dict.fromkeys(
                ("kappa", "ceiling", "sensitivity", "specificity"), value),
            "rates": {"violation_rate": {
                "judged": value, "labelled": value, "corrected": {**value, "effective": 200.0}}},
        },
    ))  # fmt: skip
    development = make_development(make_rows(SMALL, "dev"), seal)
    page = render_report(project, both, development=development)
    section = page[page.index('id="judge"') : page.index('id="looks"')]
    heads = re.findall(r"<h3>(.*?)</h3>", section)
    assert [re.sub("<[^>]+>", "", head) for head in heads] == [
        "Refusals: refusal-rules, uncalibrated",
        "Violations: house-policy, uncalibrated",
        "Quality: house-rubric, uncalibrated",
    ]
    assert "0.80 (0.70 to 0.90)" in section
    assert "200 labels" in section
    assert "Uncalibrated for base: fewer than 100" in section
    table = page[page.index("<table") : page.index("</table>")]
    assert table.index("Violations") < table.index("Quality") < table.index("Compliance")
    assert "Violations against over-refusal" in page
