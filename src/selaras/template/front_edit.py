"""Changing a field of the front matter in place: every other line, and every comment, stays."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from selaras.core.errors import InputError

BLOCK = "selaras"
_COMMENT_LINE = re.compile(r"^[ \t]*#.*\n", re.MULTILINE)


def edit_front(head: str, changes: Mapping[str, Any]) -> str:
    r"""Return a front matter (with its --- lines, or "") with fields of its `selaras` block set.

    A value of None takes the field out. Comments inside a changed field move above it.

    >>> print(edit_front("---\nname: a # mine\n---\n", {"parent": "12ab"}), end="")
    ---
    name: a # mine
    selaras:
      parent: 12ab
    ---
    """
    inner = head.split("\n", 1)[1].rsplit("---", 1)[0] if head else ""
    wanted = yaml.safe_load(inner) or {}
    block = {**(wanted.get(BLOCK) or {}), **changes}
    wanted[BLOCK] = {name: value for name, value in block.items() if value is not None}
    made = _edited(inner, changes)
    if not _means(made, wanted):
        made = _with_block(inner, wanted[BLOCK])
    if not _means(made, wanted):
        raise InputError(
            "the front matter cannot be changed in place",
            fix="write its fields in block style, one a line",
        )
    return f"---\n{made}---\n"


def _edited(inner: str, changes: Mapping[str, Any]) -> str:
    """Return the text with only the changed fields of the block written anew."""
    for name, value in changes.items():
        block = _value(yaml.compose(inner), BLOCK)
        if not isinstance(block, yaml.MappingNode) or block.flow_style or not block.value:
            return ""
        starts = [key.start_mark for key, _ in block.value]
        indent = starts[0].column
        text = _dumped({name: value}, indent) if value is not None else ""
        names = [key.value for key, _ in block.value]
        if name in names:
            number = names.index(name)
            start = starts[number].index - indent
            last = number + 1 == len(starts)
            end = _content_end(inner, block) if last else starts[number + 1].index - indent
            comments = "".join(_COMMENT_LINE.findall(inner[start:end]))
            inner = inner[:start] + comments + text + inner[end:]
        else:
            end = _content_end(inner, block)
            inner = inner[:end] + text + inner[end:]
    return inner


def _with_block(inner: str, block: Mapping[str, Any]) -> str:
    """Return the text with the whole block written anew, at the end of it."""
    node: Any = yaml.compose(inner)
    if node is None:
        return inner + _dumped({BLOCK: dict(block)}, 0)
    if node.flow_style:
        fields = yaml.safe_load(inner)
        return "".join(_COMMENT_LINE.findall(inner)) + _dumped({**fields, BLOCK: dict(block)}, 0)
    old = next(((key, value) for key, value in node.value if key.value == BLOCK), None)
    if old is None:
        return inner + _dumped({BLOCK: dict(block)}, 0)
    start, end = old[0].start_mark.index, old[1].end_mark.index
    if getattr(old[1], "flow_style", True):
        end = inner.find("\n", end) + 1
    comments = "".join(_COMMENT_LINE.findall(inner[start:end]))
    return inner[:start] + comments + _dumped({BLOCK: dict(block)}, 0) + inner[end:]


def _content_end(inner: str, block: yaml.MappingNode) -> int:
    """Return where a mapping's last line ends, without the comments and blank lines after it."""
    lines = inner[: block.end_mark.index].splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return sum(map(len, lines))


def _value(node: Any, name: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _dumped(value: Mapping[str, Any], indent: int) -> str:
    # One line a value: a folded line could begin with # and look like a comment.
    text = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, width=1 << 30, default_flow_style=False
    )
    return "".join(" " * indent + line for line in text.splitlines(keepends=True))


def _means(inner: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return bool(yaml.safe_load(inner) == wanted)
    except (yaml.YAMLError, ValueError, KeyError, IndexError):
        return False
