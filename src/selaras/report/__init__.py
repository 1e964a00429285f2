"""Reports: evaluations to sentences, launch criteria, one self-contained page, and lineage."""

from selaras.report.audit import write_audit
from selaras.report.html import render_report
from selaras.report.html_audited import changed_since, newest_audit
from selaras.report.lineage import Lineage, lineage
from selaras.report.model import comparisons
from selaras.report.story import sentences
from selaras.report.write import write_report

__all__ = [
    "Lineage",
    "changed_since",
    "comparisons",
    "lineage",
    "newest_audit",
    "render_report",
    "sentences",
    "write_audit",
    "write_report",
]
