"""What a guest's configuration says of its disks, firmware and devices. Reads the XML; opens no image, asks nobody."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen

TPM_STATES = "/var/lib/libvirt/swtpm"  # libvirt's, in each release of Debian
NVRAMS = "/var/lib/libvirt/qemu/nvram"  # the same; no setting of qemu.conf changes it


@frozen
class GuestDisk:
    """A disk: `kind` is file, block, network, volume …; `device` disk, cdrom, floppy or lun; "" for no source.

    One that is given as a volume of the `pool` has the name of that as its source: `located_disks` has its path.
    """

    target: str
    source: str
    format: str
    kind: str = "file"
    device: str = "disk"
    readonly: bool = False
    shareable: bool = False
    transient: bool = False
    backing: tuple[str, ...] = ()  # the files below it, as far as the XML has them; nearest first
    pool: str = ""


@frozen
class Firmware:
    """How the guest boots: `nvram` is the file of its variables, "" for none; `named`: its configuration says so.

    Where it says firmware="efi" alone, libvirt before 9.2 chooses the file at each start and writes it nowhere: it is
    called as the guest is (qemuDomainNVRAMPathFormat() in qemu_domain.c).
    """

    uefi: bool = False
    nvram: str = ""
    template: str = ""
    named: bool = True


def guest_disks(xml: str) -> tuple[GuestDisk, ...]:
    """The disks in the order of the XML."""
    return tuple(_disk(one) for one in _root(xml).iterfind("devices/disk"))


def guest_firmware(xml: str) -> Firmware:
    """UEFI is what has a pflash loader, or asks for firmware='efi' (formatdomain, BIOS bootloader)."""
    root = _root(xml)
    system = root.find("os")
    if system is None:
        return Firmware()
    loader, nvram = system.find("loader"), system.find("nvram")
    uefi = system.get("firmware") == "efi" or (loader is not None and loader.get("type") == "pflash")
    source = None if nvram is None else nvram.find("source")
    file = (source.get("file", "") if source is not None else "") or ("" if nvram is None else nvram.text or "").strip()
    template = "" if nvram is None else nvram.get("template", "")
    if file or source is not None or not _is_chosen(system, loader):
        return Firmware(uefi, file, template)
    return Firmware(uefi, f"{NVRAMS}/{root.findtext('name', '')}_VARS.fd", template, named=False)


def _is_chosen(system: ET.Element, loader: ET.Element | None) -> bool:
    """Whether libvirt chooses a firmware that keeps variables; a ROM and a stateless one keep none."""
    keeps = loader is None or (loader.get("type", "pflash") == "pflash" and loader.get("stateless") != "yes")
    return system.get("firmware") == "efi" and keeps


def guest_tpm(xml: str) -> str:
    """The backend of the TPM: emulator, passthrough, external; "" for none."""
    backend = _root(xml).find("devices/tpm/backend")
    return backend.get("type", "") if backend is not None else ""


def guest_tpm_state(xml: str) -> str:
    """The file that an emulated TPM keeps its state in while the guest is off; "" for another backend, or no TPM.

    It is swtpm's permanent state. libvirt chooses the directory, unless <source> names it, or the file itself
    (formatdomain, TPM device; since libvirt 10.10).
    """
    root = _root(xml)
    backend = root.find("devices/tpm/backend")
    if backend is None or backend.get("type") != "emulator":
        return ""
    version, name = ("tpm1.2", "tpm-00.permall") if backend.get("version") == "1.2" else ("tpm2", "tpm2-00.permall")
    source = backend.find("source")
    if source is None:
        return f"{TPM_STATES}/{root.findtext('uuid', '')}/{version}/{name}"
    path = source.get("path", "")
    return path if source.get("type") == "file" else f"{path}/{name}"


def guest_hostdevs(xml: str) -> int:
    """How many devices of the host it gets."""
    return len(_root(xml).findall("devices/hostdev"))


def _root(xml: str) -> ET.Element:
    return ET.fromstring(xml)


def _disk(disk: ET.Element) -> GuestDisk:
    target, driver, source = (disk.find(part) for part in ("target", "driver", "source"))
    return GuestDisk(
        target=target.get("dev", "") if target is not None else "",
        source=_source(disk), format=driver.get("type", "") if driver is not None else "",
        kind=disk.get("type", "file"), device=disk.get("device", "disk"),
        readonly=disk.find("readonly") is not None, shareable=disk.find("shareable") is not None,
        transient=disk.find("transient") is not None, backing=_backing(disk),
        pool=source.get("pool", "") if source is not None and disk.get("type") == "volume" else "",
    )  # fmt: skip


def _source(element: ET.Element) -> str:
    source = element.find("source")
    if source is None:
        return ""
    return next((found for name in ("file", "dev", "dir", "name", "volume") if (found := source.get(name))), "")


def _backing(disk: ET.Element) -> tuple[str, ...]:
    found: list[str] = []
    layer = disk.find("backingStore")
    while layer is not None and (source := _source(layer)):
        found.append(source)
        layer = layer.find("backingStore")
    return tuple(found)
