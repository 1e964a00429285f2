"""What a tuning starts from: weights, an adapter to go on from, a chat template; said out loud.

Start from an instruction-tuned (`it`) model in most cases. A pre-trained (`pt`) one knows no turns:
it needs a chat template, more rows than a policy has, and has to learn to chat on the way.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selaras.core.errors import InputError
from selaras.core.files import read_json
from selaras.core.fingerprint import sha256_file
from selaras.core.manifest import Manifest
from selaras.core.tuning import Tuning
from selaras.models.catalogue import bundled
from selaras.models.chat_templates import read_chat_template
from selaras.models.local_adapter import WHOLE, refuse_other_base, weights_file
from selaras.models.local_chat import ChatTokenizer
from selaras.models.local_open import base_folder, finished_tuning
from selaras.models.local_weights import context_of, load_tokenizer, model_config
from selaras.models.names import Place

Variant = Literal["pt", "it"]


@dataclass(frozen=True, slots=True)
class Start:
    """Where a tuning starts. `chat_template` is one that was attached, None where the model's own
    is used; `notes` is what a reader has to know.
    """

    base: Path
    variant: Variant
    chat: ChatTokenizer
    chat_template: str | None = None
    adapter: Path | None = None
    notes: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()

    @property
    def context(self) -> int:
        """How many tokens the model reads at most."""
        return context_of(model_config(self.base))

    def room(self, most: int) -> int:
        """Return how long a row may be: `most` tokens, and never longer than the context."""
        return min(most, self.context)

    def none_fits(self, rows: str, most: int, setting: str) -> InputError:
        """Return the error that says that all of some rows are too long."""
        room = self.room(most)
        return InputError(
            f"all {rows} are longer than {room} tokens" + (", the model's context" * (room < most)),
            fix="shorten them, or take another model" if room < most else f"raise --set {setting}",
        )

    @property
    def identity(self) -> tuple[str | None, str | None]:
        """What tells this start from another of the same weights: template, adapter."""
        own = sha256_file(weights_file(self.adapter)) if self.adapter else None
        return self.chat_template, own


def starting_point(settings: Tuning, place: Place, *, answers: bool = True) -> Start:
    """Return what `settings` start from; `answers` says that a model that answers is trained.

    Raises InputError where the model or the adapter is not there, and for a pre-trained model
    without a chat template where none is given.
    """
    base = base_folder(settings.model, place)
    tokenizer = load_tokenizer(base)
    variant = variant_of(settings.model, tokenizer)
    attached = None
    if settings.chat_template is not None:
        attached = read_chat_template(settings.chat_template, place.root)
        tokenizer.chat_template = attached
    elif not getattr(tokenizer, "chat_template", None):
        raise InputError(
            f"{settings.model} is a pre-trained (pt) model without a chat template",
            fix="attach one: --set tune.chat_template=plain (or chatml, gemma, a Jinja file); or "
            "start from an instruction-tuned (it) model",
        )
    notes = []
    if variant == "pt":
        notes.append(
            f"{settings.model} is pre-trained (pt): in most cases start from an instruction-tuned "
            "(it) model"
        )
    adapter = _adapter(settings, place) if settings.adapter else None
    if adapter is not None:
        if answers:
            _refuse_reward(adapter)
        refuse_other_base(adapter, base)
    name = settings.adapter or ""
    if adapter is not None and name.startswith("run:"):
        notes += _scaled(name, finished_tuning(name.removeprefix("run:"), place))
    parents = (name.removeprefix("run:"),) if name.startswith("run:") else ()
    return Start(base, variant, ChatTokenizer(tokenizer), attached, adapter, tuple(notes), parents)


def variant_of(model: str, tokenizer: Any) -> Variant:
    """Return whether a model is pre-trained or instruction-tuned.

    The catalogue says so of bundled models; of others, their own chat template does.
    """
    scheme, _, name = model.partition(":")
    if scheme == "bundled":
        return "pt" if bundled(name).variant == "pt" else "it"
    return "it" if getattr(tokenizer, "chat_template", None) else "pt"


def _scaled(name: str, manifest: Manifest) -> list[str]:
    """Return what is to be said of a run that answers at a smaller scale than it was trained at."""
    scale = float(manifest.config["chosen"].get("scale", 1.0))
    if scale == 1:
        return []
    return [f"{name} answers at scale {scale:g} of its adapter; what goes on from it starts at 1, "
            "where it was trained"]  # fmt: skip


def _refuse_reward(adapter: Path) -> None:
    """Raise InputError for a reward model's adapter: it was never trained to answer."""
    config = adapter / "adapter_config.json"
    found = read_json(config) if config.is_file() else {}
    if isinstance(found, dict) and found.get("task_type") == "SEQ_CLS":
        raise InputError(
            "this adapter is a reward model's: it scores answers and gives none", path=adapter,
            field="tune.adapter", fix="name one of tune sft, tune preference or tune rl",
        )  # fmt: skip


def _adapter(settings: Tuning, place: Place) -> Path:
    """Return the folder of the adapter to go on from: of a run, or as it is named."""
    name = settings.adapter or ""
    if settings.method == "full":
        raise InputError("an adapter is not gone on with when all weights are tuned",
                         field="tune.adapter", fix="--set tune.method=lora")  # fmt: skip
    if not name.startswith("run:"):
        if not (place.root / name).is_dir():
            raise InputError("no such folder", path=place.root / name, field="tune.adapter",
                             fix="name run:ID, or the folder of a PEFT adapter")  # fmt: skip
        return place.root / name
    run = name.removeprefix("run:")
    manifest = finished_tuning(run, place)
    folder = place.runs / run / str(manifest.config["chosen"]["adapter"])
    if weights_file(folder).name == WHOLE:
        raise InputError(f"run {run!r} tuned all weights and made no adapter",
                         field="tune.adapter")  # fmt: skip
    if manifest.config.get("model") != settings.model:
        raise InputError(
            f"run {run!r} tuned {manifest.config.get('model')}, not {settings.model}",
            field="tune.adapter", fix=f"--set tune.model={manifest.config.get('model')}",
        )  # fmt: skip
    return folder
