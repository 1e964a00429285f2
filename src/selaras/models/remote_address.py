"""Where an endpoint is, and which key it may be shown.

A key comes from an environment variable and goes to the host that the *user* bound it to (see
`selaras.models.keys`): the caller passes `key_env`. Without one, OPENAI_API_KEY goes to
https://api.openai.com and nowhere else, a loopback host gets a placeholder, and any other host is
an error. So a project file from somebody else cannot send a key to a host of its choice.
"""

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from selaras.core.errors import InputError
from selaras.models.keys import keys_file

PUBLIC = "https://api.openai.com/v1"

# No user info, query or fragment: none of them may hold a key that ends up in a report.
_URL = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?(/[\w./~%:+-]*)?", re.A | re.I)
_KEY = re.compile(r"[!-~]+")
_PLACEHOLDER = "none"


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL and the name of the environment variable that holds its key.

    >>> Address("http://127.0.0.1:8088/v1/").key()
    'none'
    """

    base_url: str
    key_env: str | None = None

    def __post_init__(self) -> None:
        url = self.base_url.strip().rstrip("/")
        if not _URL.fullmatch(url):
            raise InputError(
                "a base URL is http:// or https://, a host and a path, without a user name, key "
                "or query",
                fix="write openai:NAME@https://HOST/v1 and keep the key in the environment",
            )
        if url.endswith("/chat/completions"):
            raise InputError(
                f"{url} is the URL of one call, not the base URL",
                fix=f"use {url.removesuffix('/chat/completions')}",
            )
        object.__setattr__(self, "base_url", url)

    @property
    def host(self) -> str:
        """The host's name in lower case, without its port."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def loopback(self) -> bool:
        """Whether the endpoint is on this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def variable(self) -> str | None:
        """The environment variable that may be read for this host, or None."""
        if self.key_env is not None:
            return self.key_env
        public = self.base_url.startswith("https://") and self.host == "api.openai.com"
        return "OPENAI_API_KEY" if public else None

    def key(self) -> str:
        """Return the key; raises InputError naming the variable to set or bind, never its value."""
        if self.variable is None and not self.loopback:
            raise InputError(
                f"no environment variable is bound to {self.host}, so there is no key to send",
                fix=f"write '{self.base_url}: VARIABLE' to {keys_file()}",
            )
        key = os.environ.get(self.variable or "", "").strip()
        if not key and self.loopback:
            return _PLACEHOLDER
        if not key:
            raise InputError(
                f"the environment variable {self.variable} is not set",
                fix=f"set it to the key of {self.host}",
            )
        if not _KEY.fullmatch(key):
            raise InputError(
                f"the environment variable {self.variable} holds characters that no key has",
                fix=f"set it to the key of {self.host} alone, without spaces or quotes",
            )
        return key

    def without_key(self, text: str) -> str:
        """Return the text with the key, or what an endpoint shows of it (sk-1***9), taken out."""
        key = os.environ.get(self.variable or "", "").strip()
        if len(key) >= 8:
            text = text.replace(key, "[key]")
        return re.sub(r"[^\s'\"]*\*{3,}[^\s'\"]*", "[key]", text)
