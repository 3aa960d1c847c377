"""Random small topologies of PCI functions as facts, without a machine; and what follows when advice is followed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from hypothesis import strategies as st

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Domain, Hostdev
from vfioctl.frozen import replace
from vfioctl.handoff.devices import Wanted, wanted
from vfioctl.host.claims import Claim, Kind
from vfioctl.host.host import Host
from vfioctl.host.model import IommuGroup, PciDevice
from vfioctl.host.network import Traffic
from vfioctl.paths import Paths
from vfioctl.plugin import acceptance, group
from vfioctl.plugin.types import Finding, Request, Severity
from vfioctl.proc import Programs

SLOTS = ("0000:00:1f", "0000:01:00", "0000:02:00")
DRIVER = {  # one that is a module and one that is built in, by class
    0x030000: "amdgpu", 0x040300: "snd_hda_intel", 0x0C0330: "xhci_hcd", 0x010802: "nvme", 0x020000: "igb",
    0x060100: "lpc_ich", 0x060400: "shpchp", 0x120000: "amdgpu",
}  # fmt: skip
NETWORK = 0x0200
BUILT_IN = ("nvme", "xhci_hcd")
SETTING = re.compile(r"(include|exclude|allow_in_use) = \[(.*?)\]")
UNMOUNT = "Unmount it first"
BLACKLIST = re.compile(r'"blacklist (\w+)"')
UNBIND = re.compile(r"write (\S+) to /sys")


class Facts(Host):
    """The façade as if it had read a topology from a machine."""

    def __init__(self, topology: Topology) -> None:
        paths = Paths("/nonexistent")
        super().__init__(paths, Programs(paths.programs))
        self.topology = topology
        self._functions.known.update({device.address: device for device in topology.devices})
        self._known["addresses"] = tuple(device.address for device in topology.devices)
        for device in topology.devices:
            members = tuple(one.address for one in topology.devices if one.iommu_group == device.iommu_group)
            name = device.driver or ""
            self._known["group", device.iommu_group] = IommuGroup(device.iommu_group or 0, "DMA", members)
            self._known["driver_module", name] = None if name in BUILT_IN else name
            self._known["vfio", name] = name == "vfio-pci"

    def disk_claims(self, address: str) -> tuple[Claim, ...]:
        claim = Claim("sda1", Kind.MOUNTED, "mounted on /srv", f"{UNMOUNT}.")
        return (claim,) if address in self.topology.mounted else ()

    def traffic(self, address: str) -> tuple[Traffic, ...]:
        return (Traffic("eth0", "the default route", is_default=True),) if self.only_network(address) else ()

    def only_network(self, address: str) -> bool:
        return address in self.topology.only_network


@dataclass(frozen=True)
class Topology:
    """Functions, and of some what the host uses them for. A fact that is not here is false."""

    devices: tuple[PciDevice, ...]
    mounted: frozenset[str]
    only_network: frozenset[str]

    def without_drivers(self, names: Iterable[str], addresses: Iterable[str] = ()) -> Topology:
        """After the drivers `names` were kept from loading and those of `addresses` unbound."""
        gone, bare = set(names), set(addresses)
        return Topology(tuple(
            replace(device, driver=None) if device.driver in gone or device.address in bare else device
            for device in self.devices
        ), self.mounted, self.only_network)  # fmt: skip


Row = tuple[int, str | None, int, int, bool]
# Of one function: its class, which driver it is on ("": its own), its group, links to others of its slot, whether it is
# virtual. One number is drawn for all of it: hypothesis works long for each draw.
ROWS: tuple[Row, ...] = tuple(product(DRIVER, (None, "vfio-pci", "", ""), range(1, 5), range(16), (False, True)))
LISTS_OF_ROWS = st.lists(st.integers(0, len(ROWS) - 1), min_size=1, max_size=len(SLOTS) * 4)


def numbers(least: int, most: int) -> st.SearchStrategy[list[int]]:
    """So many functions of any topology, for `some`. Made once, since a strategy costs more than what it draws."""
    return st.lists(st.integers(0, len(SLOTS) * 4 - 1), min_size=least, max_size=most)


def some(topology: Topology, which: Iterable[int]) -> tuple[str, ...]:
    """The addresses of the functions of those numbers, each once."""
    every = topology.devices
    return tuple(dict.fromkeys(every[number % len(every)].address for number in which))


MOUNTED, ONLY_NETWORK = numbers(0, 2), numbers(0, 1)


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Three slots with up to four functions each, any grouping, links within a slot, now and then virtual functions."""
    rows = [ROWS[number] for number in draw(LISTS_OF_ROWS)]
    devices = [_device(f"{SLOTS[n % len(SLOTS)]}.{n // len(SLOTS)}", row) for n, row in enumerate(rows)]
    devices = [_virtual(device, devices) if row[4] else device for device, row in zip(devices, rows, strict=True)]
    devices = [
        replace(device, virtual=tuple(one.address for one in devices if one.physical == device.address))
        for device in devices
    ]
    bare = Topology(tuple(sorted(devices, key=lambda device: device.address)), frozenset(), frozenset())
    mounted, only = some(bare, draw(MOUNTED)), some(bare, draw(ONLY_NETWORK))
    return Topology(bare.devices, frozenset(mounted), frozenset(only))


def _device(address: str, row: Row) -> PciDevice:
    kind, driver, group_number, links, _ = row
    linked = (f"{address[:-1]}{n}" for n in range(4) if links >> n & 1)
    return PciDevice(
        address, kind, 0x8086, 0x1234, iommu_group=group_number, driver=DRIVER[kind] if driver == "" else driver,
        links=tuple(other for other in linked if other != address),
    )  # fmt: skip


def _virtual(device: PciDevice, every: list[PciDevice]) -> PciDevice:
    """A virtual function of the first network function of its slot, where there is one."""
    first = next((one for one in every if one.slot == device.slot and one.kind == NETWORK), None)
    return device if first is None or first is device or device.is_bridge else replace(device, physical=first.address)


@dataclass(frozen=True)
class Said:
    """What a guest that asks for devices gets, and what is said against it."""

    chosen: Wanted
    findings: tuple[Finding, ...]

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset(device.address for device in self.chosen.devices)

    @property
    def blocks(self) -> tuple[Finding, ...]:
        return tuple(item for item in (*self.chosen.findings, *self.findings) if item.severity is Severity.BLOCK)

    @property
    def unviable(self) -> tuple[Finding, ...]:
        return tuple(item for item in self.blocks if item.code == "group.unviable")

    @property
    def others(self) -> frozenset[str]:
        """What else speaks against it, in words."""
        return frozenset(item.message for item in self.blocks if item.code != "group.unviable")


def ask(topology: Topology, named: Iterable[str], config: GuestConfig) -> Said:
    """The choice and the checks of it, as a start makes them."""
    host = Facts(topology)
    domain = Domain("win11", "uuid", hostdevs=tuple(Hostdev("pci", address) for address in named))
    chosen = wanted(domain, config, host)
    request = Request("win11", "uuid", domain, config, host, chosen.devices)
    given = tuple(device.address for device in chosen.devices)
    allowed = config.allow_in_use
    against = (item for device in chosen.devices for item in acceptance.findings(device, host, given, allowed))
    return Said(chosen, (*against, *group.findings(request, lambda _tried, _added: {})))


def follow(said: Said, topology: Topology, config: GuestConfig) -> tuple[Topology, GuestConfig]:
    """The machine and the settings after every hint was followed to the letter."""
    hints = [item.hint for item in said.unviable]
    values = {key: tuple(re.findall(r'"(.*?)"', text)) for hint in hints for key, text in SETTING.findall(hint)}
    modules = [name for hint in hints for name in BLACKLIST.findall(hint)]
    bare = [address for hint in hints for address in UNBIND.findall(hint)]
    left = {one for one in topology.mounted if not any(UNMOUNT in i.hint and one in i.message for i in said.unviable)}
    now = dataclasses.replace(topology, mounted=frozenset(left))
    return now.without_drivers(modules, bare), replace(config, **values)
