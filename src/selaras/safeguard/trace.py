"""What the log says of one request: who decided what, how long it took, and no text."""

import json
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from selaras.core.errors import one_line
from selaras.safeguard.outcome import Outcome

LOGGER = logging.getLogger("selaras.guard.requests")
_LONGEST = 2_000


@dataclass(slots=True)
class Trace:
    """One request as it goes on. `asked` and `answered` are filled only where texts are logged."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    route: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    action: str = "none"
    side: str | None = None
    policy: str | None = None
    stage: str | None = None
    score: float | None = None
    threshold: float | None = None
    reason: str = ""
    checks: int = 0
    check_seconds: float = 0.0
    seconds: float = 0.0
    released: int = 0
    asked: str | None = None
    answered: str | None = None
    begun: float = field(default_factory=time.perf_counter)

    def checked(self, outcome: Outcome, seconds: float) -> Outcome:
        """Note a check, and return its outcome."""
        self.checks += 1
        self.check_seconds += seconds
        self.action, self.side = outcome.action, outcome.side
        self.policy, self.stage = outcome.policy, outcome.stage
        self.score, self.threshold, self.reason = outcome.score, outcome.threshold, outcome.reason
        return outcome

    def failed(self, reason: str) -> None:
        """Note that the request ends in an error, unless a check already said so."""
        if self.action != "error":
            self.action, self.stage, self.policy = "error", None, None
            self.score = self.threshold = None
            self.reason = one_line(reason, 200)

    @property
    def headers(self) -> dict[str, str]:
        """What the client is told of the decision: no score, which would guide an attack."""
        shown = {
            "x-request-id": self.id, "x-selaras-action": self.action, "x-selaras-side": self.side,
            "x-selaras-stage": self.stage, "x-selaras-policy": self.policy,
        }  # fmt: skip
        if self.action == "allow":
            shown = {"x-request-id": self.id, "x-selaras-action": "allow"}
        return {name: value for name, value in shown.items() if value}

    def write(self) -> None:
        """Log the request as one line of JSON."""
        if not LOGGER.isEnabledFor(logging.INFO):
            return
        self.seconds = time.perf_counter() - self.begun
        LOGGER.info("%s", json.dumps(_shown(asdict(self)), ensure_ascii=False))


def _shown(values: Mapping[str, object]) -> dict[str, object]:
    row: dict[str, object] = {"at": datetime.now(UTC).isoformat(timespec="milliseconds")}
    for name, value in values.items():
        if name == "begun" or value is None or value == "":
            continue
        if isinstance(value, float):
            value = round(value, 5)
        row[name] = one_line(value, _LONGEST) if isinstance(value, str) else value
    return row
