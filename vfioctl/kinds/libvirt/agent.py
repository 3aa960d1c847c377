"""The guest agent, as far as the steps need it: whether it is there, and file systems that stand still. All bounded."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.virt.agents import answering_within

if TYPE_CHECKING:
    from typing import Any

CHANNEL = ".//channel/target[@name='org.qemu.guest_agent.0'][@state='connected']"
FREEZE = 10  # seconds; Windows thaws itself after as many
THAW = 5


def is_connected(handle: Any) -> bool:
    """Whether the agent of a running guest is there: libvirt says so without asking it."""
    from xml.etree import ElementTree as ET

    return ET.fromstring(handle.XMLDesc(0)).find(CHANNEL) is not None


def freeze(handle: Any) -> None:
    """Let the file systems of a guest stand still. Raises libvirtError, also when it does not answer in time."""
    with answering_within(handle, FREEZE):
        handle.fsFreeze(None, 0)


def thaw(handle: Any) -> None:
    """Let them go on; of those that do, nothing changes. Raises libvirtError."""
    with answering_within(handle, THAW):
        handle.fsThaw(None, 0)
