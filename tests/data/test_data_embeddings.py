"""Vectors by the hash of their text: one pass serves all audits of a run, and the next run."""

from pathlib import Path

import numpy as np
import pytest

from fixtures.projects import WordEncoder, make_project, row, some_rows, use_word_encoder
from selaras.core.errors import InputError
from selaras.core.fingerprint import normalise
from selaras.data import AUDITS, AuditOptions, audit_project
from selaras.data.embeddings import Embeddings
from selaras.data.encoder import MINILM, PROPOSER, encoder_for


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
