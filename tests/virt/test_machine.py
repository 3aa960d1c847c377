"""A machine as libvirt describes it: counted by its cells, and with what is missing taken from elsewhere."""

from __future__ import annotations

from typing import NoReturn
from xml.etree import ElementTree as ET

import pytest

from vfioctl.virt.connection import Connection, binding
from vfioctl.virt.features import read_features
from vfioctl.virt.machine import Counted, read_machine, read_summary
from vfioctl.virt.topology import Pages, read_cells, read_processors

INFO = ["x86_64", 65536, 16, 3600, 2, 1, 4, 2]  # virNodeInfo: model, MiB, CPUs, MHz, cells, sockets, cores, threads
HOST = """
<capabilities><host>
  <cpu><arch>x86_64</arch><model>Skylake-Client</model><vendor>Intel</vendor>
    <topology sockets='1' dies='1' cores='4' threads='2'/><feature name='vmx'/></cpu>
  <iommu support='yes'/>
  <topology><cells num='1'><cell id='0'><memory unit='KiB'>65536000</memory>
    <pages unit='KiB' size='4'>16000000</pages><pages unit='KiB' size='1048576'>8</pages>
    <pages unit='KiB' size='2048'>512</pages>
    <distances><sibling id='0' value='10'/></distances>
    <cpus num='4'>
      <cpu id='0' socket_id='0' die_id='0' core_id='0' siblings='0,2'/>
      <cpu id='1' socket_id='0' die_id='0' core_id='1' siblings='1,3'/>
      <cpu id='2' socket_id='0' die_id='0' core_id='0' siblings='0,2'/>
      <cpu id='3' socket_id='0' die_id='0' core_id='1' siblings='1,3'/>
    </cpus></cell></cells></topology>
</host>
<guest><os_type>hvm</os_type><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch></guest>
<guest><os_type>hvm</os_type><arch name='aarch64'><domain type='qemu'/></arch></guest>
</capabilities>"""
BARE = "<capabilities><host><cpu><arch>x86_64</arch></cpu></host></capabilities>"
DOMAIN = """
<domainCapabilities>
  <os supported='yes'><enum name='firmware'><value>bios</value><value>efi</value></enum>
    <loader supported='yes'><enum name='secure'><value>no</value>{secure}</enum></loader></os>
  <devices><tpm supported='{tpm}'><enum name='backendModel'><value>passthrough</value><value>emulator</value></enum>
  </tpm></devices>
  <features><sev supported='no'/></features>
</domainCapabilities>"""
SMBIOS = "<sysinfo type='smbios'><processor><entry name='version'>{}</entry></processor></sysinfo>"


def host(xml: str = HOST) -> ET.Element:
    return ET.fromstring(xml)


def test_processors_are_counted_one_by_one() -> None:
    one = read_processors(host(), INFO, None)
    assert (one.cpus, one.sockets, one.cores, one.threads) == (4, 1, 2, 2)


def test_without_cells_the_numbers_are_those_of_the_node() -> None:
    one = read_processors(host(BARE), INFO, None)
    assert (one.cpus, one.sockets, one.cores, one.threads) == (16, 2, 8, 2)


@pytest.mark.parametrize(("said", "name", "source"), [
    ("Intel(R)   Core(TM) i7", "Intel(R) Core(TM) i7", "smbios"),
    ("pc-q35-7.2", "Skylake-Client", "capabilities"), ("", "Skylake-Client", "capabilities"),
])  # fmt: skip
def test_a_processor_is_called_as_the_firmware_does_where_that_says_something(said, name, source) -> None:
    one = read_processors(host(), INFO, ET.fromstring(SMBIOS.format(said)))
    assert (one.name, one.source) == (name, source)


def test_a_processor_without_a_name_is_called_by_its_architecture() -> None:
    assert read_processors(host(BARE), INFO, None).name == "x86_64"


def test_huge_pages_are_counted_by_size_and_small_ones_are_none() -> None:
    asked = []

    def free(cell: int, sizes: list[int]) -> dict[int, int]:
        asked.append((cell, sizes))
        return {2048: 100}

    (cell,) = read_cells(host(), free)
    assert asked == [(0, [2048, 1048576])]
    assert cell.pages == (Pages(2 << 20, 512, 100), Pages(1 << 30, 8, None))
    assert (cell.memory, cell.cpus, cell.distances) == (65536000 << 10, (0, 1, 2, 3), ((0, 10),))


def test_features_are_those_of_the_own_architecture() -> None:
    seen = read_features(host(), ET.fromstring(DOMAIN.format(secure="<value>yes</value>", tpm="yes")))
    assert (seen.kvm, seen.extension, seen.iommu, seen.uefi, seen.secure_boot) == (True, "vmx", True, True, True)
    assert (seen.tpm, seen.sev) == (("passthrough", "emulator"), False)


def test_what_there_is_not_is_told_from_what_is_not_known() -> None:
    seen = read_features(host(), ET.fromstring(DOMAIN.format(secure="", tpm="no")))
    assert (seen.secure_boot, seen.tpm) == (False, ())
    blind = read_features(host(BARE), None)
    assert (blind.kvm, blind.extension) == (False, "")
    assert (blind.iommu, blind.uefi, blind.secure_boot, blind.tpm, blind.sev) == (None, None, None, None, None)


def not_supported(*_asked: object) -> NoReturn:
    """What a driver says that has no such function."""
    libvirt = binding()
    error = libvirt.libvirtError("this function is not supported by the connection driver")
    error.err = (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_FROM_TEST)
    raise error


def test_a_daemon_says_what_it_is(mock: Connection) -> None:
    summary = read_summary(mock)
    assert summary.guests == Counted(1, 1)
    assert summary.libvirt == ".".join(map(str, mock.version))


def test_where_smbios_says_nothing_of_the_maker_the_firmware_does(mock: Connection) -> None:
    machine = read_machine(mock)
    assert (machine.maker.vendor, machine.maker.version, machine.maker.source) == ("Libvirt", "Test driver", "firmware")


def test_what_a_daemon_cannot_say_is_left_out(mock: Connection, monkeypatch) -> None:
    for name in ("getFreePages", "getDomainCapabilities"):  # which libvirt's own driver has in newer versions
        monkeypatch.setattr(mock.libvirt, name, not_supported)
    machine = read_machine(mock)
    assert (machine.features.uefi, machine.cells[0].pages[0].free) == (None, None)
    assert (machine.memory, machine.available) == (6 << 30, 3145728)
