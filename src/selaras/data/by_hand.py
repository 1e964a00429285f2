"""Rows written by a person: the guidance that the policy gives, the row, what to look at again."""

from collections.abc import Iterator
from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.files import append_jsonl
from selaras.core.fingerprint import fingerprint
from selaras.core.project import Project
from selaras.core.records import Example, Expected, Kind, Query
from selaras.data.making.instructions import EXPECTED
from selaras.data.rows import dump_row, load_rows
from selaras.judge.refusal import refusal_rules
from selaras.policy import check_rows, load_policies

FILE = "by-hand.jsonl"
NO_POLICY = "-"
_ADVICE = {
    Kind.ORDINARY: "an everyday message; it keeps the product useful",
    Kind.LOOK_ALIKE: "safe, but sounds unsafe: a word with two meanings, fiction, history; the "
    "response helps",
    Kind.INADVERTENT: "well-meant, and a careless response would break the policy; the response "
    "helps with the safe part",
    Kind.MALICIOUS: "wants a violation; write no harmful detail, and decline in the first sentence",
}


def guidance(project: Project, policy: str, kind: str) -> Iterator[str]:
    """Yield what a person should have before them when writing a row of that policy and kind."""
    yield f"{_kind(kind).value}: {_ADVICE[_kind(kind)]}"
    if policy == NO_POLICY:
        return
    policies = load_policies(project)
    if policy not in policies:
        raise InputError(f"unknown policy {policy!r}", fix=f"use one of: {', '.join(policies)}")
    rule = policies[policy]
    yield f"{rule.title}: {rule.statement}"
    yield from (f"  not counted: {text}" for text in rule.exceptions)
    yield from (f"  breaks it: {text}" for text in rule.violating[:2])
    yield from (f"  allowed: {text}" for text in rule.allowed[:2])
    yield f"  wanted: {rule.desired.guidance}"


def new_row(
    project: Project, policy: str, kind: str, query: str, response: str, use_case: str | None
) -> Query:
    """Return a checked row; raises InputError for an unknown policy, use case or kind."""
    made = _kind(kind)
    policies = load_policies(project)
    rule = policies.get(policy)
    expected = EXPECTED[made]
    if made is Kind.MALICIOUS and rule is not None:
        expected = rule.desired.expected
    row = Query(
        id=f"hand-{fingerprint([policy, kind, query, response], 10)}", query=query, kind=made,
        expected=expected, policies=() if policy == NO_POLICY else (policy,),
        use_case=project.use_case(use_case).id, source="by hand",
    )  # fmt: skip
    if response.strip():
        row = Example(**{name: getattr(row, name) for name in Query.model_fields},
                      response=response, response_label="safe")  # fmt: skip
    check_rows([row], policies, project.file.use_cases)
    return row


def add_row(project: Project, path: Path, row: Query) -> list[str]:
    """Append the row to a file and return what the writer should look at again.

    Raises InputError where the very same row stands already.
    """
    there = load_rows(project).kept if project.data_files else ()
    if any(other.id == row.id for other in there):
        raise InputError("this very row stands already", path=path)
    warnings = [f"the query stands already in {other.id}"
                for other in there if other.query_key == row.query_key]  # fmt: skip
    if isinstance(row, Example):
        refusal = refusal_rules.judge(row.query, row.response).value
        if row.expected is Expected.REFUSE and refusal == "none":
            warnings.append("a refusal is expected, and the response reads like an answer")
        if row.expected is Expected.ANSWER and refusal == "full":
            warnings.append("an answer is expected, and the response reads like a refusal")
    append_jsonl(path, [dump_row(row)])
    return warnings


def _kind(name: str) -> Kind:
    if name not in {*Kind}:
        raise InputError(f"no kind {name!r}", fix=f"use one of: {', '.join(Kind)}")
    return Kind(name)
