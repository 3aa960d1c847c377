"""What a configuration says of disks, firmware, TPM and devices of the host."""

from __future__ import annotations

import pytest

from vfioctl.virt.disks import (
    Firmware,
    GuestDisk,
    guest_disks,
    guest_firmware,
    guest_hostdevs,
    guest_tpm,
)

XML = """<domain><os firmware='efi'><loader type='pflash'>/code.fd</loader><nvram template='/vars.fd'>/n.fd</nvram></os>
<devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a.qcow2'/><target dev='vda'/>
<backingStore type='file'><format type='qcow2'/><source file='/b.qcow2'/>
<backingStore type='file'><source file='/c.raw'/><backingStore/></backingStore></backingStore></disk>
<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/lv'/><target dev='vdb'/><shareable/></disk>
<disk type='network' device='disk'><source protocol='rbd' name='pool/x'/><target dev='vdc'/><transient/></disk>
<disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>
<tpm><backend type='emulator'/></tpm><hostdev/><hostdev/></devices></domain>"""


def test_each_disk_has_its_source_format_and_what_lies_below_it() -> None:
    assert guest_disks(XML) == (
        GuestDisk("vda", "/a.qcow2", "qcow2", backing=("/b.qcow2", "/c.raw")),
        GuestDisk("vdb", "/dev/vg/lv", "raw", "block", shareable=True),
        GuestDisk("vdc", "pool/x", "", "network", transient=True),
        GuestDisk("sda", "", "", device="cdrom", readonly=True),
    )


@pytest.mark.parametrize(
    ("os", "firmware"),
    [
        ("<os/>", Firmware()),
        ("<os firmware='efi'/>", Firmware(uefi=True)),
        ("<os><loader type='rom'>/seabios</loader></os>", Firmware()),
        ("<os><loader type='pflash'>/c</loader><nvram>/n</nvram></os>", Firmware(uefi=True, nvram="/n")),
        ("<os firmware='efi'><nvram type='file'><source file='/n'/></nvram></os>", Firmware(uefi=True, nvram="/n")),
    ],
)
def test_the_firmware_is_uefi_where_it_is_flashed_or_asked_for(os: str, firmware: Firmware) -> None:
    assert guest_firmware(f"<domain>{os}</domain>") == firmware


def test_a_template_of_the_nvram_is_read() -> None:
    assert guest_firmware(XML) == Firmware(uefi=True, nvram="/n.fd", template="/vars.fd")


def test_tpm_and_devices_of_the_host_are_counted() -> None:
    assert (guest_tpm(XML), guest_hostdevs(XML)) == ("emulator", 2)
    assert (guest_tpm("<domain/>"), guest_hostdevs("<domain/>")) == ("", 0)
