"""What an evaluation would take: calls, tokens, time and cost, before anything is asked."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from selaras.core.journal import Journal
from selaras.core.manifest import ledger
from selaras.core.project import Project
from selaras.core.records import Conversation
from selaras.evaluate.checks import Check, ChoiceCheck
from selaras.evaluate.judging import Bench, NamedJudge, cases_of
from selaras.evaluate.paying import length_of, prices_of
from selaras.evaluate.rewording import MOST_TOKENS, asked_for
from selaras.evaluate.runner import Answer
from selaras.evaluate.suite import Suite
from selaras.evaluate.systems import Opened
from selaras.judge import ModelJudge
from selaras.judge.question import JSON_TOKENS
from selaras.models.identities import lazily
from selaras.models.names import place_of
from selaras.models.protocol import FirstTokens, Model
from selaras.policy import load_policies

CHARACTERS_A_TOKEN = 4.0  # as English has, in most vocabularies
SECONDS_A_CALL = 2.0  # an endpoint that nothing is known of


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one System's evaluation takes at most.

    `tokens` is the longest that all replies can be; `seconds` says what it rests on in `basis`;
    `cost` is None where the project names no prices.
    """

    system: str
    calls: int
    prompt_tokens: int
    tokens: int
    seconds: float
    basis: str
    cost: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as JSON values."""
        return asdict(self)

    @property
    def text(self) -> str:
        """The forecast in a line."""
        cost = "no prices known" if self.cost is None else f"cost at most {self.cost:.4g}"
        return (
            f"{self.system}: {self.calls} calls, about {self.prompt_tokens / 1000:.0f}k tokens to "
            f"read and {self.tokens / 1000:.0f}k to write at most; about {_span(self.seconds)} "
            f"({self.basis}); {cost}"
        )


def forecast(
    project: Project, opened: Opened, suite: Suite, checks: Sequence[Check] = ()
) -> Forecast:
    """Return what measuring a System on a suite takes, where nothing of it was done before."""
    asked = [opened.render(row) for row in suite.planned]
    exact = [check for check in checks if not isinstance(check, ChoiceCheck)]
    read = sum(map(length_of, asked)) + sum(len(check.query) for check in exact)
    calls = len(asked) + len(exact)
    prompt_tokens = round(read / CHARACTERS_A_TOKEN)
    tokens = calls * opened.system.sampling.max_tokens
    seconds, basis = _seconds(project, opened, calls, prompt_tokens, tokens)
    prices = prices_of(opened.model)
    return Forecast(
        opened.system.name, calls, prompt_tokens, tokens, seconds, basis,
        prices.cost(prompt_tokens, tokens) if prices else None,
    )  # fmt: skip


def forecast_wordings(project: Project, suite: Suite) -> Forecast | None:
    """Return what the wordings take that a suite still lacks; None where it lacks none."""
    spec = project.file.suites.get(suite.name)
    if not suite.unwritten or spec is None or spec.paraphrase_by is None:
        return None
    model = lazily(spec.paraphrase_by, place_of(project))[1]()
    calls = len(suite.unwritten)
    said = sum(length_of(asked_for(row)) for row in suite.unwritten)
    read, tokens = round(said / CHARACTERS_A_TOKEN), calls * MOST_TOKENS
    seconds, basis = _assumed(model, calls, read, tokens)
    prices = prices_of(model)
    return Forecast(
        f"other wordings by {spec.paraphrase_by}", calls, read, tokens, seconds, basis,
        prices.cost(read, tokens) if prices else None,
    )  # fmt: skip


def forecast_judge(
    project: Project, opened: Opened, suite: Suite, named: NamedJudge
) -> Forecast | None:
    """Return what a judge that asks a model takes, each question asked once; None for others.

    Answers are taken at their longest. A reply that cannot be read costs a call or two more.
    """
    judge = named.judge
    if not isinstance(judge, ModelJudge):
        return None
    bench = Bench(project, opened.system.fingerprint, Journal(project.cache / "forecast"))
    longest = " " * round(CHARACTERS_A_TOKEN * opened.system.sampling.max_tokens)
    questions = [
        question
        for row in suite.planned
        for case in cases_of(named, bench, load_policies(project), row,
                             Answer(row.id, longest, "ok", "stop", 0, 0))
        for question in judge.questions(case)
    ]  # fmt: skip
    talks = [question.in_a_word() for question in questions]
    return _closed(f"{opened.system.name}, judged by {named.name}", judge.model(), talks)


def forecast_guard(opened: Opened, suite: Suite) -> list[Forecast]:
    """Return what the models of a System's guard take at most, each asked about every text.

    A judge that is asked only where other stages are unsure takes less. Answers are taken at their
    longest.
    """
    if opened.guard is None:
        return []
    longest = " " * round(CHARACTERS_A_TOKEN * opened.system.sampling.max_tokens)
    by_model: dict[str, tuple[Model, list[Conversation]]] = {}
    for row in suite.planned:
        for model, talk in opened.guard.asks(opened.render(row), longest):
            name = str(model.identity.get("name", "?"))
            by_model.setdefault(name, (model, []))[1].append(talk)
    return [_closed(f"{opened.system.name}, guarded by {name}", *found)
            for name, found in by_model.items()]  # fmt: skip


def _closed(title: str, model: Model, talks: Sequence[Conversation]) -> Forecast:
    """Return what closed questions take, each asked once."""
    read = round(sum(map(length_of, talks)) / CHARACTERS_A_TOKEN)
    tokens = len(talks) * (1 if isinstance(model, FirstTokens) else JSON_TOKENS)
    seconds, basis = _assumed(model, len(talks), read, tokens)
    prices = prices_of(model)
    cost = prices.cost(read, tokens) if prices else None
    return Forecast(title, len(talks), read, tokens, seconds, basis, cost)


def _seconds(
    project: Project, opened: Opened, calls: int, prompt_tokens: int, tokens: int
) -> tuple[float, str]:
    known = [m for m in ledger(project.runs) if m.kind == "eval"]
    ids, system = {m.id for m in known}, opened.system
    timed = [
        m for m in known
        if m.system is not None and m.seconds and m.figures.get("rows")
        and (m.system.model, m.system.sampling) == (system.model, system.sampling)
        # One with another evaluation for a parent took its answers from there.
        and ids.isdisjoint(m.parents)
    ]  # fmt: skip
    like = [m for m in timed if m.system and m.system.template == system.template] or timed
    if like:
        last = like[-1]
        return (last.seconds or 0.0) / last.figures["rows"] * calls, f"as in {last.id}"
    return _assumed(opened.model, calls, prompt_tokens, tokens)


def _assumed(model: Any, calls: int, prompt_tokens: int, tokens: int) -> tuple[float, str]:
    if model.batch_size > 1:
        from selaras.models.local_speed import measure_speed

        speed = measure_speed(model)
        return prompt_tokens / speed.read + tokens / speed.generated, "measured here"
    limits = getattr(model, "limits", None)
    if limits is None:
        if not hasattr(model, "concurrency"):
            return 0.0, "answered from a file"
        at_once = model.concurrency
        return calls * SECONDS_A_CALL / at_once, f"at {SECONDS_A_CALL:g} s a call, assumed"
    paced = calls * 60 / limits.requests_per_minute if limits.requests_per_minute else 0.0
    assumed = calls * SECONDS_A_CALL / limits.concurrency
    if paced > assumed:
        return paced, f"at {limits.requests_per_minute:g} requests a minute"
    return assumed, f"at {SECONDS_A_CALL:g} s a call, {limits.concurrency} at once, assumed"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
