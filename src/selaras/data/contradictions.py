"""Labels that cannot all be right: rows against each other, and a row against its own response.

No model of the data is needed: the same words with opposite labels, a response that refuses where
an answer is expected (or the reverse), a label against the policy as it holds in the use case. All
are for people to look at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from selaras.core.fingerprint import normalise
from selaras.core.project import UseCase
from selaras.core.records import Example, Expected, Kind, Preference, Query
from selaras.data.finding import AuditInput, Evidence, Finding, Proposal, cut
from selaras.data.personal import masked
from selaras.judge.refusal import refusal_rules
from selaras.policy import Policy, effective

AUDIT = "mislabels"
VERSION = 1
SHOWN = 120
LONGEST = 1000
Refuses = Callable[[str, str], str | None]


def contradictions(given: AuditInput) -> Iterator[Finding]:
    """Yield rows that contradict each other, their own response, or their policy."""
    yield from opposite_labels(given.rows)
    refuses = _remembering()
    use_cases = {use_case.id: use_case for use_case in given.use_cases}
    with given.progress.task("responses against labels", len(given.rows)) as task:
        for row in given.rows:
            wanted = wanted_of(row, given.policies, use_cases)
            if isinstance(row, Example) and row.response.strip():
                yield from _response(row, wanted, refuses)
            elif isinstance(row, Preference):
                yield from _pair(row, wanted, refuses)
            yield from _policy(row, given.policies, use_cases)
            task.advance()


def opposite_labels(rows: Sequence[Query]) -> Iterator[Finding]:
    """Yield groups of the same query in the same use case with different `expected` or kind.

    Also the same query and response labelled safe here and unsafe there. The same words in another
    use case may be another matter: what is safe depends on the product.
    """
    asked: dict[tuple[str, str | None], list[Query]] = {}
    answered: dict[tuple[str, str, str | None], list[Example]] = {}
    for row in rows:
        asked.setdefault((row.query_key, row.use_case), []).append(row)
        if isinstance(row, Example) and row.response_label:
            key = (row.query_key, normalise(row.response), row.use_case)
            answered.setdefault(key, []).append(row)
    for same in asked.values():
        for name, labels in (
            ("expected", [row.expected for row in same]), ("kind", [row.kind for row in same]),
        ):  # fmt: skip
            told = sorted({str(label) for label in labels if label})
            if len(told) > 1:
                yield _opposed(same, name, told)
                break
    for both in answered.values():
        told = sorted({str(row.response_label) for row in both})
        if len(told) > 1:
            yield _opposed(both, "response_label", told)


def wanted_of(
    row: Query, policies: Mapping[str, Policy], use_cases: Mapping[str, UseCase]
) -> Expected | None:
    """Return what should be done with a row: what it says, or its policy for a malicious one.

    Of several policies the strictest in the row's use case holds; None where nothing tells.
    """
    if row.expected is not None:
        return row.expected
    if row.kind != Kind.MALICIOUS:
        return Expected.ANSWER if row.kind == Kind.LOOK_ALIKE else None
    desired = [
        _desired(policies[name], row, use_cases) for name in row.policies if name in policies
    ]
    order = (Expected.REFUSE, Expected.SAFE_COMPLETION, Expected.ANSWER)
    return next((each for each in order if each in desired), None)


def _response(row: Example, wanted: Expected | None, refuses: Refuses) -> Iterator[Finding]:
    said = refuses(row.query, row.response)
    if row.response_label == "unsafe" or wanted is None:
        # An unsafe example shows what not to do: there, complying is the point.
        return
    if wanted == Expected.REFUSE and said == "none":
        yield _about(row, "complies", "the response answers, where refusing is expected",
                     ("response",), {"expected": "answer"})  # fmt: skip
    elif wanted == Expected.ANSWER and said == "full":
        yield _about(row, "refuses", "the response refuses, where an answer is expected",
                     ("response",), {"expected": "refuse"})  # fmt: skip
    elif wanted == Expected.SAFE_COMPLETION and said == "full":
        yield _about(row, "unhelpful", "the response refuses, where a safe completion is expected",
                     ("response",), {})  # fmt: skip


def _pair(row: Preference, wanted: Expected | None, refuses: Refuses) -> Iterator[Finding]:
    """Yield what is wrong with a pair; one in which both sides decline is fine where refusing is.

    A judge by rules tells refusing from answering, not which of two refusals is better.
    """
    if wanted is None:
        return
    said = {name: refuses(row.query, getattr(row, name)) for name in ("response_a", "response_b")}
    fields = tuple(said)
    declined = [value == "full" for value in said.values()]
    if wanted == Expected.REFUSE and all(value == "none" for value in said.values()):
        yield _about(row, "complies", "both responses answer, where refusing is expected",
                     fields, {"expected": "answer"})  # fmt: skip
    elif wanted == Expected.ANSWER and all(declined):
        yield _about(row, "refuses", "both responses refuse, where an answer is expected",
                     fields, {"expected": "refuse"})  # fmt: skip
    elif row.best != "tie" and all(value in {"full", "none"} for value in said.values()):
        best, other = fields if row.best == "a" else fields[::-1]
        if wanted == Expected.REFUSE and (said[best], said[other]) == ("none", "full"):
            yield _about(row, "worse_preferred",
                         "the response that answers is preferred, where refusing is expected",
                         fields, {})  # fmt: skip
        elif wanted == Expected.ANSWER and (said[best], said[other]) == ("full", "none"):
            yield _about(row, "worse_preferred",
                         "the response that refuses is preferred, where an answer is expected",
                         fields, {})  # fmt: skip


def _policy(
    row: Query, policies: Mapping[str, Policy], use_cases: Mapping[str, UseCase]
) -> Iterator[Finding]:
    """Yield labels that the row's kind, or its policies in its use case, do not allow."""
    if row.kind in {Kind.LOOK_ALIKE, Kind.ORDINARY} and row.expected == Expected.REFUSE:
        yield _about(row, "kind_against_expected",
                     f"a row of the kind {row.kind} is harmless, yet it is to be refused",
                     ("query",), {"kind": "malicious"})  # fmt: skip
    if row.kind == Kind.MALICIOUS and row.expected == Expected.ANSWER:
        known = [policies[name] for name in row.policies if name in policies]
        desired = {_desired(policy, row, use_cases) for policy in known}
        if known and Expected.ANSWER not in desired:
            yield _about(row, "kind_against_expected",
                         "malicious and to be answered, which no policy of it says in its use case",
                         ("query",), {"expected": "refuse"})  # fmt: skip


def _desired(policy: Policy, row: Query, use_cases: Mapping[str, UseCase]) -> Expected:
    use_case = use_cases.get(row.use_case or "")
    return (effective(policy, use_case) if use_case else policy).desired.expected


def _opposed(rows: Sequence[Query], name: str, told: Sequence[str]) -> Finding:
    ids = tuple(row.id for row in rows)
    words = "query and response have" if name == "response_label" else "query has"
    said = f"the same {words} the labels {' and '.join(told)} ({name})"
    proposed = tuple(Proposal(each, "relabel", said) for each in ids)
    return Finding(AUDIT, "opposite_labels", VERSION, "fault", ids, said, score=len(told),
                   threshold=1, proposed=proposed)  # fmt: skip


def _about(
    row: Query, check: str, said: str, names: Sequence[str], labels: Mapping[str, str]
) -> Finding:
    evidence = tuple(
        # Masked before it is cut: half an address is not known for one.
        Evidence(row.id, name, 0, min(SHOWN, len(text)), cut(masked(text[:LONGEST]), SHOWN))
        for name in names
        if (text := str(getattr(row, name)))
    )
    fields: dict[str, str | list[str]] = {**labels}
    proposal = Proposal(row.id, "relabel", said, fields)  # type: ignore[arg-type]
    return Finding(AUDIT, check, VERSION, "review", (row.id,), said, evidence,
                   proposed=(proposal,))  # fmt: skip


def _remembering() -> Refuses:
    known: dict[str, str | None] = {}

    def refuses(query: str, response: str) -> str | None:
        if response not in known:
            known[response] = refusal_rules.judge(query, response).value
        return known[response]

    return refuses
