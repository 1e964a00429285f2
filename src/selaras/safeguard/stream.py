"""Hold-back: text of a growing response leaves only after the window it stands in was checked.

A check sees matches that have ended. One that is still growing ends after the text that is there,
so the end of the text stays back: as much as a match may be long (`Guard.releasable`). Whatever a
later check finds begins after the last character that was released. The end of the response
releases the rest, after a check of all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class HeldText:
    """One text of a response as it grows; `releasable` says how much of a checked text may leave.

    The order of calls is feed* (window release)* whole rest: `release` follows a window that was
    allowed, `rest` the whole text that was. A check is due when it may release `stride` characters
    beyond the `hold` that stay back. Windows have about `context` released characters before them.

    >>> held = HeldText(releasable=lambda text: len(text) - 4, hold=4, stride=2)
    >>> held.feed("One two"), held.due, held.window()
    (None, True, 'One two')
    >>> held.release(), held.feed(" three"), held.whole(), held.rest()
    ('One', None, 'One two three', ' two three')
    """

    releasable: Callable[[str], int]
    hold: int
    stride: int = 32
    context: int = 4_000
    characters: int = 0
    released: int = 0
    _tail: str = ""  # what is not released, behind some of what is
    _sent: int = 0  # how much of the tail is released
    _gone: list[str] = field(default_factory=list)  # what was cut off the tail's front
    _checked: int = 0
    _next: int = 0  # the length from which the next check may be worth its time

    def feed(self, delta: str) -> None:
        """Take the next piece of the text."""
        self._tail += delta
        self.characters += len(delta)
        if "\udc00" <= delta[:1] <= "\udfff":
            self._tail = _made_whole(self._tail)

    @property
    def due(self) -> bool:
        """Whether a check is worth its time."""
        return self.characters >= max(self._next, self.released + self.hold + self.stride)

    def window(self) -> str:
        """Return the text to check: all that is held back, with the context before it."""
        self._trim()
        self._checked = len(self._tail)
        self._next = self.characters + self.stride
        return self._tail

    def release(self) -> str:
        """Return what may leave now that the last window was allowed."""
        checked = self._tail[: self._checked]
        # Half a character waits for its other half.
        end = min(self.releasable(checked), len(checked) - ("\ud800" <= checked[-1:] <= "\udbff"))
        return self._release(max(end, self._sent))

    def whole(self) -> str:
        """Return the whole text, to be checked at its end."""
        self._checked = len(self._tail)
        return "".join([*self._gone, self._tail])

    def rest(self) -> str:
        """Return all that was held back, now that the whole text was allowed."""
        return self._release(self._checked)

    def _release(self, end: int) -> str:
        text = self._tail[self._sent : end]
        self._sent = end
        self.released += len(text)
        return text

    def _trim(self) -> None:
        if self._sent <= 2 * self.context:
            return
        # A cut within a word could show a check another word.
        cut = max(self._tail.rfind(space, 0, self._sent - self.context) for space in " \n")
        if cut > 0:
            self._gone.append(self._tail[:cut])
            self._tail, self._sent = self._tail[cut:], self._sent - cut


def _made_whole(text: str) -> str:
    """Return the text with halves of a character that came one after the other joined."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
