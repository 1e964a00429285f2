"""The audit of contamination: what an encoder proposes MiniLM confirms, a judge has near misses."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixtures.projects import YAML, make_project, row
from selaras.core.records import Query
from selaras.data import load_rows
from selaras.data.contamination_audit import audit_contamination
from selaras.data.encoder import MINILM, PROPOSER, STATIC, Encoder
from selaras.data.finding import AuditInput, Figures, Finding

ITEM = "which boiler hums at night in an old cellar"
SAME, NEAR, FAR = "the noise that my heating makes", "my heating is too loud", "a loaf of bread"


def at(cosine: float) -> list[float]:
    return [cosine, float(np.sqrt(1 - cosine**2))]


COARSE = {ITEM: at(1.0), SAME: at(0.7), NEAR: at(0.7), FAR: at(0.1)}
FINE = {ITEM: at(1.0), SAME: at(0.85), NEAR: at(0.65), FAR: at(0.0)}


class Table:
    """An encoder that knows the vectors of a few texts, and keeps what it was asked."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors, self.asked = vectors, list[str]()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([self.vectors[text] for text in texts], dtype=np.float32)


def audited(
    folder: Path, encoder: Encoder, fine: Table, **fields: Any
) -> tuple[dict[str, Finding], dict[str, Any]]:
    rows = [row("same", SAME), row("near", NEAR), row("far", FAR)]
    project = make_project(folder / "p", rows, YAML + "evaluation_sets: [set.jsonl]\n")
    (project.root / "set.jsonl").write_text(json.dumps({"query": ITEM, "kind": "ordinary"}) + "\n")
    coarse = fine if encoder is MINILM else Table(COARSE)
    given = AuditInput(load_rows(project).kept, coarse, project=project, encoder=encoder,
                       closely=fine, **fields)  # fmt: skip
    said = list(audit_contamination(given))
    (figures,) = (f.values for f in said if isinstance(f, Figures))
    return {f.records[0]: f for f in said if isinstance(f, Finding)}, figures["checked"][0]


def test_what_the_static_encoder_proposes_minilm_decides(tmp_path: Path) -> None:
    fine = Table(FINE)
    found, figures = audited(tmp_path, PROPOSER, fine)
    assert set(fine.asked) == {SAME, NEAR, ITEM}
    assert {name: (f.check, f.level, f.score) for name, f in found.items()} == {
        "same": ("paraphrase", "fault", 0.85)
    }
    assert figures["near_misses"] == 1
    assert figures["encoder"] == "static, contamination confirmed by minilm"


def test_the_static_encoder_alone_takes_nothing_out(tmp_path: Path) -> None:
    close = {**COARSE, SAME: at(0.9)}
    fine = Table(FINE)
    rows = [row("same", SAME), row("far", FAR)]
    project = make_project(tmp_path / "p", rows, YAML + "evaluation_sets: [set.jsonl]\n")
    (project.root / "set.jsonl").write_text(json.dumps({"query": ITEM, "kind": "ordinary"}) + "\n")
    given = AuditInput(load_rows(project).kept, Table(close), project=project, encoder=STATIC,
                       closely=fine)  # fmt: skip
    (finding,) = (f for f in audit_contamination(given) if isinstance(f, Finding))
    assert (finding.records, finding.check, finding.level) == (("same",), "paraphrase", "review")
    assert not finding.proposed[0].safe
    assert fine.asked == []


def test_a_judge_is_asked_about_near_misses_alone(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def same(pairs: Sequence[tuple[Query, str]]) -> list[bool | None]:
        asked.extend((row.id, text) for row, text in pairs)
        return [True]

    found, figures = audited(tmp_path, MINILM, Table(FINE), same=same)
    assert asked == [("near", ITEM)]
    assert (found["near"].check, found["near"].level) == ("judge", "review")
    assert not found["near"].proposed[0].safe
    assert (figures["judged"], figures["not_judged"], figures["tiers"]) == (
        1, 0, {"judge": 1, "paraphrase": 1},
    )  # fmt: skip


def test_a_judge_that_does_not_answer_finds_nothing_and_is_counted(tmp_path: Path) -> None:
    found, figures = audited(tmp_path, MINILM, Table(FINE), same=lambda pairs: [None] * len(pairs))
    assert set(found) == {"same"}
    assert (figures["judged"], figures["not_judged"]) == (1, 1)
