"""Rows: reading, splitting, sealing. The sealed rows' door is `selaras.data.opener`."""

from selaras.data.development import DEVELOPMENT_FIGURES, Development, open_development
from selaras.data.rows import Rows, load_rows, parse_row, read_rows, write_rows
from selaras.data.seal import looks_at, read_seal
from selaras.data.sealing import SplitResult, split_project

__all__ = [
    "DEVELOPMENT_FIGURES",
    "Development",
    "Rows",
    "SplitResult",
    "load_rows",
    "looks_at",
    "open_development",
    "parse_row",
    "read_rows",
    "read_seal",
    "split_project",
    "write_rows",
]
