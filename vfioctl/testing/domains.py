"""Domain XML as libvirt hands it to its hook, built from what a test cares about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

UUID = "6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506"


@dataclass(frozen=True, slots=True)
class DiskXml:
    """A disk of the domain; `extra` are further child elements, as XML."""

    source: str | None
    target: str = "vda"
    format: str = "qcow2"
    device: str = "disk"
    extra: str = ""


def domain(
    name: str = "win11", *, uuid: str = UUID, hostdevs: Iterable[str] = (), managed: bool = False,
    disks: Iterable[DiskXml] = (), nvram: str | None = None, kind: str = "kvm", devices: str = "", rest: str = "",
) -> str:
    """A domain with PCI hostdevs at the given source addresses. `devices` and `rest` are further XML."""
    parts = [_disk(disk) for disk in disks]
    parts += [_hostdev(address, index, managed=managed) for index, address in enumerate(hostdevs)]
    loader = '<loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader>' if nvram else ""
    variables = f"<nvram>{escape(nvram)}</nvram>" if nvram else ""
    return f"""<domain type={quoteattr(kind)}>
  <name>{escape(name)}</name>
  <uuid>{uuid}</uuid>
  <memory unit="KiB">8388608</memory>
  <vcpu placement="static">4</vcpu>
  <os><type arch="x86_64" machine="pc-q35-7.2">hvm</type>{loader}{variables}<boot dev="hd"/></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    {"".join(parts)}{devices}
  </devices>
  {rest}
</domain>
"""  # fmt: skip


def _hostdev(address: str, index: int, *, managed: bool) -> str:
    """A PCI hostdev; the second <address> is the guest's and must never be taken for the host's."""
    bus_slot, _, function = address.rpartition(".")
    number, bus, slot = bus_slot.split(":")
    source = f'domain="0x{number}" bus="0x{bus}" slot="0x{slot}" function="0x{function}"'
    return (
        f'<hostdev mode="subsystem" type="pci" managed="{"yes" if managed else "no"}">'
        f"<source><address {source}/></source>"
        f'<address type="pci" domain="0x0000" bus="0x0{5 + index}" slot="0x00" function="0x0"/></hostdev>'
    )


def _disk(disk: DiskXml) -> str:
    source = f"<source file={quoteattr(disk.source)}/>" if disk.source else ""
    return (
        f'<disk type="file" device="{disk.device}"><driver name="qemu" type="{disk.format}"/>{source}'
        f'<target dev="{disk.target}" bus="virtio"/>{disk.extra}</disk>'
    )
