"""What a failed call to an endpoint means: the row's error, a reason to try again, or the end.

    401, 402, 3xx, quota spent               the rest is pointless: raised
    403, 404, 405 before any answer, an unknown model     raised
    408, 429, 5xx, time-outs, broken connections          tried again, then the row's error
    all else (400 for a context too long, 413, 422 …)     the row's error

403 and 404 after an answer belong to the row: gateways refuse single prompts that way, and what
this program sends is what they refuse.
"""

import sys
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import InputError, ModelError, one_line
from selaras.models.answer import TooLargeError
from selaras.models.remote_address import Address

_MODERATED = ("moderation", "flagged", "content policy", "content_policy", "safety")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call: why, whether to try again and how the endpoint took it.

    `reached` is whether the endpoint answered at all; `renamed_limit` whether it wants
    max_completion_tokens in place of max_tokens, `no_log_probabilities` whether it gives none,
    `no_schema` whether it cannot hold a reply to a JSON Schema.
    """

    reason: str
    again: bool = False
    retry_after: str | None = None
    reached: bool = True
    renamed_limit: bool = False
    no_log_probabilities: bool = False
    no_schema: bool = False


def call_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that a call can end in; all others are faults of this program."""
    import openai

    # While a body is read the transport's own errors come through: httpx's or httpx2's, by version.
    names = (("httpx", "RequestError"), ("httpx2", "RequestError"), ("anyio", "EndOfStream"))
    transport = [
        getattr(sys.modules[module], name) for module, name in names if module in sys.modules
    ]
    return (openai.OpenAIError, OSError, TooLargeError, *transport)


def understood(error: Exception, address: Address, model: str, answers: int) -> Failure:
    """Return what the error means for its row; raises InputError or ModelError where for all.

    `answers` is how many calls this model has answered so far.
    """
    import openai

    if isinstance(error, TooLargeError):
        return Failure(str(error))
    if (
        isinstance(error, TimeoutError | openai.APITimeoutError)
        or "Timeout" in type(error).__name__
    ):
        return Failure("no answer in time", again=True, reached=False)
    if not isinstance(error, openai.APIStatusError):
        cause = error.__cause__ or error
        return Failure(f"the connection failed ({type(cause).__name__})", True, None, False)
    status = error.status_code
    said = address.without_key(_said(error))
    _raise_for_all(error, said, address, model, answers)
    return Failure(
        f"HTTP {status}: {said}" if said else f"HTTP {status}",
        again=status in {408, 429} or status >= 500,
        retry_after=error.response.headers.get("retry-after"),
        renamed_limit=400 <= status < 500
        and "max_completion_tokens" in said
        and "max_tokens" in said,
        no_log_probabilities=400 <= status < 500 and "logprob" in said.casefold(),
        no_schema=400 <= status < 500
        and any(word in said.casefold() for word in ("response_format", "schema")),
    )


def _raise_for_all(error: Any, said: str, address: Address, model: str, answers: int) -> None:
    status, code = error.status_code, str(error.code or "")
    about_one_row = answers > 0 or any(word in said.casefold() for word in _MODERATED)
    if status == 401 or (status == 403 and not about_one_row):
        # The endpoint's own words are left out: they often hold a part of the key.
        where = f"environment variable {address.variable}" if address.variable else "key (none set)"
        raise InputError(
            f"{address.host} does not accept the {where} for model {model!r} (HTTP {status})",
            fix="set a valid key that may use this model",
        ) from None
    if status == 402 or code == "insufficient_quota":
        raise ModelError(
            f"{address.host}: the account has no credit left (HTTP {status}). {said}"
        ) from None
    unknown_model = code == "model_not_found" or (status == 400 and error.param == "model")
    if (status in {404, 405} or unknown_model) and not answers:
        raise InputError(
            f"{address.base_url} has no model {model!r}, or no chat completions (HTTP {status})",
            fix="check the model's name and the base URL, which often ends in /v1",
        ) from None
    if 300 <= status < 400:
        to = one_line(str(error.response.headers.get("location", "elsewhere")), 200)
        raise InputError(
            f"{address.base_url} redirects to {address.without_key(to)}",
            fix="give the base URL that answers itself; a key is not sent along",
        ) from None


def _said(error: Any) -> str:
    """Return the endpoint's own words, from whichever shape of error body it uses."""
    body = error.body
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if isinstance(body, dict):
        found = [body.get(name) for name in ("message", "error", "detail")]
        body = next((item for item in found if item), "")
    return one_line(str(body or ""), 200)
