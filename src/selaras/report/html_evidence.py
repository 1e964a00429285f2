"""What the figures rest on: Systems, judge, tuning, rows, looks, policies, lineage."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from selaras.core.project import Project
from selaras.core.system import Sampling
from selaras.data.seal import Look, Seal
from selaras.page import Child, Markup, element, interval_text, join, table, untrusted
from selaras.policy import Policy
from selaras.report.lineage import Node
from selaras.report.model import KIND_WORDS, KINDS, Line, Measured, Rate
from selaras.report.rows import RowCounts
from selaras.report.tuning import TuningRun

SHORT = 12
MOST_REMOVED = 30
LONGEST = 400
WRAPPED = "white-space: pre-wrap; overflow-wrap: anywhere"
# The parts of a model's identity, as models name them; others are shown under their own names.
IDENTITY = {
    "name": "Model really used",
    "endpoint": "Endpoint",
    "weights": "Weights",
    "sha256": "File",
    "dtype": "Precision",
    "chat": "Chat template",
    "preamble": "System prompt that the chat template adds",
    "adapter": "Adapter",
    "adapter_scale": "Adapter scale",
}


def systems(found: Measured, project: Project) -> Markup:
    """Return what every System really was: what they share, then what tells them apart."""
    names = [name for name in IDENTITY if any(name in line.model for line in found.lines)]
    names += sorted({name for line in found.lines for name in line.model} - set(names))
    parts: dict[str, list[Child]] = {
        IDENTITY.get(name, name): [identity_part(line.model.get(name)) for line in found.lines]
        for name in names
    }
    parts["Prompt"] = [_prompt(line, project) for line in found.lines]
    parts["Guard"] = [identity_part(_of(line, "guard")) for line in found.lines]
    parts["Sampling"] = [_sampling(_of(line, "sampling")) for line in found.lines]
    parts["Fingerprint"] = [identity_part(_of(line, "fingerprint")) for line in found.lines]
    shared = [(name, own[0]) for name, own in parts.items() if len(set(own)) == 1]
    rows = [[name, *own] for name, own in parts.items() if len(set(own)) > 1]
    whole = {
        line.label: system.model_dump(mode="json")
        for line in found.lines
        if (system := line.evaluation.manifest.system)
    }
    columns = ["Part", *(line.label for line in found.lines)]
    return join(
        [
            fact_list(shared),
            table(columns, rows, caption="What tells them apart") if rows else None,
            element("details", element("summary", "Whole identities"), _json(whole)),
        ]
    )


def tuning(runs: Sequence[TuningRun]) -> Markup:
    """Return the tuning runs with the points among which each was chosen."""
    return join([_tuning_run(run) for run in runs])


def row_table(counts: RowCounts, titles: Mapping[str, str]) -> Markup:
    """Return the rows by policy and kind, and what was taken out with reasons."""
    known = {kind for _, kind in (*counts.held_out, *(counts.development or ()))}
    kinds = [kind for kind in KINDS if kind in known]
    columns = ["Policy", *(KIND_WORDS[kind].capitalize() for kind in kinds), "All"]
    rows: list[list[Child]] = []
    policies = sorted(counts.policies, key=[*titles, *counts.policies].index)
    for policy in [*policies, None]:
        own = [policy] if policy else policies
        cells = [_sides(counts, own, [kind]) for kind in kinds]
        name = titles.get(policy, "No policy" if policy == "-" else policy) if policy else "All"
        rows.append([name, *cells, _sides(counts, own, kinds)])
    sides = ["development"] if counts.development is not None else []
    sides += ["held out"] if counts.held_out else []
    key = f"{' + '.join(sides)}; a row of several policies counts under its first"
    made = table(columns, rows, caption="By policy and kind", numeric=set(columns[1:]), key=key)
    return join([made, _removed(counts)])


def looks(found: Sequence[Look], seal: Seal | None, budget: int) -> Markup:
    """Return how often the hold-out was looked at, and by what."""
    if seal is None:
        return element("p", "Nothing is sealed, so there was nothing to look at. Seal a hold-out: ",
                       element("code", "selaras data split"))  # fmt: skip
    made = f"Generation {seal.generation} of the hold-out, sealed {seal.created[:10]}: "
    said = element(
        "p", f"{made}{len(seal.rows):,} rows. ", element("b", f"{len(found)} of {budget}"),
        " looks are used. Every System that looks is another chance to pass by luck, so the launch "
        "criteria divide their level by the budget.",
    )  # fmt: skip
    rows: list[list[Child]] = [
        [look.number, look.name, element("code", look.system), element("code", look.run), look.at]
        for look in found
    ]
    heads = ["Look", "System", "Fingerprint", "Run", "When"]
    return join([said, table(heads, rows, caption="Looks at the hold-out")])


def policies(listed: Mapping[str, Policy], found: Measured, project: Project) -> Markup:
    """Return the policies with the revisions that were in force when the Systems were measured."""
    measured_at = found.reference.evaluation.manifest.policies
    rows: list[list[Child]] = []
    for name, policy in listed.items():
        then = measured_at.get(name)
        revision = (
            f"{then}" if then == policy.revision else f"{then or 'none'}, now {policy.revision}"
        )
        enforced = ", ".join(project.file.enforced_by.get(name, ())) or "not said"
        rows.append([policy.title, element("code", name), revision, policy.severity, policy.owner,
                     enforced])  # fmt: skip
    heads = ["Policy", "Id", "Revision", "Severity", "Owner", "Enforced by"]
    statements = [
        part
        for policy in listed.values()
        for part in (element("dt", policy.title), element("dd", policy.statement))
    ]
    folded = element("details", element("summary", "What they say"), element("dl", *statements))
    return join([table(heads, rows, caption="In force when the Systems were measured"), folded])


def lineage_table(nodes: Sequence[Node]) -> Markup:
    """Return the runs that led here, oldest first, and the files that they read."""
    rows: list[list[Child]] = []
    files: list[list[Child]] = []
    for node in nodes:
        manifest = node.manifest
        if manifest is None:
            continue
        parents = join([element("code", parent) for parent in manifest.parents], element("br"))
        when = manifest.finished or manifest.started
        system = manifest.system.name if manifest.system else ""
        rows.append([element("code", node.id), manifest.kind, system, when, parents or "none",
                     _hash(node.sha256)])  # fmt: skip
        for source in node.sources:
            now = source.now if source.now == "same" else element("b", source.now, class_="bad")
            files.append([element("code", source.path), _hash(source.sha256), now,
                          element("code", node.id)])  # fmt: skip
    runs = table(["Run", "Kind", "System", "Finished", "Parents", "Manifest"], rows,
                 caption="Runs, oldest first")  # fmt: skip
    read = table(["File", "Hash then", "Today", "Read by"], files, caption="Files that were read")
    summary = element("summary", f"Files that were read, with hashes ({len(files):,})")
    return join([runs, element("details", summary, read)])


def _tuning_run(run: TuningRun) -> Markup:
    config = run.config
    settings = config.get("settings", {})
    settings = {**settings, **settings.get("rl", {})}
    if config.get("method") == "rl":
        batch = f"{settings.get('queries')} x {settings.get('samples')} responses a step"
    else:
        batch = f"batches of {settings.get('batch_size')}"
    epochs, tokens = settings.get("epochs"), config.get("tokens_per_epoch")
    counted = ", ".join(
        f"{n:,} {kind.replace('_', '-')}" for kind, n in config.get("rows", {}).items()
    )
    if pairs := config.get("pairs"):
        counted = f"{pairs:,} pairs"
    recipe = " ".join(
        dict.fromkeys(str(word) for key in ("recipe", "method") if (word := config.get(key)))
    )
    went = "; ".join(f"{n:,} {place}" for place, n in sorted(config.get("went", {}).items()))
    facts: list[tuple[str, Child]] = [
        ("Systems", ", ".join(run.systems)),
        *([("Where rows with a response went", went)] if went else []),
        ("Rests on", element("b", run.seeds_words)),
        ("Recipe", f"{recipe} on {config.get('model')}"
         + (f" ({variant})" if (variant := config.get("variant")) else "")),
        ("Rows", f"{counted}; {len(config.get('too_long', ()))} too long and left out"),
        ("Tokens", f"{tokens:,} an epoch, {epochs} epochs" if tokens and epochs else "not known"),
        ("Settings", f"learning rate {settings.get('learning_rate')}, rank {settings.get('rank')}, "
         f"{batch}, seed {run.manifest.seed}"),
        ("Chosen", _chosen(run)),
        ("Time", f"{run.manifest.seconds:,.0f} s" if run.manifest.seconds else "not known"),
    ]  # fmt: skip
    parts = [element("h3", join(["Run ", element("code", run.manifest.id)])), fact_list(facts)]
    if run.points:
        figures = ["compliance_rate", "over_refusal_rate", "over_refusal_rate.look_alike"]
        rows: list[list[Child]] = [
            [f"{p.checkpoint.rpartition('/')[2]} × {p.scale:g}{' (chosen)' if p.chosen else ''}",
             *(_interval(p.rates.get(f)) for f in figures)]
            for p in run.points
        ]  # fmt: skip
        heads = ["Checkpoint × scale", "Compliance", "Over-refusal", "Look-alikes refused"]
        n = config.get("selection_rows", 0)
        key = f"Development figures, on {n:,} rows that were kept out of training."
        parts.append(table(heads, rows, caption="Points tried", numeric=set(heads[1:]), key=key))
    return join(parts)


def _chosen(run: TuningRun) -> str:
    chosen = run.config.get("chosen")
    if not chosen:
        return "not known"
    tried = len(run.points)
    among = f", out of {tried} points" if tried > 1 else ", the end of training as it was"
    return f"{chosen['adapter']} at adapter scale {chosen['scale']:g}{among}"


def _removed(counts: RowCounts) -> Markup:
    if counts.development is None:
        return element("p", "The development rows were not opened here: that needs the extra ",
                       element("code", "local"), ".", class_="note")  # fmt: skip
    if not counts.removed:
        return element("p", "No row was taken out.")
    told = ", ".join(f"{reason} ({n:,})" for reason, n in counts.reasons)
    rows: list[list[Child]] = [
        [element("code", removal.record), removal.reason,
         element("code", removal.matched) if removal.matched else "",
         "" if removal.similarity is None else f"{removal.similarity:.2f}"]
        for removal in counts.removed[:MOST_REMOVED]
    ]  # fmt: skip
    listed = table(["Row", "Reason", "Matched", "Similarity"], rows,
                   caption=f"The first {len(rows)} of {len(counts.removed):,}")  # fmt: skip
    summary = element("summary", "Which rows")
    return join([element("p", f"Taken out of development: {told}."),
                 element("details", summary, listed)])  # fmt: skip


def _sides(counts: RowCounts, policies: Sequence[str], kinds: Sequence[str]) -> str:
    """Return "development + held out", or the one side that there is."""
    sides = [side for side in (counts.development, counts.held_out or None) if side is not None]
    return " + ".join(
        f"{sum(side.get((p, k), 0) for p in policies for k in kinds):,}" for side in sides
    )


def _prompt(line: Line, project: Project) -> Markup:
    spec = project.file.systems.get(line.evaluation.name)
    template = _of(line, "template")
    path = spec.prompt if spec and spec.prompt else "none"
    return (
        join([path, element("br"), element("small", identity_part(template))])
        if template
        else join([path])
    )


def _of(line: Line, name: str) -> Any:
    system = line.evaluation.manifest.system
    return getattr(system, name) if system else None


def _sampling(sampling: Sampling | None) -> str:
    if sampling is None:
        return "not known"
    how = (
        "greedy"
        if sampling.temperature == 0
        else (
            f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, seed {sampling.seed}"
        )
    )
    return f"{how}, at most {sampling.max_tokens:,} tokens"


def identity_part(value: Any) -> Child:
    """Return a part of an identity: hashes short (whole in the title), the rest as it is."""
    if value is None or value == "":
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) >= 16 and all(c in "0123456789abcdef" for c in text):
        return _hash(text)
    return untrusted(text, LONGEST)


def _hash(sha256: str | None) -> Markup:
    if sha256 is None:
        return element("span", "none", class_="none")
    return element("code", sha256[:SHORT], title=sha256)


def _interval(rate: Rate | None) -> Markup:
    if rate is None or not rate.n:
        return element("span", "no rows", class_="none")
    return join([interval_text(rate.value, rate.low, rate.high), element("small", f", n {rate.n}")])


def fact_list(facts: Sequence[tuple[str, Child]]) -> Markup:
    return element("dl", *(part for term, fact in facts
                           for part in (element("dt", term), element("dd", fact))))  # fmt: skip


def _json(value: Any) -> Markup:
    return element("pre", json.dumps(value, indent=1, ensure_ascii=False), style=WRAPPED)
