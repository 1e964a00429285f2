"""Versions: named by content, never changed, labels that move, histories that merge."""

import pytest

from selaras.core.errors import InputError
from selaras.core.files import read_jsonl
from selaras.template import Principle, load_prompt, parse_prompt, with_body, with_principles
from selaras.template.diff import segment_diff, text_diff
from selaras.template.versions import (
    content_hash,
    history,
    keep,
    keep_as_it_is,
    labels_of,
    named_prompt,
    put_label,
    read_version,
)

TEXT = '---\nname: x # mine\n---\n{{role "system"}}\nBe brief.\n{{role "user"}}\n{{input}}\n'


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "prompts" / "x.prompt"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def test_a_change_is_kept_with_its_parent_and_the_old_text_stays(path):
    template = with_principles(load_prompt(path), [Principle(id="p1", text="Be kind.")])
    version = keep(path, template, "from feedback")
    first, second = history(path)
    assert first.version == content_hash(TEXT)
    assert (second.parent, second.note) == (first.version, "from feedback")
    assert second == version
    assert load_prompt(path).front.selaras.parent == first.version
    assert read_version(path, first.version[:6]).path.read_text() == TEXT
    assert read_version(path, "latest").path.read_text() == path.read_text()
    assert keep(path, load_prompt(path)) == version
    assert len(history(path)) == 2


def test_an_edit_by_hand_is_kept_before_it_is_built_upon(path):
    keep_as_it_is(path)
    path.write_text(TEXT.replace("brief", "very brief"))
    keep(path, with_body(load_prompt(path), "New. {{input}}"))
    texts = [read_version(path, v.version).template.body for v in history(path)]
    assert [("brief" in t, "very" in t) for t in texts] == [(1, 0), (1, 1), (0, 0)]
    parents = [version.parent for version in history(path)]
    assert parents == [None, *(version.version for version in history(path)[:2])]


def test_labels_move_and_name_a_system_prompt(path):
    first = keep_as_it_is(path)
    put_label(path, "production", first.version)
    second = keep(path, with_body(load_prompt(path), "New. {{input}}"))
    root = path.parent.parent
    assert (
        named_prompt(root, "prompts/x.prompt@production").template.body == parse_prompt(TEXT).body
    )
    put_label(path, "production", second.version[:5])
    named = named_prompt(root, "prompts/x.prompt@production")
    assert named.template.body == "New. {{input}}"
    assert named.path.parent.name == "versions"
    assert labels_of(path) == {"production": second.version}
    assert named_prompt(root, "prompts/x.prompt").path == path


def test_a_changed_version_and_an_unknown_one_are_errors(path):
    version = keep_as_it_is(path)
    for name in ("production", "ffff", version.version[:2]):
        with pytest.raises(InputError, match=r"no version|versions"):
            read_version(path, name)
    with pytest.raises(InputError, match="could be a version"):
        put_label(path, "beef", version.version)
    file = path.parent / "versions" / f"{version.version}.prompt"
    file.write_text(TEXT + "tampered")
    with pytest.raises(InputError, match="a version never changes"):
        read_version(path, version.version)


def test_two_branches_merge_line_by_line(path):
    keep_as_it_is(path)
    put_label(path, "production", "latest")
    log = path.parent / "history" / "x.jsonl"
    lines = [value for _, value in read_jsonl(log)]
    # What `merge=union` makes of two branches: lines of both, in any order, some twice.
    log.write_text("".join(f"{line}\n" for line in [*reversed(log.read_text().splitlines()),
                                                    *log.read_text().splitlines()]))  # fmt: skip
    assert len(history(path)) == 1
    assert set(labels_of(path)) == {"production"}
    assert len(lines) == 2


def test_a_diff_speaks_of_messages_and_of_lines():
    old = parse_prompt(TEXT)
    new = with_principles(with_body(old, old.body.replace("brief", "kind")),
                          [Principle(id="p", text="Name a line.")])  # fmt: skip
    assert [(c.kind, c.role, c.mark, c.before, c.after) for c in segment_diff(old, new)] == [
        ("changed", "system", None, "Be brief.", "Be kind."),
        ("added", "system", "principles", "", "- Name a line."),
    ]
    lines = text_diff(old, new, ("a", "b"))
    assert "-Be brief." in lines
    assert "+- Name a line." in lines
    assert segment_diff(old, old) == []
