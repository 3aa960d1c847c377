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
    guest_tpm_state,
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
        ("<name>g</name><os firmware='efi'/>",
         Firmware(uefi=True, nvram="/var/lib/libvirt/qemu/nvram/g_VARS.fd", named=False)),
        ("<os firmware='efi'><loader stateless='yes'/></os>", Firmware(uefi=True)),
        ("<os firmware='efi'><loader type='rom'/></os>", Firmware(uefi=True)),
        ("<os><loader type='rom'>/seabios</loader></os>", Firmware()),
        ("<os><loader type='pflash'>/c</loader><nvram>/n</nvram></os>", Firmware(uefi=True, nvram="/n")),
        ("<os firmware='efi'><nvram type='file'><source file='/n'/></nvram></os>", Firmware(uefi=True, nvram="/n")),
    ],
)
def test_the_firmware_is_uefi_where_it_is_flashed_or_asked_for(os: str, firmware: Firmware) -> None:
    assert guest_firmware(f"<domain>{os}</domain>") == firmware


def test_a_template_of_the_nvram_is_read() -> None:
    assert guest_firmware(XML) == Firmware(uefi=True, nvram="/n.fd", template="/vars.fd")


@pytest.mark.parametrize(
    ("backend", "path"),
    [
        ("<backend type='emulator' version='2.0'/>", "/var/lib/libvirt/swtpm/UUID/tpm2/tpm2-00.permall"),
        ("<backend type='emulator' version='1.2'/>", "/var/lib/libvirt/swtpm/UUID/tpm1.2/tpm-00.permall"),
        ("<backend type='emulator'><source type='dir' path='/srv/x'/></backend>", "/srv/x/tpm2-00.permall"),
        ("<backend type='emulator'><source type='file' path='/srv/x'/></backend>", "/srv/x"),
        ("<backend type='passthrough'><device path='/dev/tpm0'/></backend>", ""),
        ("<backend type='external'><source type='unix' path='/run/x'/></backend>", ""),
    ],
)
def test_the_state_of_an_emulated_tpm_has_one_file(backend: str, path: str) -> None:
    xml = f"<domain><uuid>UUID</uuid><devices><tpm>{backend}</tpm></devices></domain>"
    assert guest_tpm_state(xml) == path
    assert guest_tpm_state("<domain/>") == ""


def test_tpm_and_devices_of_the_host_are_counted() -> None:
    assert (guest_tpm(XML), guest_hostdevs(XML)) == ("emulator", 2)
    assert (guest_tpm("<domain/>"), guest_hostdevs("<domain/>")) == ("", 0)
