"""Vectors by the hash of their text: one pass serves all audits of a run, and the next run."""

from pathlib import Path

import numpy as np
import pytest

from fixtures.projects import WordEncoder, make_project, row, some_rows, use_word_encoder
from selaras.core.errors import InputError
from selaras.core.fingerprint import normalise
from selaras.core.records import Query
from selaras.data import AUDITS, AuditOptions, audit_project
from selaras.data.duplicates import audit_duplicates
from selaras.data.embeddings import Embeddings
from selaras.data.encoder import MINILM, PROPOSER, STATIC, encoder_for
from selaras.data.finding import AuditInput, Figures, Finding


def test_texts_that_are_one_in_normal_form_are_read_once(tmp_path: Path) -> None:
    encoder = WordEncoder()
    embeddings = Embeddings(lambda: encoder, tmp_path / "e.npz")
    first = embeddings.embed(["Buy milk!", "buy  MILK", "hum"])
    again = embeddings.embed(["hum", "buy milk", "new words"])
    read = [normalise(text) for text in encoder.texts]
    assert sorted(read[:2]) == ["buy milk", "hum"]
    assert read[2:] == ["new words"]
    assert np.array_equal(first[0], first[1])
    assert np.array_equal(first[[2, 0]], again[:2])

    def never() -> WordEncoder:
        raise AssertionError("the file knows all of them")

    told = Embeddings(never, tmp_path / "e.npz").embed(["New words", "Hum", "Buy milk"])
    assert np.allclose(told, again[[2, 0, 1]])


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "e.npz").write_bytes(b"PK\x03\x04 cut off")
    vectors = Embeddings(WordEncoder, tmp_path / "e.npz").embed(["a b"])
    assert np.allclose(Embeddings(WordEncoder, tmp_path / "e.npz").embed(["A b?"]), vectors)


def test_all_audits_of_a_run_share_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = use_word_encoder(monkeypatch)
    rows = [*some_rows(8, 30), row("shout", "WHO hums?!"), row("calm", "who hums")]
    project = make_project(tmp_path / "p", rows)
    report = audit_project(project, AUDITS)
    read = [normalise(text) for text in encoder.texts]
    assert report.encoder == "minilm"
    assert len(read) == len(set(read)) > 40
    audit_project(project, AUDITS)
    assert len(encoder.texts) == len(read)


def test_the_encoder_is_chosen_by_name_or_size(tmp_path: Path) -> None:
    assert encoder_for("auto", 20_000) is MINILM
    assert encoder_for("auto", 20_001) is PROPOSER
    project = make_project(tmp_path / "p", some_rows(2, 14))
    light = {name: AUDITS[name] for name in ("diversity", "duplicates")}
    report = audit_project(project, light, options=AuditOptions(embedder="static"))
    assert report.encoder == report.to_dict()["encoder"] == "static"
    assert report.figures["diversity"]["sets"]["all"]["vendi"] > 1
    assert (project.cache / "embeddings-wordllama-l2-supercat-256.npz").is_file()
    with pytest.raises(InputError, match="no encoder 'big'"):
        audit_project(project, light, options=AuditOptions(embedder="big"))


def test_what_the_static_encoder_cannot_read_is_close_to_nothing() -> None:
    thai, other, plain = "ฉันจะกำจัดเชื้อราได้อย่างไร", "ห้องสมุดเปิดกี่โมง", "who hums 🙂"
    vectors = Embeddings(STATIC.open).embed([thai, other, plain, "🔥"])
    assert not vectors[:2].any()
    assert np.allclose(np.linalg.norm(vectors[2:], axis=1), 1)
    rows = (Query(id="a", query=thai), Query(id="b", query=other), Query(id="c", query=plain))
    given = AuditInput(rows, Embeddings(STATIC.open).embed, encoder=STATIC)
    *findings, figures = audit_duplicates(given)
    assert not [f for f in findings if isinstance(f, Finding)]
    assert isinstance(figures, Figures)
    assert figures.values["unread"] == 2
