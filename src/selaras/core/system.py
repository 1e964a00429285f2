"""The thing that is measured: a model with its template, guard and sampling."""

from typing import Any

from pydantic import Field

from selaras.core.fingerprint import fingerprint
from selaras.core.records import Identifier, Record


class Sampling(Record):
    """How text is drawn from a model; temperature 0 is greedy."""

    max_tokens: int = Field(default=256, ge=1, le=32768)
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int = 0


class SystemSpec(Record):
    """A System as the project file names it; `guard` is a file such as guards/main.yaml."""

    model: str = Field(min_length=1)
    prompt: str | None = None
    guard: str | None = None
    sampling: Sampling = Sampling()


class System(Record):
    """A System as it was resolved: what its parts really are.

    `model` is the model's identity (name, weights' hash, precision); `template` the content hash of
    the prompt, or None. All that changes an output is in here, so that a verdict, a look or
    a manifest can point to one System and mean it.

    >>> a = System(name="base", model={"name": "scripted:x"}, template=None, sampling=Sampling())
    >>> b = System(name="other", model={"name": "scripted:x"}, sampling=Sampling())
    >>> a.fingerprint == b.fingerprint
    True
    """

    name: Identifier
    model: dict[str, Any]
    template: str | None = None
    guard: str | None = None
    sampling: Sampling

    @property
    def bare(self) -> "System":
        """The same System without its guard."""
        return self.model_copy(update={"guard": None})

    @property
    def fingerprint(self) -> str:
        """Identity of everything but the name."""
        return fingerprint(self.model_dump(mode="json", exclude={"name"}))
