"""A training's page while it runs: loss, speed and what is left, as curves that grow.

One file without a server: it is written anew every few seconds, whole or not at all, and the
browser reads it again by itself until the training ends.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.files import write_text
from selaras.page import Curve, Markup, curves, element, join, page, read_again

PAGE = "training.html"
EVERY = 3.0
# Figures of TRL's logs that are shown where they are there, with their names for people.
SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "kl": "KL",
    "grad_norm": "norm of the gradient",
    "learning_rate": "learning rate",
}


@dataclass(frozen=True, slots=True)
class Logged:
    """What the page reads of a trainer's state, for a training that is not transformers' own."""

    global_step: int
    max_steps: int
    num_input_tokens_seen: int
    log_history: list[dict[str, Any]]
    is_world_process_zero: bool = True


def watch_words(checkpoints: Path) -> str:
    """Return the line that says where a training that begins can be watched."""
    return f"watch it: {checkpoints / PAGE} (opens in a browser, reads itself anew)"


class Live:
    """The page of a training, written as it goes from the trainer's own state."""

    def __init__(self, path: Path, title: str) -> None:
        self.path, self.title = path, title
        self.speeds: list[tuple[float, float]] = []
        self.begun = self.since = self.written = time.monotonic()
        self.first = self.tokens = 0

    def begin(self, state: Any) -> None:
        """Note where the training begins or goes on."""
        self.begun = self.since = time.monotonic()
        self.first, self.tokens = state.global_step, state.num_input_tokens_seen

    def logged(self, state: Any) -> float | None:
        """Take note of a logged step; return its tokens a second where tokens were counted."""
        now, seen, speed = time.monotonic(), state.num_input_tokens_seen, None
        if seen > self.tokens:
            speed = (seen - self.tokens) / (now - self.since)
            self.speeds.append((state.global_step, speed))
            self.since, self.tokens = now, seen
        if now - self.written >= EVERY:
            self._write(state, done=False)
        return speed

    def end(self, state: Any) -> None:
        """Write the page as it stays."""
        self._write(state, done=True)

    def _write(self, state: Any, *, done: bool) -> None:
        self.written = time.monotonic()
        if not state.is_world_process_zero:
            return
        history = {key: _series(state.log_history, key) for key in SHOWN}
        charts = [
            curves([Curve(SHOWN[key], points)], x_label="step", y_label=SHOWN[key])
            for key, points in history.items()
            if points
        ]
        if self.speeds:
            charts.insert(1, curves([Curve("tokens a second", self.speeds)], x_label="step",
                                    y_label="tokens a second"))  # fmt: skip
        body = join([self._facts(state, done), *charts])
        document = page(self.title, body, lede=self._lede(state, done))
        write_text(self.path, document if done else read_again(document, round(EVERY)))

    def _lede(self, state: Any, done: bool) -> str:
        if done:
            return f"{state.global_step} of {state.max_steps} steps; the training has ended."
        return f"Step {state.global_step} of {state.max_steps}; this page is read anew by itself."

    def _facts(self, state: Any, done: bool) -> Markup:
        spent = self.written - self.begun
        steps = state.global_step - self.first
        facts = {"spent": f"{spent:.0f} s", "tokens trained on": f"{state.num_input_tokens_seen:,}"}
        if steps and not done:
            left = spent / steps * (state.max_steps - state.global_step)
            facts["left"] = f"about {left:.0f} s"
        if self.speeds:
            facts["tokens a second"] = f"{self.speeds[-1][1]:.0f}"
        return element("dl", *(element(tag, text) for name, value in facts.items()
                               for tag, text in (("dt", name), ("dd", value))))  # fmt: skip


def _series(history: list[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(entry["step"], float(entry[key])) for entry in history if key in entry]
