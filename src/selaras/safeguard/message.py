"""What the product's user is shown in place of a text that a guard does not let through.

A policy's own message, in the guard's language, with the product's own contacts put in; one under
`messages` in the guard's file takes its place. Nothing here depends on what was blocked, so that no
message gives any of it away.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from selaras.policy import Policy

# By language; another language's guard needs messages of its own, and has these in English.
BLOCKED = {
    "en": "I can't help with this: it is against this product's rules ({title}).",
    "id": "Aku tidak bisa membantu: ini melanggar aturan produk ini ({title}).",
}
FAILED = {
    "en": "This could not be checked, so it is not shown. Please try again.",
    "id": "Ini tidak dapat diperiksa, jadi tidak ditampilkan. Silakan coba lagi.",
}
UNREAD = {
    "en": "I can't read this well enough to answer. Please ask in another language.",
    "id": "Aku tidak cukup memahami tulisan ini untuk menjawab. Silakan pakai bahasa lain.",
}
_CONTACT = re.compile(r"\{(\w+)\|([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Wording:
    """How a guard words its messages: language (a BCP 47 tag), own messages by policy, contacts.

    >>> from selaras.policy import builtin_policies
    >>> hurt = builtin_policies()["self-harm"]
    >>> "findahelpline.com" in Wording().blocked("self-harm", hurt)
    True
    >>> said = Wording("id", contacts={"crisis_line": "119 ext. 8"}).blocked("self-harm", hurt)
    >>> "119 ext. 8" in said, said[:10]
    (True, 'Sepertinya')
    """

    language: str = "en"
    messages: Mapping[str, str] = field(default_factory=dict)
    contacts: Mapping[str, str] = field(default_factory=dict)

    def blocked(self, name: str | None, policy: Policy | None) -> str:
        """Return what is shown where the policy blocks; `name` alone is known of some."""
        own = self.messages.get(name or "")
        if own is None and policy is not None:
            own = policy.desired.translations.get(self.language) or policy.desired.message
        if own is None:
            title = policy.title if policy else name or "its policy"
            return self._in(BLOCKED).format(title=title)
        return _CONTACT.sub(lambda found: self.contacts.get(found[1], found[2]), own)

    @property
    def failed(self) -> str:
        """What is shown where a check failed."""
        return self._in(FAILED)

    @property
    def unread(self) -> str:
        """What is shown where no stage could read the text."""
        return self._in(UNREAD)

    def _in(self, said: Mapping[str, str]) -> str:
        return said.get(self.language, said["en"])
