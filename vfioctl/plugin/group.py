"""Who keeps an IOMMU group from being given, and what would help: never what the next check forbids. Reads facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import replace
from vfioctl.plugin.acceptance import PCI_BRIDGES, against
from vfioctl.plugin.choice import choose
from vfioctl.plugin.types import Finding, Request
from vfioctl.shell import word

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice

ROOT_BUS = "00"
Refused = Callable[[Request, Iterable[str]], Mapping[str, Finding]]


def findings(request: Request, refused: Refused) -> Iterable[Finding]:
    """A block for each member of the groups of the request's devices that keeps its host driver.

    `refused` says of further devices, given with those of a request, what their plugins have against it.
    """
    members = in_the_way(tuple(device.address for device in request.devices), request.host)
    if not members:
        return
    advice = Advice(request, members, refused)
    for member in members:
        yield Finding(
            "group.unviable",
            f"{member.address} shares the IOMMU group {member.iommu_group} and stays on its host driver "
            f"{member.driver}{_reason(member, request, advice)}.",
            hint=advice.about(member),
        )


def in_the_way(given: Sequence[str], host: Host) -> tuple[PciDevice, ...]:
    """The members of the groups of `given` that keep those from being given.

    A virtual function of a given physical one vanishes with the driver of that one: it is in nobody's way.
    """
    vanishing = {address for device in map(host.device, given) for address in device.virtual}
    return tuple(member for member in host.unviable(given) if member.address not in vanishing)


def _reason(member: PciDevice, request: Request, advice: Advice) -> str:
    if member.address in request.config.exclude:
        also = f". {advice.kept[member.address].message.rstrip('.')}" if member.address in advice.used else ""
        return f"; the setting exclude leaves it out{also}"
    if member.is_bridge:
        return "; it is a bridge, and bridges stay with the host"
    given = (device.address for device in request.devices)
    against_it = against(member, request.host, given, request.config.allow_in_use)
    found = advice.kept.get(member.address) or next(iter(against_it), None)
    return f". {found.message.rstrip('.')}, so it stays with the host" if found else ""


class Advice:
    """The settings with which nothing would be in the way, found by trying them on the facts.

    `include` and `exclude` are the whole values of these settings: followed to the letter they lose nothing that is
    given now. What no setting helps against is in `bare`, where a member without its driver would do, else in `firm`.
    `kept` says what keeps a member on the host; those for which that can be ended are tried as if they went, and are in
    `used`.
    """

    def __init__(self, request: Request, members: tuple[PciDevice, ...], refused: Refused) -> None:
        self.request = request
        given = tuple(device.address for device in request.devices)
        self.include = [one for one in request.config.include if one in given or not request.host.has_device(one)]
        self.exclude = list(request.config.exclude)
        self.kept: dict[str, Finding] = {}
        asked = {*request.domain.pci_addresses, *request.config.devices}
        self._named = tuple(address for address in given if address in asked) or given
        stay: dict[str, PciDevice] = {}
        while members:
            for member in sorted(members, key=lambda member: member.physical is not None):
                if not self._settled(member):
                    stay[member.address] = member
            members = tuple(member for member in self._in_the_way() if member.address not in stay)
        for device in self._left_by_plugins(refused):
            stay[device.address] = device
        self.used = tuple(address for address in self.kept if address not in stay)
        self.bare = tuple(member for member in stay.values() if _works_bare(member))
        self.firm = tuple(member for member in stay.values() if member not in self.bare)

    def _given(self) -> tuple[str, ...]:
        host = self.request.host
        include = [address for address in self.include if host.has_device(address)]
        return choose(self._named, self.exclude, host, self.request.config.allow_in_use, include).addresses

    def _in_the_way(self) -> tuple[PciDevice, ...]:
        return in_the_way(self._given(), self.request.host)

    def _settled(self, member: PciDevice) -> bool:
        """Change a setting so that `member` is not in the way, if one does that and no check forbids it."""
        host, given = self.request.host, self._given()
        if member.physical in given:  # it vanishes
            return True
        sharing = [address for address in given if host.device(address).iommu_group == member.iommu_group]
        if not set(sharing) & {*self._named, *self.include}:
            self.exclude += [address for address in sharing if address not in self.exclude]
            return True
        found = against(member, host, given, self.request.config.allow_in_use)
        if found:
            self.kept[member.address] = next((one for one in found if not _may_end(one)), found[0])
        if not all(map(_may_end, found)):
            return False
        if member.address in self.exclude:
            self.exclude.remove(member.address)
        else:
            self.include.append(member.address)
        return True

    def _left_by_plugins(self, refused: Refused) -> Iterable[PciDevice]:
        """Of what the settings add the devices for which their plugin has a refusal that nothing ends."""
        devices = tuple(map(self.request.host.device, self._given()))
        added = tuple(device.address for device in devices if device not in self.request.devices)
        for address, found in refused(replace(self.request, devices=devices), added).items():
            self.kept.setdefault(address, found)
            if not _may_end(found):
                yield self.request.host.device(address)

    def about(self, member: PciDevice) -> str:
        """What helps against `member`, as a sentence."""
        if member in self.firm:
            return _elsewhere(member, self.request)
        if self.firm:
            return f"It cannot be given while {_names(self.firm)} stays on the host, whatever becomes of this one."
        if member.address in self.used:
            return self.kept[member.address].hint
        if member in self.bare:
            return _driver_must_go(member, self.request.host)
        if self.used:
            return f"The guest file can help once {', '.join(self.used)} may go, too; how, the next plan says."
        if self.bare:
            return f"The guest file can help once {_names(self.bare)} has no driver; how, the next plan says."
        return self._settings()

    def _settings(self) -> str:
        config = self.request.config
        changed = [
            _setting(name, value)
            for name, value, before in (
                ("include", self.include, config.include), ("exclude", self.exclude, config.exclude),
            ) if tuple(value) != before
        ]  # fmt: skip
        return f"The group can be given with this in the guest file: {' and '.join(changed)}"


def _may_end(found: Finding) -> bool:
    """Whether what keeps a member on the host can be ended, as an umount or the stop of a guest ends it."""
    return bool(found.hint) and found.code not in ("device.bridge", "device.physical")


def _setting(name: str, addresses: Iterable[str]) -> str:
    quoted = ", ".join(f'"{address}"' for address in addresses)
    return f"{name} = [{quoted}]"


def _names(devices: Iterable[PciDevice]) -> str:
    return ", ".join(device.address for device in devices)


def _works_bare(member: PciDevice) -> bool:
    """Whether it is a bridge with an ordinary header: harmless without its driver, and it needs none to work."""
    return member.is_bridge and member.kind not in PCI_BRIDGES


def _driver_must_go(member: PciDevice, host: Host) -> str:
    module = host.driver_module(member.driver or "")
    if module is None:
        return (
            f"The group can be given while {member.address} has no driver, but {member.driver} is built into the "
            f"kernel: after each boot, write {member.address} to /sys/bus/pci/drivers/{member.driver}/unbind."
        )
    return (
        f"The group can be given while {member.address} has no driver: keep its module from loading with the line "
        f'"blacklist {word(module)}" in a file below /etc/modprobe.d, then reboot.'
    )


def _elsewhere(member: PciDevice, request: Request) -> str:
    """Another slot, or smaller groups; for what is part of one device or of the board there is neither."""
    sharing = [device for device in request.devices if device.iommu_group == member.iommu_group]
    name = sharing[0].address if sharing else "the device"
    if any(device.slot == member.slot for device in sharing):
        return f"{name} and {member.address} are one device in one group: {name} cannot be given on this host."
    if all(device.address.split(":")[1] == ROOT_BUS for device in sharing):
        return f"{name} is part of the board, as {member.address} is: no setting parts them, it cannot be given."
    return (
        f"Put {name} into another slot, or turn on ACS in the firmware if it has that switch: the groups become "
        "smaller. Else it cannot be given."
    )
