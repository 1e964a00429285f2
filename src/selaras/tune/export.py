"""`selaras tune export`: a run's adapter as files that other tools open.

The adapter scale that the run chose (or another) is in the weights that leave: a PEFT adapter whose
B matrices are scaled, whole weights, or a GGUF file. What is written is a run of the ledger.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from selaras.core.decisions import now
from selaras.core.errors import InputError, SelarasError
from selaras.core.files import read_json, write_json, write_text
from selaras.core.fingerprint import fingerprint, sha256_file
from selaras.core.late import resolve
from selaras.core.manifest import Manifest, hashes, new_manifest, with_key, write_manifest
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.models.catalogue import bundled
from selaras.models.local_adapter import ADAPTER, WHOLE, Adapter, merged, tensors_of, weights_file
from selaras.models.local_gguf_write import PRECISIONS, write_gguf
from selaras.models.local_open import (
    REWARD,
    base_folder,
    candidate,
    finished_tuning,
    refuse_changed_candidate,
    run_parts,
)
from selaras.models.local_torch import give_back_memory, torch
from selaras.models.local_weights import load_weights
from selaras.models.names import Place, place_of
from selaras.tune import EXPORTS

CARD, NOTICE = "README.md", "NOTICE"
Dtype = Literal["float32", "bfloat16", "float16"]
TOKENIZER = ("tokenizer*", "chat_template*", "special_tokens_map.json")


@dataclass(frozen=True, slots=True)
class Tuned:
    """A finished tuning, ready to be written: its base, its adapter at a scale, and its licence."""

    manifest: Manifest
    base: Path
    adapter: Adapter
    name: str
    licence: str
    terms: str | None

    @property
    def checkpoint(self) -> str:
        """The checkpoint that leaves, as the run's manifest names it."""
        return f"{self.adapter.folder.parent.name}/{self.adapter.folder.name}"

    @property
    def sha256(self) -> str:
        """The hash of the weights that were tuned, by which evaluations know them."""
        return sha256_file(weights_file(self.adapter.folder))


def open_tuned(project: Project, argument: str, progress: Progress = SILENT) -> Tuned:
    """Return the tuning that `RUN`, `RUN@SCALE` or `RUN/CHECKPOINT@SCALE` names.

    Raises InputError as `run:` does.
    """
    place = place_of(project, progress)
    run_id, checkpoint, scale = run_parts(argument.removeprefix("run:"))
    manifest = finished_tuning(run_id, place)
    if scale and manifest.config.get("method") == REWARD:
        raise InputError("a reward model has no scale", fix=f"export {run_id}")
    base = str(manifest.config["model"])
    folder = base_folder(base, place)
    adapter = candidate(manifest, checkpoint, scale, place)
    refuse_changed_candidate(manifest, checkpoint, adapter, folder)
    scheme, _, name = base.partition(":")
    known = bundled(name) if scheme == "bundled" else None
    return Tuned(
        manifest,
        folder,
        adapter,
        known.identity if known else _public_name(scheme, name, place),
        known.licence if known else "",
        known.terms if known else None,
    )


def export_run(
    project: Project, tuned: Tuned, form: str, card: str, *,
    precision: str | None = None, out: Path | None = None, progress: Progress = SILENT,
) -> Manifest:  # fmt: skip
    """Write the tuning as `form` (a key of EXPORTS) with its model card; return the export's run.

    Files go to `out`, or into the run's folder, whole or not at all; the same export again writes
    its card anew and nothing else. `precision` is a dtype for merged weights (that of the base's
    own files unless given) and one of f32, f16, bf16 and q8_0 for GGUF (f16). Raises InputError
    where the folder holds something else, or the form cannot carry the model.
    """
    precision = _precision(form, precision, tuned.base)
    if tuned.manifest.config.get("method") == REWARD and form != "adapter":
        raise InputError("a reward model leaves as an adapter only", fix="use --to adapter")
    scale = tuned.adapter.scale
    asked = str(out and _shown(project, out.resolve()))
    key = fingerprint([tuned.manifest.id, tuned.checkpoint, form, scale, precision, asked])
    known = with_key(project.runs, "export", key, "finished")
    if known and known.outputs == hashes(project.root, map(project.root.joinpath, known.outputs)):
        write_text(project.root / known.config["folder"] / CARD, card)
        progress.say(f"exported already: {known.config['folder']}")
        return known
    manifest = new_manifest(
        "export", form,
        config={"key": key, "form": form, "run": tuned.manifest.id,
                "checkpoint": tuned.checkpoint, "scale": scale, "precision": precision,
                "base": tuned.name},
        parents=[tuned.manifest.id], policies=tuned.manifest.policies, seal=tuned.manifest.seal,
    )  # fmt: skip
    target = out.resolve() if out else project.runs / manifest.id / "model"
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError("there is something already", path=target, fix="name another --out")
    write: Callable[[Tuned, Path, str], None] = resolve(EXPORTS[form])
    with progress.task(f"exporting {form}", 1) as task, _whole(target) as partial:
        write(tuned, partial, precision)
        write_text(partial / CARD, card)
        if tuned.terms:
            told = f"{tuned.name} is provided under and subject to the {tuned.terms}.\n"
            write_text(partial / NOTICE, told)
        task.advance()
    written = [path for path in target.rglob("*") if path.name != CARD]
    done = manifest.model_copy(
        update={
            "status": "finished",
            "finished": now(),
            "config": {**manifest.config, "folder": str(_shown(project, target))},
            "outputs": hashes(project.root, written),
        }
    )
    write_manifest(project.runs, done)
    return done


def to_adapter(tuned: Tuned, folder: Path, precision: str) -> None:  # noqa: ARG001 - one signature
    """Write a PEFT adapter that is as strong at scale 1 as the run's is at its scale."""
    from safetensors.torch import save_file

    source, scale = tuned.adapter.folder, tuned.adapter.scale
    if weights_file(source).name == WHOLE:
        raise InputError(
            f"run {tuned.manifest.id!r} tuned all weights and made no adapter",
            fix="export merged or gguf",
        )
    weights = tensors_of(source / ADAPTER)
    scaled = {
        name: (weight.float() * scale).to(weight.dtype) if ".lora_B." in name else weight
        for name, weight in weights.items()
    }
    save_file(scaled, folder / ADAPTER, metadata={"format": "pt"})
    config = read_json(source / "adapter_config.json")
    # The run's names the folder on the machine that trained it.
    write_json(folder / "adapter_config.json", {**config, "base_model_name_or_path": tuned.name})
    for path in _files(source, TOKENIZER):
        shutil.copyfile(path, folder / path.name)
    if attached := tuned.manifest.config.get("chat_template"):
        write_text(folder / "chat_template.jinja", attached)


def to_merged(tuned: Tuned, folder: Path, precision: str) -> None:
    """Write whole weights as safetensors in HF layout, merged in float32."""
    model, tokenizer = load_weights(tuned.base, torch.float32)
    if attached := tuned.manifest.config.get("chat_template"):
        tokenizer.chat_template = attached
    model = merged(model, tuned.adapter, tuned.base).to(getattr(torch, precision))
    model.config.dtype = getattr(torch, precision)
    # The folder it was read from is nobody else's business.
    model.config._name_or_path = tuned.name
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    give_back_memory()


def to_gguf(tuned: Tuned, folder: Path, precision: str) -> None:
    """Write a GGUF file for llama.cpp and what is built on it."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".merged-") as whole:
        to_merged(tuned, Path(whole), "float32")
        name = f"{tuned.manifest.id}-{precision}.gguf"
        made = next(known for known in PRECISIONS if known == precision)
        write_gguf(Path(whole), folder / name, made, name=name, licence=tuned.licence)


def _shown(project: Project, path: Path) -> Path:
    """Return a path as it stays true where the project's folder is moved."""
    return path.relative_to(project.root) if path.is_relative_to(project.root) else path


def _public_name(scheme: str, name: str, place: Place) -> str:
    """Return what a base is called elsewhere: where its folder lies here is nobody's business."""
    path = place.root / name
    if scheme == "gguf":
        return path.stem
    return path.resolve().name if path.exists() else name.partition("@")[0]


def _precision(form: str, asked: str | None, base: Path) -> str:
    if form not in EXPORTS:
        raise InputError(f"no form {form!r}", fix=f"use one of: {', '.join(EXPORTS)}")
    known = {"merged": get_args(Dtype), "gguf": tuple(PRECISIONS), "adapter": ()}.get(form, ())
    if asked is None:
        config = read_json(base / "config.json")
        own = str(config.get("dtype") or config.get("torch_dtype"))
        own = own if own in get_args(Dtype) else "float32"
        return {"merged": own, "gguf": "f16"}.get(form, "as trained")
    if asked not in known:
        offered = f"use one of: {', '.join(known)}" if known else "leave --precision out"
        raise InputError(f"{form} has no precision {asked!r}", fix=offered)
    return asked


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `target` when the block ends well."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=".export-"))
    except OSError as error:
        raise SelarasError(f"{target}: cannot be written ({error.strerror})") from error
    try:
        yield partial
        for path in (partial, *partial.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # safetensors writes for its owner only
        if target.is_dir():
            target.rmdir()
        partial.rename(target)
    except Exception as error:  # safetensors' and the system's own classes say it alike
        if "No space left" not in str(error):
            raise
        raise SelarasError(f"{target}: the disk is full; nothing was written") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]
