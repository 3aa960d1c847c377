"""What of the desktop is on the devices to give: sessions, the display manager, units of users. Reads facts only."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.plugin import Holder, Host, PciDevice, Request, Session, Unit, frozen
from vfioctl_display_manager import sound

GRAPHICAL = ("x11", "wayland", "mir")
CARD_NODE = "/dev/dri/card"  # who has it may draw on the screen: a compositor, an X server
KNOWN = (
    "cosmic-greeter.service", "emptty.service", "gdm.service", "gdm3.service", "greetd.service", "lemurs.service",
    "lightdm.service", "lxdm.service", "ly.service", "ly@tty1.service", "ly@tty2.service", "nodm.service",
    "plasmalogin.service", "sddm.service", "slim.service", "wdm.service", "xdm.service",
)  # fmt: skip


@frozen
class UserUnit:
    """A unit of the manager of the user `uid`. `comes_back`: it is a service that is started again afterwards."""

    uid: int
    name: str
    comes_back: bool


@frozen
class Desktop:
    """What has to end for the devices at `addresses`, of which `screens` are displays.

    `elsewhere`: the host's other cards with a screen, on which the login screen can be while the guest runs.
    """

    addresses: tuple[str, ...] = ()
    screens: tuple[str, ...] = ()
    manager: Unit | None = None  # to be stopped
    sessions: tuple[Session, ...] = ()  # to be ended, greeters among them
    units: tuple[UserUnit, ...] = ()
    holders: tuple[Holder, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def users(self) -> tuple[Session, ...]:
        """The sessions of logged-in users among those that end."""
        return tuple(session for session in self.sessions if not session.is_greeter)

    @property
    def is_there(self) -> bool:
        """Whether anything has to end."""
        return bool(self.manager or self.sessions or self.units)


def look(request: Request) -> Desktop:
    """The desktop on the devices of `request`, as far as they are still the host's."""
    host = request.host
    own = tuple(device for device in request.devices if not device.stuck and not _is_given(device, host))
    if not own or not host.booted_with_systemd():
        return Desktop()
    holders = tuple(holder for holder in host.holders(device.address for device in own) if _counts(holder))
    manager = find_manager(host, holders)
    on_card = _on_card(holders, host.sessions()) if holders else ()
    stop = manager is not None and _must_stop(manager, holders, on_card, own, host)
    ending = _united(on_card, filter(_is_graphical, _local(host.sessions())) if stop else ())
    return Desktop(
        addresses=tuple(device.address for device in own),
        screens=tuple(device.address for device in own if device.is_display),
        manager=manager if stop else None,
        sessions=ending,
        units=_units(holders, ending, host) if holders else (),
        holders=holders,
        elsewhere=_elsewhere(request) if stop or ending else (),
    )


def _counts(holder: Holder) -> bool:
    """A container is none of the desktop, whosever manager runs it: the core names it, or its own tool stops it."""
    return not holder.is_untouchable and holder.container is None


def _elsewhere(request: Request) -> tuple[str, ...]:
    """The cards with a screen that stay with the host: a DRM device and a connector that something is plugged into."""
    host, given = request.host, {device.address for device in request.devices}
    return tuple(
        card.address for card in host.displays()
        if card.address not in given and any(port.status == "connected" for port in host.connectors(card.address))
    )  # fmt: skip


def _is_given(device: PciDevice, host: Host) -> bool:
    return device.vfio or (device.driver is not None and host.is_vfio_driver(device.driver))


def find_manager(host: Host, holders: Iterable[Holder] = ()) -> Unit | None:
    """The running display manager: behind display-manager.service, else a known one that holds the card.

    One whose start is queued counts as running: it would take the card in the middle of the hand-off.
    """
    manager = host.display_manager()
    if manager is None or not manager.is_active:
        named = next((holder.unit for holder in holders if holder.unit in KNOWN), None)
        manager = host.unit(named) if named else None
    return manager if manager and manager.is_active else None


def _local(sessions: Iterable[Session]) -> tuple[Session, ...]:
    """Those of somebody who sits at the machine."""
    return tuple(session for session in sessions if session.seat and not session.remote)


def _on_card(holders: tuple[Holder, ...], sessions: tuple[Session, ...]) -> tuple[Session, ...]:
    """The sessions that hold the card, by a process of theirs or by their user's compositor. Never a remote one."""
    by_unit = {holder.uid for holder in holders if is_compositor(holder)}
    own = (session for session in sessions if any(holder.belongs_to(session) for holder in holders))
    direct = (session for session in own if not session.remote)
    drawing = (session for session in _local(sessions) if session.uid in by_unit and _is_graphical(session))
    return _united(direct, drawing)


def is_compositor(holder: Holder) -> bool:
    """Whether a unit of a user's manager is a part of the session: it draws, or it is an application's scope."""
    if holder.user_unit is None or holder.user_unit == "init.scope":
        return False
    draws = any(node.startswith(CARD_NODE) for node in holder.nodes)
    return draws or holder.user_unit.endswith(".scope")


def _is_graphical(session: Session) -> bool:
    return session.type in GRAPHICAL or session.is_greeter


def is_from_tty(session: Session) -> bool:
    """Whether it was started from a text login: startx, sway."""
    return session.type == "tty" or session.service == "login"


def _united(*parts: Iterable[Session]) -> tuple[Session, ...]:
    return tuple({session.id: session for part in parts for session in part}.values())


def _must_stop(
    manager: Unit, holders: tuple[Holder, ...], on_card: tuple[Session, ...], own: tuple[PciDevice, ...], host: Host
) -> bool:
    """Whether the display manager has the card, or takes it as soon as it can."""
    if any(holder.unit == manager.name for holder in holders):
        return True
    if any(not is_from_tty(session) for session in on_card):
        return True
    return not on_card and any(_is_its_card(device, host) for device in own if device.is_display)


def _is_its_card(card: PciDevice, host: Host) -> bool:
    """Whether an idle `card` is the one that the display manager will draw on: it has not started yet, say."""
    others = tuple(
        device.address for device in host.displays()
        if device.address != card.address and not _is_given(device, host)
    )  # fmt: skip
    if not any(host.cards(address) for address in others):
        return True
    return bool(card.boot_vga) and not any(not holder.is_untouchable for holder in host.holders(others))


def _units(holders: tuple[Holder, ...], ending: tuple[Session, ...], host: Host) -> tuple[UserUnit, ...]:
    """The units of users' managers that hold the devices, of users on a seat only: for others the core blocks."""
    uids = {session.uid for session in (*_local(host.sessions()), *ending)}
    mine = [holder for holder in holders if holder.user_unit not in (None, "init.scope") and holder.uid in uids]
    found: dict[UserUnit, None] = {}
    for holder in mine:
        if sound.is_server(str(holder.user_unit)):
            found.update((UserUnit(holder.uid, name, comes_back=True), None) for name in sound.units(host, holder.uid))
        else:
            found[UserUnit(holder.uid, str(holder.user_unit), comes_back=not is_compositor(holder))] = None
    return tuple(found)
