"""Whether a reply passes a check: one exact verifier a type, and one a rule of IFEval.

The rules are those of "Instruction-Following Evaluation" (Zhou et al. 2023, arXiv:2311.07911) that
need no language tools. A check with any other rule is unscored and says which.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from selaras.evaluate.checks import ExactCheck, FinalCheck, Generated, NumberCheck, RulesCheck

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")
_FINAL = re.compile(r"answer\s*(?:is|:)\s*", re.IGNORECASE)
Settings = Mapping[str, Any]


def passes(check: Generated, text: str) -> tuple[bool | None, str | None]:
    """Return whether a reply passes, or None with the reason why nobody can say."""
    match check:
        case ExactCheck():
            return holds(text, check.accept), None
        case NumberCheck():
            return last_number(text) == float(check.answer.replace(",", "")), None
        case FinalCheck():
            return final_answer(text) == _bare(check.answer), None
        case RulesCheck():
            unknown = sorted(set(check.rules) - set(RULES))
            if unknown:
                return None, f"no exact verifier for {', '.join(unknown)}"
            pairs = zip(check.rules, check.settings, strict=True)
            try:
                return all(RULES[rule](text, settings) for rule, settings in pairs), None
            except (KeyError, TypeError, ValueError) as error:
                return None, f"the rule's settings are incomplete ({error})"


def holds(text: str, accepted: Sequence[str]) -> bool:
    """Return whether the text holds one of the accepted answers as whole words.

    >>> holds("It is seven.", ["7", "seven"]), holds("3600 seconds", ["60"]), holds("0.7", ["7"])
    (True, False, False)
    """
    # A number does not end at the point or comma between its own digits.
    before, after = r"(?<!\w)(?<!\d[.,])", r"(?!\w|[.,]\d)"
    return any(re.search(f"{before}{re.escape(a)}{after}", text, re.IGNORECASE) for a in accepted)


def last_number(text: str) -> float | None:
    """Return the first number after the last ####, else the last number of all; None without one.

    >>> last_number("3 + 4 = 7, so #### 7 dollars"), last_number("It costs $1,200.")
    (7.0, 1200.0)
    """
    _, marked, after = text.rpartition("####")
    if marked and (found := _NUMBER.search(after)):
        return float(found.group().replace(",", ""))
    numbers = _NUMBER.findall(text)
    return float(numbers[-1].replace(",", "")) if numbers else None


def final_answer(text: str) -> str:
    """Return what a reply gives as its answer: after the last "answer is", else its last line.

    >>> final_answer("I think so. So the answer is (B)."), final_answer("Well.\\nTrue")
    ('b', 'true')
    """
    parts = _FINAL.split(text)
    said = parts[-1].strip().splitlines()[:1] if len(parts) > 1 else text.strip().splitlines()[-1:]
    return _bare(said[0] if said else "")


def _bare(text: str) -> str:
    return text.strip().strip("*_`\"'.()[] ").casefold()


def _compared(found: int, settings: Settings, number: str, relation: str = "relation") -> bool:
    wanted = int(settings[number])
    return found < wanted if settings.get(relation) == "less than" else found >= wanted


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def _count(text: str, word: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))


def _is_json(text: str, settings: Settings) -> bool:  # noqa: ARG001
    bare = re.sub(r"\A\s*```(?:json)?\s*|\s*```\s*\Z", "", text, flags=re.IGNORECASE)
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _paragraphs(text: str, settings: Settings) -> bool:
    parts = [part for part in re.split(r"\s?\*\*\*\s?", text) if part.strip()]
    return len(parts) == int(settings["num_paragraphs"])


def _capital_words(text: str, settings: Settings) -> bool:
    found = sum(word.isupper() and len(word) > 1 for word in _words(text))
    return _compared(found, settings, "capital_frequency", "capital_relation")


def _two_responses(text: str, settings: Settings) -> bool:  # noqa: ARG001
    parts = [part.strip() for part in text.split("******") if part.strip()]
    return len(parts) == 2 and parts[0] != parts[1]


RULES: dict[str, Callable[[str, Settings], bool]] = {
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": lambda text, _: text == text.upper() and text != text.lower(),
    "change_case:english_lowercase": lambda text, _: text == text.lower() and text != text.upper(),
    "combination:repeat_prompt": lambda text, s: (
        text.strip().casefold().startswith(str(s["prompt_to_repeat"]).strip().casefold())
    ),
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": lambda text, s: (
        len(re.findall(r"\[.*?\]", text)) >= int(s["num_placeholders"])
    ),
    "detectable_content:postscript": lambda text, s: (
        re.sub(r"[.\s]", "", str(s["postscript_marker"])).casefold()
        in re.sub(r"[.\s]", "", text).casefold()
    ),
    "detectable_format:constrained_response": lambda text, _: any(
        said in text for said in ("My answer is yes.", "My answer is no.", "My answer is maybe.")
    ),
    "detectable_format:json_format": _is_json,
    "detectable_format:multiple_sections": lambda text, s: (
        len(re.findall(rf"{re.escape(str(s['section_spliter']))}\s+\d+", text))
        >= int(s["num_sections"])
    ),
    "detectable_format:number_bullet_lists": lambda text, s: (
        len(re.findall(r"^\s*(?:\*[^*]|-)", text, re.MULTILINE)) == int(s["num_bullets"])
    ),
    "detectable_format:number_highlighted_sections": lambda text, s: (
        len(re.findall(r"\*[^\n*]+\*", text)) >= int(s["num_highlights"])
    ),
    "detectable_format:title": lambda text, _: bool(re.search(r"<<[^\n]+>>", text)),
    "keywords:existence": lambda text, s: all(_count(text, word) for word in s["keywords"]),
    "keywords:forbidden_words": lambda text, s: (
        not any(_count(text, word) for word in s["forbidden_words"])
    ),
    "keywords:frequency": lambda text, s: _compared(_count(text, s["keyword"]), s, "frequency"),
    "keywords:letter_frequency": lambda text, s: _compared(
        text.casefold().count(str(s["letter"]).casefold()), s, "let_frequency", "let_relation"
    ),
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": lambda text, s: _compared(len(_words(text)), s, "num_words"),
    "punctuation:no_comma": lambda text, _: "," not in text,
    "startend:end_checker": lambda text, s: (
        text.strip().strip('"').casefold().endswith(str(s["end_phrase"]).strip().casefold())
    ),
    "startend:quotation": lambda text, _: (
        len(text.strip()) > 1 and text.strip()[0] == text.strip()[-1] == '"'
    ),
}
