"""What the parts of a prompt do over many rows: which never matter, harm, or raise over-refusal.

Every row is rendered and each instruction (a sentence of the system message), few-shot example and
the user's own text is deleted once. Two things are asked of the same forwards: the log-probability
of the first tokens of the response that is wanted (the row's own, else the model's), and the
log-odds of opening with a usual refusal instead. Means over rows with BCa bootstrap intervals over
clusters, simultaneous by Bonferroni over the parts. Findings are written one a line, for people and
for `selaras prompt` (see template.finding); the format is in docs/debug.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from selaras.core.errors import InputError, ModelError, SealError, one_line
from selaras.core.fingerprint import seed_from
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Example, Expected, Query
from selaras.data.rows import load_rows, read_rows
from selaras.debug.leave_one_out import one_out
from selaras.debug.opening import (
    REFUSAL,
    REFUSAL_TOKENS,
    answer,
    open_debugged,
    render_prompt,
)
from selaras.debug.probe import LocalProbe, identity_of
from selaras.debug.segments import PromptView, Segment, cut, view_prompt
from selaras.debug.settings import Settings
from selaras.debug.store import AblationStore
from selaras.debug.target import whole_response
from selaras.evaluate.systems import with_rows_read
from selaras.models.names import place_of
from selaras.stats import bca
from selaras.template import PLAIN
from selaras.template.finding import Finding, FindingName, FoundPart
from selaras.template.versions import named_prompt

WANTED_TOKENS = 16
NEGLIGIBLE = 0.1  # nats: a tenth more or less likely
FEWEST = 8
DEVELOPMENT = "development"


@dataclass(frozen=True, slots=True)
class Effect:
    """A mean effect in nats, of `n` rows, with its simultaneous 95 % interval."""

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the prompt that rows share, with what deleting it does.

    `wanted`: the loss of log p of the wanted response. `refusing_safe`: the part's push towards a
    refusal, in log-odds, on rows that should be answered; `refusing_unsafe` on rows to be refused.
    None where fewer than eight rows can tell.
    """

    role: str
    origin: str
    text: str
    message: int | None
    start: int
    end: int
    name: str | None
    nth: int
    wanted: Effect | None
    refusing_safe: Effect | None
    refusing_unsafe: Effect | None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The findings of a System's prompt over rows; `failed` rows say why."""

    system: str
    prompt: str | None
    rows: int
    failed: tuple[tuple[str, str], ...]
    shares: dict[str, float]
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "system": self.system, "prompt": self.prompt, "rows": self.rows,
            "role_share": self.shares,
            "failed": [{"row": row, "reason": why} for row, why in self.failed],
            "parts": [asdict(part) for part in self.parts],
            "findings": [finding.model_dump(mode="json") for finding in self.findings],
        }  # fmt: skip


@dataclass(slots=True)
class _Tally:
    """The effects of one part, row by row: (cluster, nats)."""

    segment: Segment
    text: str
    nth: int
    wanted: list[tuple[str, float]] = field(default_factory=list)
    safe: list[tuple[str, float]] = field(default_factory=list)
    unsafe: list[tuple[str, float]] = field(default_factory=list)


def aggregate(
    project: Project, system: str | None, rows: Path, limit: int, settings: Settings,
    progress: Progress = SILENT,
) -> Aggregate:  # fmt: skip
    """Return what the parts of a System's prompt do over the rows of a file, or `development`.

    Raises InputError where there are no rows, or the System has no local model.
    """
    name = system or next(iter(project.file.systems), "")
    spec = project.system_spec(name)
    model = open_debugged(spec.model, place_of(project, progress))
    written = named_prompt(project.root, spec.prompt).template if spec.prompt else PLAIN
    template = with_rows_read(project, written, progress)
    shown = written.front.selaras.examples.rows
    chosen = chosen_rows(project, rows, limit, settings.seed, besides=shown)
    store = AblationStore(project.cache / "ablations.sqlite", identity_of(model))
    tallies: dict[_Key, _Tally] = {}
    shares: list[dict[str, float]] = []
    failed: list[tuple[str, str]] = []
    with progress.task("rows", len(chosen)) as task:
        for row in chosen:
            case = project.use_case(row.use_case) if row.use_case else None
            try:
                rendered = render_prompt(template, row=row, use_case=case)
                wanted = row.response if isinstance(row, Example) and row.response else None
                wanted = wanted or answer(model, rendered)
                view = view_prompt(model.chat, rendered)
                shares.append(_row(model, store, view, wanted, row, tallies))
            except (InputError, ModelError) as error:
                failed.append((row.id, one_line(str(error), 200)))
            task.advance(note=row.id)
    if not shares:
        raise InputError(f"no row could be read: {failed[0][1] if failed else 'none was given'}")
    shared = [tally for tally in tallies.values() if tally.segment.origin in _SHARED]
    parts = tuple(_part(tally, len(shared), settings.seed) for tally in shared)
    about = {"system": name, "prompt": spec.prompt, "template": written.fingerprint,
             "model": str(model.identity["name"])}  # fmt: skip
    found = tuple(finding for part in parts for finding in _findings(part, about))
    mean = {o: float(np.mean([s.get(o, 0.0) for s in shares])) for s in shares for o in s}
    return Aggregate(name, spec.prompt, len(shares), tuple(failed), mean, parts, found)


_SHARED = ("system", "few_shot", "silent")
# What a part is told by from row to row: its role, name, words, and how often they stood before it.
_Key = tuple[str, str | None, str, int]


def chosen_rows(
    project: Project, rows: Path, limit: int, seed: int, besides: Sequence[str] = ()
) -> list[Query]:
    """Return at most `limit` rows, kinds in turn, in a random order of the seed's.

    None whose id is in `besides`. Raises SealError for a file of the sealed hold-out.
    """
    if str(rows) == DEVELOPMENT:
        found: Sequence[Query] = load_rows(project).kept
    else:
        if rows.resolve().is_relative_to(project.holdout.resolve()):
            raise SealError("these rows are sealed", path=rows, fix="give development rows")
        found = read_rows([rows])[0]
    found = [row for row in found if row.id not in besides]
    if not found:
        raise InputError("no rows", path=rows)
    kinds: dict[str, list[Query]] = {}
    for row in sorted(found, key=lambda row: seed_from("debug", seed, row.id)):
        kinds.setdefault(row.kind, []).append(row)
    turns = [row for i in range(len(found)) for rows in kinds.values() for row in rows[i : i + 1]]
    return turns[:limit]


def _row(
    model: Any, store: AblationStore, view: PromptView, wanted: str, row: Query,
    tallies: dict[_Key, _Tally],
) -> dict[str, float]:  # fmt: skip
    """Add a row's effects to the tallies; return the share of each origin."""
    segments = list(parts_of(view))
    target = whole_response(model.chat, wanted, (REFUSAL,))
    probe = LocalProbe(model, view, target, store)
    logp = probe.ask(segments, one_out(len(segments)))
    said = logp[0][:, :WANTED_TOKENS].sum(axis=1)
    odds = logp[1][:, :REFUSAL_TOKENS].sum(axis=1) - logp[0][:, :REFUSAL_TOKENS].sum(axis=1)
    loss, push = said[0] - said[1:], odds[0] - odds[1:]
    cluster = row.cluster or row.id
    shares: dict[str, float] = {}
    for segment, lost, pushed in zip(segments, loss, push, strict=True):
        text, nth = view.text_of(segment).strip(), _earlier(view, segment)
        key = (segment.role, segment.name, text, nth)
        tally = tallies.setdefault(key, _Tally(segment, text, nth))
        tally.wanted.append((cluster, float(lost)))
        if row.expected is Expected.ANSWER:
            tally.safe.append((cluster, float(pushed)))
        elif row.expected is Expected.REFUSE:
            tally.unsafe.append((cluster, float(pushed)))
        total = float(np.abs(loss).sum()) or 1.0
        shares[segment.origin] = shares.get(segment.origin, 0.0) + abs(float(lost)) / total
    return shares


def parts_of(view: PromptView) -> Iterator[Segment]:
    """Yield the instructions by sentence, few-shot by example, the user's own text whole."""
    by = {"system": "sentence", "silent": "message", "few_shot": "example"}
    for unit in ("sentence", "example", "message"):
        for segment in cut(view, unit):
            if segment.ablatable and segment.tokens and by.get(segment.origin, "message") == unit:
                held = segment.message in _shot_messages(view) and segment.origin == "variable"
                if not held:
                    yield segment


def _earlier(view: PromptView, segment: Segment) -> int:
    """Return how often a part's words stand before it in the author's text of its role."""
    text, own = view.text_of(segment).strip(), (segment.role, segment.origin)
    before = [view.text[s.start : min(s.end, segment.start)] for s in view.stretches
              if (s.role, s.origin) == own and s.start < segment.start]  # fmt: skip
    return sum(each.count(text) for each in before)


def _shot_messages(view: PromptView) -> set[int | None]:
    return {s.message for s in view.stretches if s.origin == "few_shot"}


def _part(tally: _Tally, parts: int, seed: int) -> Part:
    segment = tally.segment
    effects = [_effect(found, parts, seed) for found in (tally.wanted, tally.safe, tally.unsafe)]
    return Part(segment.role, segment.origin, tally.text, segment.message, segment.start,
                segment.end, segment.name, tally.nth, *effects)  # fmt: skip


def _effect(found: Sequence[tuple[str, float]], parts: int, seed: int) -> Effect | None:
    if len(found) < FEWEST:
        return None
    values = np.array([nats for _, nats in found])
    interval = bca(
        len(found), lambda rows: float(values[rows].mean()), [cluster for cluster, _ in found],
        confidence=1 - 0.05 / max(parts, 1), seed=seed,
    )  # fmt: skip
    return Effect(len(found), interval.value, interval.low, interval.high)


def _findings(part: Part, about: Mapping[str, str | None]) -> Iterator[Finding]:
    odds, wanted = "log-odds of refusing (nats)", "log p of the wanted response (nats)"

    def found(name: FindingName, effect: Effect, unit: str, proposed: str) -> Finding:
        own = {key: value for key, value in asdict(part).items() if key in FoundPart.model_fields}
        return Finding.model_validate(
            {"finding": name, "segment": own, **asdict(effect), "unit": unit,
             "proposed": proposed, **about}
        )  # fmt: skip

    every = [e for e in (part.wanted, part.refusing_safe, part.refusing_unsafe) if e is not None]
    if every and all(max(abs(e.low), abs(e.high)) < NEGLIGIBLE for e in every):
        yield found("never_matters", every[0], wanted, "delete it")
    if part.wanted is not None and part.wanted.high < 0:
        yield found("harms", part.wanted, wanted, "delete or rewrite it")
    safe, unsafe = part.refusing_safe, part.refusing_unsafe
    if safe is not None and safe.low > 0:
        yield found("raises_over_refusal", safe, odds, "rewrite it: say what is safe as well")
    if unsafe is not None and unsafe.low > 0:
        yield found("makes_it_refuse", unsafe, odds, "keep it")
