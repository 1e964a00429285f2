"""The errors a user can meet, and the exit code that each one stands for.

    SelarasError            1  the run failed
    ├── InputError          2  something the user gave is wrong: what, where, what to do
    │   ├── MissingExtraError 2  an optional dependency is not installed
    │   └── SealError       2  the sealed hold-out forbids it
    ├── ModelError          1  a model or an endpoint could not do its work
    ├── BudgetSpentError    1  the next call would pass --max-calls or --max-cost
    └── GateError           3  a launch criterion was not met

Every message is one line; the command line prints it without a traceback.
"""

from pathlib import Path

JOINERS = "\u200c\u200d"


class SelarasError(Exception):
    """Raised when a run cannot go on; its text is one line that a user can act on."""

    exit_code = 1


class InputError(SelarasError):
    """Raised for bad input; names the file, line and field, and what to do.

    >>> print(InputError("unknown policy 'x'", path="data/a.jsonl", line=7, field="policies",
    ...                  fix="use hate, privacy"))
    data/a.jsonl, line 7, field 'policies': unknown policy 'x'. To mend it: use hate, privacy.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.path, self.line, self.field, self.fix = what, path, line, field, fix
        place = [str(path)] if path is not None else []
        place += [f"line {line}"] if line is not None else []
        place += [f"field '{field}'"] if field else []
        text = (", ".join(place) + ": " if place else "") + what.rstrip(".")
        super().__init__(one_line(text + (f". To mend it: {fix.rstrip('.')}." if fix else ".")))


class MissingExtraError(InputError):
    """Raised when a command needs an optional dependency that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package '{package}', which is not installed",
            fix=f"pip install 'selaras[{extra}]'",
        )


class SealError(InputError):
    """Raised when a step would break the sealed hold-out."""


class ModelError(SelarasError):
    """Raised when a model or an endpoint fails for good (retries are spent)."""


class BudgetSpentError(SelarasError):
    """Raised when the next call would pass the budget; what was finished is in the journal."""


class GateError(SelarasError):
    """Raised when a launch criterion was not met."""

    exit_code = 3


def one_line(text: str, limit: int = 600) -> str:
    """Return the text on one line, cut to the limit: untrusted text must not flood a terminal.

    Joiners stay, which emoji and many scripts are written with.

    >>> one_line("a\\n  b")
    'a b'
    """
    flat = " ".join("".join(c if c.isprintable() or c in JOINERS else " " for c in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
