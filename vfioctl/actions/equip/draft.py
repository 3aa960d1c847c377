"""What `enable` is about to do to a domain, before anything is: the XML as it is to be, what is kept for the way back.

Reads the host; changes nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vfioctl.actions import hostdev_mode
from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.domains import Found
from vfioctl.actions.enabling import enabling
from vfioctl.actions.equip.advice import advice
from vfioctl.actions.equip.choosing import Chosen, choose
from vfioctl.actions.equip.devices import Outfit, dressed, merged
from vfioctl.actions.equip.record import Equipment, equipment, way_back
from vfioctl.actions.facts import guest_config, plugin_infos
from vfioctl.errors import Refused
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen, replace
from vfioctl.handoff.devices import wanted
from vfioctl.plugin.operations import Enabling
from vfioctl.virt.guests import PAUSED, RUNNING, SAVED, Guest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.actions.caller import Call
    from vfioctl.actions.equip.wish import Wish


@frozen
class Draft:
    """The domain as it is and as it is to be, and what lets vfioctl manage it."""

    found: Found
    xml: bytes
    chosen: Chosen
    enabling: Enabling
    live: bool
    created: bool

    @property
    def diff(self) -> str:
        return hostdev_mode.difference(self.found.xml, self.xml, self.found.domain.name)


def drafted(
    call: Call, found: Found, wish: Wish, guests: tuple[Guest, ...], *, end_session: bool | None
) -> Draft:
    """The draft of `wish` for the domain `found`, one of `guests`; `end_session` None asks, where that is a question.

    Raises Refused of what is chosen, and "domain.saved".
    """
    domain, paths = found.domain, call.paths
    state = next((one.state for one in guests if one.uuid == domain.uuid), "")
    if state == SAVED:
        raise _saved(domain.name)
    others = [(one.name, xml) for one in guests if one.uuid != domain.uuid for xml in (one.xml, one.live_xml) if xml]
    chosen = choose(call, wish, domain, found.xml, others) if wish else Chosen(Outfit())
    managed = hostdev_mode.managed_addresses(found.xml)
    new_xml, put = dressed(hostdev_mode.set_managed(found.xml, "no", managed), chosen.outfit)
    before = hostdev_mode.before_of(paths, domain.uuid)
    kept = equipment(before, paths.before_enable(domain.uuid))
    if kept:
        former, put = way_back(found.xml, before, kept).xml, merged(kept.put, put)
    else:
        former = hostdev_mode.set_managed(found.xml, "yes", before.addresses)
    new = Equipment(former, put).as_json() if put else None
    record = hostdev_mode.record(domain.name, (*before.addresses, *managed), new)
    return Draft(
        found, new_xml, chosen, enabling(call, new_xml.decode(), end_session=end_session, before=record),
        live=state in (RUNNING, PAUSED), created=not os.path.lexists(paths.guest_config(domain.name)),
    )  # fmt: skip


def findings(call: Call, draft: Draft) -> Iterator[Finding]:
    """What speaks against it, and what is to be said."""
    yield from draft.chosen.findings
    yield from draft.enabling.findings if draft.chosen.outfit.hostdevs else _as_ever(call, draft)
    yield from advice(draft.xml, draft.chosen, call.host())


def _as_ever(call: Call, draft: Draft) -> Iterator[Finding]:
    """Where no device is given, what keeps those that are there from being handed over is a warning, as without --gpu.

    Only what cannot be meant refuses it.
    """
    domain = draft.found.domain
    meant = wanted(domain, guest_config(call, domain.name, plugin_infos(call)), call.host())
    refusing = {one.code for one in meant.findings if one.severity is Severity.BLOCK}
    for item in draft.enabling.findings:
        blocks = item.severity is Severity.BLOCK and item.code not in refusing
        yield replace(item, severity=Severity.WARN) if blocks else item


def _saved(guest: str) -> Refused:
    said = f"The guest {guest} has a saved state: its next start would go on from that, without its new devices."
    return Refused("domain.saved", said, state=NOTHING_CHANGED, hints=("Start it and shut it down first.",))
