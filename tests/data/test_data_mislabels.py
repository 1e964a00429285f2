"""Mislabels: planted ones come first, and nothing is ever relabelled by itself."""

import numpy as np
import pytest

from selaras.core.records import Example, Query
from selaras.data.finding import AuditInput, Figures, Finding
from selaras.data.mislabels import audit_mislabels, suspect_labels


def two_clouds(n: int = 60, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    generator = np.random.default_rng(seed)
    raw = generator.standard_normal((2 * n, 8)) * 0.35
    raw[:n, 0] += 1.0
    raw[n:, 0] -= 1.0
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit.astype(np.float32), ["refuse"] * n + ["answer"] * n


def test_flipped_labels_come_first() -> None:
    vectors, labels = two_clouds()
    flipped = [3, 17, 70, 99]
    for place in flipped:
        labels[place] = "answer" if labels[place] == "refuse" else "refuse"
    found = suspect_labels(vectors, labels)
    queue = [*found.errors, *found.doubts]
    assert set(flipped) <= set(queue[:6])
    assert found.trust[flipped].max() < 0.5
    assert len(set(queue)) == len(queue)


def test_the_order_is_by_trust_and_repeats() -> None:
    vectors, labels = two_clouds(40, seed=1)
    labels[5] = "answer"
    first, second = suspect_labels(vectors, labels), suspect_labels(vectors, labels)
    assert first.errors == second.errors
    for places in (first.errors, first.doubts):
        trust = [first.trust[place] for place in places]
        assert trust == sorted(trust)


@pytest.mark.parametrize("labels", [["a"] * 30, ["a"] * 28 + ["b"] * 2, []])
def test_too_few_rows_of_a_label_teach_nothing(labels: list[str]) -> None:
    found = suspect_labels(np.ones((len(labels), 2), np.float32), labels)
    assert (found.errors, found.doubts) == ((), ())


def test_findings_are_a_queue() -> None:
    vectors, labels = two_clouds()
    by_text = {f"row number {i}": vectors[i] for i in range(len(labels))}
    rows: list[Query] = [
        Query(id=f"r{i}", query=f"row number {i}", expected=label, kind="inadvertent")  # type: ignore[arg-type]
        for i, label in enumerate(labels)
    ]
    rows[3] = rows[3].model_copy(update={"expected": "answer"})
    given = AuditInput(tuple(rows), lambda texts: np.stack([by_text[text] for text in texts]))
    said = list(audit_mislabels(given))
    findings = [each for each in said if isinstance(each, Finding)]
    assert findings[0].records == ("r3",)
    assert findings[0].proposed[0].fields == {"expected": "refuse"}
    assert not any(p.safe for f in findings for p in f.proposed)
    (figures,) = [each for each in said if isinstance(each, Figures)]
    assert figures.values["expected"]["rows"] == 120


def test_response_labels_are_checked_where_both_are_there() -> None:
    vectors, labels = two_clouds()
    by_text = {f"text {i}": vectors[i] for i in range(len(labels))}
    rows = tuple(
        Example(id=f"r{i}", query="What?", response=f"text {i}",
                response_label="unsafe" if (label == "refuse") != (i == 4) else "safe")
        for i, label in enumerate(labels)
    )  # fmt: skip
    given = AuditInput(
        rows, lambda texts: np.stack([by_text.get(text, vectors[0] * 0) for text in texts])
    )
    findings = [each for each in audit_mislabels(given) if isinstance(each, Finding)]
    assert findings[0].records == ("r4",)
    assert findings[0].proposed[0].fields == {"response_label": "unsafe"}
