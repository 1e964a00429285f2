"""What an audit gets and what it says: rows in, findings out; nothing is ever deleted.

An audit is a function `AuditInput -> Iterable[Finding | Figures]`, named in `selaras.data.AUDITS`.
It yields as it goes, so that what it found stands even where a later part cannot run (a missing
encoder). A finding may propose decisions; only a person, or `--fix` where a proposal is `safe`,
makes a proposal a decision.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from selaras.core.decisions import Action, Label
from selaras.core.errors import one_line
from selaras.core.fingerprint import fingerprint
from selaras.core.progress import SILENT, Progress
from selaras.core.project import AuditSettings, Project, UseCase
from selaras.core.records import Example, Preference, Query
from selaras.data.encoder import MINILM, Encoder
from selaras.policy import Policy

# fault: certainly wrong. review: a person has to look. note: worth knowing, nothing to do.
Level = Literal["fault", "review", "note"]
# Texts to unit vectors, one a text; cached, shows progress, raises MissingExtraError.
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
# Pairs of a row and an item's text to whether both ask the same; None where that is not known.
AskSame = Callable[[Sequence[tuple[Query, str]]], Sequence[bool | None]]
LONGEST_EVIDENCE = 160


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where it shows: characters `start` to `end` of one text field (see `text_fields`) of a row.

    `text` is what may be shown of it, cut and masked by the audit; None where nothing may be.
    """

    record: str
    field: str
    start: int
    end: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A decision that an audit proposes for one of a finding's records.

    `safe` says that it needs no person: `--fix` appends it. A `relabel` is never safe.
    """

    record: str
    action: Action
    reason: str
    fields: Mapping[Label, str | list[str]] = field(default_factory=dict)
    safe: bool = False

    def __post_init__(self) -> None:
        if self.safe and self.action != "remove":
            raise ValueError(f"only a removal may be safe to automate, not {self.action!r}")


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit says of rows. The first record is the one that a reader should look at first.

    `check` names the kind of finding within the audit ("exact", "empty_cell"). `score` and
    `threshold` are in the check's own unit; None where it is a matter of yes or no. `version` is
    the audit's: raised when the same rows may give other findings.
    """

    audit: str
    check: str
    version: int
    level: Level
    records: tuple[str, ...]
    message: str
    evidence: tuple[Evidence, ...] = ()
    score: float | None = None
    threshold: float | None = None
    proposed: tuple[Proposal, ...] = ()

    @property
    def name(self) -> str:
        """The audit and its check, "duplicates/exact"."""
        return f"{self.audit}/{self.check}"

    @property
    def id(self) -> str:
        """The same audit, check, rows and places give the same id, in whatever run."""
        places = [[e.record, e.field, e.start, e.end] for e in self.evidence]
        # A finding without rows (an empty cell) is told apart by what it says.
        said = [] if self.records else [self.message]
        return fingerprint([self.audit, self.check, sorted(self.records), places, *said])

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values, its id and name among them."""
        return {"id": self.id, "name": self.name, **asdict(self)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Finding":
        """Return the finding that `to_dict` wrote.

        >>> finding = Finding("hygiene", "email", 1, "review", ("a",), "an e-mail address",
        ...                   (Evidence("a", "query", 3, 9, "a…@…"),),
        ...                   proposed=(Proposal("a", "remove", "e-mail"),))
        >>> Finding.from_dict(finding.to_dict()) == finding
        True
        """
        known = {key: value[key] for key in value if key not in {"id", "name"}}
        known["records"] = tuple(value["records"])
        known["evidence"] = tuple(Evidence(**each) for each in value["evidence"])
        known["proposed"] = tuple(Proposal(**each) for each in value["proposed"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Figures:
    """What an audit measured besides its findings: JSON values under the names that it documents.

    The page and `--json` show the same ones.
    """

    audit: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditInput:
    """What every audit gets; it takes what it needs.

    `rows` have the decisions applied and hold no sealed row. Outside a project `project` is None,
    `policies` and `use_cases` hold what is known of those that rows name, and `settings` are the
    defaults. `embed` opens its encoder at the first new text; `encoder` has its thresholds.
    `closely` embeds by MiniLM whatever the encoder (seals hold its vectors), None where `embed`
    does. `reference` are rows to compare with. `same` asks a judge about what is only close.
    """

    rows: tuple[Query, ...]
    embed: Embed
    policies: Mapping[str, Policy] = field(default_factory=dict)
    use_cases: tuple[UseCase, ...] = ()
    settings: AuditSettings = field(default_factory=AuditSettings)
    project: Project | None = None
    reference: tuple[Query, ...] = ()
    progress: Progress = SILENT
    encoder: Encoder = MINILM
    closely: Embed | None = None
    same: AskSame | None = None

    def embed_closely(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return MiniLM's vectors of texts."""
        return (self.closely or self.embed)(texts)


Audit = Callable[[AuditInput], Iterable[Finding | Figures]]


def text_fields(row: Query) -> dict[str, str]:
    """Return the texts of a row by the names that evidence uses.

    >>> list(text_fields(Query(id="a", query="q", context={"article": "x"})))
    ['query', 'context.article']
    """
    texts = {f"turns.{i}": turn.content for i, turn in enumerate(row.turns)}
    texts["query"] = row.query
    texts |= {f"context.{name}": row.context[name] for name in sorted(row.context)}
    return texts | responses(row)


def responses(row: Query) -> dict[str, str]:
    """Return the responses of a row by field name; none for a query without one.

    >>> responses(Example(id="a", query="q", response="r"))
    {'response': 'r'}
    """
    if isinstance(row, Preference):
        return {"response_a": row.response_a, "response_b": row.response_b}
    return {"response": row.response} if isinstance(row, Example) else {}


def cut(text: str, limit: int = LONGEST_EVIDENCE) -> str:
    """Return text as evidence shows it: on one line and no longer than the limit."""
    # What is far beyond the limit need not be looked at: a row may hold a megabyte.
    return one_line(text[: 4 * limit], limit)
