"""Where each stretch of a prompt came from: the words that debugging and the gates speak in."""

from dataclasses import dataclass
from typing import Literal

from selaras.core.records import Conversation, Role

Origin = Literal["system", "few_shot", "user", "variable"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one message: characters [start, end) of message number `message`."""

    role: Role
    origin: Origin
    message: int
    start: int
    end: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """Messages ready for a model, with the segments that they are made of, in order and whole."""

    messages: Conversation
    segments: tuple[Segment, ...]

    def text(self, segment: Segment) -> str:
        """Return the text of one of the segments."""
        return self.messages[segment.message].content[segment.start : segment.end]
