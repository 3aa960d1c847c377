"""What machines a node can run, as its libvirt says (getDomainCapabilities). Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from libvirt import virConnect

    from vfioctl.virt.connection import Connection

MODERN = "q35"  # PCI Express, which a card of the host needs


@frozen
class Capabilities:
    """`kind` is kvm, or qemu where it must be emulated; `machine` the newest of its sort, as "pc-q35-7.2".

    `firmwares` are "bios" and "efi"; `videos`, `tpms` and `cpu_modes` what may stand in the XML. `memory` is the node's
    in bytes, `cpus` the most that a guest may have; `hyperv` the interfaces for Windows, none where it is emulated.
    """

    kind: str
    arch: str
    machine: str
    emulator: str
    cpus: int
    memory: int
    firmwares: frozenset[str]
    videos: frozenset[str]
    tpms: frozenset[str]
    cpu_modes: frozenset[str]
    hyperv: frozenset[str] = frozenset()


def read_capabilities(connection: Connection, machine: str = MODERN) -> Capabilities:
    """What the node can run on its own architecture. Raises VfioctlError as `Connection.ask`."""
    document, memory = connection.ask(lambda libvirt: _asked(libvirt, machine), "what machines it can run")
    return _read(ET.fromstring(document), memory)


def _asked(libvirt: virConnect, machine: str) -> tuple[str, int]:
    return str(libvirt.getDomainCapabilities(None, None, machine, None)), int(libvirt.getInfo()[1]) << 20


def _read(root: ET.Element, memory: int) -> Capabilities:
    vcpu = root.find("vcpu")
    return Capabilities(
        kind=root.findtext("domain", ""), arch=root.findtext("arch", ""), machine=root.findtext("machine", ""),
        emulator=root.findtext("path", ""), cpus=1 if vcpu is None else int(vcpu.get("max", "1")), memory=memory,
        firmwares=frozenset({"bios", *_values(root, "os/enum[@name='firmware']")}),
        videos=_values(root, "devices/video/enum[@name='modelType']"),
        tpms=_values(root, "devices/tpm/enum[@name='model']"),
        cpu_modes=frozenset(one.get("name", "") for one in root.iterfind("cpu/mode[@supported='yes']")),
        hyperv=_values(root, "features/hyperv[@supported='yes']/enum[@name='features']"),
    )  # fmt: skip


def _values(root: ET.Element, place: str) -> frozenset[str]:
    return frozenset(one.text or "" for one in root.iterfind(f"{place}/value"))
