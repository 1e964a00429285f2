"""What this program makes of text that came from outside: an endpoint, an application.

Such text is untrusted. It may be empty, far too long, or hold halves of characters that no file
can store; whatever is said about it afterwards is one short line.
"""

from collections.abc import AsyncIterator

from selaras.core.errors import SelarasError, one_line
from selaras.models.protocol import Finish, Generation

EMPTY = "the answer is empty"


class TooLargeError(SelarasError):
    """Raised when a body is longer than its limit; the rest of it was not read."""


def answered(
    index: int,
    text: str,
    finish: Finish = "unknown",
    prompt_tokens: int = 0,
    tokens: int = 0,
) -> Generation:
    """Return the Generation of a text; an empty one is an error, never an answer.

    >>> answered(3, "Yes.").text, answered(3, " ").error
    ('Yes.', 'the answer is empty')
    """
    if not text.strip():
        return failed(index, f"{EMPTY}{' (cut at max_tokens)' * (finish == 'length')}")
    return Generation(index, storable(text), "ok", finish, prompt_tokens, tokens)


def failed(index: int, reason: str) -> Generation:
    """Return the Generation of a request that failed, its reason on one line."""
    return Generation(index, "", status="error", error=one_line(reason, 300))


def storable(text: str) -> str:
    """Return the text with lone surrogates (JSON can hold them, UTF-8 cannot) replaced.

    >>> storable("a" + chr(0xD83D)) == "a\\N{REPLACEMENT CHARACTER}"
    True
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


async def collected(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """Return a body read to its end; raises TooLargeError as soon as it passes `limit` bytes."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise TooLargeError(f"the answer is larger than {limit >> 20} MB")
    return bytes(body)
