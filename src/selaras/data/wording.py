"""How a text is put: form, tone, what it asks for, how hard it is to read. Rules on single texts.

The cues are English and Indonesian words and the marks of all scripts; of other languages only
marks are read, so a form is then a question or a statement. They are made for comparing sets of
rows with each other, not for judging one.
"""

import re
from functools import cache
from typing import Literal

Form = Literal["question", "imperative", "statement"]
FORMS: tuple[Form, ...] = ("question", "imperative", "statement")
LONGEST = 4000  # characters read of each text

_QUESTION_MARK = re.compile("[?？؟՞;]\\s*[\"')\\]]*\\s*$|[?？؟]")
_ASKING = (
    "what which who whom whose when where why how is are am was were do does did can could should "
    "would will shall may might has have had apa apakah siapa kapan mana dimana mengapa kenapa "
    "bagaimana bisakah bolehkah berapa"
)
_TELLING = (
    "add advise analyse analyze answer arrange ask build calculate change check choose classify "
    "clean code come compare compile complete compose compute continue convert convince correct "
    "count craft create debate decide define delete describe design detail determine develop "
    "discuss draft draw edit elaborate evaluate explain extract fill find fix format generate get "
    "give go help identify imagine improve include invent keep let list look make mention name "
    "offer order organise organize outline paraphrase pick plan play pretend produce propose "
    "provide put rank rate read recommend remind remove reorder rephrase replace reply report "
    "respond rewrite roleplay say search send set share shorten show simplify sketch solve sort "
    "speak spell state suggest sum summarise summarize take teach tell think train translate turn "
    "use verify walk word write buat buatkan jelaskan tulis tuliskan berikan sebutkan ringkas "
    "terjemahkan bantu carikan tolong"
)
_BEFORE = "please kindly now just also then so ok okay hey hi hello and first"
_QUESTION_WORDS = frozenset(_ASKING.split())
_VERBS = frozenset(_TELLING.split())
_OPENERS = frozenset(_BEFORE.split())
TONES: dict[str, re.Pattern[str]] = {
    "polite": re.compile(
        r"\b(?:please|kindly|thank(?:s| you)|could you|would you|would you mind|sorry|grateful"
        r"|appreciate|tolong|mohon|terima kasih)\b",
        re.IGNORECASE,
    ),
    "emphatic": re.compile(r"!!|\?\?|[?!]{2,}|\b[A-Z]{4,}\b(?:\W+[A-Z]{2,}\b)?"),
    "casual": re.compile(
        r"^[a-z][^.!?]{3,}|\b(?:u|ur|gonna|wanna|gotta|lol|btw|idk|dude|bro|cuz|kinda|ain't|yo"
        r"|gak|nggak|dong|sih)\b|[\U0001f300-\U0001faff]"
    ),
    "worried": re.compile(
        r"\b(?:worried|scared|afraid|urgent|emergency|panic\w*|desperate|nervous|anxious|help me"
        r"|what now|khawatir|takut|darurat)\b",
        re.IGNORECASE,
    ),
    "hostile": re.compile(
        r"\b(?:stupid|idiots?|hate|damn|shut up|moron|pathetic|worthless|dumb|bodoh|benci)\b",
        re.IGNORECASE,
    ),
}
_CONSTRAINT = re.compile(
    r"\b(?:only|exactly|without|except|must|at (?:most|least)|no (?:more|less|longer) than|under"
    r"|between|do not|don't|avoid|never|using|in the style of|as (?:a|an) (?:list|table|poem|json)"
    r"|in \w+ (?:words?|sentences?|lines?|steps?|paragraphs?|bullets?)|\d+ (?:words?|sentences?"
    r"|lines?|steps?|paragraphs?|bullets?)|hanya|tanpa|maksimal|minimal|harus|jangan)\b",
    re.IGNORECASE,
)
_STEP = re.compile(
    r"\b(?:then|after that|afterwards|next|finally|first|second|third|lalu|kemudian)\b"
    r"|^\s*(?:\d{1,2}[.)]|[-*•])\s",
    re.IGNORECASE | re.MULTILINE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_SENTENCE = re.compile(r"[.!?。！？।]+(?:\s|$)")
_VOWELS = re.compile("[aeiouy]+")


def words(text: str) -> list[str]:
    """Return the words and numbers of a text, as they are written.

    >>> words("Don't boil 2.5 eggs!")
    ["Don't", 'boil', '2.5', 'eggs']
    """
    return _WORD.findall(text)


def form(text: str) -> Form:
    """Return whether a text asks, tells somebody to do something, or states something.

    >>> form("How long do eggs boil"), form("Please write a poem."), form("My eggs burst.")
    ('question', 'imperative', 'statement')
    """
    head = text[:LONGEST]
    if _QUESTION_MARK.search(head):
        return "question"
    openings = [word.casefold() for word in words(head[:200])]
    while openings and openings[0] in _OPENERS:
        if openings[0] in {"please", "kindly"}:
            return "imperative"
        openings = openings[1:]
    if openings and openings[0] in _QUESTION_WORDS:
        return "question"
    return "imperative" if openings and openings[0] in _VERBS else "statement"


def tones(text: str) -> tuple[str, ...]:
    """Return the tones of which a text shows a cue; none where it is plain.

    >>> tones("could you help me please??")
    ('polite', 'emphatic', 'casual', 'worried')
    """
    head = text[:LONGEST]
    return tuple(name for name, pattern in TONES.items() if pattern.search(head))


def constraints(text: str) -> int:
    """Return how many conditions a request sets ("in 3 sentences", "without", "at most")."""
    return len(_CONSTRAINT.findall(text[:LONGEST]))


def steps(text: str) -> int:
    """Return how many steps a request is made of: 1, and one more for each "then" or list item."""
    return 1 + len(_STEP.findall(text[:LONGEST]))


def reading_grade(text: str) -> float | None:
    """Return the Flesch-Kincaid grade of an English text (Kincaid et al. 1975), or None.

    Syllables are counted by groups of vowels. Only of texts in Latin letters with five words or
    more, as US school years, cut to 0 to 20.

    >>> reading_grade("The cat sat on the mat. It was fat.")
    0.0
    """
    head = text[:LONGEST]
    found = [word.casefold() for word in words(head) if word.isascii() and word[0].isalpha()]
    if len(found) < 5 or sum(map(len, found)) < 0.6 * sum(c.isalpha() for c in head):
        return None
    sentences = max(1, len(_SENTENCE.findall(head)))
    grade = 0.39 * len(found) / sentences + 11.8 * sum(map(_syllables, found)) / len(found) - 15.59
    return round(min(max(grade, 0.0), 20.0), 2)


@cache
def _syllables(word: str) -> int:
    groups = len(_VOWELS.findall(word))
    silent = word.endswith("e") and not word.endswith(("le", "ee")) and groups > 1
    return max(1, groups - silent)
