"""Duplicates of public data sets, known by count. Skipped where the folder of data is absent.

No text of a row is shown: many are offensive on purpose.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from selaras.core.records import Query
from selaras.data.duplicates import audit_duplicates
from selaras.data.finding import AuditInput, Figures, Finding

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data (see its README.md)"),
]


def orthogonal(texts: Sequence[str]) -> NDArray[np.float32]:
    """Say of no two texts that they mean the same: words alone are looked at here."""
    return np.eye(len(texts), dtype=np.float32)


def audited(texts: Sequence[str]) -> tuple[list[Finding], dict[str, int]]:
    rows = tuple(Query(id=f"r{i}", query=text) for i, text in enumerate(texts))
    said = [*audit_duplicates(AuditInput(rows, orthogonal))]
    figures = [dict(each.values) for each in said if isinstance(each, Figures)]
    return [each for each in said if isinstance(each, Finding)], figures[-1]


def removed(findings: list[Finding], check: str) -> set[str]:
    return {p.record for f in findings if f.check == check for p in f.proposed}


def test_the_exact_duplicates_of_aart() -> None:
    with (DATA / "aart" / "aart-v1-20231117.csv").open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    findings, figures = audited([row["prompt"] for row in rows])
    assert figures["exact"] == len(removed(findings, "exact")) == 61


def test_the_duplicates_of_inthewild_jailbreaks() -> None:
    path = DATA / "inthewild_jailbreaks" / "inthewild_jailbreak_llms.json"
    _, figures = audited(json.loads(path.read_text(encoding="utf-8")))
    assert figures["exact"] == 35
    assert figures["near"] > 50


def test_every_minimal_pair_of_winogender_stays() -> None:
    with (DATA / "winogender" / "all_sentences.tsv").open(newline="", encoding="utf-8") as source:
        texts = [row["sentence"] for row in csv.DictReader(source, delimiter="\t")]
    findings, _ = audited(texts)
    assert len(texts) == 720
    assert not [f for f in findings if f.proposed]
    kept = {name for f in findings if f.check == "counterfactual" for name in f.records}
    assert len(kept) > 600
