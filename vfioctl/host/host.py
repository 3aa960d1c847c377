"""The facts of one host, each read once and kept. A façade: each fact is read in the module of its name.

Reads, never writes; nothing is read before it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.host import (
    consoles,
    drivers,
    drm,
    framebuffers,
    iommu,
    modules,
    nodes,
    pci,
    system,
    units,
)  # fmt: skip
from vfioctl.host.holders import Scan, of_functions, scan
from vfioctl.host.model import (
    CARD_CLASSES,
    CARD_DRIVERS,
    DISPLAY_CLASSES,
    Connector,
    DeviceNode,
    Framebuffer,
    Holder,
    IommuGroup,
    Module,
    PciDevice,
    Session,
    Unit,
    VtConsole,
)  # fmt: skip
from vfioctl.paths import Paths
from vfioctl.proc import Completed, Programs

if TYPE_CHECKING:
    from typing import Any, TypeVar

    from vfioctl.host.claims import Claim
    from vfioctl.host.container_tools import Seen, Which
    from vfioctl.host.dependents import Dependent
    from vfioctl.host.descriptors import Unseen
    from vfioctl.host.network import Traffic
    from vfioctl.reach import Reach

    T = TypeVar("T")

DISPLAY_MANAGER = "display-manager.service"
DISPLAY, MULTIMEDIA = 0x03, 0x04  # base classes of the PCI Code and ID Assignment Specification


class Host:
    """What is so on the host below `paths`. Make a new one to look anew."""

    def __init__(self, paths: Paths, programs: Programs, opened: dict[str, Any] | None = None) -> None:
        self.paths = paths
        self.programs = programs
        self.opened = {} if opened is None else opened  # connections to libvirt, for checks: no fact comes from there
        self._known: dict[Any, Any] = {}
        self._functions = pci.Functions(paths, programs)

    def _once(self, key: Any, read: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = read()
        known: T = self._known[key]
        return known

    # PCI

    def addresses(self) -> tuple[str, ...]:
        """Every PCI address, sorted."""
        return self._once("addresses", lambda: pci.addresses(self.paths))

    def devices(self) -> tuple[PciDevice, ...]:
        """Every PCI function, sorted by address."""
        return self._functions.load(self.addresses())

    def displays(self) -> tuple[PciDevice, ...]:
        """Every graphics function, sorted by address; of the others only the class is read."""
        return self._functions.load(self._once("displays", lambda: self._of_classes(DISPLAY_CLASSES)))

    def gpus(self) -> tuple[PciDevice, ...]:
        """Every card, with a screen or without, sorted by address; of the others only the class is read."""
        return self._functions.load(self._once("gpus", self._read_gpus))

    def _read_gpus(self) -> tuple[str, ...]:
        driven = (address for name in CARD_DRIVERS for address in drivers.addresses_on(self.paths, name))
        return tuple(sorted({*self._of_classes(CARD_CLASSES), *driven}))

    def _of_classes(self, kinds: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(address for address in self.addresses() if self.kind(address) in kinds)

    def kind(self, address: str) -> int | None:
        """Base class and sub-class of the function at `address`, or None when there is none."""
        return self._functions.kind(address)

    def driver(self, address: str) -> str | None:
        """The driver that the function at `address` is bound to, or None."""
        return self._functions.driver(address)

    def device(self, address: str) -> PciDevice:
        """The function at `address`. Raises VfioctlError("pci.unknown")."""
        if address not in self._functions.known:
            self._functions.load(self._slot(address))
        if address not in self._functions.known:
            raise pci.unknown(address)
        return self._functions.known[address]

    def has_device(self, address: str) -> bool:
        """Whether a function is at `address`."""
        return address in self._functions.known or pci.exists(self.paths, address)

    def functions(self, address: str) -> tuple[PciDevice, ...]:
        """All functions of the slot of `address`, itself among them. Raises VfioctlError("pci.unknown")."""
        self.device(address)
        return self._functions.load(self._slot(address))

    def companions(self, address: str) -> tuple[PciDevice, ...]:
        """The functions that go along where the one at `address` goes. Raises VfioctlError("pci.unknown")."""
        from vfioctl.host.companions import belongs  # what only reads a return's state does not ask

        device = self.device(address)
        return tuple(other for other in self.functions(address) if belongs(other, device))

    def dependents(self, address: str) -> tuple[Dependent, ...]:
        """What goes with the driver of the function at `address`, and who uses it."""
        made = self._functions.made(address)
        if made == {address: ()}:
            return ()
        from vfioctl.host import dependents  # few functions have any

        return self._once(("dependents", address), lambda: dependents.read(self, address, made))

    def _slot(self, address: str) -> tuple[str, ...]:
        return pci.slot_addresses(self.addresses(), address)

    # IOMMU, drivers, modules

    def iommu_on(self) -> bool:
        """Whether an IOMMU is active."""
        return self._once("iommu_on", lambda: iommu.is_on(self.paths))

    def group(self, address: str) -> IommuGroup | None:
        """The IOMMU group of the function at `address`; None without an IOMMU."""
        number = self._functions.iommu_group(address)
        return None if number is None else self._once(("group", number), lambda: iommu.read(self.paths, number))

    def unviable(self, addresses: Iterable[str]) -> tuple[PciDevice, ...]:
        """The other members of the groups of `addresses` whose host driver keeps those from being given."""
        given = frozenset(addresses)
        groups = [group for group in map(self.group, sorted(given)) if group]
        others = sorted({member for group in groups for member in group.members} - given)
        members = self._functions.load(others)
        return tuple(
            member for member in members
            if iommu.stands_in_the_way(member, is_vfio=self.is_vfio_driver(member.driver or ""))
        )  # fmt: skip

    def is_vfio_driver(self, name: str) -> bool:
        """Whether `name` is vfio-pci or one of its variant drivers."""
        return self._once(("vfio", name), lambda: drivers.is_vfio(self.paths, name))

    def driver_present(self, name: str) -> bool:
        """Whether the PCI driver `name` is registered."""
        return self._once(("driver", name), lambda: drivers.is_present(self.paths, name))

    def driver_module(self, name: str) -> str | None:
        """The module of the PCI driver `name`; None when it is built in or not loaded."""
        return self._once(("driver_module", name), lambda: drivers.module_of(self.paths, name))

    def module(self, name: str) -> Module | None:
        """The loaded module `name`; None when it is built in or not loaded."""
        return self._once(("module", name), lambda: modules.read(self.paths, name))

    def module_parameters(self, name: str) -> Mapping[str, str]:
        """The readable parameters of the module `name`; none when it is not loaded."""
        return self._once(("parameters", name), lambda: modules.parameters(self.paths, name))

    def modules(self) -> tuple[Module, ...]:
        """Every loaded module. Slow: not for the hook path."""
        return self._once("modules", lambda: modules.read_all(self.paths))

    def devices_on_module(self, name: str) -> tuple[str, ...]:
        """The addresses of the functions that are bound to a driver of the module `name`."""
        return self._once(("on_module", name), lambda: drivers.addresses_on_module(self.paths, name))

    # Consoles, framebuffers, DRM

    def vtconsoles(self) -> tuple[VtConsole, ...]:
        """The vtconsole back-ends."""
        return self._once("vtconsoles", lambda: consoles.read_all(self.programs.writer, self.paths))

    def framebuffers(self, address: str) -> tuple[Framebuffer, ...]:
        """The platform framebuffers on the card at `address`."""
        every = self._once("framebuffers", lambda: framebuffers.names(self.paths))
        return self._once(("framebuffers", address), lambda: framebuffers.of_card(self.paths, every, address))

    def cards(self, address: str) -> tuple[str, ...]:
        """The DRM cards ("card0") of the function at `address`."""
        return self._once(("cards", address), lambda: drm.cards(self.paths, address))

    def connectors(self, address: str) -> tuple[Connector, ...]:
        """The connectors of the cards of the function at `address`."""
        return self._once(("connectors", address), lambda: drm.connectors(self.paths, address))

    # Holders

    def nodes(self, address: str) -> tuple[DeviceNode, ...]:
        """The device nodes of the function at `address` and those that its driver has for all its devices."""
        return self._once(
            ("nodes", address),
            lambda: nodes.of_function(self.paths, address, self._functions.files(address), self.driver(address)),
        )

    def holders(self, addresses: Iterable[str], *, shared: Iterable[str] = ()) -> tuple[Holder, ...]:
        """Every process but ours that has a node of `addresses` open or mapped.

        Of those in `shared` also the nodes that they share with other devices of their driver: who has such a node may
        hold any of them, and nothing tells which.
        """
        return self._scan(addresses, shared).holders

    def unseen(self, addresses: Iterable[str], *, shared: Iterable[str] = ()) -> tuple[Unseen, ...]:
        """What the pass for `holders` could not see, though it is root's: it may hold `addresses` too.

        Not PID 1, which is tolerated as a holder, and which nobody may look into who has fewer capabilities.
        """
        unseen, is_root = self._scan(addresses, shared).unseen, os.geteuid() == 0
        return tuple(one for one in unseen if not one.denied or (is_root and one.pid != 1))

    def unreadable(self) -> int:
        """How many processes no pass so far could look into: without root there may be more holders."""
        return sum(one.denied for one in self.missed())

    def missed(self) -> tuple[Unseen, ...]:
        """What no pass so far could see."""
        scans = (found for found in self._known.values() if isinstance(found, Scan))
        return tuple(dict.fromkeys(one for found in scans for one in found.unseen))

    def _scan(self, addresses: Iterable[str], shared: Iterable[str]) -> Scan:
        wanted, whole = tuple(sorted(set(addresses))), frozenset(shared)
        return self._once(("holders", wanted, whole), lambda: of_functions(self, wanted, whole))

    def scan(self, watched: Iterable[DeviceNode], vanished: tuple[str, ...] = ()) -> Scan:
        """Who has one of `watched` open now, or a deleted node below `vanished`."""
        return scan(self.paths, watched, vanished, self.programs.writer)

    def vfio_open(self, addresses: Iterable[str]) -> tuple[int, ...]:
        """The processes, ours excepted, that have the VFIO group or device of `addresses` open."""
        watched = self._vfio_nodes(addresses)
        return tuple(holder.pid for holder in self.scan(watched).holders) if watched else ()

    def _vfio_nodes(self, addresses: Iterable[str]) -> list[DeviceNode]:
        return [node for address in sorted(set(addresses)) for node in self.nodes(address) if node.role == "vfio"]

    def qemu_of(self, uuid: str, guest: str = "") -> int | None:
        """The QEMU process that runs the domain `uuid`, which is called `guest`, or None."""
        from vfioctl.host import guests  # a start asks only where something was left open

        return self._once(("qemu", uuid, guest), lambda: guests.qemu_of(self.paths, uuid, guest))

    def has_vfio_open(self, pid: int, addresses: Iterable[str]) -> bool | None:
        """Whether `pid` has the VFIO group or device of one of `addresses` open; None: not for us to see."""
        return nodes.is_open_in(self.paths, pid, self._vfio_nodes(addresses))

    # systemd and logind

    def booted_with_systemd(self) -> bool:
        """Whether systemd is the system manager."""
        return self._once("systemd", lambda: units.is_booted(self.paths))

    def unit(self, name: str, uid: int | None = None) -> Unit:
        """The unit `name` of the system manager, or of the manager of the user `uid`."""
        return self.units((name,), uid)[0]

    def units(self, names: Iterable[str], uid: int | None = None) -> tuple[Unit, ...]:
        """The units `names`, in order, read by one program. Without systemd no unit exists."""
        wanted = units.distinct(names)
        missing = tuple(name for name in wanted if ("unit", uid, name) not in self._known)
        for name, unit in zip(missing, self._read_units(missing, uid), strict=True):
            self._known["unit", uid, name] = unit
            self._known.setdefault(("unit", uid, unit.name), unit)  # an alias tells about the real one as well
        return tuple(self._known["unit", uid, name] for name in wanted)

    def _read_units(self, names: tuple[str, ...], uid: int | None) -> tuple[Unit, ...]:
        if not self.booted_with_systemd():
            return tuple(units.absent(name, uid) for name in names)
        return units.read(self.programs, names, uid) if names else ()

    def user_units(self, uid: int) -> tuple[Unit, ...]:
        """The active units of the manager of the user `uid`."""
        if not self.booted_with_systemd():
            return ()
        active = self._once(("user_units", uid), lambda: units.active_of_user(self.programs, uid))
        for unit in active:
            self._known.setdefault(("unit", uid, unit.name), unit)
        return active

    def display_manager(self) -> Unit | None:
        """The real unit behind display-manager.service, or None."""
        unit = self.unit(DISPLAY_MANAGER)
        return unit if unit.exists else None

    def sessions(self) -> tuple[Session, ...]:
        """Every logind session; none without systemd."""
        if not self.booted_with_systemd():
            return ()
        from vfioctl.host import sessions  # a start asks only where somebody has a card open

        return self._once("sessions", lambda: sessions.read_all(self.programs))

    def container(self, which: Which) -> Seen | None:
        """The container that `which` names, as its own tool tells; None when there is none."""
        from vfioctl.host import container_tools  # only a guest file that lists one needs it

        return self._once(("container", which), lambda: container_tools.look(self, which))

    # Programs and paths that the domain or the settings name

    def shown(self, argv: tuple[str, ...], *, deadline: float) -> Completed:
        """What a program that only looks says; it is run once, however many ask. Raises as Programs.run."""
        return self._once(("shown", argv), lambda: self.programs.run(argv, deadline=deadline))

    def ask(self, path: str, work: Callable[[], T]) -> T:
        """What `work`, which looks at `path`, returns, as JSON keeps it, from a child that can be left behind.

        For every path that is not the kernel's: it may be on a share whose server is gone. Raises what it raises, and
        Refused("path.unanswered").
        """
        return self.reach.ask(path, work)

    @property
    def reach(self) -> Reach:
        """The same with a deadline of one's own."""
        return self._once("reach", self._reach)

    def _reach(self) -> Reach:
        from vfioctl.reach import Reach  # few starts ask about a path

        return Reach(self.programs.silent if self.programs else {})  # facts of files need no programs

    # The host as a whole

    def boot_id(self) -> str:
        """What names this boot."""
        return self._once("boot_id", lambda: system.boot_id(self.paths))

    def kernel_release(self) -> str:
        """The running kernel, as `uname -r` says it."""
        return self._once("release", lambda: system.kernel_release(self.paths))

    def kernel_command_line(self) -> str:
        """What the kernel was booted with."""
        return self._once("cmdline", lambda: system.command_line(self.paths))

    def mounted_controllers(self) -> Mapping[str, tuple[str, ...]]:
        """PCI address → mount points of the disks behind it."""
        from vfioctl.host import mounts  # only guests with more than a card ask

        return self._once("mounts", lambda: mounts.controllers(self.paths))

    def disk_claims(self, address: str) -> tuple[Claim, ...]:
        """What has the disks behind the function at `address` in use, or may have; none where it has no disk."""
        kind = self.kind(address)
        if kind is None or kind >> 8 in (DISPLAY, MULTIMEDIA):
            return ()
        from vfioctl.host import blocks  # of the others few have a disk

        if not blocks.has_any(self.paths, address):
            return ()
        from vfioctl.host import claims

        return self._once(("disks", address), lambda: claims.of_function(self.paths, address))

    def only_network(self, address: str) -> bool:
        """Whether the host reaches the network through the function at `address` alone."""
        from vfioctl.host import network  # only guests with more than a card ask

        return self._once(("network", address), lambda: network.is_only_way(self.paths, address))

    def traffic(self, address: str) -> tuple[Traffic, ...]:
        """What the host's network has on the function at `address`; none where no interface is behind it."""
        from vfioctl.host import interfaces  # of those guests few have an interface

        if not interfaces.is_behind_any(self.paths, address):
            return ()
        from vfioctl.host import network

        return self._once(("traffic", address), lambda: network.traffic(self.paths, address))
