"""`selaras data audit`: all audits over rows, what they found, and what of it may be repaired.

One audit that cannot run (a missing package) does not stop the others: what it had found stands,
and the reason is told.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from selaras.core.decisions import Removal, apply_decisions, read_decisions, standing
from selaras.core.errors import InputError, MissingExtraError
from selaras.core.late import resolve
from selaras.core.progress import SILENT, Progress
from selaras.core.project import AuditSettings, Project, UseCase
from selaras.core.records import Query
from selaras.data.embeddings import Embeddings
from selaras.data.encoder import MINILM, Encoder, encoder_for
from selaras.data.finding import (
    AskSame,
    Audit,
    AuditInput,
    Figures,
    Finding,
    Level,
    Proposal,
    text_fields,
)
from selaras.data.personal import masked
from selaras.data.rows import load_rows, read_rows
from selaras.data.seal import read_seal
from selaras.policy import builtin_policies, check_rows, load_policies

LEVELS: tuple[Level, ...] = ("fault", "review", "note")
GATE = "coverage"
WITHOUT_ENCODER = {"coverage", "hygiene"}
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What one run of the audits is asked beside the project's settings.

    `reference` are files of rows to compare diversity with, `embedder` an encoder instead of the
    settings', `same` a judge of pairs that are only close.
    """

    reference: tuple[Path, ...] = ()
    embedder: str | None = None
    same: AskSame | None = None


@dataclass(frozen=True)
class AuditReport:
    """What the audits said of rows. `not_run` holds the reason for each that could not finish.

    `removed` are rows that earlier decisions had taken out: they were not audited. `approved` is
    how many findings a person had looked at and approved; they are not repeated. `encoder` is what
    read the rows' meaning.
    """

    rows: tuple[Query, ...]
    findings: tuple[Finding, ...]
    figures: Mapping[str, Mapping[str, Any]]
    not_run: Mapping[str, str]
    removed: tuple[Removal, ...] = ()
    approved: int = 0
    encoder: str = MINILM.label

    @property
    def passed(self) -> bool:
        """Whether the coverage gate passes: no wanted cell is under its minimum."""
        return not any(f.audit == GATE and f.level == "fault" for f in self.findings)

    @property
    def reads_meaning(self) -> bool:
        """Whether an audit that asks an encoder was among them."""
        return bool((self.figures.keys() | self.not_run.keys()) - WITHOUT_ENCODER)

    @cached_property
    def repairs(self) -> tuple[tuple[Finding, Proposal], ...]:
        """What `--fix` would do: the safe proposals with their findings, one a row."""
        found: dict[str, tuple[Finding, Proposal]] = {}
        for finding in self.findings:
            for proposal in finding.proposed:
                if proposal.safe:
                    found.setdefault(proposal.record, (finding, proposal))
        return tuple(found.values())

    @cached_property
    def saved(self) -> dict[str, int]:
        """How many rows and tokens (words and marks) the repairs would take out, and of how many.

        Every token that is not trained on or answered again is saved once an epoch or look.
        """
        out = {proposal.record for _, proposal in self.repairs}
        counts = {row.id: tokens(row) for row in self.rows}
        return {
            "rows": len(out), "of_rows": len(self.rows),
            "tokens": sum(counts[name] for name in out), "of_tokens": sum(counts.values()),
        }  # fmt: skip

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many findings of each level there are, by audit and check."""
        made: dict[str, dict[str, int]] = {}
        for finding in self.findings:
            levels = made.setdefault(finding.name, dict.fromkeys(LEVELS, 0))
            levels[finding.level] += 1
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return findings and figures as JSON values, without the text of rows."""
        return {
            "rows": len(self.rows), "passed": self.passed, "saved": self.saved,
            "encoder": self.encoder,
            "not_run": dict(self.not_run), "approved": self.approved,
            "removed": [removal.record for removal in self.removed], "counts": self.counts(),
            "findings": [finding.to_dict() for finding in self.findings],
            "figures": {name: dict(values) for name, values in self.figures.items()},
        }  # fmt: skip


def audit_project(
    project: Project,
    audits: Mapping[str, str],
    progress: Progress = SILENT,
    options: AuditOptions = AuditOptions(),
) -> AuditReport:
    """Return what the audits say of the project's development rows; sealed rows are not read."""
    loaded = load_rows(project)
    given = _input(loaded.kept, project, progress, options)
    return _audited(given, loaded.removed, audits)


def audit_files(
    paths: Sequence[Path],
    audits: Mapping[str, str],
    project: Project | None = None,
    progress: Progress = SILENT,
    options: AuditOptions = AuditOptions(),
) -> AuditReport:
    """Return what the audits say of the rows of files, in a project or outside one.

    In a project its policies, use cases, settings and decisions hold. Raises InputError for bad
    rows, and where a file holds sealed rows.
    """
    rows, places = read_rows(paths)
    if not rows:
        raise InputError("no rows", path=paths[0], fix="give JSON Lines with one row a line")
    if project is None:
        return _audited(_input(rows, None, progress, options), (), audits)
    if inside := [path for path in paths if path.resolve().is_relative_to(project.holdout)]:
        raise InputError("sealed rows are not audited", path=inside[0])
    check_rows(rows, load_policies(project), project.file.use_cases, places=places)
    kept, removed = apply_decisions(rows, read_decisions(project.decisions))
    given = _input(kept, project, progress, options)
    return _audited(given, removed, audits)


def run_audits(given: AuditInput, audits: Mapping[str, Audit]) -> AuditReport:
    """Return what audits say; an audit that lacks a package tells so and leaves the others be."""
    findings: list[Finding] = []
    figures: dict[str, Mapping[str, Any]] = {}
    not_run: dict[str, str] = {}
    with given.progress.task("audits", len(audits)) as task:
        for name, audit in audits.items():
            try:
                for said in audit(given):
                    if isinstance(said, Figures):
                        figures[said.audit] = said.values
                    else:
                        findings.append(_covered(said, given.settings.phone_regions))
            except MissingExtraError as error:
                not_run[name] = str(error)
            task.advance(1, name)
    unique = {finding.id: finding for finding in findings}.values()
    return AuditReport(given.rows, tuple(_by_weight(unique)), figures, not_run,
                       encoder=given.encoder.label)  # fmt: skip


def tokens(row: Query) -> int:
    """Return the words and marks of a row: an estimate of its tokens that needs no model.

    >>> tokens(Query(id="a", query="Kill it, how?"))
    5
    """
    return sum(1 for text in text_fields(row).values() for _ in _TOKEN.finditer(text))


def _audited(
    given: AuditInput, removed: Iterable[Removal], audits: Mapping[str, str]
) -> AuditReport:
    report = run_audits(given, {name: resolve(target) for name, target in audits.items()})
    kept = tuple(_without(report.findings, _approved(given.project)))
    return replace(
        report,
        findings=kept,
        removed=tuple(removed),
        approved=len(report.findings) - len(kept),
    )


def _input(
    rows: Iterable[Query],
    project: Project | None,
    progress: Progress,
    options: AuditOptions,
) -> AuditInput:
    seal = read_seal(project) if project else None
    # A split that was killed may have left rows on both sides: the seal decides.
    sealed = {row.id for row in seal.rows} if seal else set()
    rows = tuple(row for row in rows if row.id not in sealed)
    other = tuple(read_rows(options.reference)[0]) if options.reference else ()
    if project is None:
        named = {name for row in rows for name in row.policies}
        policies = {k: v for k, v in builtin_policies().items() if k in named}
        ids = dict.fromkeys(row.use_case for row in rows if row.use_case)
        use_cases = tuple(UseCase(id=name, title=name) for name in ids)
        settings = AuditSettings()
    else:
        policies, use_cases = load_policies(project), project.file.use_cases
        settings = project.file.audit
    encoder = encoder_for(options.embedder or settings.embedder, len(rows))
    # One pass a text and encoder, whichever audits ask for it.
    closely = _embeddings(MINILM, project, progress)
    own = closely if encoder is MINILM else _embeddings(encoder, project, progress)
    return AuditInput(rows, own.embed, policies, use_cases, settings, project, other, progress,
                      encoder, closely.embed, options.same)  # fmt: skip


def _embeddings(encoder: Encoder, project: Project | None, progress: Progress) -> Embeddings:
    cache = project.cache / f"embeddings-{encoder.package}.npz" if project else None
    return Embeddings(encoder.open, cache, progress)


def _approved(project: Project | None) -> set[str]:
    if project is None:
        return set()
    held = standing(read_decisions(project.decisions))
    return {record for record, made in held.items() if made[-1].action == "approve"}


def _without(findings: Iterable[Finding], approved: set[str]) -> Iterator[Finding]:
    """Yield the findings less what is proposed for rows that a person approved."""
    for finding in findings:
        proposed = tuple(p for p in finding.proposed if p.record not in approved)
        if proposed or not finding.proposed:
            yield replace(finding, proposed=proposed)


def _covered(finding: Finding, regions: Sequence[str]) -> Finding:
    """Return the finding with personal data in its evidence masked, whichever audit shows it."""
    if not any(evidence.text for evidence in finding.evidence):
        return finding
    evidence = tuple(
        replace(each, text=each.text and masked(each.text, regions)) for each in finding.evidence
    )
    return replace(finding, evidence=evidence)


def _by_weight(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))
