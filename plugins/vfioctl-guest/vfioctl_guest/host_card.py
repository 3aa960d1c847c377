"""The card of this host that a new guest is to get. Asks libvirt who has which; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, read_guests
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call, ChosenCard, Connection


def host_card(call: Call, connection: Connection, word: str) -> ChosenCard:
    """The card that `word` names: an address, or "first-free".

    Raises Refused("guest.elsewhere", "card.unknown", "card.none_free").
    """
    node = connection.node
    if not node.is_local:
        raise Refused(
            "guest.elsewhere", f"A card is handed over by the vfioctl of its own host, and {node} is another one.",
            state=NOTHING_CHANGED, hints=(f"Run it on {node}, without --node.",),
        )  # fmt: skip
    guests = read_guests(connection)
    return call.choose_card(word, [(one.name, xml) for one in guests for xml in (one.xml, one.live_xml) if xml])
