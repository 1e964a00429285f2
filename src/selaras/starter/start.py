"""`selaras start`: from a system prompt to a project, a first look and one proposed principle.

Everything it measures is a development figure on public probe queries: a place to begin, and no
evidence for anybody else. A start that was killed goes on where it was when it is run again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project
from selaras.core.records import Query
from selaras.data import DEVELOPMENT_FIGURES, read_rows
from selaras.evaluate import (
    DEFAULT_JUDGE,
    Comparison,
    Evaluation,
    Suite,
    Terms,
    compare,
    evaluate,
    open_system,
    summary,
)
from selaras.models.names import Place, open_model
from selaras.policy import Policy, builtin_policies, load_policies
from selaras.prompt.draft import Draft, draft, draft_by_model
from selaras.prompt.from_policy import principle_of
from selaras.prompt.gates import GateVerdict, gates, passes
from selaras.prompt.importers import import_prompts
from selaras.starter.begin import (
    AS_GIVEN,
    PROBES,
    PROMPT,
    PROPOSED,
    judge_inside,
    local_endpoints,
    reopened,
    rows_for,
    write_project,
)
from selaras.starter.probes import probe_queries
from selaras.starter.worst import Worst, gravest, worst_answers
from selaras.template import PLAIN, Principle, PromptTemplate, load_prompt, with_principles
from selaras.template.versions import propose, read_version

APPLICATIONS = ("http:", "https:", "python:")
OWN_PROMPT = (
    "the application keeps its own prompt: the principle is sent as a system message, and you have "
    "to put it into the application's prompt"
)
EVERYDAY = (
    "Answer everyday requests directly and helpfully; decline only what would really do harm."
)


@dataclass(frozen=True, slots=True)
class Request:
    """What `start` is asked for. `prompt` may be missing where the model is an application.

    `send_prompt` sends the prompt to an application as well; `principle` takes the place of the
    proposed one; `most` bounds the probes (for a dear endpoint).
    """

    folder: Path
    prompt: Path | None
    model: str | None = None
    judges: tuple[str, ...] = (DEFAULT_JUDGE,)
    values: Mapping[str, str] = field(default_factory=dict)
    ask_model: bool = False
    send_prompt: bool = False
    principle: str | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """The project, what was drafted for it (None where it was there already), its probes."""

    project: Project
    draft: Draft | None
    template: PromptTemplate
    rows: tuple[Query, ...] = field(repr=False)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """What the start found. `after` is None where nothing went wrong, or a gate did not pass."""

    begun: Begun
    before: Evaluation
    worst: tuple[Worst, ...]
    principle: Principle | None = None
    verdicts: tuple[GateVerdict, ...] = ()
    after: Evaluation | None = None
    comparisons: tuple[Comparison, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as JSON values; the ten worst answers with their texts."""
        return {
            "project": str(self.begun.project.root),
            "stamp": DEVELOPMENT_FIGURES,
            "use_cases": [case.id for case in self.begun.project.file.use_cases],
            "policies": list(self.begun.project.file.policies),
            "probes": len(self.begun.rows),
            "worst": [
                {"row": each.row.id, "query": each.row.query, "answer": each.answer,
                 "why": each.why, "policy": each.policy}
                for each in self.worst
            ],
            "principle": self.principle.model_dump(mode="json") if self.principle else None,
            "gates": [{"name": v.name, "passed": v.passed, "reason": v.reason}
                      for v in self.verdicts],
            "systems": [summary(one) for one in (self.before, self.after) if one],
            "paired": [comparison.to_dict() for comparison in self.comparisons],
        }  # fmt: skip


def begin(request: Request, progress: Progress = SILENT) -> Begun:
    """Return the project of a prompt, drafted and written where it is not there yet.

    Raises InputError where the folder holds something else, or no model is named.
    """
    template, notes = _template(request)
    model = request.model or template.front.model
    if model is None:
        raise InputError("no model is named", fix="name it: --model openai:NAME@URL")
    if (request.folder / FILE).exists():
        project = reopened(request.folder, model)
        rows, _ = read_rows([project.root / PROBES])
        kept = load_prompt(project.root / PROMPT)
        return Begun(project, None, kept, tuple(rows), notes)
    known = builtin_policies()
    text = "" if request.prompt is None else request.prompt.read_text(encoding="utf-8-sig")
    drafted = draft(text, {n: p for n, p in known.items() if not p.statement_only})
    if request.ask_model:
        patient = local_endpoints(model)
        runs, cache = request.folder / "runs", request.folder / ".selaras"
        place = Place(Path(), runs, cache, progress, patient)
        drafted, said = draft_by_model(text, known, open_model(model, place), drafted)
        notes = (*notes, said)
    probes = _spread(probe_queries(drafted.policies), request.most)
    rows = rows_for(template, probes, request.values, drafted.use_cases[0].id)
    project = write_project(request.folder, template, model, drafted, rows)
    return Begun(project, drafted, template, tuple(rows), notes)


def start(request: Request, progress: Progress = SILENT) -> Started:
    """Draft, measure, propose, measure again; return what was found. The project stays.

    Run again it asks only what was not answered. Raises InputError for bad input, SelarasError
    where no probe could be answered at all.
    """
    begun = begin(request, progress)
    project, policies = begun.project, load_policies(begun.project)
    judges = [judge_inside(judge, request.folder) for judge in request.judges]
    before = _measured(begun, AS_GIVEN, judges, progress)
    found = worst_answers(before, begun.rows, policies)
    principle = _principle(request, begun, found, policies)
    if principle is None:
        return Started(begun, before, tuple(found[:10]))
    parent = read_version(project.root / PROMPT, AS_GIVEN).template
    child = with_principles(parent, (*parent.front.selaras.principles, principle))
    verdicts = gates(parent, child, rows=begun.rows, policies=policies)
    if not passes(verdicts):
        return Started(begun, before, tuple(found[:10]), principle, verdicts)
    propose(project.root / PROMPT, child, PROPOSED, f"selaras start: {principle.id}")
    after = _measured(begun, PROPOSED, judges, progress)
    return Started(
        begun, before, tuple(found[:10]), principle, verdicts, after, tuple(compare(before, after))
    )


def _template(request: Request) -> tuple[PromptTemplate, tuple[str, ...]]:
    application = (request.model or "").startswith(APPLICATIONS)
    if request.prompt is None:
        if not application:
            raise InputError("no prompt is named", fix="name its file: --prompt FILE")
        return PLAIN, (OWN_PROMPT,)
    if request.prompt.suffix == ".prompt":
        template: PromptTemplate = load_prompt(request.prompt)
        notes: tuple[str, ...] = ()
    else:
        first, *others = import_prompts(request.prompt)
        template, notes = first.template, first.notes
        if others:
            left = f"the file holds {len(others) + 1} prompts: this is about {first.name}"
            notes = (*notes, left)
    if application and not request.send_prompt:
        return PLAIN, (*notes, OWN_PROMPT)
    return template, notes


def _measured(begun: Begun, name: str, judges: Sequence[str], progress: Progress) -> Evaluation:
    opened = open_system(begun.project, name, begun.project.system_spec(name), progress)
    clusters = tuple(row.cluster or row.id for row in begun.rows)
    suite = Suite(begun.rows, clusters, DEVELOPMENT_FIGURES, notes=("public probe queries",))
    return evaluate(
        begun.project,
        opened,
        suite,
        checks=(),
        judges=judges,
        resume=True,
        terms=Terms(retry_errors=True),
        progress=progress,
    )


def _principle(
    request: Request, begun: Begun, found: Sequence[Worst], policies: Mapping[str, Policy]
) -> Principle | None:
    taken = [principle.id for principle in begun.template.front.selaras.principles]
    if request.principle is not None:
        return Principle(id=f"own-{len(taken) + 1}", text=request.principle)
    grave = gravest(found)
    if grave is None:
        return None
    policy, failing = grave
    rows = [each.row.id for each in found if (each.policy, each.failing) == grave]
    if policy is None:
        return Principle(id=f"everyday-{len(taken) + 1}", text=EVERYDAY, feedback=tuple(rows))
    return principle_of(policies[policy], failing, rows, taken)


def _spread(rows: Sequence[Query], most: int | None) -> list[Query]:
    """Return at most so many rows, each policy and kind in turn, twins kept together."""
    if most is None or most >= len(rows):
        return list(rows)
    cells: dict[str, list[list[Query]]] = {}
    clusters: dict[str, list[Query]] = {}
    for row in rows:
        clusters.setdefault(row.cluster or row.id, []).append(row)
    for group in clusters.values():
        cells.setdefault(group[0].policies[0] if group[0].policies else "-", []).append(group)
    chosen: list[Query] = []
    for number in range(max(map(len, cells.values()))):
        for groups in cells.values():
            if number < len(groups) and len(chosen) + len(groups[number]) <= most:
                chosen += groups[number]
    return chosen
