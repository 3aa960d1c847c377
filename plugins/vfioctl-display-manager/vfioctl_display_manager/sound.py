"""Sound servers of users: they hold the card's sound function, and their sockets bring them back. Reads facts only."""

from __future__ import annotations

from vfioctl.plugin import Host

# In the order in which they are stopped: what wakes a server goes before the server.
SERVERS = (
    "pipewire-pulse.socket", "pipewire.socket", "pulseaudio.socket", "pipewire-pulse.service", "wireplumber.service",
    "pipewire-media-session.service", "filter-chain.service", "pipewire.service", "pulseaudio.service",
)  # fmt: skip


def is_server(unit: str) -> bool:
    """Whether `unit` belongs to a sound server."""
    return unit in SERVERS


def units(host: Host, uid: int) -> tuple[str, ...]:
    """The units of sound servers that are active for the user `uid`, in the order in which they are stopped."""
    active = {unit.name for unit in host.user_units(uid)}
    return tuple(name for name in SERVERS if name in active)
