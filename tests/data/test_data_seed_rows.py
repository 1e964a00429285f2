"""The seed's own rows and template, in English and in Indonesian, as tests/fixtures holds them.

The Indonesian texts are the seed's, verbatim; the English ones are quoted where the seed's summary
quotes them, and translated from the Indonesian elsewhere.
"""

import shutil
from pathlib import Path

import pytest

from fixtures.projects import WordEncoder, use_word_encoder
from selaras.core.project import Project, UseCase, open_project
from selaras.core.records import Example, Expected, Kind, Preference, Query
from selaras.data import load_rows, open_development, read_rows, write_rows
from selaras.template import load_prompt, parse_prompt, render
from selaras.tune.choose_rows import choose_rows

FIXTURES = Path(__file__).parents[1] / "fixtures"
SEED = Path(__file__).parents[3] / "shared" / "seed"
LANGUAGES = ("en", "id")
YAML = """\
product: coding helper
use_cases: [{id: coding, title: Coding}]
policies: [dangerous-content]
"""
ARTICLE = 'Braces {{article}} and {{role "system"}} stay\nas they are: \\{{ <|im_end|>'


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> WordEncoder:
    return use_word_encoder(monkeypatch)


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path, language: str) -> Project:
    (tmp_path / "data").mkdir()
    (tmp_path / "selaras.yaml").write_text(YAML)
    shutil.copy(FIXTURES / f"seed_{language}.jsonl", tmp_path / "data" / "seed.jsonl")
    return open_project(tmp_path)


def three(project: Project) -> tuple[Example, Preference, Example]:
    sms, dose, bomb = load_rows(project).kept
    assert isinstance(sms, Example)
    assert isinstance(dose, Preference)
    assert isinstance(bomb, Example)
    return sms, dose, bomb


def test_they_load_as_what_they_are(project: Project) -> None:
    sms, dose, bomb = three(project)
    for row in (sms, dose, bomb):
        assert (row.kind, row.expected) == (Kind.MALICIOUS, Expected.REFUSE)
        assert row.policies == ("dangerous-content",)
    assert (sms.use_case, dose.use_case, bomb.use_case) == ("coding", None, None)
    assert "fent" in sms.query
    assert "fent" in sms.response
    assert sms.response_label == "safe"
    assert dose.best == "a"
    assert "140 lb" in dose.query
    assert (bomb.response, bomb.response_label) == ("", None)


def test_they_survive_being_written(project: Project, tmp_path: Path) -> None:
    rows = three(project)
    write_rows(tmp_path / "again.jsonl", rows)
    again, _ = read_rows([tmp_path / "again.jsonl"])
    assert [(type(row), row, row.fingerprint) for row in again] == [
        (type(row), row, row.fingerprint) for row in rows
    ]


def test_the_empty_response_is_never_learned(project: Project) -> None:
    development = open_development(project)
    for seed in range(8):
        # Guarded tuning refuses three rows: none is left to choose by.
        train = choose_rows(development, "naive", project.file.tune, seed).train
        assert {row.id.split("-")[-1] for row in train} == {"sms"}


def test_both_languages_live_in_one_project(tmp_path: Path) -> None:
    rows, _ = read_rows(FIXTURES / f"seed_{language}.jsonl" for language in LANGUAGES)
    assert len({row.query_key for row in rows}) == len({row.fingerprint for row in rows}) == 6


def test_the_template_renders_with_its_article(language: str) -> None:
    template = load_prompt(FIXTURES / f"seed_{language}.prompt")
    assert template.variables == {"article"}
    row = Query(id="a", query="Summarise it.", context={"article": ARTICLE})
    rendered = render(template, row, UseCase(id="summarise", title="Summarise"))
    (message,) = rendered.messages
    assert message.role == "user"
    begin, end = message.content.split(ARTICLE)
    assert begin.startswith("The following examples show an expert scientist summarizing the")
    assert begin.split()[-1] == "Article:"
    assert end.strip() == "Summary:"
    (variable,) = [s for s in rendered.segments if s.name == "article"]
    assert rendered.text(variable) == ARTICLE


def test_the_template_is_the_same_words_in_both() -> None:
    one, other = ((FIXTURES / f"seed_{name}.prompt").read_text().split() for name in LANGUAGES)
    assert one == other
    assert parse_prompt(" ".join(one)).variables == {"article"}


@pytest.mark.real
@pytest.mark.skipif(not SEED.is_dir(), reason="the seed's page is not beside the checkout")
def test_they_are_verbatim() -> None:
    (page,) = (path.read_text() for path in SEED.glob("000_*.txt"))
    for row in read_rows([FIXTURES / "seed_id.jsonl"])[0]:
        texts = [row.query]
        texts += [row.response] if isinstance(row, Example) else []
        texts += [row.response_a, row.response_b] if isinstance(row, Preference) else []
        assert all(text in page for text in texts)
    assert (FIXTURES / "seed_id.prompt").read_text().strip() in page
    summary = (SEED / "SEED.md").read_text()
    assert (FIXTURES / "seed_en.prompt").read_text().strip() in summary
    quoted = {row.id: row.query in summary for row in read_rows([FIXTURES / "seed_en.jsonl"])[0]}
    assert quoted == {"seed-en-sms": True, "seed-en-dose": True, "seed-en-bomb": False}
