"""What was measured of a template's parts, for `selaras prompt lint` and `improve`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selaras.cli.frame import say

if TYPE_CHECKING:
    from selaras.core.records import Query
    from selaras.prompt.improve import Session
    from selaras.prompt.measured import Change
    from selaras.prompt.principles import Proposed
    from selaras.template import PromptTemplate
    from selaras.template.finding import Finding

FindingsOption = Annotated[
    Path | None,
    typer.Option("--findings", help="What 'selaras debug --rows … --out FILE' found of it."),
]


def by_template(
    source: Path | None, templates: "dict[Path, PromptTemplate]"
) -> "dict[Path, tuple[Finding, ...]]":
    """Return the findings on each template; those on none of several are counted aloud.

    Raises InputError where there are findings, and none is about any of the templates.
    """
    from selaras.template.finding import findings_on, read_findings

    if source is None:
        return dict.fromkeys(templates, ())
    found = read_findings(source)
    known = {template.fingerprint for template in templates.values()}
    about = [each for each in found if each.template in known]
    if not about:
        for path, template in templates.items():
            findings_on(found, template, path, source)
    if len(about) < len(found):
        say(f"{len(found) - len(about)} findings of {source} are of other templates or versions")
    if not found:
        say(f"{source}: there are no findings")
    return {
        path: tuple(each for each in about if each.template == template.fingerprint)
        for path, template in templates.items()
    }


def walk_findings(session: "Session", found: "Sequence[Finding]", rows: "Sequence[Query]") -> None:
    """Decide on every finding that asks for a change: proposed, gated, tried on rows, accepted."""
    from selaras.core.files import read_text
    from selaras.prompt.lint_findings import SAID
    from selaras.prompt.measured import changes_for
    from selaras.template.versions import content_hash

    begun, before = session.template, content_hash(read_text(session.path))
    for number, finding in enumerate(found, 1):
        said = SAID[finding.finding][1]
        typer.echo(f"\n--- {number}/{len(found)}  this part {said}:")
        typer.echo(f"{_shown(finding.segment.text)}\n{finding.figures}")
        changes = changes_for(finding, found)
        if not changes:
            typer.echo("it stays: nothing is proposed")
            continue
        after = _decide(session, finding, changes, rows)
        if after is None:
            break
        # Later findings were measured with this part as it was: they are tried all the same.
        session = after
    if session.template is not begun:
        say("what is left was measured with the old parts: selaras debug --rows measures it again")
        parent = session.path.parent / "versions" / f"{before}.prompt"
        say(f"next: selaras prompt prove {session.path} --parent {parent}")


def _decide(
    session: "Session", finding: "Finding", changes: "Sequence[Change]", rows: "Sequence[Query]"
) -> "Session | None":
    """Ask what to do about a finding; return the session as it is then, or None to stop."""
    from dataclasses import replace

    from selaras.cli.prompt_improve import show_proposed
    from selaras.prompt import improve as stage

    names = {"d": "[d]elete", "r": "[r]eword by the model", "w": "[w]rite it anew yourself"}
    keys = [key for key in names if ("delete" if key == "d" else "reword") in changes]
    while True:
        asked = ", ".join([*(names[key] for key in keys), "[s]kip, [q]uit"])
        said = typer.prompt(asked, default="s").strip().casefold()[:1]
        if said == "q":
            return None
        if said not in keys:
            return session
        text = typer.prompt("the part, written anew") if said == "w" else ""
        proposed = stage.changed(session, finding, "delete" if said == "d" else "reword", text)
        typer.echo(f"\nproposed: {proposed.what}")
        show_proposed(session, proposed)
        child = proposed.template
        if child is not None and _accepted(session, proposed, child, rows):
            version = stage.save(session, proposed, proposed.what)
            typer.echo(f"saved as version {version.version} (parent {version.parent})")
            return replace(session, template=child)


def _accepted(
    session: "Session", proposed: "Proposed", child: "PromptTemplate", rows: "Sequence[Query]"
) -> bool:
    """Try a proposal that passes its gates, and ask whether it is to be saved."""
    from selaras.cli.prompt_improve import show_replayed
    from selaras.prompt import improve as stage

    if not proposed.passes:
        say("a gate did not pass: it cannot be saved as it is")
        return False
    say(f"trying it on {len(rows)} development rows …")
    found = stage.tried(session, child, rows)
    typer.echo(f"mends {found.fixed} and breaks {found.broken} of {found.gain.n} rows, "
               f"{found.tokens:+.0f} tokens a row")  # fmt: skip
    if found.vetoes:
        typer.echo(f"warning: it answers what has to be refused: {', '.join(found.vetoes)}")
    for each in stage.replayed(session, child):
        show_replayed(each)
    said: str = typer.prompt("[a]ccept, [n]o", default="n")
    return said.strip().casefold()[:1] == "a"


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
