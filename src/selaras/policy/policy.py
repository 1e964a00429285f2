"""A content policy: the root object that rows, verdicts, prompts, models and figures point back to.

It is written by a person, in YAML, one file a policy. Its meaning is the statement with its
exceptions; the examples show where the line runs, and `desired` says what to do on the wrong side
of it. `revision` is raised by the author when the meaning changes, and only that makes earlier
results stale. `maps_to` names the categories of other taxonomies that come nearest.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from selaras.core.records import Expected, Identifier, Record

Severity = Literal["low", "medium", "high", "critical"]
Family = Literal["harm", "product"]
Taxonomy = Literal["mlcommons", "llama_guard", "shieldgemma"]

# MLCommons AILuminate v1.0 (arXiv:2503.05731); Llama Guard 3 and 4 model cards (S1 Violent Crimes,
# S2 Non-Violent Crimes, S3 Sex-Related Crimes, S4 Child Sexual Exploitation, S5 Defamation,
# S6 Specialized Advice, S7 Privacy, S8 Intellectual Property, S9 Indiscriminate Weapons, S10 Hate,
# S11 Suicide & Self-Harm, S12 Sexual Content, S13 Elections, S14 Code Interpreter Abuse);
# ShieldGemma 1 model card.
CATEGORIES: dict[Taxonomy, tuple[str, ...]] = {
    "mlcommons": (
        "Violent Crimes",
        "Nonviolent Crimes",
        "Sex-Related Crimes",
        "Child Sexual Exploitation",
        "Suicide & Self-Harm",
        "Indiscriminate Weapons",
        "Intellectual Property",
        "Defamation",
        "Hate",
        "Privacy",
        "Specialized Advice",
        "Sexual Content",
    ),
    "llama_guard": tuple(f"S{number}" for number in range(1, 15)),
    "shieldgemma": (
        "Dangerous Content",
        "Harassment",
        "Hate Speech",
        "Sexually Explicit Information",
    ),
}


def _says_something(value: str) -> str:
    if not value.strip():
        raise ValueError("must say something")
    return value


Text = Annotated[str, AfterValidator(_says_something)]
LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"


class Desired(Record):
    """What the assistant should do with a query that asks for a violation.

    `message` is what a guard shows the user in place of a text that it blocks, `translations` the
    same in other languages, by BCP 47 tag. In both, `{name|otherwise}` stands for what the guard's
    file has under `contacts` (a crisis line of the product's country), and else for the rest.
    """

    expected: Expected
    guidance: Text
    message: Text | None = None
    translations: dict[Annotated[str, Field(pattern=LANGUAGE)], Text] = Field(default_factory=dict)


class Policy(Record):
    """A rule about content. The statement is one concrete sentence: "The assistant must not …".

    `violating` and `allowed` describe behaviour and never give operational detail. A
    `statement_only` policy carries no examples at all: for some harms none should be written,
    generated or stored. `maps_to` always has its three taxonomies, empty where nothing corresponds.

    >>> rule = Policy.model_validate({
    ...     "id": "spoilers", "title": "Spoilers", "revision": 1, "owner": "product",
    ...     "severity": "low", "family": "product",
    ...     "statement": "The assistant must not tell how a film ends unless it is asked to.",
    ...     "desired": {"expected": "safe_completion", "guidance": "Offer to warn first."},
    ... })
    >>> rule.desired.expected.value, rule.maps_to["mlcommons"]
    ('safe_completion', ())
    """

    id: Identifier
    title: Text
    revision: int = Field(ge=1)
    owner: Text
    severity: Severity
    family: Family
    maps_to: dict[Taxonomy, tuple[str, ...]] = Field(default_factory=lambda: _mapped({}))
    statement: Text
    statement_only: bool = False
    exceptions: tuple[Text, ...] = ()
    violating: tuple[Text, ...] = ()
    allowed: tuple[Text, ...] = ()
    desired: Desired

    @field_validator("maps_to")
    @classmethod
    def _known_categories(
        cls, value: dict[Taxonomy, tuple[str, ...]]
    ) -> dict[Taxonomy, tuple[str, ...]]:
        for taxonomy, names in value.items():
            for name in names:
                if name not in CATEGORIES[taxonomy]:
                    raise ValueError(_unknown(taxonomy, name))
        return _mapped(value)

    # Field validators, so that the error names the list to mend; they see the fields above them.
    @field_validator("violating", "allowed")
    @classmethod
    def _no_examples_beside_the_statement(
        cls, value: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        if value and info.data.get("statement_only"):
            raise ValueError("a statement_only policy carries no examples")
        return value

    @field_validator("allowed")
    @classmethod
    def _on_one_side(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for both in set(value).intersection(info.data.get("violating", ())):
            raise ValueError(f"the same example is also under violating: {both}")
        return value


def _mapped(value: dict[Taxonomy, tuple[str, ...]]) -> dict[Taxonomy, tuple[str, ...]]:
    return {taxonomy: value.get(taxonomy, ()) for taxonomy in CATEGORIES}


def _unknown(taxonomy: Taxonomy, name: str) -> str:
    known = CATEGORIES[taxonomy]
    names = "S1 to S14" if taxonomy == "llama_guard" else ", ".join(known)
    return f"no {taxonomy} category {name[:40]!r}; there are {names}"
