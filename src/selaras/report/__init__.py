"""Reports: evaluations to sentences, launch criteria, one self-contained page, and lineage."""

from selaras.report.audit import write_audit
from selaras.report.gates import GateState, gate_states, gate_words
from selaras.report.html import render_report
from selaras.report.lineage import Lineage, lineage
from selaras.report.model import comparisons
from selaras.report.story import sentences
from selaras.report.write import write_report

__all__ = [
    "GateState",
    "Lineage",
    "comparisons",
    "gate_states",
    "gate_words",
    "lineage",
    "render_report",
    "sentences",
    "write_audit",
    "write_report",
]
