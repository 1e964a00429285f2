"""The data card: what somebody should know before using a project's rows, in Markdown.

Its questions are those of the People + AI Guidebook's chapter on data collection and evaluation:
what the data is for, where it comes from and on what terms, who wrote and labelled it, what it
covers and what it lacks, how it was checked, how it is kept. Counts only; no row is quoted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from selaras.core.decisions import read_decisions, standing
from selaras.core.manifest import Manifest, ledger
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data import Rows, load_rows, looks_at, read_seal
from selaras.data.formats.writing import non_commercial
from selaras.data.making.fill import grid
from selaras.data.review import state_of
from selaras.policy import load_policies
from selaras.report.markdown import counted, plain, table

UNKNOWN = "(not stated)"


def data_card(project: Project) -> str:
    """Return the card of the project's rows; raises InputError where there are none."""
    loaded = load_rows(project)
    parts = [
        [
            f"# Data card: {plain(project.file.product)}",
            "",
            "Written by `selaras data card`; counts of "
            "development rows unless another is said. Sealed rows are counted, never described.",
        ],
        _purpose(project, loaded),
        _sources(loaded.kept),
        _people(project, loaded),
        _cover(project, loaded.kept),
        _checks(project),
        _kept(project),
    ]
    return "\n".join(line for part in parts for line in [*part, ""]).rstrip() + "\n"


def _purpose(project: Project, loaded: Rows) -> list[str]:
    policies = load_policies(project)
    rows = [
        (
            rule.title,
            str(rule.revision),
            rule.owner,
            "no rows by design"
            if rule.statement_only
            else str(sum(name in row.policies for row in loaded.kept)),
        )
        for name, rule in policies.items()
    ]
    records = Counter(row.record for row in loaded.kept)
    uses = plain(", ".join(case.title for case in project.file.use_cases))
    about = plain(project.file.description or project.file.product).rstrip(".")
    return [
        "## What is it for?",
        "",
        f"{about}. Use cases: {uses}.",
        "",
        ", ".join(f"{n} {name} rows" for name, n in sorted(records.items())) + ".",
        "",
        *table(("policy", "revision", "owner", "rows"), rows),
    ]


def _sources(rows: Sequence[Query]) -> list[str]:
    counts = Counter((row.source or UNKNOWN, row.licence or UNKNOWN, row.origin) for row in rows)
    counted_rows = [
        (source, licence, origin, str(n)) for (source, licence, origin), n in counts.most_common()
    ]
    restricted = sum(map(non_commercial, rows))
    lines = [
        "## Where does it come from, and on what terms?",
        "",
        *table(("source", "licence", "written by", "rows"), counted_rows),
    ]
    if restricted:
        lines += [
            "",
            f"**{restricted} rows have a licence that forbids commercial use**; "
            "`selaras data export --commercial` leaves them out.",
        ]
    return lines


def _people(project: Project, loaded: Rows) -> list[str]:
    decisions = read_decisions(project.decisions)
    held, settings = standing(decisions), project.file.review
    states = Counter(
        (row.origin, state_of(row, held.get(row.id, ()), settings))
        for row in (*loaded.kept, *loaded.waiting)
    )
    makers = Counter(row.made.model for row in (*loaded.kept, *loaded.waiting) if row.made)
    by = Counter(d.by for d in decisions if d.action in {"approve", "review", "relabel"})
    rows = [
        (origin, state.replace("_", " "), str(n)) for (origin, state), n in sorted(states.items())
    ]
    lines = ["## Who wrote and labelled it?", "", *table(("written by", "review", "rows"), rows)]
    lines += [
        "",
        f"Review asks for {settings.person:.0%} of the rows of people, "
        f"{settings.public:.0%} of public sets and {settings.model:.0%} of models.",
    ]
    if makers:
        lines += ["", "Models that wrote rows: " + counted(makers) + "."]
    if by:
        lines += ["", "Decided by: " + counted(by) + "."]
    return lines


def _cover(project: Project, rows: Sequence[Query]) -> list[str]:
    found = grid(project, rows)
    cells = [
        (
            cell.policy,
            cell.use_case,
            cell.kind,
            str(found.counts.get(cell, 0)),
            str(found.held_out.get(cell, 0)),
        )
        for cell in sorted({*found.wanted, *found.counts})
    ]
    thin = [f"{cell} ({n})" for cell, label, n in found.lacking() if label is None]
    topics = Counter(row.topic for row in rows if row.topic)
    lines = [
        "## What does it cover, and what not?",
        "",
        *table(("policy", "use case", "kind", "rows", "sealed"), cells),
        "",
        f"Cells under the minimum of {found.settings.minimum}: "
        + ("; ".join(thin) if thin else "none")
        + ".",
    ]
    if topics:
        lines += [
            "",
            f"{len(topics)} topics; the most frequent: "
            + counted(Counter(dict(topics.most_common(8))))
            + ".",
        ]
    return lines


def _checks(project: Project) -> list[str]:
    lines = ["## How was it checked?", ""]
    audits = _widest(ledger(project.runs))
    if not audits:
        return [*lines, "No audit was run (`selaras data audit`)."]
    for audit in audits:
        rows = [
            (name, *(str(counts.get(level, 0)) for level in ("fault", "review", "note")))
            for name, counts in audit.figures.get("counts", {}).items()
        ]
        said = f"Audit of {audit.started[:10]} over {_rows(audit)} rows (`{audit.id}`)"
        lines += (
            [f"{said}:", "", *table(("finding", "fault", "review", "note"), rows), ""]
            if rows
            else [f"{said}: nothing was found.", ""]
        )
    sets = ", ".join(project.file.evaluation_sets)
    return [
        *lines,
        "Compared with the sealed rows"
        + (f" and with {sets}" if sets else "")
        + " for copies and paraphrases, which are left out of development.",
    ]


def _kept(project: Project) -> list[str]:
    seal = read_seal(project)
    lines = ["## How is it kept?", ""]
    if seal is None:
        lines.append("No hold-out is sealed: figures on these rows are development figures.")
    else:
        used = len(looks_at(project, seal))
        lines.append(
            f"{len(seal.rows)} rows are sealed (seal `{seal.id}`, generation "
            f"{seal.generation}); {used} of {project.file.look_budget} looks are used."
        )
    taken = Counter(
        d.reason
        for made in standing(read_decisions(project.decisions)).values()
        for d in made
        if d.action == "remove"
    )
    lines += [
        "",
        f"{sum(taken.values())} rows are taken out by decisions, reversibly"
        + (": " + counted(Counter(dict(taken.most_common(5)))) if taken else "")
        + ".",
    ]
    return lines


def _widest(runs: Iterable[Manifest]) -> list[Manifest]:
    """Return the audit that read the most rows, the newest of them, and the newest since."""
    found = [run for run in runs if (run.kind, run.status) == ("audit", "finished")]
    if not found:
        return []
    most = max(_rows(run) for run in found)
    whole = [run for run in found if _rows(run) == most][-1]
    since = [run for run in found if run is not whole and run.started >= whole.started]
    return [whole, *since[-1:]]


def _rows(audit: Manifest) -> int:
    return int(audit.figures.get("rows", 0))
