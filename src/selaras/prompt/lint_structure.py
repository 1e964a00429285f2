"""Checks of how a template is built: its variables, where data stands, examples, control words."""

import re
from collections.abc import Iterator

from selaras.prompt.lint import Linted, Remark
from selaras.template.front import ExampleSource
from selaras.template.prompt import INPUT, QUERY, Shown

_IMPERATIVE = re.compile(
    r"(?:^|[.!?:]\s+|\n\s*)(?:please\s+|now\s+|you must\s+|always\s+|never\s+|do not\s+|don't\s+)?"
    r"(answer|reply|respond|summari[sz]e|translate|classify|write|explain|list|extract|rewrite|use|"
    r"give|return|output|keep|make sure|ensure|refuse|say|be)\b",
    re.IGNORECASE,
)
_DELIMITED = re.compile(r"(?:[>:\"'`)\]|]|---|===|###|\n)\s*$")
_SINGLE_BRACES = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)\}(?!\})")
_CONTROL = re.compile(
    r"<\|[\w ]{2,30}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</?s>"
    r"|^(?:Human|Assistant|System|User):", re.MULTILINE,
)  # fmt: skip
_SECRET = re.compile(
    r"\b(?:sk-[\w-]{16,}|AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|AIza[\w-]{30,}|xox[abp]-[\w-]{10,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bpassword\s*[:=]\s*\S+", re.IGNORECASE,
)  # fmt: skip
LEAST_EXAMPLES = 2


def unused_variable(linted: Linted) -> Iterator[Remark]:
    """A declared input that the body has no place for never reaches the model."""
    used = {token.text for token, _ in linted.variables()} | {
        token.text for token, _ in linted.variables("examples")
    }
    for name in sorted(linted.template.front.input.names - used):
        yield Remark("unused-variable", "error", f"{name} is declared and stands nowhere",
                     "its value would never reach the model", 0, 0)  # fmt: skip


def undeclared_variable(linted: Linted) -> Iterator[Remark]:
    """Where inputs are declared, a variable that is not among them is often a misspelling."""
    declared = linted.template.front.input.names
    for token, _ in linted.variables() if declared else ():
        if token.text not in declared | {INPUT, QUERY}:
            yield Remark(
                "undeclared-variable",
                "warning",
                f"{{{{{token.text}}}}} is not declared",
                "a misspelt variable fails at the first row",
                token.start,
                token.end,
            )


def no_place_for_input(linted: Linted) -> Iterator[Remark]:
    """A prompt without a variable sends the same text for every row."""
    if not linted.variables():
        yield Remark(
            "no-input",
            "error",
            "no variable: the user's text has no place",
            "every row would be answered alike; write {{input}} or {{query}}",
            0,
            0,
        )


def single_braces(linted: Linted) -> Iterator[Remark]:
    """{name} is how other tools write a variable; here it is text."""
    for passage in linted.passages:
        for match in _SINGLE_BRACES.finditer(passage.text):
            start = passage.start + match.start()
            yield Remark("single-braces", "warning", f"{match.group()} is text, not a variable",
                         f"write {{{{{match[1]}}}}} where a value should stand",
                         start, start + len(match.group()))  # fmt: skip


def instructions_after_data(linted: Linted) -> Iterator[Remark]:
    """Orders that follow the user's text in one message compete with orders inside it."""
    seen: str | None = None
    for token, role, mark in linted.tokens:
        if token.kind == "variable" and role == "user" and mark != "examples":
            seen = token.text
        elif token.kind == "text" and role == "user" and seen and mark != "examples":
            match = _IMPERATIVE.search(token.text)
            if match:
                yield Remark("instructions-after-data", "warning",
                             f"an instruction after {{{{{seen}}}}}: \"{match.group().strip()} …\"",
                             "text from outside stands before it and can countermand it or pass as "
                             "its beginning; give orders in the system message, before the data",
                             token.start + match.start(1), token.start + match.end(1))  # fmt: skip


def data_among_instructions(linted: Linted) -> Iterator[Remark]:
    """A value in the system message speaks with the author's voice; in a sentence it melts in."""
    before = ""
    for token, role, mark in linted.tokens:
        if token.kind == "text":
            before = token.text
            continue
        if token.kind != "variable" or mark == "examples":
            continue
        if role == "system":
            yield Remark("data-in-system", "warning",
                         f"{{{{{token.text}}}}} is in the system message",
                         "whoever writes that value speaks with the system's authority (OWASP "
                         "LLM01); put it into the user's message",
                         token.start, token.end)  # fmt: skip
        elif before.strip() and not _DELIMITED.search(before):
            yield Remark("undelimited-data", "note",
                         f"{{{{{token.text}}}}} stands inside a sentence",
                         "a model tells data from orders by delimiters: a label, a line of its "
                         "own, quotes or tags", token.start, token.end)  # fmt: skip
        before = ""


def control_words(linted: Linted) -> Iterator[Remark]:
    """Words of a chat format inside the text end or begin turns where nobody means to."""
    for passage in linted.passages:
        for match in _CONTROL.finditer(passage.text):
            if passage.mark == "examples" or linted.template.front.selaras.form == "raw":
                continue
            start = passage.start + match.start()
            yield Remark("control-words", "warning",
                         f"{match.group()!r} is a word of a chat format",
                         "the chat template writes turns itself; in the text it is read as text or "
                         "mistaken for a turn: use {{role \"…\"}}",
                         start, start + len(match.group()))  # fmt: skip


def secrets(linted: Linted) -> Iterator[Remark]:
    """A system prompt is not secret: what stands in it can be had out of the model."""
    for passage in linted.passages:
        for match in _SECRET.finditer(passage.text):
            start = passage.start + match.start()
            yield Remark("secret", "error", "this looks like a key or a password",
                         "users can make a model repeat its prompt (OWASP LLM07)",
                         start, start + len(match.group()))  # fmt: skip


def few_shot(linted: Linted) -> Iterator[Remark]:
    """One example is copied; examples without a break run into one another."""
    source: ExampleSource = linted.template.front.selaras.examples
    shown: tuple[Shown, ...] = linted.template.shown
    count = max(len(shown), len(source.rows) + len(source.inline))
    span = linted.template.span("examples")
    place = (span.start, span.end) if span else (0, 0)
    if span and count == 0:
        yield Remark("few-shot", "note", "an examples block without examples",
                     "name rows or write values under selaras.examples", *place)  # fmt: skip
    elif 0 < count < LEAST_EXAMPLES:
        yield Remark("few-shot", "note", "one example only",
                     "a model takes a single example's content for the pattern; two to five that "
                     "differ show the form", *place)  # fmt: skip
    responses = {values.get("response", "") for values in source.inline}
    if len(source.inline) >= LEAST_EXAMPLES and len(responses) == 1:
        yield Remark("few-shot", "warning", "every example has the same response",
                     "the model will answer so whatever is asked", *place)  # fmt: skip


def raw_ending(linted: Linted) -> Iterator[Remark]:
    """A prefix to continue needs a cue at its end, or the model goes on with the input."""
    template = linted.template
    if template.front.selaras.form != "raw":
        return
    end = len(template.body.rstrip())
    if linted.tokens and linted.tokens[-1][0].kind == "variable":
        yield Remark("raw-ending", "warning", "the prefix ends with a value",
                     "a pre-trained model continues the value; end with a cue such as Summary:",
                     linted.tokens[-1][0].start, end)  # fmt: skip
