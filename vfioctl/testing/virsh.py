"""`virsh` on a simulated machine: the verbs that a hand-off needs, answering as virsh 9.0 does.

`python -m vfioctl.testing.virsh ROOT MACHINE ARGUMENT…`. It calls the installed hook as libvirt does; it is no libvirt.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vfioctl import files
from vfioctl.errors import Refused
from vfioctl.events.domain import read_domain
from vfioctl.events.model import Domain
from vfioctl.handoff.markers import UNDONE_BY_SH
from vfioctl.host.host import Host
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.scenarios import named
from vfioctl.txn.journal import open_uuids
from vfioctl.wait import until

DOMAINS = "etc/libvirt/qemu"
RETURN_SECONDS = 60.0
WITH_VALUE = ("-c", "--connect")
NAMED = ("--domain", "--file")


class VirshError(Exception):
    """What virsh says after `error: `, a line each."""


@dataclass(frozen=True, slots=True)
class Call:
    """A command line: the verb, the domain or file that it names, and its flags."""

    verb: str = ""
    names: tuple[str, ...] = ()
    flags: frozenset[str] = field(default_factory=frozenset)


def parse(argv: Sequence[str]) -> Call:
    """`argv` as virsh reads it: options may stand anywhere, `--domain NAME` and NAME are the same."""
    words, flags = [], set()
    left = iter(argv)
    for word in left:
        option, _, value = word.partition("=")
        if option in WITH_VALUE:
            value = value or next(left, "")
        elif option in NAMED:
            words.append(value or next(left, ""))
        elif word.startswith("-"):
            flags.add(word)
        else:
            words.append(word)
    return Call(words[0] if words else "", tuple(words[1:]), frozenset(flags))


class Virsh:
    """The guests of the simulated machine `host`: their definitions are files, their QEMU is a simulated process."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.libvirt = FakeLibvirt(host)
        self.verbs: Mapping[str, Callable[[Call], str]] = {
            "list": self.list, "domstate": self.state, "dumpxml": self.dumpxml, "define": self.define,
            "start": self.start, "shutdown": self.shutdown, "destroy": self.destroy,
        }  # fmt: skip

    def run(self, call: Call) -> str:
        """Do what `call` says and return what virsh prints. Raises VirshError."""
        if call.verb not in self.verbs:
            known = ", ".join(self.verbs)
            raise VirshError(f"unknown command: '{call.verb}'\nthe simulated virsh knows: {known}")
        if call.verb != "list" and not call.names:
            option = "<file>" if call.verb == "define" else "<domain>"
            raise VirshError(f"command '{call.verb}' requires {option} option")
        return self.verbs[call.verb](call)

    # Verbs

    def list(self, call: Call) -> str:
        """The running guests; with --all every one, with --name only their names."""
        rows = [(name, self._pid(self._domain(name)[0])) for name in self._names()]
        shown = [(name, pid) for name, pid in rows if pid or "--all" in call.flags]
        if "--name" in call.flags:
            return "".join(f"{name}\n" for name, _ in shown) + "\n"
        states = ((str(index) if pid else "-", name, "running" if pid else "shut off")
                  for index, (name, pid) in enumerate(shown, 1))  # fmt: skip
        return _table((("Id", "Name", "State"), *states))

    def state(self, call: Call) -> str:
        return "running\n\n" if self._pid(self._domain(call.names[0])[0]) else "shut off\n\n"

    def dumpxml(self, call: Call) -> str:
        return self._domain(call.names[0])[1].rstrip("\n") + "\n\n"

    def define(self, call: Call) -> str:
        """Keep the domain in the file."""
        try:
            with open(call.names[0], encoding="utf-8") as file:
                text = file.read()
            guest = read_domain(text.encode()).name
        except OSError as error:
            raise VirshError(f"Failed to open file '{call.names[0]}': {error.strerror}") from error
        except Refused as error:
            raise VirshError(f"Failed to define domain from {call.names[0]}\n{error.message}") from error
        files.atomic_write(self._file(guest), text)
        return f"Domain '{guest}' defined from {call.names[0]}\n\n"

    def start(self, call: Call) -> str:
        """Start the guest: prepare, QEMU, started."""
        guest, xml = self._domain(call.names[0])
        if self._pid(guest):
            raise VirshError("Domain is already active")
        if reason := self._unprepared(guest):
            raise VirshError(f"Failed to start domain '{guest.name}'\n{reason}")
        given = tuple(address for address in guest.pci_addresses if self._in_group(address))
        ended = self.libvirt.start(guest.name, guest.uuid, xml.encode(), addresses=given)
        if ended.status:
            raise VirshError(f"Failed to start domain '{guest.name}'\n{ended.stderr.strip()}")
        return f"Domain '{guest.name}' started\n\n"

    def shutdown(self, call: Call) -> str:
        """The guest powers itself off at once; returns when its devices are home."""
        return self._stop(call.names[0], "shutdown", "is being shutdown")

    def destroy(self, call: Call) -> str:
        return self._stop(call.names[0], "destroy", "destroyed")

    # Parts

    def _stop(self, name: str, verb: str, done: str) -> str:
        guest, xml = self._domain(name)
        pid = self._pid(guest)
        if not pid:
            reason = "Requested operation is not valid: domain is not running"
            raise VirshError(f"Failed to {verb} domain '{guest.name}'\n{reason}")
        self.libvirt.adopt(guest.name, pid)
        self.libvirt.stop(guest.name, xml.encode())
        paths = self.host.paths
        by_sh = os.path.join(paths.guest_markers(guest.name), UNDONE_BY_SH)
        until(lambda: os.path.exists(by_sh) or guest.uuid not in open_uuids(paths), RETURN_SECONDS)
        return f"Domain '{guest.name}' {done}\n\n"

    def _unprepared(self, guest: Domain) -> str:
        """What libvirt says where nobody has brought a device to vfio-pci and managed is not 'yes'."""
        paths = self.host.paths
        if os.access(paths.shim, os.X_OK) and os.path.lexists(paths.guest_config(guest.name)):
            return ""
        host = Host(paths, self.host.programs)
        for dev in guest.hostdevs:
            address = dev.address or ""
            if address and not dev.managed and not _takes(host, address):
                said = f"Unmanaged PCI device {address} must be manually detached from the host"
                return f"Requested operation is not valid: {said}"
        return ""

    def _in_group(self, address: str) -> bool:
        return os.path.lexists(self.host.paths.pci(address, "iommu_group"))

    def _names(self) -> Sequence[str]:
        directory = self.host.paths.at(DOMAINS)
        return sorted(name.removesuffix(".xml") for name in os.listdir(directory) if name.endswith(".xml"))

    def _file(self, name: str) -> str:
        return self.host.paths.at(DOMAINS, f"{name}.xml")

    def _domain(self, name: str) -> tuple[Domain, str]:
        xml = files.read_text(self._file(name)) if "/" not in name else None
        if xml is None:
            raise VirshError(f"failed to get domain '{name}'")
        return read_domain(xml.encode()), xml

    def _pid(self, guest: Domain) -> int | None:
        return Host(self.host.paths, self.host.programs).qemu_of(guest.uuid, guest.name)


def _takes(host: Host, address: str) -> bool:
    """Whether libvirt takes an unmanaged function as it is (virPCIDeviceGetCurrentDriverNameAndType, since 9.7)."""
    device = host.device(address)
    return device.vfio or host.is_vfio_driver(device.driver or "")


def _table(rows: Sequence[Sequence[str]]) -> str:
    """`rows` as virsh lays them out: a space, columns three apart, and a line under the head that is two longer."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    head, *body = (line.rstrip() for line in lines)
    return "\n".join((head, "-" * (len(lines[0]) + 2), *body, "", ""))


def main(argv: Sequence[str]) -> int:
    """Run one command line of virsh on the machine called argv[1] below argv[0]; returns its exit status."""
    root, machine, *words = argv
    try:
        sys.stdout.write(Virsh(FakeHost(named(machine), root)).run(parse(words)))
    except VirshError as error:
        sys.stderr.write("".join(f"error: {line}\n" for line in str(error).split("\n")) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
