"""The model card of a tuning run: what leaves with the weights, in Markdown.

Its sections follow Model Cards for Model Reporting (Mitchell et al., arXiv:1810.03993): what the
model is, what it is for, what it was tuned on, how it was measured and on what, what is not known.
The front matter is what model hubs read. No row is quoted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from selaras.core.fingerprint import sha256_file
from selaras.core.manifest import FILE, Manifest, ledger
from selaras.core.project import Project
from selaras.data import load_rows
from selaras.data.formats.writing import non_commercial
from selaras.page import rate_text
from selaras.policy import load_policies
from selaras.report.markdown import counted, plain, table
from selaras.report.model import rate_of

FIGURES = {
    "violation_rate": "breaks a policy",
    "compliance_rate": "refuses what it should",
    "over_refusal_rate": "refuses what it should answer",
    "capability": "capability",
}
HUB_LICENCES = {"Apache-2.0": "apache-2.0", "MIT": "mit", "Gemma Terms of Use": "gemma"}
REWARD = "reward"
LOADING = {
    "adapter": """\
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = AutoModelForCausalLM.from_pretrained(BASE)  # the base named above
model = PeftModel.from_pretrained(base, FOLDER)
tokenizer = AutoTokenizer.from_pretrained(FOLDER)""",
    "merged": """\
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(FOLDER)
tokenizer = AutoTokenizer.from_pretrained(FOLDER)""",
    REWARD: """\
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

base = AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=1)
model = PeftModel.from_pretrained(base, FOLDER)  # with its head: one number an exchange
tokenizer = AutoTokenizer.from_pretrained(FOLDER)""",
    "gguf": "llama-cli --model FILE.gguf --conversation",
}


@dataclass(frozen=True, slots=True)
class Leaving:
    """What is known of the files that the card goes with: which point of the run they hold.

    `adapter` is the sha256 of the checkpoint's weights, by which evaluations know it.
    """

    base: str
    licence: str
    form: str
    scale: float
    checkpoint: str
    adapter: str


def model_card(project: Project, run: Manifest, leaving: Leaving) -> str:
    """Return the card of a finished tuning that leaves in a form; figures with n and intervals."""
    rows = load_rows(project).kept
    parts = [
        _front(leaving),
        [f"# {plain(project.file.product)}: {run.id}", "",
         "Written by `selaras tune export`. Names in `code` are ids of the project's ledger."],
        _what(project, run, leaving),
        _loading(run, leaving),
        _rows(run, Counter(row.licence or "(not stated)" for row in rows)),
        _policies(project, run),
        _pairs_told(run) if _is_reward(run) else _figures(project, run, leaving),
        _unknown(run, any(map(non_commercial, rows)), leaving),
        _lineage(project, run),
    ]  # fmt: skip
    return "\n".join(line for part in parts for line in [*part, ""]).rstrip() + "\n"


def _front(leaving: Leaving) -> list[str]:
    library = {"adapter": "peft", "merged": "transformers", "gguf": "gguf"}.get(leaving.form)
    value: dict[str, Any] = {
        "base_model": leaving.base,
        "license": HUB_LICENCES.get(leaving.licence, "other"),
        "library_name": library,
        "tags": ["selaras", "content-safety", "lora"],
    }
    return ["---", yaml.safe_dump(value, sort_keys=False).rstrip(), "---"]


def _what(project: Project, run: Manifest, leaving: Leaving) -> list[str]:
    config = run.config
    uses = plain(", ".join(case.title for case in project.file.use_cases))
    about = plain(project.file.description or project.file.product).rstrip(".")
    facts = [
        ("base", leaving.base),
        ("weights of the base", f"sha256 {str(config.get('weights', '?'))[:16]}"),
        ("method", f"{config.get('method', '?')}, recipe {config.get('recipe', '-')}"),
        ("checkpoint", f"{leaving.checkpoint} (chosen: {config['chosen']['adapter']})"),
        ("adapter scale", f"{leaving.scale:g} (chosen: {_chosen_scale(run):g})"),
        ("form", leaving.form),
        ("licence of the base", leaving.licence or "(not known here: see the base)"),
    ]
    return [
        "## What is it, and what is it for?",
        "",
        f"{about}. Use cases: {uses}. It is meant for "
        "these, with the prompt and the guard of the Systems below, and was measured as nothing "
        "else.",
        "",
        *table(("", ""), facts),
    ]


def _chosen_scale(run: Manifest) -> float:
    return float(run.config["chosen"].get("scale", 1.0))


def _is_reward(run: Manifest) -> bool:
    return run.config.get("method") == REWARD


def _loading(run: Manifest, leaving: Leaving) -> list[str]:
    language = "text" if leaving.form == "gguf" else "python"
    form = REWARD if _is_reward(run) else leaving.form
    return ["## How is it loaded?", "", f"```{language}", LOADING.get(form, ""), "```"]


def _rows(run: Manifest, licences: Counter[str]) -> list[str]:
    config = run.config
    taught = config.get("rows") or config.get("directions") or {}
    kinds = [(kind.replace("_", "-"), str(n)) for kind, n in taught.items()]
    told = [
        f"{config.get(key)} {words}"
        for key, words in (
            ("tokens_per_epoch", "tokens an epoch"),
            ("selection_rows", "rows kept aside to choose by"),
            ("selection_pairs", "pairs kept aside to choose by"),
            ("replaced_by_own_words", "responses in the base model's own words"),
            ("removed", "rows left out by decisions or as copies"),
        )
        if config.get(key) is not None
    ]
    if config.get("too_long"):
        told.append(f"{len(config['too_long'])} rows too long")
    settings = [(name, str(value)) for name, value in config.get("settings", {}).items()
                if not isinstance(value, Mapping)]  # fmt: skip
    return [
        "## What was it tuned on?",
        "",
        *table(("rows" if config.get("rows") else "pairs that teach", "n"), kinds),
        "",
        "; ".join(told) + f". Training seed {run.seed}.",
        "",
        f"Licences of the project's rows now: {counted(licences)}.",
        "",
        *table(("setting", "value"), settings),
    ]


def _policies(project: Project, run: Manifest) -> list[str]:
    listed = load_policies(project)
    rows = []
    for name, revision in sorted(run.policies.items()):
        rule = listed.get(name)
        now = "gone" if rule is None else str(rule.revision)
        rows.append((name, rule.title if rule else "-", str(revision), now))
    return ["## Which policies?", "", *table(("policy", "title", "revision", "now"), rows)]


def _figures(project: Project, run: Manifest, leaving: Leaving) -> list[str]:
    of_run = [m for m in ledger(project.runs)
              if m.kind == "eval" and m.status == "finished" and run.id in m.parents]  # fmt: skip
    measured = [m for m in of_run if _is_of(m, leaving)]
    is_chosen = leaving.scale == _chosen_scale(run) and (
        leaving.checkpoint == run.config["chosen"]["adapter"]
    )
    told = [(m.system.name if m.system else m.id, _rows_of(m), m.figures) for m in measured]
    if is_chosen:
        told.append(("chosen point", "development figures, 24 tokens", run.figures))
    shown = [name for name in FIGURES if any(_rate(figures, name) for *_, figures in told)]
    names = ("System", "rows", *(FIGURES[name] for name in shown))
    rows = [(name, on, *_rates(figures, shown)) for name, on, figures in told]
    lines = ["## How does it do?", "", "Share (95 % interval), n.", "", *table(names, rows)]
    if not any(m.seal and not _seen(m) for m in measured):
        point = f"/{leaving.checkpoint.rpartition('/')[2]}@{leaving.scale:g}"
        name = f"run:{run.id}{'' if is_chosen else point}"
        lines += ["", f"**Not measured on sealed rows.** `selaras eval {name}` does."]
    if not is_chosen:
        lines += ["", "**The point that leaves is not the one that the run chose.**"]
    if others := len(of_run) - len(measured):
        lines += ["", f"Evaluations of other checkpoints or scales of the run: {others}, left out."]
    return lines


def _pairs_told(run: Manifest) -> list[str]:
    """Return a reward model's figures: how often the better side has the higher reward."""
    places = (("aside", "pairs kept aside, development figures"), ("sealed", "sealed pairs"))
    rows = [
        (words, _rate(run.figures[place], "accuracy") or "-")
        for place, words in places
        if place in run.figures
    ]
    lines = ["## How does it do?", "", "Share of pairs whose better side has the higher reward "
             "(95 % interval), n.", "", *table(("pairs", "accuracy"), rows)]  # fmt: skip
    if "sealed" not in run.figures:
        lines += ["", "**Not measured on sealed pairs.** `selaras tune reward --sealed` does."]
    return lines


def _is_of(evaluation: Manifest, leaving: Leaving) -> bool:
    """Return whether an evaluation measured the point of the run that leaves."""
    model = evaluation.system.model if evaluation.system else {}
    # A reward model has no scale.
    scale = model.get("adapter_scale", 1.0)
    return (model.get("adapter"), scale) == (leaving.adapter, leaving.scale)


def _seen(evaluation: Manifest) -> bool:
    """Return whether the sealed rows of an evaluation were not held out for the run."""
    return any(note.startswith("not held out") for note in evaluation.notes)


def _rows_of(evaluation: Manifest) -> str:
    """Return what rows an evaluation was on."""
    parts = [evaluation.stamp or "-", evaluation.config.get("suite_name")]
    parts.append("not held out for this run" if _seen(evaluation) else None)
    return ", ".join(str(part) for part in parts if part)


def _rates(figures: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    return (_rate(figures, name) or "-" for name in names)


def _rate(figures: Mapping[str, Any], name: str) -> str:
    rate = rate_of(figures.get(name))
    return rate_text(rate.value, rate.low, rate.high, rate.n) if rate.n else ""


def _unknown(run: Manifest, restricted: bool, leaving: Leaving) -> list[str]:
    lines = [
        "## What is not known?",
        "",
        "- It rests on one training run; another seed gives another model.",
        "- Rates of refusal are those of the judges named in each evaluation; where none was "
        "calibrated against people, they are uncalibrated.",
        "- Other languages, other use cases, other prompts and attacks were not measured here.",
    ]
    if leaving.form == "gguf":
        lines.append("- The figures are those of the unconverted weights, not of this file.")
    if restricted:
        lines.append("- **Some of the project's rows have a licence that forbids commercial use.**")
    if run.notes:
        lines += [f"- {plain(note)}" for note in run.notes]
    return lines


def _lineage(project: Project, run: Manifest) -> list[str]:
    path = project.runs / run.id / FILE
    rows = []
    for name, sha in sorted(run.inputs.items()):
        file = project.root / name
        now = "gone" if not file.is_file() else "same" if sha256_file(file) == sha else "changed"
        rows.append((name, sha[:16], now))
    versions = ", ".join(f"{name} {number}" for name, number in run.versions.items())
    return [
        "## Where does it come from?",
        "",
        f"Run `{run.id}` of {run.started}, manifest sha256 {sha256_file(path)[:16]}; "
        + (f"seal `{run.seal}`" if run.seal else "no hold-out was sealed")
        + f". {versions}. `selaras trace {run.id}` walks on from there.",
        "",
        *table(("file", "sha256", "since"), rows),
    ]
