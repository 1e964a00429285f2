"""How long to wait before a call is tried again.

Where the endpoint says (Retry-After, seconds or a date), as long as it says; otherwise twice as
long each time. Chance is added to both, so that calls which failed together do not return together.
"""

import datetime
import email.utils
import random
import re

FIRST = 0.5
LONGEST = 60.0


def wait_before(attempt: int, retry_after: str | None = None) -> float:
    """Return the seconds to wait before retry number `attempt`, counted from 1.

    At most LONGEST and one second, whatever the endpoint asks for.
    """
    asked = asked_wait(retry_after) if retry_after else None
    if asked is not None:
        return min(asked, LONGEST) + random.uniform(0.0, 1.0)
    return float(min(FIRST * 2 ** min(attempt - 1, 30), LONGEST) * random.uniform(0.5, 1.0))


def asked_wait(retry_after: str) -> float | None:
    """Return the seconds that a Retry-After header asks for; None where it cannot be read.

    >>> asked_wait("7"), asked_wait("Thu, 01 Jan 1970 00:00:00 GMT"), asked_wait("soon")
    (7.0, 0.0, None)
    """
    text = retry_after.strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text, re.ASCII):
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    return max(0.0, (when - datetime.datetime.now(datetime.UTC)).total_seconds())
