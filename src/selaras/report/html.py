"""`selaras report`: one self-contained page with the figures and all that they rest on."""

from collections.abc import Mapping, Sequence

from selaras.core.project import Project
from selaras.data import Development, looks_at, read_seal
from selaras.data.seal import Seal
from selaras.evaluate import Evaluation
from selaras.evaluate.gate import gate_states, not_held_out
from selaras.evaluate.spent import opened_rows
from selaras.page import Child, Markup, element, join, page
from selaras.policy import Policy, load_policies
from selaras.report import compare_html, html_evidence, html_figures, html_judge
from selaras.report.html_audited import audited
from selaras.report.html_levers import levers_html
from selaras.report.html_showcase import showcase as showcase_html
from selaras.report.levers import levers
from selaras.report.lineage import ancestors
from selaras.report.model import Measured, measured
from selaras.report.naming import notes_told
from selaras.report.reproduce import commands
from selaras.report.rows import development_of, row_counts
from selaras.report.showcase import exhibits
from selaras.report.story import story
from selaras.report.tuning import TuningRun, tuning_runs

Section = tuple[str, str, Child]


def render_report(
    project: Project,
    evaluations: Sequence[Evaluation],
    showcase: Sequence[Evaluation] = (),
    development: Development | None = None,
) -> str:
    """Return the report on evaluations as one HTML page that loads nothing.

    The first evaluation is the reference. `showcase` are evaluations of the same Systems on a few
    development rows, whose text is joined from `development` (opened here unless it is given).
    The same runs give the same page. Raises InputError where the evaluations do not compare,
    SealError where a showcase would show a sealed row.
    """
    found = measured(evaluations)
    seal = read_seal(project)
    opened = development_of(project, development, needed=bool(showcase))
    shown = exhibits(showcase, opened, seal, found.lines) if opened else []
    listed = load_policies(project)
    titles = _titles(listed)
    runs = tuning_runs(project, found.lines)
    looks = looks_at(project, seal) if seal else []
    counts = row_counts(opened, seal)
    nodes = ancestors(project, [line.evaluation.manifest.id for line in found.lines])
    sections: list[Section] = [
        ("figures", "The figures", _figures(found, project, runs)),
        ("criteria", "Launch criteria", _criteria(found, project)),
        ("policies-cells", "Policy by policy", html_figures.cells(found, titles)),
    ]
    if rows := levers(found):
        sections.insert(0, ("levers", "The levers side by side", levers_html(rows)))
    if shown:
        sections.append(("outputs", "Answers side by side", showcase_html(shown)))
    if texts := opened_rows(project) if found.reference.evaluation.opened else {}:
        sections.append(("opened", "Opened rows", compare_html.opened(found.evaluations, texts)))
    sections.append(("rows", "Rows", html_evidence.row_table(counts, titles)))
    sections.append(("audit", "Data audit", audited(project)))
    sections.append(("systems", "Systems", html_evidence.systems(found, project)))
    sections.append(("judge", "Judges", html_judge.judge(found, project)))
    if runs:
        sections.append(("tuning", "Tuning runs", html_evidence.tuning(runs)))
    sections += [
        ("looks", "Looks", html_evidence.looks(looks, seal, project.file.look_budget)),
        ("policies", "Policies", html_evidence.policies(listed, found, project)),
        ("lineage", "Lineage", html_evidence.lineage_table(nodes)),
        ("again", "Do it again", commands(project, found, runs)),
    ]
    body = join(
        [_summary(found, project, listed, seal), *(_section(*section) for section in sections)]
    )
    links = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in sections]
    return page(
        f"{project.file.product}: what the figures show",
        body,
        lede=_lede(found),
        nav=element("ul", *links),
        footer=_footer(found),
        style=compare_html.STYLE if texts else "",
    )


def _lede(found: Measured) -> Markup:
    held_out = found.held_out and not any(not_held_out(x.evaluation) for x in found.lines)
    stamp = element("span", found.stamp, class_="stamp good" if held_out else "stamp")
    many = (
        f"{len(found.lines)} System{'s' * (len(found.lines) > 1)} on {found.reference.rows:,} rows"
    )
    return join([stamp, f" {many}, measured {_day(found)}"])


def _summary(
    found: Measured, project: Project, listed: Mapping[str, Policy], seal: Seal | None
) -> Markup:
    said = [element("p", text) for text in story(found, project)]
    warned = [element("p", text, class_="warning") for text in _warnings(found, listed, seal)]
    return element("section", *said, *warned, aria_label="Summary")


def _figures(found: Measured, project: Project, runs: Sequence[TuningRun]) -> Markup:
    seeds = {label: run.seeds_words for run in runs for label in run.systems}
    for line in found.lines:
        if line.tuned:
            seeds.setdefault(line.label, "a run not in this ledger")
    parts = [
        html_figures.main_table(found, seeds),
        element("h3", "The trade-off"),
        html_figures.tradeoff_plot(found),
        element("h3", "Over-refusal by kind"),
        html_figures.kind_bars(found, project.file.gates),
    ]
    if found.comparisons:
        parts.append(html_figures.differences(found))
    parts.append(html_figures.other_table(found))
    return join(parts)


def _criteria(found: Measured, project: Project) -> Markup:
    states = {
        line.label: gate_states(project, line.evaluation, found.evaluations) for line in found.lines
    }
    return html_figures.criteria(states, project.file.look_budget)


def _warnings(found: Measured, listed: Mapping[str, Policy], seal: Seal | None) -> list[str]:
    """Return what a reader must know before taking the figures at their word."""
    warnings = notes_told({x.label: x.evaluation.manifest.notes for x in found.lines})
    if found.seal and (seal is None or found.seal not in {seal.id, *seal.extends}):
        warnings.append(
            f"These rows were sealed as {found.seal}, which is not the project's hold-out any more"
        )
    for line in found.lines:
        then = line.evaluation.manifest.policies
        stale = [name for name, policy in listed.items() if then.get(name, 0) < policy.revision]
        if stale:
            warnings.append(
                f"{line.label} was measured before the present revision of {', '.join(stale)}: "
                "measure it again"
            )
    silent = [line.label for line in found.lines if line.unscored or line.errors]
    if silent:
        warnings.append(
            f"Some rows are unscored or failed for {', '.join(silent)}; the reasons are in each "
            "run's verdicts.jsonl"
        )
    return warnings


def _titles(listed: Mapping[str, Policy]) -> dict[str, str]:
    """Return a title for each policy, with its id where two share one."""
    titles = [policy.title for policy in listed.values()]
    return {
        name: policy.title if titles.count(policy.title) == 1 else f"{policy.title} ({name})"
        for name, policy in listed.items()
    }


def _section(name: str, title: str, content: Child) -> Markup:
    return element("section", element("h2", title, id=f"{name}-title"), content, id=name,
                   aria_labelledby=f"{name}-title")  # fmt: skip


def _day(found: Measured) -> str:
    manifests = [line.evaluation.manifest for line in found.lines]
    return max(manifest.finished or manifest.started for manifest in manifests)[:10]


def _footer(found: Measured) -> str:
    versions = found.reference.evaluation.manifest.versions
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Made by Selaras. This page loads nothing and runs nothing. Measured with {told}."
