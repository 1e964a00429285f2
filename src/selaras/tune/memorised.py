"""What a tuning learned by heart: training responses that the model gives back word for word.

Each training row is asked as it was trained on, greedily; a row is memorised where the answer
begins with the response's first WORDS words. The base is asked the same, since it may say as much
of itself (and where rows were trained on in its own words, it does). Rows that the training data
repeat are told apart: repetition is what makes text memorised (Lee et al., arXiv:2107.06499), so
the figure with `tune.deduplicate` off and on is the one before and after de-duplication.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint, normalise
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Conversation, Example
from selaras.core.system import Sampling
from selaras.data import open_development
from selaras.evaluate import renderer
from selaras.evaluate.figures import interval_value
from selaras.evaluate.runner import Job, answer_rows
from selaras.models.local import LocalModel, open_local
from selaras.models.local_open import base_folder, finished_tuning, open_run
from selaras.models.names import place_of
from selaras.stats import PairedDifference, paired_difference, wilson
from selaras.template import PLAIN

WORDS = 12
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
    wanted = set(named)
    rows = [
        row
        for row in open_development(project, progress).rows
        if isinstance(row, Example) and row.id in wanted
    ]
    counts = Counter(normalise(row.response) for row in rows)
    long = [row for row in rows if len(row.response.split()) >= WORDS]
    probed = sorted(long, key=lambda row: row.fingerprint)[:MOST]
    if not probed:
        raise InputError(f"no training response has {WORDS} words: there is nothing to learn by "
                         "heart")  # fmt: skip
    base = open_local(base_folder(str(manifest.config["model"]), place),
                      chat_template=manifest.config.get("chat_template"))  # fmt: skip
    ask = renderer(project, PLAIN)
    journal = Journal(project.runs / run / "memorised.jsonl")
    before = _given_back(base, probed, ask, journal, progress)
    after = _given_back(open_run(run, place), probed, ask, journal, progress)
    twice = [counts[normalise(row.response)] > 1 for row in probed]
    return Memorised(
        _share(after), _share(before),
        _share([hit for hit, more in zip(after, twice, strict=True) if more]) if any(twice)
        else None,
        _share([hit for hit, more in zip(after, twice, strict=True) if not more])
        if not all(twice) else None,
        paired_difference(before, after),
    )  # fmt: skip


def verbatim(answer: str, response: str) -> bool:
    """Return whether an answer begins as the response does, for WORDS words.

    >>> verbatim("a b c d e f g h i j k l, and so on", "A b c d e f g h i j k l")
    True
    """
    mine, theirs = (normalise(text).split()[:WORDS] for text in (answer, response))
    return len(theirs) == WORDS and mine == theirs


def _given_back(
    model: LocalModel, rows: Sequence[Example], ask: Callable[[Any], Conversation],
    journal: Journal, progress: Progress,
) -> list[bool]:  # fmt: skip
    job = Job(fingerprint(model.identity), model, Sampling(max_tokens=TOKENS), rows, ask)
    answers = answer_rows(job, journal, progress, "asking training rows")
    return [verbatim(a.text, row.response) for a, row in zip(answers, rows, strict=True)]


def _share(hits: Sequence[bool]) -> dict[str, Any]:
    return interval_value(wilson(sum(hits), len(hits)))
