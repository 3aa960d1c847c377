"""What a guest's configuration says of its machine beside the disks. Reads the XML; asks nobody."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen

AGENT = "org.qemu.guest_agent.0"
UNITS = {"b": 1, "bytes": 1, "KB": 10**3, "k": 1 << 10, "KiB": 1 << 10, "MB": 10**6, "M": 1 << 20, "MiB": 1 << 20,
         "GB": 10**9, "G": 1 << 30, "GiB": 1 << 30, "TB": 10**12, "T": 1 << 40, "TiB": 1 << 40}  # fmt: skip


@frozen
class GuestInterface:
    """A network card: `kind` is network, bridge, direct, hostdev …; `source` the network, bridge or device it is on.

    `target` is the host's end while the guest runs.
    """

    mac: str
    kind: str
    source: str
    model: str = ""
    target: str = ""


@frozen
class GuestConsole:
    """A serial port or console: libvirt's alias of it, which only a running guest has, and its type on the host."""

    device: str
    kind: str


@frozen
class GuestMachine:
    """CPUs and memory (bytes) that it starts with; `machine` as QEMU names it; `agent`: is connected, "" without one.

    `displays` are "vnc 127.0.0.1:5901"; `serial` is the type of the first serial port, "" without one.
    """

    cpus: int
    memory: int
    machine: str = ""
    agent: str = ""
    displays: tuple[str, ...] = ()
    serial: str = ""


def guest_interfaces(xml: str) -> tuple[GuestInterface, ...]:
    """The network cards in the order of the XML."""
    return tuple(_interface(one) for one in ET.fromstring(xml).iterfind("devices/interface"))


def guest_machine(xml: str) -> GuestMachine:
    """CPUs, memory, machine type, agent, displays and serial port."""
    root = ET.fromstring(xml)
    system, serial = root.find("os/type"), root.find("devices/serial")
    return GuestMachine(
        cpus=_cpus(root), memory=_memory(root), machine="" if system is None else system.get("machine", ""),
        agent=_agent(root), displays=tuple(_display(one) for one in root.iterfind("devices/graphics")),
        serial="" if serial is None else serial.get("type", ""),
    )  # fmt: skip


def guest_consoles(xml: str) -> tuple[GuestConsole, ...]:
    """The serial ports and consoles, each once: libvirt lists the first serial port as a console as well."""
    devices = ET.fromstring(xml)
    found = (one for path in ("devices/console", "devices/serial") for one in devices.iterfind(path))
    named = {_of(one, "alias", "name"): one.get("type", "") for one in found}
    return tuple(GuestConsole(device, kind) for device, kind in named.items())


def _cpus(root: ET.Element) -> int:
    element = root.find("vcpu")
    if element is None:
        return 1
    return int(element.get("current") or element.text or 1)


def _memory(root: ET.Element) -> int:
    element = root.find("memory")
    return 0 if element is None else int(element.text or 0) * UNITS.get(element.get("unit", "KiB"), 1 << 10)


def _agent(root: ET.Element) -> str:
    """libvirt knows whether it has opened its channel; nobody has to ask it (formatdomain, channel)."""
    target = root.find(f"devices/channel/target[@name='{AGENT}']")
    return "" if target is None else target.get("state", "disconnected")


def _display(element: ET.Element) -> str:
    kind, port = element.get("type", ""), element.get("port", "")
    listens = element.find("listen")
    place = element.get("listen", "") or ("" if listens is None else listens.get("address", listens.get("socket", "")))
    where = f"{place}:{port}" if port and port != "-1" else place
    return f"{kind} {where}".rstrip()


def _interface(element: ET.Element) -> GuestInterface:
    source = element.find("source")
    named = () if source is None else (source.get(key, "") for key in ("network", "bridge", "dev"))
    return GuestInterface(
        mac=_of(element, "mac", "address"), kind=element.get("type", ""), source=next(filter(None, named), ""),
        model=_of(element, "model", "type"), target=_of(element, "target", "dev"),
    )  # fmt: skip


def _of(element: ET.Element, child: str, key: str) -> str:
    found = element.find(child)
    return "" if found is None else found.get(key, "")
