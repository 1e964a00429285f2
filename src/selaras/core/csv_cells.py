"""Text in the cells of a CSV file: what a spreadsheet would run as a formula gets a mark.

>>> cell("=cmd()"), cell("Hello")
("'=cmd()", 'Hello')
"""

# What a spreadsheet takes for the start of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: str | None) -> str:
    """Return the text as a spreadsheet may open it: an apostrophe before a formula's start."""
    text = value or ""
    return f"'{text}" if text.startswith(FORMULA) else text
