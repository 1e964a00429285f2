"""Rows: reading, splitting, sealing. The sealed rows' door is `selaras.data.opener`."""

from selaras.data.audit import AuditOptions, AuditReport, audit_files, audit_project
from selaras.data.development import DEVELOPMENT_FIGURES, Development, open_development
from selaras.data.finding import AuditInput, Evidence, Figures, Finding, Proposal
from selaras.data.repair import decide, fix, restore
from selaras.data.rows import Rows, load_rows, parse_row, read_rows, write_rows
from selaras.data.seal import looks_at, read_seal
from selaras.data.sealing import SplitResult, split_project

# What `selaras data audit` runs, in this order: name to an `Audit` (see selaras.data.finding).
AUDITS: dict[str, str] = {
    "coverage": "selaras.data.coverage:audit_coverage",
    "diversity": "selaras.data.diversity:audit_diversity",
    "duplicates": "selaras.data.duplicates:audit_duplicates",
    "contamination": "selaras.data.contamination_audit:audit_contamination",
    "mislabels": "selaras.data.mislabels:audit_mislabels",
    "hygiene": "selaras.data.hygiene:audit_hygiene",
}

__all__ = [
    "AUDITS",
    "DEVELOPMENT_FIGURES",
    "AuditInput",
    "AuditOptions",
    "AuditReport",
    "Development",
    "Evidence",
    "Figures",
    "Finding",
    "Proposal",
    "Rows",
    "SplitResult",
    "audit_files",
    "audit_project",
    "decide",
    "fix",
    "load_rows",
    "looks_at",
    "open_development",
    "parse_row",
    "read_rows",
    "read_seal",
    "restore",
    "split_project",
    "write_rows",
]
