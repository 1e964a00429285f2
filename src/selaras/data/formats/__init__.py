"""Formats of alignment data, read and written: one entry of FORMATS each.

Adding one is a `Format` (a function that reads a record to a row's fields and one that writes a
row) and a line here.
"""

from selaras.core.errors import InputError
from selaras.data.formats.chat import KERASHUB, MESSAGES, OPENAI, SHAREGPT, TRL
from selaras.data.formats.format import Fields, Format
from selaras.data.formats.labelled import BEAVERTAILS, DIASAFETY, PKU, RBR
from selaras.data.formats.platforms import ARGILLA, LABEL_STUDIO
from selaras.data.formats.table import PARQUET, SELARAS, SHEET
from selaras.data.formats.texts import ALPACA, HH_RLHF

# In the order in which a record is tried: those that need more columns come first.
FORMATS: dict[str, Format] = {
    made.name: made
    for made in (
        SHEET, SELARAS, PKU, RBR, BEAVERTAILS, DIASAFETY, OPENAI, MESSAGES, SHAREGPT, KERASHUB,
        TRL, HH_RLHF, ALPACA, ARGILLA, LABEL_STUDIO, PARQUET,
    )
}  # fmt: skip


def format_named(name: str) -> Format:
    """Return the format of that name; raises InputError with the names there are."""
    if name not in FORMATS:
        raise InputError(f"no format {name!r}", fix=f"use one of: {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of(fields: Fields) -> Format | None:
    """Return the format that a record's columns tell, or None.

    >>> format_of({"instruction": "Say hi", "output": "Hi"}).name
    'alpaca'
    """
    return next((made for made in FORMATS.values() if made.fits(fields)), None)
