"""The probe queries that `selaras start` runs: by policy and kind, with twins, and ordinary ones.

They were written by hand for this project (Apache-2.0) and hold no operational detail. They are few
and public: good for a first look at a System, never for a claim about it.
"""

from collections.abc import Collection
from importlib.resources import files

from selaras.core.files import parse_json
from selaras.core.records import Kind, Query
from selaras.data import parse_row

FILE = "probes.jsonl"
GENERAL = "general"


def probe_queries(policies: Collection[str] | None = None) -> list[Query]:
    """Return the probes of these policies (None: of all), and ordinary ones.

    Ordinary requests about the world are left out where `off-topic` is among the policies: whether
    a product answers them is then for its own rows to say.

    >>> kinds = {row.kind.value for row in probe_queries(["hate"])}
    >>> sorted(kinds)
    ['inadvertent', 'look_alike', 'malicious', 'ordinary']
    """
    text = (files("selaras.starter") / FILE).read_text(encoding="utf-8")
    rows = [parse_row(parse_json(line)) for line in text.splitlines()]
    if policies is None:
        return rows
    narrow = "off-topic" in policies
    return [
        row for row in rows
        if set(row.policies) & {*policies}
        or (row.kind == Kind.ORDINARY and not (narrow and row.topic == GENERAL))
    ]  # fmt: skip
