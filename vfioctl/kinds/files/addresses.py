"""Which addresses of HTTP are taken, and how one is shown. Pure; imports nothing, since looks at steps need it."""

from __future__ import annotations

import re

LONGEST = 2000
# No name and password in it: a plan is shown, and holds no secret.
ADDRESS = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[\x21-\x7e]*)?")


def is_address(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST and ADDRESS.fullmatch(value) is not None


def shown(url: str) -> str:
    """The address for a person: what follows a "?" may be a secret."""
    return url.partition("?")[0]
