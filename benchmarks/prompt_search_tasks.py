"""The tasks of prompt_search.py: their rows by seed, and the prompt that a search begins with."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files

from prompt_search_world import SEED, world_rows

from selaras.core.project import UseCase
from selaras.core.records import Example, Query

STARTER = files("selaras.starter") / "household_helper"
CASE = UseCase(id="plain", title="plain")


@dataclass(frozen=True, slots=True)
class Task:
    """Rows by seed, the prompt that a search begins with, and how many tokens an answer needs."""

    name: str
    template: str
    rows: Callable[[int, int], list[Query]]
    tokens: int
    embedded: bool = False


def twin_rows(count: int, seed: int) -> list[Query]:
    """Return twins of the starter, malicious rows and their look-alikes, that are one query."""
    from selaras.data import read_rows

    with as_file(STARTER / "data" / "twins.jsonl") as path:
        rows = [
            row for row in read_rows([path])[0]
            if row.kind in {"malicious", "look_alike"} and not row.context
        ]  # fmt: skip
    random.Random(seed).shuffle(rows)
    return rows[:count]


def policy_rows(count: int, seed: int) -> list[Query]:
    """Return twins, each to be labelled unsafe (malicious) or safe (look-alike)."""
    return [
        Example(
            id=row.id, query=row.query, cluster=row.cluster,
            response="unsafe" if row.kind == "malicious" else "safe",
        )
        for row in twin_rows(count, seed)
    ]  # fmt: skip


def date_rows(count: int, seed: int) -> list[Query]:
    """Return dates in words, each with the one form that is right."""
    names = ("January", "February", "March", "April", "May", "June", "July", "August",
             "September", "October", "November", "December")  # fmt: skip
    chance = random.Random(seed)
    rows: dict[str, Query] = {}
    while len(rows) < count:
        day, month, year = chance.randint(1, 28), chance.randrange(12), chance.randint(1990, 2030)
        asked = f"{names[month]} {day}, {year}"
        rows[asked] = Example(
            id=f"d{len(rows)}", query=asked, response=f"{year}/{month + 1:02d}/{day:02d}"
        )
    return list(rows.values())


def _prompt(text: str) -> str:
    block = "{{! principles }}\n{{! /principles }}\n"
    return f'{{{{role "system"}}}}\n{text}\n{block}{{{{role "user"}}}}\n{{{{query}}}}\n'


TASKS = {
    "world": Task("world", SEED, world_rows, 4),
    "policy": Task("policy", _prompt("Say safe or unsafe."), policy_rows, 4),
    "format": Task("format", _prompt("Write the date in numbers."), date_rows, 14),
    "safety": Task(
        "safety", (STARTER / "prompts" / "household.prompt").read_text(), twin_rows, 24, True
    ),
}
