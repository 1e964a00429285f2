"""Patterns for letters that stand apart with no wider gap between words: `h o w t o p i c k`.

Joined, such a run is one word, so a pattern's own spaces and word boundaries are not in it. The
rules are read once more without them, on these runs only.
"""

import re

# What a pattern is made of: an escape, a class, a quantifier, any other character.
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[+*?]\??|\{\d*,?\d*\}\??|.", re.DOTALL)
_GAPS = {" ", r"\s", r"\b", r"\B"}


def squeezed(pattern: str) -> str:
    r"""Return a pattern without its spaces and word boundaries.

    >>> squeezed(r"\bpick (?:a|the)\s+.{0,20}[ -]lock\b")
    'pick(?:a|the).{0,20}[ -]?lock'
    """
    parts: list[str] = []
    dropped = False
    for part in _PART.findall(pattern):
        quantifier = re.fullmatch(r"[+*?]\??|\{\d*,?\d*\}\??", part) is not None
        if quantifier and dropped:
            continue
        if quantifier and parts and parts[-1] == "?" and parts[-2:-1] and parts[-2][0] == "[":
            parts[-1] = {"+": "*"}.get(part, part)
            continue
        dropped = part in _GAPS
        if dropped:
            continue
        parts.append(part)
        if part.startswith("[") and not part.startswith("[^") and (" " in part or r"\s" in part):
            parts.append("?")
    return "".join(parts)
