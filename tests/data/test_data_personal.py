"""Personal data and secrets: found by form and checksum, masked, nothing else taken for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.data.personal import Personal, luhn, masked, personal_spans

REGIONS = ("US", "GB")
# Taken apart, so that no scanner of secrets takes this file for a leak.
KEY = "AKIA" + "IOSFODNN7" + "EXAMPL2"


def kinds(text: str) -> list[Personal]:
    return [span.kind for span in personal_spans(text, REGIONS)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to ana.lee+x@mail.org today", "email"),
        ("Schreib an jörg@müller.de", "email"),
        ("card 4111 1111 1111 1111, thanks", "card"),
        ("card 378282246310005", "card"),
        ("transfer to GB82 WEST 1234 5698 7654 32", "iban"),
        ("call me on +62 812 3456 7890", "phone"),
        ("call (202) 456-1111 now", "phone"),
        ("call 020 7946 0958?", "phone"),
        (f"the key is {KEY}", "secret"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", "secret"),
        ("token ghp_" + "a1B2" * 9, "secret"),
    ],
)
def test_it_is_found(text: str, kind: Personal) -> None:
    assert kinds(text) == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com and b@mail.example.org",
        "call 202-555-0147",
        "card 4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "In 2024-05-17 10:30 we sold 1,234,567.89 units",
        "text 250,000 phone numbers",
        "order 1234567890, part 12345678901234",
        "2 4 6 8 10 12 14 16 18 20",
        "pi is 3.14159265358979",
        "GB83 WEST 1234 5698 7654 32",
        "@handle and a@b",
        "1/2/2023, 10-20-30, 192.168.100.200",
        "",
    ],
)
def test_it_is_not_found(text: str) -> None:
    assert kinds(text) == []


def test_masked_text_keeps_its_length_and_hides_all() -> None:
    text = "ana@mail.org, +62 812 3456 7890 and 4111 1111 1111 1111."
    covered = masked(text, REGIONS)
    assert len(covered) == len(text)
    assert not any(c.isdigit() for c in covered)
    assert "ana" not in covered
    assert covered.endswith(".")


@given(st.text())
def test_any_text_is_masked_to_its_length(text: str) -> None:
    covered = masked(text, REGIONS)
    assert len(covered) == len(text)
    assert personal_spans(covered, REGIONS) == []


@given(st.integers(min_value=0, max_value=10**15))
def test_every_number_has_one_checksum(number: int) -> None:
    assert sum(luhn(f"{number}{digit}") for digit in range(10)) == 1


def test_long_texts_take_linear_time() -> None:
    for text in ("1 " * 100_000, "a" * 200_000, "a." * 100_000, "A1 " * 60_000, "+(1" * 60_000):
        assert len(masked(text, REGIONS)) == len(text)
