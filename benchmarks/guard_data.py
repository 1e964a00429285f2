"""The labelled texts that `guard.py` measures guards on, read from the folder of public data."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selaras.core.records import Message
from selaras.safeguard.outcome import Material, Side

FILES = (
    "openai_moderation/samples_half.jsonl", "surge_toxicity/toxicity_en.csv",
    "diasafety/train.json", "diasafety/val.json", "xstest/xstest_prompts.csv",
)  # fmt: skip
CATEGORIES = ("S", "H", "V", "HR", "SH", "S3", "H2", "V2")
Texts = list[str]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts, which of them are unsafe, and which are the test part (None: five folds).

    `asked` are the contexts, where the texts are responses.
    """

    texts: Texts
    labels: Any
    test: Any = None
    asked: Texts | None = None

    @property
    def side(self) -> Side:
        """Which side of a guard reads them."""
        return "query" if self.asked is None else "response"

    @property
    def tested_labels(self) -> Any:
        """The labels of the texts that are tested."""
        return self.labels if self.test is None else self.labels[self.test]

    @property
    def joined(self) -> Texts:
        """Each text with its context, for methods that read one text."""
        if self.asked is None:
            return self.texts
        return [f"{a}\n{b}" for a, b in zip(self.asked, self.texts, strict=True)]

    def materials(self) -> list[Material]:
        """The texts as a guard is given them."""
        asked = self.asked or self.texts
        return [
            Material(self.side, text, (Message(role="user", content=before),))
            for text, before in zip(self.texts, asked, strict=True)
        ]


def data_sets(folder: Path, quick: bool) -> dict[str, Labelled]:
    """Return the labelled sets by name."""
    lines = (folder / FILES[0]).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    bad = np.array([any(row.get(c) == 1 for c in CATEGORIES) for row in rows])
    moderation = Labelled([row["prompt"] for row in rows], bad)
    with (folder / FILES[1]).open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    bad = np.array([row["is_toxic"].strip().casefold() == "toxic" for row in rows])
    toxicity = Labelled([row["text"] for row in rows], bad)
    parts = [json.loads((folder / name).read_text(encoding="utf-8")) for name in FILES[2:4]]
    parts = [part[:600] for part in parts] if quick else parts
    rows = parts[0] + parts[1]
    dialogues = Labelled(
        [row["response"] for row in rows], np.array([row["label"] == "Unsafe" for row in rows]),
        np.arange(len(rows)) >= len(parts[0]), [row["context"] for row in rows],
    )  # fmt: skip
    return {"openai_moderation": moderation, "surge_toxicity": toxicity, "diasafety": dialogues}


def safe_prompts(folder: Path) -> Texts:
    """Return XSTest's safe prompts."""
    with (folder / FILES[4]).open(encoding="utf-8", newline="") as source:
        return [row["prompt"] for row in csv.DictReader(source) if row["label"] == "safe"]
