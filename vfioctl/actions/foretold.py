"""What a start would warn of, for commands that prepare one. Changes nothing, and never fails its command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.actions.facts import guest_config
from vfioctl.errors import Refused
from vfioctl.handoff.make_plan import make_plan, warnings
from vfioctl.result import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vfioctl.actions.caller import Call
    from vfioctl.events.model import Domain
    from vfioctl.plugin.types import PluginInfo

SETTLED = "domain."  # what `enable` changes in the domain, as the XML said it before


def foretold(call: Call, domain: Domain, plugins: Mapping[str, PluginInfo]) -> tuple[Message, ...]:
    """The warnings of the plan for `domain` as it is now; what blocks a start may be gone until there is one."""
    config = guest_config(call, domain.name, plugins)
    try:
        planned = make_plan(call.composition, domain, config, tuple(plugins.values()))
    except Refused:  # plugins that contradict each other: `plan` says which
        return ()
    found = (item for item in warnings(planned) if not item.code.startswith(SETTLED))
    return tuple(Message(item.message, "warning", item.code, item.hint) for item in found)
