"""The audits on real data: the starter's planted faults, and labels that contradict each other."""

import json
from pathlib import Path

import pytest

from selaras.core.fingerprint import normalise
from selaras.core.records import Example
from selaras.data import AUDITS, AuditReport, audit_project
from selaras.data.contradictions import opposite_labels
from selaras.starter import create_project

pytestmark = pytest.mark.real
DIASAFETY = Path(__file__).resolve().parents[3] / "shared" / "data" / "diasafety"
MISLABELS = {"stakes-047-m", "ordinary-167"}
EXACT = {"ordinary-163", "stakes-i20", "danger-i29"}
NEAR = {"ordinary-164", "illicit-i20", "ordinary-165"}
PARAPHRASE = {"ordinary-166"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    project = create_project(tmp_path_factory.mktemp("starter") / "p", "household-helper")
    return audit_project(project, AUDITS)


def test_the_planted_mislabels_lead_the_queue(report: AuditReport) -> None:
    said = [f for f in report.findings if f.audit == "mislabels" and f.level == "review"]
    for name in MISLABELS:
        checks = {f.check for f in said if f.records == (name,)}
        assert "unlikely_expected" in checks
        assert checks & {"complies", "refuses"}
    assert len(said) <= 0.03 * len(report.rows)  # a queue that a person reads to its end


def test_nothing_but_planted_copies_is_marked_for_removal(report: AuditReport) -> None:
    repairs = {proposal.record for _, proposal in report.repairs}
    assert repairs <= EXACT | NEAR | PARAPHRASE
    assert not [f for f in report.findings if f.audit == "hygiene" and f.level != "note"]


@pytest.mark.skipif("duplicates" not in AUDITS, reason="the duplicates audit is not there yet")
def test_the_planted_copies_are_found(report: AuditReport) -> None:
    found = {name for f in report.findings if f.audit == "duplicates" for name in f.records}
    assert found >= EXACT | NEAR | PARAPHRASE
    assert {proposal.record for _, proposal in report.repairs} >= EXACT


@pytest.mark.skipif(not DIASAFETY.is_dir(), reason="the shared data sets are not here")
def test_pairs_with_both_labels_are_found_in_diasafety() -> None:
    rows, labels = [], {}
    for part in ("train", "val"):
        for number, value in enumerate(json.loads((DIASAFETY / f"{part}.json").read_text())):
            label = value["label"].casefold()
            row = Example(id=f"{part}-{number}", query=value["context"] or "-",
                          response=value["response"], response_label=label)  # fmt: skip
            rows.append(row)
            labels.setdefault((row.query_key, normalise(row.response)), set()).add(label)
    found = list(opposite_labels(rows))
    both = [key for key, told in labels.items() if len(told) == 2]
    assert len(found) == len(both) >= 3
    assert {f.check for f in found} == {"opposite_labels"}
