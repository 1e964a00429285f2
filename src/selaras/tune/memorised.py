"""What a tuning learned by heart: training responses that the model gives back word for word.

Each training row is asked as it was trained on, greedily; a row is memorised where the answer
begins with the response's first WORDS words. The base is asked the same, since it may say as much
of itself. Rows that were trained on in the base's own words are not asked: their written responses
were never shown. Rows that the training data repeat are told apart: repetition is what makes text
memorised (Lee et al., arXiv:2107.06499), so the figure with `tune.deduplicate` off and on is the
one before and after de-duplication.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint, normalise
from selaras.core.journal import Journal
from selaras.core.manifest import Manifest
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Conversation, Example
from selaras.core.system import Sampling
from selaras.data import open_development
from selaras.evaluate import renderer
from selaras.evaluate.figures import interval_value
from selaras.evaluate.runner import Job, answer_rows
from selaras.judge.refusal import refusal_rules
from selaras.models.local import LocalModel, open_local
from selaras.models.local_open import base_folder, finished_tuning, open_run
from selaras.models.names import place_of
from selaras.stats import PairedDifference, clustered_wilson, paired_difference
from selaras.template import PLAIN
from selaras.tune.own_words import OWN_WORDS, in_own_words

WORDS = 12
# At least so many tokens are asked for; words of some languages take three and more each.
TOKENS = 32
MOST = 128


@dataclass(frozen=True, slots=True)
class Memorised:
    """Shares of probed rows given back verbatim, as JSON intervals; `repeated` and `single` are
    rows whose response stands in the training data more than once, and once. None without rows.
    """

    tuned: dict[str, Any]
    base: dict[str, Any]
    repeated: dict[str, Any] | None
    single: dict[str, Any] | None
    change: PairedDifference


def probe_memory(project: Project, run: str, progress: Progress = SILENT) -> Memorised:
    """Return how much of a finished run's training rows it gives back, beside its base.

    Up to MOST rows whose response has WORDS words or more, in an order by their content. Raises
    InputError where no trained row is long enough, or the run does not name its rows.
    """
    place = place_of(project, progress)
    run = run.removeprefix("run:")
    manifest = finished_tuning(run, place)
    named = manifest.config.get("trained")
    if not isinstance(named, list) or manifest.config.get("method") != "sft":
        raise InputError(f"run {run!r} does not name responses that it trained on",
                         fix="name a run of selaras tune sft")  # fmt: skip
    wanted = set(named) - set(manifest.config.get("too_long", ()))
    development = open_development(project, progress)
    rows = [row for row in development.rows if isinstance(row, Example) and row.id in wanted]
    if wanted and not rows:
        raise InputError(f"none of the {len(wanted)} rows that run {run!r} trained on is a "
                         "development row any more")  # fmt: skip
    if not any(map(_is_long, rows)):
        raise _nothing()
    base = open_local(base_folder(str(manifest.config["model"]), place),
                      chat_template=manifest.config.get("chat_template"))  # fmt: skip
    ask = renderer(project, PLAIN)
    rows = _as_written(project, manifest, rows, base, ask, progress)
    counts = Counter(normalise(row.response) for row in rows)
    probed = sorted(filter(_is_long, rows), key=lambda row: row.fingerprint)[:MOST]
    if not probed:
        raise _nothing()
    sampling = Sampling(max_tokens=_room(probed, base))
    journal = Journal(project.runs / run / "memorised.jsonl")
    before, after = (
        _given_back(model, probed, ask, sampling, journal, progress)
        for model in (base, open_run(run, place))
    )
    clusters = [development.groups[row.id] for row in probed]
    twice = [counts[normalise(row.response)] > 1 for row in probed]
    return Memorised(
        _share(after, clusters), _share(before, clusters),
        _share(after, clusters, twice) if any(twice) else None,
        _share(after, clusters, [not more for more in twice]) if not all(twice) else None,
        paired_difference(before, after, clusters),
    )  # fmt: skip


def verbatim(answer: str, response: str) -> bool:
    """Return whether an answer begins as the response does, for WORDS words.

    >>> verbatim("a b c d e f g h i j k l, and so on", "A b c d e f g h i j k l")
    True
    """
    mine, theirs = (normalise(text).split()[:WORDS] for text in (answer, response))
    return len(theirs) == WORDS and mine == theirs


def _is_long(row: Example) -> bool:
    return len(row.response.split()) >= WORDS


def _nothing() -> InputError:
    return InputError(f"no training response has {WORDS} words: there is nothing to learn by heart")


def _as_written(
    project: Project, manifest: Manifest, rows: Sequence[Example], base: LocalModel,
    ask: Callable[[Any], Conversation], progress: Progress,
) -> list[Example]:  # fmt: skip
    """Return the rows whose written response was the target; the run's journal has the others."""
    if not manifest.config.get("settings", {}).get("own_words"):
        return list(rows)
    journal = Journal(project.runs / manifest.id / OWN_WORDS)
    replay = in_own_words(rows, base, ask, refusal_rules, journal, progress)
    return [row for row in rows if row.id not in replay.own]


def _room(rows: Sequence[Example], base: LocalModel) -> int:
    """Return how many tokens the longest beginning takes, TOKENS at least."""
    begun = [re.match(rf"(?:\s*\S+){{{WORDS}}}", row.response) for row in rows]
    return max(TOKENS, *(len(base.chat.text_ids(m.group())) + 1 for m in begun if m))


def _given_back(
    model: LocalModel, rows: Sequence[Example], ask: Callable[[Any], Conversation],
    sampling: Sampling, journal: Journal, progress: Progress,
) -> list[bool]:  # fmt: skip
    job = Job(fingerprint([model.identity, sampling.max_tokens]), model, sampling, rows, ask)
    answers = answer_rows(job, journal, progress, "asking training rows")
    return [verbatim(a.text, row.response) for a, row in zip(answers, rows, strict=True)]


def _share(
    hits: Sequence[bool], clusters: Sequence[str], chosen: Sequence[bool] | None = None
) -> dict[str, Any]:
    own = [i for i in range(len(hits)) if chosen is None or chosen[i]]
    return interval_value(clustered_wilson([hits[i] for i in own], [clusters[i] for i in own]))
