"""What a start would warn of, for commands that prepare one. Changes nothing, and never fails its command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vfioctl.cli.app import App
    from vfioctl.cli.result import Message
    from vfioctl.events.model import Domain
    from vfioctl.plugin.types import PluginInfo

SETTLED = "domain."  # what `enable` changes in the domain, as the XML said it before


def foretold(app: App, domain: Domain, plugins: Mapping[str, PluginInfo]) -> tuple[Message, ...]:
    """The warnings of the plan for `domain` as it is now; what blocks a start may be gone until there is one."""
    from vfioctl.cli.facts import guest_config
    from vfioctl.cli.result import Message
    from vfioctl.handoff.ask import ask, warnings

    config = guest_config(app, domain.name, plugins)
    try:
        asked = ask(app.composition, domain, config, tuple(plugins.values()))
    except Refused:  # plugins that contradict each other: `plan` says which
        return ()
    found = (item for item in warnings(asked) if not item.code.startswith(SETTLED))
    return tuple(Message(item.message, "warning", item.code, item.hint) for item in found)
