"""What should not be in a row whatever it is about: one check a function, text in, spans out.

Equal texts are read once and make one finding together, so that a million identical rows stay one
finding. Nothing here is safe to automate: what a personal datum or a control character does in a
row is for a person to say, and taking the row out is only proposed.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from selaras.core.project import AuditSettings
from selaras.core.records import Example, Preference, Query
from selaras.data.finding import (
    AuditInput,
    Evidence,
    Figures,
    Finding,
    Level,
    Proposal,
    cut,
    responses,
    text_fields,
)
from selaras.data.language import language
from selaras.data.personal import WORDS, knows_phones, masked, personal_spans

AUDIT = "hygiene"
VERSION = 1
AROUND = 24
# (check, level, what it is, start, end)
Fault = tuple[str, Level, str, int, int]
Check = Callable[[str, AuditSettings], Iterator[Fault]]

# Tokens with which chat formats mark turns: in a row's text they end a turn, or seem to.
_TEMPLATE = re.compile(
    r"<\|(?:im_start|im_end|endoftext|begin_of_text|end_of_text|eot_id|start_header_id"
    r"|end_header_id|system|user|assistant|end|channel|message|return|start)\|>"
    r"|</?(?:start_of_turn|end_of_turn|bos|eos)>|<</?SYS>>|\[/?INST\]|</s>"
    r"|^(?:Human|Assistant): |^### (?:Instruction|Response|Input):",
    re.MULTILINE,
)
_CONTROL = re.compile(
    "\U0001f3f4[\U000e0020-\U000e007e]{3,6}\U000e007f"  # a flag, which is spelled with tags: fine
    "|(?P<fault>[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufffd\ufff9-\ufffb]"  # C0, C1, marks
    "|[\u202a-\u202e\u2066-\u2069]|[\U000e0000-\U000e007f]+)"  # reordering and hidden text
)
_MOJIBAKE = re.compile(r"[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u0192\u2013-\u203a\u20ac\u2122]+")
_OPEN_ENDED = re.compile(
    r"(?:[,;:(\[{–—-]|\b(?:and|or|the|a|an|of|to|with|for|dan|yang|di|ke))\s*$"
)
_LONE_ITEM = re.compile(r"\n\s*(?:\d{1,2}[.)]|[-*•])\s*$")


def audit_hygiene(given: AuditInput) -> Iterator[Finding | Figures]:
    """Yield damaged texts, personal data, secrets, template tokens, languages, missing licences."""
    yield from _texts(given)
    yield from _empty(given.rows)
    yield from _licences(given.rows)
    if not knows_phones():
        said = "telephone numbers were not looked for: pip install 'selaras[data]'"
        yield Finding(AUDIT, "not_checked", VERSION, "note", (), said)
    languages: Counter[str] = Counter()
    yield from _languages(given, languages)
    yield Figures(AUDIT, {"languages": dict(languages.most_common())})


def personal(text: str, settings: AuditSettings) -> Iterator[Fault]:
    """Yield personal data and secrets."""
    for span in personal_spans(text, settings.phone_regions):
        yield span.kind, "review", WORDS[span.kind], span.start, span.end


def control_characters(text: str, _: AuditSettings) -> Iterator[Fault]:
    """Yield characters that hide, reorder or end text, and marks of a broken encoding."""
    if text.isascii() and text.isprintable():
        return
    for found in _CONTROL.finditer(text):
        if not found["fault"]:
            continue
        name = unicodedata.name(found[0][0], f"U+{ord(found[0][0]):04X}").lower()
        yield "control_character", "fault", f"a control character ({name})", *found.span()


def wrong_encoding(text: str, _: AuditSettings) -> Iterator[Fault]:
    """Yield UTF-8 that was read as Latin-1 or Windows-1252 ("cafÃ©")."""
    for found in () if text.isascii() else _MOJIBAKE.finditer(text):
        for codec in ("cp1252", "latin-1"):
            try:
                meant = found[0].encode(codec).decode("utf-8")
            except UnicodeError:
                continue
            yield (
                "wrong_encoding",
                "fault",
                f"UTF-8 read as {codec} (meant: {meant})",
                *found.span(),
            )
            break


def template_tokens(text: str, _: AuditSettings) -> Iterator[Fault]:
    """Yield the tokens and headings by which chat formats mark turns."""
    for found in _TEMPLATE.finditer(text):
        what = f"a token of a chat format ({found[0].strip()})"
        yield "template_token", "review", what, *found.span()


def truncation(text: str) -> str | None:
    """Return why a response seems to have been cut off, or None.

    >>> truncation("Open the window and"), truncation("Open the window.")
    ('it stops in the middle of a sentence', None)
    """
    end = text[-200:].rstrip()
    if text.count("```") % 2:
        return "a block of code is not closed"
    if _LONE_ITEM.search(end):
        return "its list stops at an empty item"
    # A response of a word or two ("a", "Two:") is short, not cut off.
    if len(text) >= 12 and _OPEN_ENDED.search(end):
        return "it stops in the middle of a sentence"
    return None


CHECKS: tuple[Check, ...] = (personal, control_characters, wrong_encoding, template_tokens)


def _texts(given: AuditInput) -> Iterator[Finding]:
    places: dict[str, list[tuple[str, str]]] = {}
    for row in given.rows:
        for name, text in text_fields(row).items():
            places.setdefault(text, []).append((row.id, name))
    with given.progress.task("hygiene", len(places)) as task:
        for text, where in places.items():
            for check in CHECKS:
                yield from _grouped(text, where, list(check(text, given.settings)), given.settings)
            task.advance()
    for row in given.rows:
        for name, text in responses(row).items():
            if why := truncation(text):
                said = f"the response seems cut off: {why}"
                shown = cut(masked(text, given.settings.phone_regions)[-AROUND:])
                end = (max(0, len(text) - AROUND), len(text), shown)
                yield _about(row, name, "truncated", said, "review", end)


def _grouped(
    text: str,
    where: Sequence[tuple[str, str]],
    faults: Sequence[Fault],
    settings: AuditSettings,
) -> Iterator[Finding]:
    """Yield one finding for each check that found something in a text, with all its places."""
    by_check: dict[str, list[Fault]] = {}
    for fault in faults:
        by_check.setdefault(fault[0], []).append(fault)
    covered = masked(text, settings.phone_regions) if by_check else text
    ids = tuple(dict.fromkeys(record for record, _ in where))
    record, name = where[0]
    for check, found in by_check.items():
        _, level, what, _, _ = found[0]
        evidence = tuple(
            Evidence(record, name, start, end, _shown(covered, start, end))
            for _, _, _, start, end in found[:20]
        )
        more = f", {len(found)} times" if len(found) > 1 else ""
        rows = f" (in {len(ids)} rows)" if len(ids) > 1 else ""
        yield Finding(
            AUDIT, check, VERSION, level, ids, f"{what} in the {name}{more}{rows}", evidence,
            score=len(found),
            proposed=tuple(Proposal(each, "remove", f"holds {what}") for each in ids),
        )  # fmt: skip


def _shown(covered: str, start: int, end: int) -> str:
    head = "…" if start > AROUND else ""
    return head + cut(covered[max(0, start - AROUND) : end + AROUND])


def _empty(rows: Sequence[Query]) -> Iterator[Finding]:
    coming = []
    for row in rows:
        if isinstance(row, Example) and not row.response.strip():
            if row.response_label is None:
                coming.append(row.id)
                continue
            said = f"an empty response is labelled {row.response_label}"
            yield _about(row, "response", "empty_response", said, "fault")
        if not isinstance(row, Preference):
            continue
        for name, text in responses(row).items():
            if not text.strip():
                yield _about(row, name, "empty_response", f"{name} is empty", "fault")
        if row.best != "tie" and row.response_a.strip() == row.response_b.strip():
            said = f"both responses are the same, yet {row.best} is the better one"
            yield _about(row, "response_a", "same_responses", said, "fault")
    if coming:
        said = f"{len(coming)} rows wait for their response (they are never trained on)"
        yield Finding(AUDIT, "no_response_yet", VERSION, "note", tuple(coming), said)


def _about(
    row: Query,
    name: str,
    check: str,
    said: str,
    level: Level,
    span: tuple[int, int, str | None] = (0, 0, None),
) -> Finding:
    return Finding(
        AUDIT, check, VERSION, level, (row.id,), said, (Evidence(row.id, name, *span),),
        proposed=(Proposal(row.id, "remove", said),),
    )  # fmt: skip


def _licences(rows: Sequence[Query]) -> Iterator[Finding]:
    """Yield the rows of each source that do not say on what terms they may be used."""
    lacking: dict[str | None, list[str]] = {}
    for row in rows:
        if not (row.licence or "").strip():
            lacking.setdefault(row.source, []).append(row.id)
    for source, ids in lacking.items():
        named = f"of the source {cut(source, 60)!r}" if source else "without a source"
        said = f"{len(ids)} rows {named} name no licence"
        yield Finding(AUDIT, "no_licence", VERSION, "review", tuple(ids), said, score=len(ids))


def _languages(given: AuditInput, counts: Counter[str]) -> Iterator[Finding]:
    told: dict[tuple[str, str], str] = {}
    known: dict[str, str | None] = {}
    with given.progress.task("languages", len(given.rows)) as task:
        for row in given.rows:
            for name, text in text_fields(row).items():
                if text not in known:
                    known[text] = language(text)
                if code := known[text]:
                    told[row.id, name] = code
                    counts[code] += 1
            task.advance()
    wanted = set(given.settings.languages) or {code for code, _ in counts.most_common(1)}
    for row in given.rows:
        found = {name: told[row.id, name] for name in text_fields(row) if (row.id, name) in told}
        wrong = {name: code for name, code in found.items() if code not in wanted}
        if wrong:
            name, code = next(iter(wrong.items()))
            said = f"the {name} is in {code!r}, where {', '.join(sorted(wanted))} is expected"
            yield _about(row, name, "language", said, "review")
