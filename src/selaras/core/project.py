"""The project file `selaras.yaml`, and the folder around it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from selaras.core.check import checked
from selaras.core.endpoint import Endpoint
from selaras.core.errors import InputError
from selaras.core.files import read_text
from selaras.core.judging import JudgeSpec
from selaras.core.mixing import Mix
from selaras.core.records import Expected, Identifier, Kind, Record
from selaras.core.suites import SuiteSpec
from selaras.core.system import SystemSpec
from selaras.core.tuning import Tuning

FILE = "selaras.yaml"
Share = Annotated[float, Field(ge=0, le=1)]
Enforcer = Literal["prompt", "tune", "safeguard", "review", "none"]


class PolicyOverride(Record):
    """What a use case changes in a policy: what is safe depends on the product."""

    exceptions: tuple[str, ...] = ()
    expected: Expected | None = None
    note: str | None = None


class UseCase(Record):
    """A product task. `input` says how a row becomes the user's turn.

    `rubric` says what a good answer is, for judges of quality.
    """

    id: Identifier
    title: str = Field(min_length=1)
    description: str = ""
    input: str = "{{query}}"
    rubric: str = ""
    overrides: dict[str, PolicyOverride] = Field(default_factory=dict)


class Gate(Record):
    """A launch criterion: a bound on a figure, judged on the sealed rows.

    With `versus` it bounds the difference from another System on the same rows, in shares: at most
    0.03 is three points more than it at most, at least -0.02 two points less at most. `quality` is
    bounded in its judge's own unit (grades of 1 to 5, or the share of preferences). `suite` names
    other rows than the sealed ones.
    """

    figure: Literal[
        "violation_rate", "compliance_rate", "over_refusal_rate", "unhelpful_refusal",
        "capability", "quality",
    ]  # fmt: skip
    at_most: float | None = Field(default=None, ge=-5, le=5)
    at_least: float | None = Field(default=None, ge=-5, le=5)
    versus: Identifier | None = None
    suite: Identifier | None = None
    policy: str | None = None
    use_case: str | None = None
    kind: Kind | None = None

    @model_validator(mode="after")
    def _bounds_something(self) -> "Gate":
        bounds = [bound for bound in (self.at_most, self.at_least) if bound is not None]
        if not bounds:
            raise ValueError("a gate has at_most or at_least")
        if self.figure != "quality" and max(map(abs, bounds)) > 1:
            raise ValueError("a bound on a share lies between -1 and 1")
        if self.versus is None and min(bounds) < 0:
            raise ValueError("a bound under 0 needs versus: it is a difference from a System")
        return self


class AuditSettings(Record):
    """What the audits of `selaras data audit` ask of the rows.

    `minimum` is the fewest rows of a cell (policy x use case x kind) and `minimum_look_alikes` of a
    policy's look-alikes; `kinds` are those that every listed policy should have in every one of
    `use_cases` (all of the project's where none is named), and `labels` the response labels of
    which every cell must have its minimum. `adversarial` is the band that the share of inadvertent
    and malicious queries among RL rows should lie in. `languages` are ISO 639-1 codes that rows may
    be in; none named means that the most frequent one counts as theirs. `phone_regions` are the
    countries (ISO 3166-1) whose national numbers are known without a leading "+". `embedder` reads
    rows for topics, paraphrases and mislabels: `auto` is MiniLM up to 20,000 rows and the static
    encoder past that.
    """

    minimum: int = Field(default=5, ge=1)
    minimum_look_alikes: int = Field(default=10, ge=0)
    kinds: tuple[Kind, ...] = tuple(Kind)
    use_cases: tuple[str, ...] = ()
    labels: tuple[Literal["safe", "unsafe"], ...] = ()
    adversarial: tuple[Share, Share] = (0.3, 0.7)
    languages: tuple[Annotated[str, StringConstraints(pattern="^[a-z]{2,3}$")], ...] = ()
    phone_regions: tuple[Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")], ...] = (
        "US",
        "GB",
    )
    embedder: Literal["auto", "minilm", "static"] = "auto"

    @field_validator("adversarial")
    @classmethod
    def _in_order(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("the lower bound comes first")
        return value


class ReviewSettings(Record):
    """Which share of the rows of each origin a person must approve before a lever may use them.

    Rows are drawn by a hash of their ids, so that the draw is the same for everybody and a row
    cannot be drawn again until it passes.
    """

    person: Share = 0.0
    public: Share = 0.0
    model: Share = 1.0


class ProjectFile(Record):
    """All of `selaras.yaml`. Unknown fields are errors, so that a misspelt one is never ignored.

    `candidate` is the System that is to be launched: `selaras gate` is about it. `store` is the
    database of raters and votes (postgresql://USER@HOST/NAME); by default a file in .selaras.
    """

    product: str = Field(min_length=1)
    description: str = ""
    use_cases: tuple[UseCase, ...] = Field(min_length=1)
    policies: tuple[str, ...] = Field(min_length=1)
    enforced_by: dict[str, tuple[Enforcer, ...]] = Field(default_factory=dict)
    systems: dict[Identifier, SystemSpec] = Field(default_factory=dict)
    data: tuple[str, ...] = ("data/*.jsonl",)
    evaluation_sets: tuple[str, ...] = ()
    capability: str | None = None
    held_out_share: float = Field(default=0.3, gt=0, lt=0.9)
    look_budget: int = Field(default=10, ge=1)
    endpoints: dict[str, Endpoint] = Field(default_factory=dict)
    judges: dict[Identifier, JudgeSpec] = Field(default_factory=dict)
    suites: dict[Identifier, SuiteSpec] = Field(default_factory=dict)
    left_out_topics: tuple[str, ...] = ()
    capability_rows: int | None = Field(default=None, ge=1)
    gates: tuple[Gate, ...] = ()
    store: str | None = None
    candidate: Identifier | None = None
    audit: AuditSettings = AuditSettings()
    review: ReviewSettings = ReviewSettings()
    mixes: dict[Identifier, Mix] = Field(default_factory=dict)
    tune: Tuning = Tuning()
    seed: int = 0

    @field_validator("use_cases")
    @classmethod
    def _told_apart(cls, value: tuple[UseCase, ...]) -> tuple[UseCase, ...]:
        ids = [use_case.id for use_case in value]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"two use cases have the id '{name}'")
        return value

    @field_validator("data")
    @classmethod
    def _inside(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            parts = Path(pattern).parts
            if not parts or ".." in parts or Path(pattern).is_absolute():
                raise ValueError("a pattern is relative to the project and stays inside it")
        return value

    @field_validator("gates")
    @classmethod
    def _known_suites(cls, value: tuple[Gate, ...], info: ValidationInfo) -> tuple[Gate, ...]:
        known = {*info.data.get("suites", {}), "transfer"}
        for gate in value:
            if gate.suite is not None and gate.suite not in known:
                raise ValueError(f"unknown suite '{gate.suite}'")
        return value

    @field_validator("enforced_by", "gates")
    @classmethod
    def _known_policies(cls, value: Any, info: ValidationInfo) -> Any:
        known = info.data.get("policies", ())
        named = value if isinstance(value, dict) else [gate.policy for gate in value]
        for name in named:
            if known and name is not None and name not in known:
                raise ValueError(f"unknown policy '{name}'")
        return value


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder with its checked file. Paths are made from `root`, never from the cwd."""

    root: Path
    file: ProjectFile

    @property
    def data_files(self) -> tuple[Path, ...]:
        """The row files that the patterns under `data` name, without the decisions."""
        found = {path for pattern in self.file.data for path in self.root.glob(pattern)}
        found -= {self.decisions, self.checks_file or self.root}
        ours = (self.holdout, self.runs, self.cache)
        return tuple(
            path
            for path in sorted(found)
            # A wide pattern must find neither the sealed rows nor half-written files.
            if not path.name.startswith(".") and not any(map(path.is_relative_to, ours))
        )

    @property
    def checks_file(self) -> Path | None:
        """The file of capability checks, without the format that may stand before it."""
        if self.file.capability is None:
            return None
        return self.root / self.file.capability.rpartition(":")[2]

    @property
    def decisions(self) -> Path:
        return self.root / "data" / "decisions.jsonl"

    @property
    def holdout(self) -> Path:
        return self.root / "holdout"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        return self.root / ".selaras"

    def use_case(self, name: str | None) -> UseCase:
        """Return the use case of that id, or the first one for None; raises InputError."""
        if name is None:
            return self.file.use_cases[0]
        for use_case in self.file.use_cases:
            if use_case.id == name:
                return use_case
        known = ", ".join(use_case.id for use_case in self.file.use_cases)
        raise InputError(
            f"unknown use case {name!r}", path=self.root / FILE, fix=f"use one of: {known}"
        )

    def system_spec(self, name: str) -> SystemSpec:
        """Return the System of that name; raises InputError with the names there are."""
        if name in self.file.systems:
            return self.file.systems[name]
        raise InputError(
            f"no System named {name!r}",
            path=self.root / FILE,
            field="systems",
            fix=f"use one of: {', '.join(self.file.systems) or '(none yet)'}",
        )


def open_project(folder: Path, overrides: tuple[str, ...] = ()) -> Project:
    """Return the project in the folder or in one above it, with `a.b=c` overrides applied.

    Raises InputError where there is none, or where the file or an override is wrong.
    """
    start = folder.resolve()
    for root in (start, *start.parents):
        if (root / FILE).is_file():
            value = load_yaml(root / FILE)
            for override in overrides:
                set_field(value, override)
            return Project(root, _checked_file(value, root / FILE, overrides))
    raise InputError(
        f"no {FILE} here or above", path=folder, fix="make a project with: selaras init DIR"
    )


def _checked_file(value: Any, path: Path, overrides: tuple[str, ...]) -> ProjectFile:
    """Return the project file; a mistake in an override is said of it, not of the file."""
    try:
        return checked(ProjectFile, value, path=path)
    except InputError as error:
        for name in (override.partition("=")[0].strip() for override in overrides):
            if error.field and f"{error.field}.".startswith(f"{name}."):
                raise InputError(error.what, path=f"--set {name}", fix=error.fix) from error
        raise


def load_yaml(path: Path) -> Any:
    """Return the value of a YAML file (safe loader); raises InputError with the broken line."""
    try:
        return yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError(
            f"broken YAML ({problem})", path=path, line=mark.line + 1 if mark else None
        ) from error
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(f"broken YAML (a value of its tag: {error})", path=path) from error
    except RecursionError as error:
        raise InputError("broken YAML (nested too deeply)", path=path) from error


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `selaras.yaml`, as published in docs/selaras.schema.json."""
    schema = ProjectFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def set_field(value: Any, override: str) -> None:
    """Set one field of a mapping from `a.b=value`; raises InputError where it cannot be."""
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"--set {override!r} is not of the form a.b=value")
    if not isinstance(value, dict):
        raise InputError(f"--set {name}: {FILE} holds no fields")
    for key in keys[:-1]:
        value = value.setdefault(key, {})
        if not isinstance(value, dict):
            raise InputError(f"--set {name}: '{key}' holds no fields")
    try:
        value[keys[-1]] = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, KeyError, IndexError, RecursionError) as error:
        raise InputError(f"--set {name}: the value is not YAML") from error
