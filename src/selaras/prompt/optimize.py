"""One search from the project's files to a run folder: `selaras prompt optimize`."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import write_json, write_text
from selaras.core.fingerprint import fingerprint
from selaras.core.late import resolve
from selaras.core.manifest import (
    Manifest,
    hashes,
    new_manifest,
    with_key,
    write_manifest,
)
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project
from selaras.core.records import Query
from selaras.core.system import Sampling, SystemSpec
from selaras.data import DEVELOPMENT_FIGURES, Development, open_development
from selaras.evaluate import (
    DEFAULT_JUDGE,
    Forecast,
    Opened,
    Terms,
    development_suite,
    forecast,
    open_judges,
    open_system,
    renderer,
)
from selaras.evaluate.systems import with_rows_read
from selaras.models.names import open_model, place_of
from selaras.policy import load_policies
from selaras.prompt import PROPOSERS, SEARCHES
from selaras.prompt.asking import Editor
from selaras.prompt.objective import summary_of
from selaras.prompt.proposals import Workshop, with_place_for_examples
from selaras.prompt.rollouts import (
    Rollouts,
    exact_score,
    project_rollouts,
    rows_key,
    same_label,
    walk,
)
from selaras.prompt.search import Proposer
from selaras.prompt.selection import Candidate, Rows, SearchResult, SearchSettings, divide
from selaras.template import PromptTemplate, load_prompt, write_prompt, written_input
from selaras.template.finding import Finding, findings_on, read_findings

JOURNAL, FOUND, WINNER, BEST = "journal.jsonl", "search.json", "winner.prompt", "best.prompt"
# gepa asks for all instructions in a fence: cut at 160 tokens, half of a 1.5B model's had no end.
EDITING_TOKENS = 320
# What a search changes where it is told nothing else; findings are added where there are some.
CHANGES = tuple(name for name in PROPOSERS if name != "findings")


@dataclass(frozen=True, slots=True)
class Order:
    """What to search and how. `system` names the model that answers (the first that uses the
    template by default), `editor` the model that proposes (the System's own by default).

    `exact` marks a reply by the row's own `response` instead of by judges; `rows` is the most
    development rows to use; `findings` a file of `selaras debug --rows` about the template.
    """

    prompt: Path
    system: str | None = None
    editor: str | None = None
    budget_calls: int = 300
    rows: int = 60
    judges: tuple[str, ...] = (DEFAULT_JUDGE,)
    exact: bool = False
    proposers: tuple[str, ...] = CHANGES
    search: str = "greedy"
    budget_tokens: int | None = None
    findings: Path | None = None
    settings: SearchSettings = field(default_factory=SearchSettings)

    def __post_init__(self) -> None:
        for name, known in ((self.search, SEARCHES), *((p, PROPOSERS) for p in self.proposers)):
            if name not in known:
                raise InputError(f"no {name!r} here", fix=f"use one of: {', '.join(known)}")
        if self.search != "greedy" and self.findings:
            raise InputError("only the greedy search proposes findings", fix="leave --search out")
        if ("findings" in self.proposers) != (self.findings is not None):
            raise InputError(
                "a search from findings needs their file, and the change 'findings'",
                fix="give --findings FILE (see: selaras debug --rows)",
            )


@dataclass(frozen=True, slots=True)
class Optimized:
    """A finished search with its run."""

    result: SearchResult
    manifest: Manifest
    folder: Path


@dataclass(frozen=True, slots=True)
class Bench:
    """A template with the System that answers with it, the editor's name and the rows."""

    template: PromptTemplate
    opened: Opened
    editor: str
    development: Development
    rows: Rows
    findings: tuple[Finding, ...] = ()


def prepare(project: Project, order: Order, progress: Progress = SILENT) -> Bench:
    """Return what a search needs, with no call made; raises InputError for what is missing."""
    name, spec = system_for(project, order.prompt, order.system)
    written = load_prompt(project.root / order.prompt)
    findings = template_findings(order.findings, written, order.prompt)
    template = with_rows_read(project, written, progress)
    if "few-shot" in order.proposers:
        template = with_place_for_examples(template)
    development = open_development(project, progress)
    opened = open_system(project, name, spec, progress)
    rows = divide(development.rows, development.groups, order.settings.seed, order.rows)
    return Bench(template, opened, order.editor or spec.model, development, rows, findings)


def template_findings(
    source: Path | None, template: PromptTemplate, file: Path
) -> tuple[Finding, ...]:
    """Return what a file found of a template; raises InputError where it says nothing of it."""
    if source is None:
        return ()
    found = findings_on(read_findings(source), template, file, source)
    if not found:
        raise InputError("there are no findings", path=source,
                         fix="measure more rows: selaras debug --rows … --limit N")  # fmt: skip
    return found


def system_for(project: Project, prompt: Path, name: str | None) -> tuple[str, SystemSpec]:
    """Return the System that a template is tried in, with the template as its prompt.

    Raises InputError where the project has no System.
    """
    systems = project.file.systems
    if name is None:
        using = [key for key, spec in systems.items() if spec.prompt == str(prompt)]
        name = next(iter([*using, *systems]), None)
    if name is None:
        raise InputError(
            "the project has no System", path=project.root / FILE, field="systems",
            fix="name a model under systems",
        )  # fmt: skip
    spec = project.system_spec(name)
    return name, spec.model_copy(update={"prompt": str(prompt)})


def forecast_search(project: Project, bench: Bench, budget_calls: int) -> Forecast:
    """Return what a search takes at most: its budget of calls, at the tokens of its rows."""
    suite = development_suite(bench.development, bench.rows.select)
    one = forecast(project, bench.opened, suite)
    scale = budget_calls / max(1, one.calls)
    return dataclasses.replace(
        one,
        calls=budget_calls,
        prompt_tokens=round(one.prompt_tokens * scale),
        tokens=round(one.tokens * scale),
        seconds=one.seconds * scale,
        cost=one.cost * scale if one.cost is not None else None,
    )


def optimize(
    project: Project, order: Order, *, resume: bool = False, progress: Progress = SILENT
) -> Optimized:
    """Search for a better template on development rows and return what was found.

    Written under runs/: the journal of calls, every step, the winner and the best. The template's
    own file is not touched. `resume` goes on with a search of the same order that was cut off, or
    whose budget was spent, with a larger one; none of its calls is made again.
    """
    bench = prepare(project, order, progress)
    manifest = _manifest(project, order, bench, resume)
    folder = write_manifest(project.runs, manifest)
    rollouts = rollouts_of(project, order, bench, folder)
    editor = Editor(
        open_model(bench.editor, place_of(project, progress)),
        rollouts.journal,
        Terms(rollouts.budget),
        Sampling(max_tokens=EDITING_TOKENS),
    )
    result = _search(project, order, bench, rollouts, editor, progress)
    write_text(folder / WINNER, write_prompt(result.winner.template))
    write_text(folder / BEST, write_prompt(result.best.template))
    write_json(folder / FOUND, found_values(result))
    done = manifest.model_copy(
        update={
            "status": "finished",
            "finished": now(),
            "figures": {"search": found_values(result)},
            "outputs": hashes(project.root, [folder / name for name in (WINNER, BEST, FOUND)]),
        }
    )
    write_manifest(project.runs, done)
    return Optimized(result, done, folder)


def rollouts_of(project: Project, order: Order, bench: Bench, folder: Path) -> Rollouts:
    """Return the rollouts of a search, its calls counted in the folder's journal."""
    journal, budget = walk(folder / JOURNAL, order.budget_calls)
    groups = bench.development.groups
    if not order.exact:
        judges = open_judges(order.judges, project)
        return project_rollouts(project, bench.opened, judges, groups, (journal, budget))
    score = exact_score(
        same_label, groups, lambda row: f"the reply had to be {getattr(row, 'response', '')!r}"
    )
    return Rollouts(
        bench.opened, lambda template: renderer(project, template), score, journal, budget
    )


def found_values(result: SearchResult) -> dict[str, Any]:
    """Return what a search found as JSON values: figures of seed and best, evidence, steps."""

    def shown(candidate: Candidate) -> dict[str, Any]:
        return {
            "name": candidate.name, "parent": candidate.parent, "how": candidate.how,
            "template": candidate.template.fingerprint, "value": candidate.value,
            "figures": summary_of(candidate.outcomes),
        }  # fmt: skip

    return {
        "improved": result.improved,
        "stamp": DEVELOPMENT_FIGURES,
        "winner": result.winner.name,
        "seed": shown(result.seed),
        "best": shown(result.best),
        "evidence": result.evidence.to_dict(),
        "p_value": result.p_value,
        "finalists": result.finalists,
        "noise": result.noise,
        "front": [shown(candidate) for candidate in result.front],
        "steps": [dataclasses.asdict(step) for step in result.steps],
        "calls": result.calls,
        "ended": result.ended,
    }


def _search(
    project: Project,
    order: Order,
    bench: Bench,
    rollouts: Rollouts,
    editor: Editor,
    progress: Progress,
) -> SearchResult:
    chosen = resolve(SEARCHES[order.search])
    rows = (*bench.rows.reflect, *bench.rows.select)

    def written(row: Query) -> str:
        return written_input(row, project.use_case(row.use_case))

    policies = load_policies(project)
    workshop = Workshop(
        editor, policies, bench.rows.reflect, rows, order.budget_tokens, written, bench.findings
    )
    proposers: Sequence[Proposer] = [resolve(PROPOSERS[n])(workshop) for n in order.proposers]
    more = {"editor": editor} if order.search == "gepa" else {}
    found: SearchResult = chosen(
        bench.template, rollouts, bench.rows, proposers, order.settings, progress, **more
    )
    return found


def _manifest(project: Project, order: Order, bench: Bench, resume: bool) -> Manifest:
    # The budget is no part of the identity: a larger one goes on where a smaller one ended.
    key = fingerprint(
        [
            bench.template.fingerprint,
            bench.opened.system.fingerprint,
            bench.editor,
            order.judges,
            order.exact,
            order.proposers,
            order.search,
            order.budget_tokens,
            dataclasses.asdict(order.settings),
            rows_key(bench.rows.reflect),
            rows_key(bench.rows.select),
            *(each.model_dump(mode="json") for each in bench.findings),
        ]
    )
    if resume:
        for status in ("running", "finished"):
            if known := with_key(project.runs, "prompt", key, status):
                return known.model_copy(update={"status": "running"})
    return new_manifest(
        "prompt",
        bench.template.front.name or order.prompt.stem,
        config={
            "key": key, "prompt": str(order.prompt), "search": order.search,
            "editor": bench.editor, "judges": list(order.judges), "exact": order.exact,
            "budget_calls": order.budget_calls, "proposers": list(order.proposers),
            "template": bench.template.fingerprint,
            "rows": [len(bench.rows.reflect), len(bench.rows.select)],
        },
        seed=order.settings.seed,
        system=bench.opened.system,
        policies={p.id: p.revision for p in load_policies(project).values()},
        inputs=hashes(
            project.root,
            [project.root / FILE, project.root / order.prompt, *project.data_files,
             *([order.findings.resolve()] if order.findings else [])],
        ),
        seal=bench.development.seal,
        stamp=DEVELOPMENT_FIGURES,
    )  # fmt: skip
