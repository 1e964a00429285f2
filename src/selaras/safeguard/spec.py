"""A guard as a project keeps it: `guards/NAME.yaml`, named by a System's `guard`.

    stages:
      - {type: rules, file: guards/rules.yaml}
      - {type: classifier, file: guards/main.npz, sha256: 6c1f…}
      - {type: judge, model: "openai:shieldgemma@http://127.0.0.1:8000/v1", form: shieldgemma}
    on_fault: closed

`selaras guard fit` writes it; a stage is added or taken out by hand.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.late import resolve
from selaras.core.project import Project, load_yaml
from selaras.core.records import Record
from selaras.policy import Policy, load_policies
from selaras.policy.policy import LANGUAGE
from selaras.safeguard.guard import Guard, OnFault, OnUnread
from selaras.safeguard.message import Wording
from selaras.safeguard.outcome import SIDES, Side, Stage

# What a stage's `type` stands for: an opener `(StageSpec, Project) -> Stage`.
STAGES = {
    "classifier": "selaras.safeguard.classifier:open_classifier",
    "judge": "selaras.safeguard.policy_stage:open_judge",
    "rules": "selaras.safeguard.rules_file:open_rules",
}
FOLDER = "guards"


class StageSpec(Record):
    """One stage. `file` is what rules or a classifier read, `sha256` that file's hash as fitted.

    A judge has a `model` (any model string) and the `form` of its question. `threshold` takes the
    place of the stage's own; `only_unsure` stages are asked only where an earlier one was unsure.
    """

    type: str
    file: str | None = None
    sha256: str | None = None
    model: str | None = None
    form: Literal["policy", "shieldgemma", "llama-guard"] = "policy"
    sides: tuple[Side, ...] = Field(default=SIDES, min_length=1)
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    only_unsure: bool = True


class GuardSpec(Record):
    """All of a guard's file.

    `messages` are what the user is shown when a policy blocks, in place of its own, `language` that
    in which policies speak, `contacts` what their messages leave to the product (`crisis_line`).
    `on_unread` is what becomes of a text in a script that no stage can read.
    """

    stages: tuple[StageSpec, ...] = Field(min_length=1)
    on_fault: OnFault = "closed"
    on_unread: OnUnread = "error"
    policies: tuple[str, ...] | None = None
    language: Annotated[str, Field(pattern=LANGUAGE)] = "en"
    messages: Mapping[str, str] = Field(default_factory=dict)
    contacts: Mapping[str, str] = Field(default_factory=dict)


def open_guard(project: Project, file: str) -> Guard:
    """Return the guard of a file in the project; no model is opened before the first check.

    Raises InputError for a file that is no guard, an unknown policy, a classifier that was changed
    since it was fitted or whose policies were.
    """
    path = project.root / file
    if not path.is_file():
        raise InputError("no such guard", path=path, fix="fit one: selaras guard fit")
    spec = checked(GuardSpec, load_yaml(path), path=path)
    policies = _policies(project, spec, path)
    stages = []
    for number, stage in enumerate(spec.stages):
        if stage.type not in STAGES:
            raise InputError(
                f"no stage {stage.type!r}", path=path, field=f"stages.{number}.type",
                fix=f"use one of: {', '.join(STAGES)}",
            )  # fmt: skip
        opened: Stage = resolve(STAGES[stage.type])(stage, project, policies)
        stages.append(opened)
    wording = Wording(spec.language, spec.messages, spec.contacts)
    return Guard(Path(file).stem, tuple(stages), policies, wording, spec.on_fault, spec.on_unread)


def _policies(project: Project, spec: GuardSpec, path: Path) -> dict[str, Policy]:
    known = load_policies(project)
    wanted = tuple(known) if spec.policies is None else spec.policies
    for field, names in (("policies", wanted), ("messages", tuple(spec.messages))):
        for name in names:
            if name not in known:
                raise InputError(
                    f"unknown policy {name!r}", path=path, field=field,
                    fix=f"use one of: {', '.join(known)}",
                )  # fmt: skip
    return {name: known[name] for name in wanted}


def own_file(stage: StageSpec, project: Project) -> Path:
    """Return the path of a stage's file; raises InputError where it names none."""
    if not stage.file:
        raise InputError(f"the stage {stage.type!r} names no file", field="file")
    return project.root / stage.file


def as_yaml(spec: GuardSpec) -> dict[str, Any]:
    """Return a guard's file as YAML values, without what is as it is by default."""
    return spec.model_dump(mode="json", exclude_defaults=True)
