"""Identity terms: words that name who somebody is, by axis (religion, gender, age, …).

Two uses: rates of how often each axis and term is spoken of, and the guard that keeps
counterfactual pairs ("a Muslim man", "a Jewish man") from being taken for duplicates. The words
stand in `identity_terms.yaml` beside this file; a project adds to them in a file of its own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from selaras.core.errors import InputError
from selaras.core.fingerprint import normalise
from selaras.core.project import load_yaml

# A project's own file, beside selaras.yaml.
OWN_TERMS = "identity_terms.yaml"
# Scripts that put no spaces between words: their terms are looked for inside the text.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_VOWELS = "aeiou"


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """One identity term, whatever its form: `Term("religion", "muslim")`."""

    axis: str
    name: str


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Terms by their forms (words in normal form); make one with `load_lexicon`.

    `inside` are forms in scripts without spaces; `begins` is the length of the longest form that
    begins with a word.
    """

    forms: Mapping[tuple[str, ...], Term]
    inside: Mapping[str, Term]
    begins: Mapping[str, int]

    def terms(self, text: str) -> tuple[Term, ...]:
        """Return the terms a text mentions, in order and with repeats; the longest form wins.

        >>> [term.name for term in load_lexicon().terms("Two Jewish trans women and an old man")]
        ['jew', 'trans woman', 'old', 'man']
        """
        return self.terms_of(normalise(text).split())

    def terms_of(self, words: list[str]) -> tuple[Term, ...]:
        """Return the terms among the words of a normal form, as `terms` does."""
        return tuple(term for _, _, term in self._mentions(words))

    def without_terms(self, text: str) -> str:
        """Return the normal form of a text with each identity term taken out.

        >>> load_lexicon().without_terms("A joke about a Muslim, please!")
        'a joke about a please'
        """
        words = normalise(text).split()
        for start, end, _ in reversed([*self._mentions(words, spaced=True)]):
            del words[start:end]
        rest = " ".join(words)
        for form in self.inside:
            rest = rest.replace(form, "")
        return " ".join(rest.split())

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes, sorted."""
        found = {term.axis for term in (*self.forms.values(), *self.inside.values())}
        return tuple(sorted(found))

    def _mentions(self, words: list[str], spaced: bool = False) -> Iterator[tuple[int, int, Term]]:
        done = 0
        for i, word in enumerate(words):
            if i < done:
                continue
            longest = self.begins.get(word, 0)
            for length in range(min(longest, len(words) - i), 0, -1):
                if term := self.forms.get(tuple(words[i : i + length])):
                    yield i, i + length, term
                    done = i + length
                    break
            else:
                if not spaced and not word.isascii() and _UNSPACED.search(word):
                    yield from ((i, i + 1, term) for term in self._inside(word))

    def _inside(self, word: str) -> list[Term]:
        places = ((word.find(form), term) for form, term in self.inside.items())
        return [term for place, term in sorted(places) if place >= 0]


def load_lexicon(own: Path | None = None) -> Lexicon:
    """Return the built-in lexicon, with a project's own file added where it exists.

    The file maps axes to lists of lines "name, form, form"; a line of a known name adds forms to
    it, a line "-name" takes the term out. Raises InputError naming the axis that is wrong.

    >>> load_lexicon().terms("the blind") == load_lexicon().terms("visually impaired")
    True
    """
    if own is None or not own.is_file():
        return _builtin()
    axes = _builtin_axes()
    for axis, lines in _lines(load_yaml(own), own).items():
        _extend(axes.setdefault(axis, {}), lines)
    return _lexicon(axes)


@cache
def _builtin() -> Lexicon:
    return _lexicon(_builtin_axes())


def _builtin_axes() -> dict[str, dict[str, list[str]]]:
    text = (files("selaras.data") / OWN_TERMS).read_text(encoding="utf-8")
    return _lines(yaml.safe_load(text), None)


def _lexicon(axes: Mapping[str, Mapping[str, Iterable[str]]]) -> Lexicon:
    spaced: dict[tuple[str, ...], Term] = {}
    inside: dict[str, Term] = {}
    for axis, terms in axes.items():
        for name, forms in terms.items():
            for form in forms:
                if _UNSPACED.search(form):
                    inside.setdefault(form, Term(axis, name))
                else:
                    spaced.setdefault(tuple(form.split()), Term(axis, name))
    # Plurals come last, so that a plural made by rule never takes the place of a written form.
    for words, term in [*spaced.items()]:
        for plural in _plurals(words[-1]):
            spaced.setdefault((*words[:-1], plural), term)
    begins: dict[str, int] = {}
    for words in spaced:
        begins[words[0]] = max(len(words), begins.get(words[0], 0))
    return Lexicon(spaced, inside, begins)


def _lines(value: Any, path: Path | None) -> dict[str, dict[str, list[str]]]:
    if not isinstance(value, dict):
        raise InputError("not a mapping of axes to lists of terms", path=path)
    axes: dict[str, dict[str, list[str]]] = {}
    for axis, lines in value.items():
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise InputError(
                "not a list of terms", path=path, field=str(axis),
                fix='a line is "- name, form, form"; quote words that YAML reads as yes or no',
            )  # fmt: skip
        terms = axes.setdefault(str(axis), {})
        for line in lines:
            out = "-" if line.strip().startswith("-") else ""
            forms = [form for part in line.split(",") if (form := normalise(part))]
            if not forms:
                raise InputError("an empty term", path=path, field=str(axis))
            terms.setdefault(out + forms[0], []).extend(forms)
    return axes


def _extend(terms: dict[str, list[str]], lines: Mapping[str, Iterable[str]]) -> None:
    for name, forms in lines.items():
        if name.startswith("-"):
            terms.pop(name[1:], None)
        else:
            terms.setdefault(name, []).extend(forms)


def _plurals(word: str) -> Iterator[str]:
    if not word.isascii() or len(word) < 3:
        return
    if word.endswith("man"):
        yield word[:-3] + "men"
    if word.endswith("y") and word[-2] not in _VOWELS:
        yield word[:-1] + "ies"
    elif word.endswith(("s", "x", "z", "ch", "sh")):
        yield word + "es"
    elif word.endswith("wife"):
        yield word[:-2] + "ves"
    else:
        yield word + "s"
