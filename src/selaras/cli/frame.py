"""What all commands share: the console, progress, errors as one line, exit codes, JSON."""

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from selaras.core.progress import Progress, Task
    from selaras.core.project import Project

ProjectOption = Annotated[
    Path, typer.Option("--project", "-C", help="The project folder (or one inside it).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print figures as JSON on stdout.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with a run that was cut off.")]
RetryOption = Annotated[
    bool, typer.Option("--retry-errors", help="Do again what failed, and only that.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done and what it would take.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override selaras.yaml: --set tune.epochs=3"),
]
OpenOption = Annotated[
    int | None,
    typer.Option(
        "--open",
        min=1,
        metavar="N",
        help="Open N sealed rows for reading: they are spent, and count in no figure from now on.",
    ),
]
PLAIN_EVERY = 10.0


def group(help_text: str) -> typer.Typer:
    """Return an app for a stage's commands."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command: errors become one line and an exit code, Ctrl-C says how to go on."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        from selaras.core.errors import SelarasError, one_line

        try:
            _refuse_half_characters(kwargs)
            function(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except SelarasError as error:
            _stop(str(error), error.exit_code)
        except KeyboardInterrupt:
            _stop("stopped; what was finished is kept, go on with --resume", 130)
        except ModuleNotFoundError as error:
            _stop(_missing(error), 2)
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(0) from None
        except OSError as error:
            _stop(one_line(f"{error.filename or 'the system'}: {error.strerror or error}"), 1)
        except MemoryError:
            _stop("out of memory: use smaller batches or a smaller model", 1)
        except Exception as error:  # noqa: BLE001 - the last net: people get a line, not a trace
            _stop(f"unexpected {type(error).__name__}: {one_line(str(error), 200)} "
                  f"(details in {_details()}; please report them)", 1)  # fmt: skip

    return wrapped


def _refuse_half_characters(options: dict[str, Any]) -> None:
    """Raise InputError for bytes of the command line that are no UTF-8; a path may hold them."""
    from selaras.core.errors import InputError

    for name, value in options.items():
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and any("\ud800" <= c <= "\udfff" for c in text):
                shown = text.encode("utf-8", "replace").decode()
                raise InputError(
                    f"{name.replace('_', '-')} {shown!r} is not UTF-8",
                    fix="give it in UTF-8, or in a file",
                )


def open_project_at(folder: Path, overrides: list[str] | None = None) -> "Project":
    """Return the project of a command's options."""
    from selaras.core.project import open_project

    return open_project(folder, tuple(overrides or ()))


def pairs(values: Iterable[str], option: str, form: str) -> dict[str, str]:
    """Return name=text options as a dict; raises InputError at one of another form."""
    from selaras.core.errors import InputError

    found = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise InputError(f"{option} {value!r} is not of the form {form}")
        found[name] = text
    return found


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    from selaras.core.fingerprint import plain

    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def say(text: str = "") -> None:
    """Print a line for people on stderr, so that stdout holds results only."""
    typer.echo(text, err=True)


@contextmanager
def showing(quiet: bool = False) -> Iterator["Progress"]:
    """Yield a Progress: bars on a terminal, a line now and then elsewhere, nothing when quiet."""
    from selaras.core.progress import SILENT

    if quiet:
        yield SILENT
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        yield _Lines()


class _Lines:
    """Progress for logs: a line at a task's start, every ten seconds and at its end."""

    @contextmanager
    def task(self, title: str, total: float) -> Iterator["Task"]:
        task = _LineTask(title, total)
        yield task
        task.end()

    def say(self, line: str) -> None:
        say(line)


class _LineTask:
    def __init__(self, title: str, total: float) -> None:
        self.title, self.total, self.done = title, total, 0.0
        self.begun = self.shown = time.monotonic()
        self.note = ""

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        self.done += amount
        self.note = note or self.note
        if time.monotonic() - self.shown >= PLAIN_EVERY and self.done < self.total:
            self.shown = time.monotonic()
            self._print()

    def end(self) -> None:
        if time.monotonic() - self.begun >= 1:
            self._print()

    def _print(self) -> None:
        spent = time.monotonic() - self.begun
        rate = self.done / spent if spent else 0.0
        left = (self.total - self.done) / rate if rate else 0.0
        say(
            f"{self.title}: {self.done:g}/{self.total:g} in {spent:.0f} s"
            + (f", {left:.0f} s left" if self.done < self.total else "")
            + (f" ({self.note})" if self.note else "")
        )


@contextmanager
def _bars() -> Iterator["Progress"]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=False) as bars:
        yield _Rich(bars)


class _Rich:
    def __init__(self, bars: Any) -> None:
        self.bars = bars

    @contextmanager
    def task(self, title: str, total: float) -> Iterator["Task"]:
        task = _RichTask(self.bars, self.bars.add_task(title, total=total, note=""))
        yield task
        task.end()

    def say(self, line: str) -> None:
        self.bars.console.print(line, markup=False, highlight=False)


class _RichTask:
    def __init__(self, bars: Any, number: Any) -> None:
        self.bars, self.number = bars, number
        self.done, self.begun, self.note = 0.0, time.monotonic(), ""

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        self.done += amount
        self.note = note or self.note
        rate = self.done / max(1e-9, time.monotonic() - self.begun)
        self.bars.update(self.number, advance=amount, note=f"{rate:.1f}/s {self.note}".strip())

    def end(self) -> None:
        self.bars.update(self.number, note=self.note)


def _missing(error: ModuleNotFoundError) -> str:
    """Return the line for a package that is not installed, with the extra that brings it."""
    from selaras.cli.doctor import EXTRAS
    from selaras.core.errors import InputError, MissingExtraError

    package = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if package in modules), None)
    if extra is None:
        return str(InputError(f"the package {package!r} is not installed", fix="install it"))
    return str(MissingExtraError(package, extra))


def _details() -> Path:
    path = Path(tempfile.gettempdir()) / f"selaras-error-{os.getpid()}.txt"
    path.write_text(traceback.format_exc(), encoding="utf-8")
    return path


def _stop(message: str, code: int) -> NoReturn:
    say(f"selaras: {message}")
    raise typer.Exit(code) from None
