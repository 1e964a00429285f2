"""Versions of a template: immutable, named by their content, with labels that move.

    prompts/x.prompt               what one works on
    prompts/versions/HASH.prompt   every version that was kept, as it was written
    prompts/history/x.jsonl        what was kept, from what, and where labels were put

The history is only appended to, one JSON object a line, so that two branches merge line by line
(`merge=union`); of two label moves the later one holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from selaras.core.check import checked
from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.files import append_jsonl, read_jsonl, read_text, write_text
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Identifier, Record
from selaras.template.prompt import PromptTemplate, load_prompt, parse_prompt
from selaras.template.write import with_front, write_prompt

SHORTEST_HASH = 4


class Event(Record):
    """A line of the history: a version that was kept, or a label that was put on one."""

    at: str
    version: str = Field(pattern="^[0-9a-f]{16}$")
    parent: str | None = None
    label: Identifier | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """A kept version with its labels."""

    version: str
    parent: str | None
    at: str
    note: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamedPrompt:
    """A template with the file that it was read from."""

    template: PromptTemplate
    path: Path


def content_hash(text: str) -> str:
    """Return the name of a version: 16 hex digits of the sha256 of its text.

    >>> content_hash("{{input}}") == content_hash("{{input}}") != content_hash("{{input}} ")
    True
    """
    return fingerprint(text.replace("\r\n", "\n"))


def keep(path: Path, template: PromptTemplate, note: str = "") -> Version:
    """Write the template to its file and keep it as a version; return that version.

    What the file held before is its parent; where that was edited by hand since it was last kept,
    it is kept first, so that nothing is lost. Keeping what is there already adds nothing.
    """
    if path.exists():
        before = keep_as_it_is(path)
        if content_hash(write_prompt(template)) == before.version:
            return before
        template = with_front(template, {"parent": before.version})
    text = write_prompt(template)
    parent = template.front.selaras.parent
    _keep_text(path, text, parent, note)
    write_text(path, text)
    return _found(path, content_hash(text))


def propose(path: Path, template: PromptTemplate, label: str, note: str = "") -> Version:
    """Keep a template as a child of what the file holds, under a label; the file stays as it is."""
    before = keep_as_it_is(path)
    child = with_front(template, {"parent": before.version})
    text = write_prompt(child)
    name = content_hash(text)
    if name not in {version.version for version in history(path)}:
        _keep_text(path, text, before.version, note)
    if labels_of(path).get(label) != name:
        return put_label(path, label, name)
    return _found(path, name)


def keep_as_it_is(path: Path, note: str = "as it was in the file") -> Version:
    """Keep what a template's file holds now, and return the version; it may be kept already."""
    template = load_prompt(path)
    text = write_prompt(template)
    name = content_hash(text)
    if name not in {version.version for version in history(path)}:
        parent = template.front.selaras.parent or newest(path)
        _keep_text(path, text, parent if parent != name else None, note)
    return _found(path, name)


def history(path: Path) -> list[Version]:
    """Return the kept versions of a template, oldest first."""
    labels = labels_of(path)
    seen: dict[str, Version] = {}
    for event in _events(path):
        if event.label is None and event.version not in seen:
            own = tuple(sorted(name for name, at in labels.items() if at == event.version))
            seen[event.version] = Version(event.version, event.parent, event.at, event.note, own)
    return list(seen.values())


def labels_of(path: Path) -> dict[str, str]:
    """Return {label: version}, as the labels lie now."""
    return {event.label: event.version for event in _events(path) if event.label is not None}


def put_label(path: Path, label: str, version: str) -> Version:
    """Put a label on a version (a hash, its beginning, or another label); it leaves its old place.

    Raises InputError where there is no such version, or the label could be taken for a hash.
    """
    found = find_version(path, version)
    event = checked(Event, {"at": now(), "version": found.version, "label": label})
    if _is_hash(label):
        raise InputError(f"the label {label!r} could be a version", fix="choose another word")
    append_jsonl(_history_file(path), [event.model_dump(exclude_defaults=True)])
    return _found(path, found.version)


def find_version(path: Path, name: str) -> Version:
    """Return the version that a hash, its beginning or a label names; raises InputError."""
    known = history(path)
    wanted = labels_of(path).get(name, name)
    found = [version for version in known if version.version.startswith(wanted)]
    if len(found) == 1 and len(wanted) >= SHORTEST_HASH:
        return found[0]
    if name == "latest" and known:
        return known[-1]
    what = "more than one version" if len(found) > 1 else "no version"
    names = [*labels_of(path), *(version.version for version in known[-3:])]
    raise InputError(
        f"{what} {name!r} of {path.name}", path=_history_file(path),
        fix=f"use one of: {', '.join(names) or '(none yet: selaras prompt keep FILE)'}",
    )  # fmt: skip


def read_version(path: Path, name: str) -> NamedPrompt:
    """Return a kept version of a template; raises InputError where its file was changed."""
    version = find_version(path, name).version
    file = _version_file(path, version)
    text = read_text(file)
    if content_hash(text) != version:
        raise InputError(
            "this version's file was changed: a version never changes", path=file,
            fix="take it from version control again",
        )  # fmt: skip
    return NamedPrompt(parse_prompt(text, file), file)


def named_prompt(root: Path, name: str) -> NamedPrompt:
    """Return the template that `prompts/x.prompt` or `prompts/x.prompt@LABEL` names."""
    path, at, version = name.rpartition("@")
    if at and not (root / name).exists():
        return read_version(root / path, version)
    return NamedPrompt(load_prompt(root / name), root / name)


def newest(path: Path) -> str | None:
    """Return the version that was kept last, or None."""
    known = history(path)
    return known[-1].version if known else None


def _keep_text(path: Path, text: str, parent: str | None, note: str) -> None:
    name = content_hash(text)
    file = _version_file(path, name)
    if not file.exists():
        write_text(file, text)
    event = Event(at=now(), version=name, parent=parent, note=note)
    append_jsonl(_history_file(path), [event.model_dump(exclude_defaults=True)])


def _found(path: Path, version: str) -> Version:
    return next(each for each in history(path) if each.version == version)


def _events(path: Path) -> Iterator[Event]:
    file = _history_file(path)
    if not file.is_file():
        return
    events = [checked(Event, value, path=file, line=line) for line, value in read_jsonl(file)]
    # A merge puts the lines of one branch after those of the other: time decides.
    yield from sorted(events, key=lambda event: event.at)


def _history_file(path: Path) -> Path:
    return path.parent / "history" / f"{path.stem}.jsonl"


def _version_file(path: Path, version: str) -> Path:
    return path.parent / "versions" / f"{version}.prompt"


def _is_hash(name: str) -> bool:
    return SHORTEST_HASH <= len(name) <= 16 and set(name) <= set("0123456789abcdef")
