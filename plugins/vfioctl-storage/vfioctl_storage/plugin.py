"""The published images that this plugin knows, as data of its own. Nothing of it runs where a guest starts."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.plugin import TYPE_CHECKING, hookimpl

if TYPE_CHECKING:
    from vfioctl.plugin import TemplateSource

TABLE = os.path.join(os.path.dirname(__file__), "sources.toml")


@hookimpl
def vfioctl_template_sources() -> Iterable[TemplateSource]:
    """The cloud images of sources.toml."""
    import tomllib

    from vfioctl.plugin import TemplateSource, read_bytes

    content = read_bytes(TABLE, follow=True, foreign=True).decode()  # who may write to a plugin is judged before
    return tuple(TemplateSource(**row) for row in tomllib.loads(content)["source"])
