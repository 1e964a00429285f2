"""What a model is shown of a case: delimited, cut, and said to be data and no instruction."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selaras.core.records import Query
from selaras.evaluate.judging import given_by_user
from selaras.judge.question import delimited
from selaras.policy import Policy, policy_text
from selaras.template import PromptTemplate, write_prompt

_MARK = re.compile(r"</?[a-z]+-[0-9a-f]{8}>")
LONGEST_SHOWN = 600
LONGEST_POLICIES = 900
LONGEST_TEMPLATE = 6000
# Of what was tried before, so many of the last and so much of each.
TRIED_SHOWN, LONGEST_TRIED = 4, 200


@dataclass(frozen=True, slots=True)
class Case:
    """A response to a row; `wanted` is the one that is right, where that is known.

    `found` is what people or judges say of it, in a line.
    """

    row: Query
    response: str
    found: str = ""
    wanted: str = ""


def cases_text(cases: Sequence[Case]) -> str:
    """Return cases between marks, each text on one line in quotes: none can pose as another.

    With the right response below the wrong one a 1.5B model finds the form that is wanted, which
    it does not where the same is told in words; with marks about each text it copies the marks.
    """
    return delimited(
        cases="\n\n".join(
            f"CASE {number}\n{_case_lines(case)}" for number, case in enumerate(cases, 1)
        )
    )


def _case_lines(case: Case) -> str:
    lines = {
        "query": given_by_user(case.row),
        "wrong response" if case.wanted else "response": case.response,
        "right response": case.wanted,
        "found": case.found,
    }
    return "\n".join(
        f"{name}: {json.dumps(cut(text), ensure_ascii=False)}"
        for name, text in lines.items()
        if text or text is case.response
    )


def template_text(template: PromptTemplate) -> str:
    """Return the template's instructions as their author wrote them, without the front matter."""
    return cut(write_prompt(template)[len(template.head) :].strip(), LONGEST_TEMPLATE)


def principles_text(template: PromptTemplate) -> str:
    """Return the principles that hold, each under its id."""
    lines = [f"{p.id}: {p.text}" for p in template.front.selaras.principles if p.holds]
    return "\n".join(lines) or "(none yet)"


def tried_text(tried: Sequence[str]) -> str:
    """Return the last of what was tried without help, as a section of its own; nothing for none."""
    lines = [f"- {cut(_bare(text), LONGEST_TRIED)}" for text in tried[-TRIED_SHOWN:]]
    if not lines:
        return ""
    said = "TRIED ALREADY, WITHOUT HELP (propose something that differs in substance)"
    return "\n" + "\n".join([said, *lines]) + "\n"


def refuse_marks(text: str) -> None:
    """Raise ValueError where a text holds a mark such as `delimited` sets: material was copied.

    >>> refuse_marks("Answer <briefly>.")
    """
    if found := _MARK.search(text):
        raise ValueError(f"{found[0]} marks what you were shown: write the instructions alone")


def refuse_tried(text: str, tried: Sequence[str]) -> None:
    """Raise ValueError where a text was tried already, whatever its case and blanks."""
    if _bare(text).casefold() in {_bare(each).casefold() for each in tried}:
        raise ValueError("this was tried already and did not help: propose something else")


def policies_text(
    policies: Mapping[str, Policy], names: Sequence[str], longest: int = LONGEST_POLICIES
) -> str:
    """Return the text of policies exactly as raters and judges read it; nothing for none.

    Of several each gets its share of `longest` characters, its middle left out where it has more.
    """
    found = [name for name in dict.fromkeys(names) if name in policies]
    share = longest // max(1, len(found))
    return "\n\n".join(cut(policy_text(policies[name]), share) for name in found)


def cut(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Return a text of at most so many characters, its middle left out where it is longer.

    >>> cut("abcdefghij", 8)
    'abc … ij'
    """
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[: longest - 3 - half]} … {text[len(text) - half :]}"


def _bare(text: str) -> str:
    return " ".join(text.split())
