"""Prompt templates improved from feedback, behind gates, proven on held-out rows."""

# What an edit of a template is held against before anything is called, in this order: name to a
# function `Edit -> Objection | None` (see selaras.prompt.gates).
GATES: dict[str, str] = {
    "placeholders": "selaras.prompt.gates:placeholders",
    "frozen": "selaras.prompt.gates:frozen",
    "roles": "selaras.prompt.gates:roles",
    "output": "selaras.prompt.gates:output",
    "length": "selaras.prompt.gates:length",
    "principles": "selaras.prompt.gates:principles",
    "copies": "selaras.prompt.gates:copies",
    "lifted": "selaras.prompt.gates:lifted",
    "coverage": "selaras.prompt.gates:coverage",
}

__all__ = ["GATES"]
