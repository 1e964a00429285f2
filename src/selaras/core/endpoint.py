"""How an endpoint may be used: calls at once, patience, requests a minute, prices."""

from pydantic import Field

from selaras.core.records import Record


class Prices(Record):
    """What a million tokens cost, in whatever currency the project counts."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def cost(self, prompt_tokens: float, tokens: float) -> float:
        """Return the cost of tokens read and written.

        >>> Prices(input=2.0, output=10.0).cost(1_000_000, 100_000)
        3.0
        """
        return (prompt_tokens * self.input + tokens * self.output) / 1e6


class Endpoint(Record):
    """Settings of one base URL, under `endpoints` in selaras.yaml.

    `timeout` is the seconds that one whole answer may take, `retries` how often a call is tried
    again, `prices` what the endpoint's models cost, by their names.
    """

    concurrency: int = Field(default=8, ge=1, le=1024)
    timeout: float = Field(default=60.0, gt=0)
    retries: int = Field(default=5, ge=0, le=100)
    requests_per_minute: float | None = Field(default=None, gt=0)
    prices: dict[str, Prices] = Field(default_factory=dict)
