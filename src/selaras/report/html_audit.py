"""The audit's page: what was found, the plots that show it, and the rows side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from selaras.core.project import AuditSettings, Project
from selaras.core.records import Kind, Query
from selaras.data import AuditReport, Finding
from selaras.data.audit import LEVELS
from selaras.data.coverage import NONE
from selaras.page import Child, CountCell, Markup, counts, element, join, page, percent, table
from selaras.report.html_diversity import diversity
from selaras.report.html_finding import clusters, plain_list, queue

MOST_SHOWN = 12
LEVEL_WORDS = {"fault": "Faults", "review": "To review", "note": "Notes"}
Section = tuple[str, str, Child]


def render_audit(report: AuditReport, project: Project | None) -> str:
    """Return the findings of an audit as one HTML page that loads nothing.

    The same report gives the same page. Text of rows is escaped, personal data in it covered.
    """
    settings = project.file.audit if project else AuditSettings()
    sections: list[Section] = [("found", "What was found", _summary_table(report))]
    if "coverage" in report.figures:
        sections.append(("coverage", "Coverage", coverage_grid(report.figures["coverage"])))
    if "diversity" in report.figures:
        sections.append(("diversity", "Diversity", diversity(report.figures["diversity"])))
    by_audit = dict.fromkeys(finding.audit for finding in report.findings)
    for audit in by_audit:
        found = [finding for finding in report.findings if finding.audit == audit]
        sections.append(
            (f"audit-{audit}", f"Findings: {audit}", _findings(found, report, settings))
        )
    sections.append(("then", "What to do with them", _then(report, project)))
    body = join([_lead(report), *(_section(*section) for section in sections)])
    links = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in sections]
    product = project.file.product if project else "rows"
    return page(f"{product}: audit of the rows", body, lede=_lede(report),
                nav=element("ul", *links))  # fmt: skip


def coverage_grid(figures: Mapping[str, Any]) -> Markup:
    """Return the heat map of policy and use case by kind, empty and thin cells framed."""
    kinds = [kind.value.replace("_", "-") for kind in Kind]
    grid: dict[tuple[str, str], CountCell] = {}
    for cell in figures["cells"]:
        name = "no policy" if cell["policy"] == NONE else cell["policy"]
        where = f"{name} / {'no use case' if cell['use_case'] == NONE else cell['use_case']}"
        more = [f"{cell['held_out']:,} sealed"] if cell["held_out"] else []
        labels = {k: n for k, n in cell["labels"].items() if n}
        more += [f"{n:,} {label}" for label, n in labels.items() if len(labels) > 1]
        minimum = figures["minimum"] if cell["wanted"] else 0
        grid[where, cell["kind"].replace("_", "-")] = CountCell(
            cell["rows"], minimum, ", ".join(more)
        )
    key = f"Rows to develop on; at least {figures['minimum']} are asked of each cell."
    balance = figures["rl_balance"]
    parts = [counts(grid, kinds, caption="Rows by policy, use case and kind",
                    corner="Policy / use case", key=key)]  # fmt: skip
    if balance["n"]:
        said = f"{percent(balance['value'])} of the {balance['n']:,} queries for RL are adversarial"
        parts.append(element("p", f"{said} (inadvertent or malicious)."))
    return join(parts)


def _lede(report: AuditReport) -> Markup:
    good = "stamp good" if report.passed else "stamp"
    gate = "coverage gate passes" if report.passed else "coverage gate does not pass"
    return join([element("span", gate, class_=good), f" {len(report.rows):,} rows audited"])


def _lead(report: AuditReport) -> Markup:
    by_level = {level: sum(f.level == level for f in report.findings) for level in LEVELS}
    saved = report.saved
    said = (
        f"{by_level['fault']} faults, {by_level['review']} findings to review and "
        f"{by_level['note']} notes. "
    )
    if saved["rows"]:
        share = percent(saved["tokens"] / max(1, saved["of_tokens"]))
        said += (
            f"Of these, {saved['rows']} rows can be taken out without a person, which saves some "
            f"{saved['tokens']:,} of {saved['of_tokens']:,} tokens ({share}) whenever the rows "
            "are read. "
        )
    said += "Nothing has been deleted or relabelled: a person, or --fix, decides."
    if report.reads_meaning:
        said += f" What rows mean was read by the encoder {report.encoder}."
    more = [f"{name} could not be run to its end: {why}" for name, why in report.not_run.items()]
    if report.removed:
        more.append(f"{len(report.removed)} rows were taken out by earlier decisions.")
    if report.approved:
        more.append(f"{report.approved} findings are not repeated: a person approved their rows.")
    warnings = [element("p", text, class_="warning") for text in more]
    return element("section", element("p", said), *warnings, aria_label="Summary")


def _section(name: str, title: str, body: Child) -> Markup:
    return element("section", element("h2", title, id=name), body)


def _summary_table(report: AuditReport) -> Markup:
    columns = ["Finding", *(LEVEL_WORDS[level] for level in LEVELS)]
    rows: list[list[Child]] = [
        [element("a", name, href=f"#{_anchor(name)}"), *(count[level] or "" for level in LEVELS)]
        for name, count in report.counts().items()
    ]
    return table(columns, rows, caption="Findings by audit and check", numeric=set(columns[1:]))


def _findings(findings: Sequence[Finding], report: AuditReport, settings: AuditSettings) -> Markup:
    rows = {row.id: row for row in report.rows}
    parts: list[Markup] = [_trust(*task) for task in report.figures.get("mislabels", {}).items()
                           if findings[0].audit == "mislabels"]  # fmt: skip
    for name in dict.fromkeys(finding.name for finding in findings):
        own = [finding for finding in findings if finding.name == name]
        parts.append(element("h3", name.partition("/")[2].replace("_", " "), id=_anchor(name)))
        parts += _check(own, rows, settings)
    return join(parts)


def _trust(task: str, figures: Mapping[str, Any]) -> Markup:
    """Return how far the classifier behind a queue of mislabels can be trusted."""
    said = (
        f"A classifier that did not see the row agrees with {percent(figures['agreement'])} of the "
        f"{figures['rows']:,} labels ({task}); it takes {figures['errors']} for errors and doubts "
        f"{figures['doubts']} more. The less it agrees, the more right labels stand in the queue."
    )
    return element("p", said)


def _check(
    findings: Sequence[Finding], rows: Mapping[str, Query], settings: AuditSettings
) -> list[Markup]:
    regions = settings.phone_regions
    whole = [finding for finding in findings if not finding.records]
    about = [finding for finding in findings if finding.records][:MOST_SHOWN]
    single = [finding for finding in about if len(finding.records) == 1]
    parts = [plain_list(whole)] if whole else []
    parts += [queue(single, rows, regions)] if single else []
    parts += clusters([f for f in about if len(f.records) > 1], rows, regions)
    if (rest := len(findings) - len(whole) - len(about)) > 0:
        said = f"and {rest:,} more findings of this kind, in findings.jsonl"
        parts.append(element("p", said, class_="muted"))
    return parts


def _then(report: AuditReport, project: Project | None) -> Markup:
    lines = [
        "selaras data audit --fix                       take out what needs no person",
        "selaras data decide ROW --approve --reason …   it is right: not brought up again",
        "selaras data decide ROW --relabel expected=answer --reason …",
        "selaras data decide ROW --remove --reason …",
        "selaras data restore [ROW]                     take the last --fix back, or what was "
        "decided about a row",
    ]
    said = (
        "Findings to review are for people: a row may look mislabelled and be right. Their "
        "decisions are lines of data/decisions.jsonl, which every command applies."
    )
    where = [element("p", element("small", "In the project's folder."))] if project else []
    shown = "\n".join(lines) if report.findings else "selaras data list"
    return join([element("p", said), element("pre", shown), *where])


def _anchor(name: str) -> str:
    return "find-" + "".join(c if c.isalnum() else "-" for c in name)
