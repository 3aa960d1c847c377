"""What a start needs from the host, as the domain XML says it; what may be missing is not in it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.errors import Refused
from vfioctl.events.domain import read_domain
from vfioctl.events.model import Link, Needs, RequiredFile, Share, UsbDevice
from vfioctl.events.needs import node_set

UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"
MIB = 1 << 20


def needs(devices: str = "", rest: str = "") -> Needs:
    text = f"<domain type='kvm'><name>win11</name><uuid>{UUID}</uuid>{rest}<devices>{devices}</devices></domain>"
    found = read_domain(text.encode()).needs
    assert found is not None
    return found


def disk(source: str, more: str = "", kind: str = "file", form: str = "qcow2") -> str:
    return f"<disk type='{kind}'><driver type='{form}'/>{source}<target dev='vda'/>{more}</disk>"


def usb(source: str, attributes: str = "") -> str:
    return f"<hostdev mode='subsystem' type='usb'><source{attributes}>{source}</source></hostdev>"


def test_firmware_kernel_and_roms_are_needed():
    boot = "<os><loader>/fw/CODE.fd</loader><kernel>/k</kernel><initrd>/i</initrd><dtb>/d</dtb></os>"
    rom = "<hostdev type='pci' mode='subsystem'><rom file='/roms/x.rom'/></hostdev>"
    assert needs(rom, boot).files == (
        RequiredFile("loader", "/fw/CODE.fd"), RequiredFile("kernel", "/k", "kernel"),
        RequiredFile("kernel", "/i", "initrd"), RequiredFile("kernel", "/d", "dtb"),
        RequiredFile("rom", "/roms/x.rom", "hostdev"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "rom", ["<rom bar='on'/>", "<rom bar='off' file='/x'/>", "<rom enabled='no'/>", "<rom file=''/>"]
)
def test_a_rom_that_qemu_does_not_open_is_not_needed(rom):
    assert needs(f"<interface type='user'>{rom}</interface>").files == ()


@pytest.mark.parametrize(
    ("device", "files"),
    [
        ("vfio-pci,host=01:00.0,romfile=/roms/x.rom", ["/roms/x.rom"]),
        ('{"driver":"vfio-pci","romfile":"/roms/x.rom"}', ["/roms/x.rom"]),
        ("e1000,romfile=", []),
        ("e1000,romfile=/roms/x.rom,rombar=0", []),
        ("e1000,romfile=efi-e1000.rom", []),
    ],
)
def test_a_rom_in_qemus_arguments_is_needed(device, files):
    words = f"<qemu:arg value='-device'/><qemu:arg value='{device}'/>"
    command_line = f"<qemu:commandline xmlns:qemu='q'>{words}</qemu:commandline>"
    assert [file.path for file in needs(rest=command_line).files] == files


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (("-object", "memory-backend-file,id=lg,mem-path=/dev/kvmfr0,size=1M"), ["/dev/kvmfr0"]),
        (("-object", "memory-backend-file,id=lg,mem-path=/dev/shm/lg,size=1M"), ["/dev/shm"]),
        (("-object", '{"qom-type":"memory-backend-file","mem-path":"/x/lg"}'), ["/x"]),
        (("-object", "memory-backend-ram,id=m,size=1M"), []),
        (("-drive", "file=/x.img,if=none"), ["/x.img"]),
        (("-drive", "file=nbd://h/x,if=none"), []),
    ],
)
def test_what_qemus_arguments_open_is_needed(words, files):
    arguments = "".join(f"<qemu:arg value='{word}'/>" for word in words)
    command_line = f"<qemu:commandline xmlns:qemu='q'>{arguments}</qemu:commandline>"
    assert [file.path for file in needs(rest=command_line).files] == files


def test_a_loader_by_its_bare_name_is_qemus_own():
    assert needs(rest="<os><loader>bios-256k.bin</loader></os>").files == ()


@pytest.mark.parametrize("kept", ["/n/w.fd", "<source file='/n/w.fd'/>", "<source dev='/n/w.fd'/>"])
def test_the_template_of_the_nvram_is_needed_while_there_is_no_nvram(kept):
    found = needs(rest=f"<os><nvram template='/fw/V.fd'>{kept}</nvram></os>").files
    assert found == (RequiredFile("nvram_template", "/fw/V.fd", unless="/n/w.fd"),)


def test_an_nvram_on_a_share_is_not_made_from_the_template():
    source = "<source protocol='nbd' name='x'/>"
    assert needs(rest=f"<os><nvram type='network' template='/fw/V.fd'>{source}</nvram></os>").files == ()


@pytest.mark.parametrize(
    ("kind", "attribute", "path"), [("file", "file", "/a"), ("block", "dev", "/dev/a"), ("dir", "dir", "/d")]
)
def test_the_source_of_a_disk_is_needed(kind, attribute, path):
    found = needs(disk(f"<source {attribute}='{path}'/>", kind=kind)).files
    assert found == (RequiredFile("disk", path, "vda", "qcow2"),)


@pytest.mark.parametrize("policy", ["mandatory", "requisite"])
def test_a_policy_that_insists_changes_nothing(policy):
    assert needs(disk(f"<source file='/a' startupPolicy='{policy}'/>")).files[0].path == "/a"


@pytest.mark.parametrize(
    "device",
    [
        disk("<source file='/a' startupPolicy='optional'/>"),
        disk(""),
        disk("<source pool='p' volume='v'/>", kind="volume"),
        disk("<source protocol='nbd' name='x'/>", kind="network"),
    ],
)
def test_an_optional_empty_or_remote_disk_is_not_needed(device):
    assert needs(device).files == ()


def test_a_chain_that_the_domain_names_is_not_looked_up():
    below = "<backingStore type='file'><format type='raw'/><source file='/b'/><backingStore/></backingStore>"
    assert needs(disk("<source file='/a'/>", below)).files == (
        RequiredFile("disk", "/a", "vda", "qcow2", ends=True), RequiredFile("backing", "/b", "vda", "raw", ends=True),
    )  # fmt: skip


def test_an_image_whose_data_the_domain_names_is_not_followed():
    source = "<source file='/a'><dataStore type='file'><format type='raw'/><source file='/d'/></dataStore></source>"
    assert [file.ends for file in needs(disk(source)).files] == [True]


def test_the_last_named_image_without_an_end_is_followed_further():
    below = "<backingStore type='file'><format type='qcow2'/><source file='/b'/></backingStore>"
    assert [file.ends for file in needs(disk("<source file='/a'/>", below)).files] == [True, False]


@pytest.mark.parametrize(
    "device",
    [
        "<filesystem type='mount'><source dir='/x'/></filesystem>",
        "<serial type='dev'><source path='/x'/></serial>",
        "<rng><backend model='random'>/x</backend></rng>",
        "<tpm><backend type='passthrough'><device path='/x'/></backend></tpm>",
        "<interface type='ethernet'><script path='/x'/></interface>",
        "<filesystem type='mount'><driver type='virtiofs'/><source dir='/x'/></filesystem>",
        "<console type='dev'><source path='/x'/><target type='virtio'/></console>",
        "<serial type='unix'><source mode='connect' path='/x'/></serial>",
        "<memory model='nvdimm'><source><path>/x/nv.img</path></source></memory>",
        "<interface type='vdpa'><source dev='/x'/></interface>",
        "<interface type='vhostuser'><source type='unix' path='/x' mode='client'/></interface>",
        "<graphics type='spice'><gl enable='yes' rendernode='/x'/></graphics>",
    ],
)
def test_what_another_device_opens_is_needed(device):
    assert [(file.role, file.path) for file in needs(device).files] == [("file", "/x")]


@pytest.mark.parametrize(
    "device",
    [
        "<filesystem type='mount'><driver type='virtiofs'/><source socket='/x'/></filesystem>",
        "<serial type='pty'/>",
        "<console type='dev'><source path='/x'/><target type='serial'/></console>",
        "<serial type='unix'><source mode='bind' path='/x'/></serial>",
        "<serial type='unix'><source mode='connect' path='/x'><reconnect enabled='yes'/></source></serial>",
        "<memory model='dimm'/>",
        "<interface type='vhostuser'><source type='unix' path='/x' mode='server'/></interface>",
        "<graphics type='spice'><gl enable='no' rendernode='/x'/></graphics>",
        "<rng><backend model='egd' type='udp'><source host='h'/></backend></rng>",
        "<tpm><backend type='emulator'/></tpm>",
    ],
)
def test_what_a_device_does_not_open_is_not_needed(device):
    assert needs(device).files == ()


def test_an_acpi_table_is_needed():
    assert needs(rest="<os><acpi><table type='slic'>/x</table></acpi></os>").files[0].owner == "ACPI table"


def test_usb_devices_are_needed_by_what_names_them():
    named = usb("<vendor id='0x1234'/><product id='0xbeef'/>")
    placed = usb("<address bus='1' device='7'/>")
    optional = usb("<vendor id='0x1'/><product id='0x2'/>", " startupPolicy='optional'")
    assert needs(named + placed + optional).usb == (
        UsbDevice(0x1234, 0xBEEF), UsbDevice(None, None, 1, 7), UsbDevice(1, 2, optional=True),
    )  # fmt: skip


@pytest.mark.parametrize("device", ["0", "7"])
def test_bus_0_is_no_place_on_the_usb(device):
    known = f"<vendor id='0x1234'/><product id='0xbeef'/><address bus='0' device='{device}'/>"
    assert needs(usb(known)).usb == (UsbDevice(0x1234, 0xBEEF),)


def test_interfaces_of_the_host_are_needed_and_a_tap_that_libvirt_makes_is_not():
    devices = (
        "<interface type='bridge'><source bridge='br0'/></interface>"
        "<interface type='bridge'><source bridge='ovs0'/><virtualport type='openvswitch'/></interface>"
        "<interface type='direct'><source dev='eth0'/></interface>"
        "<interface type='ethernet'><target dev='tap0' managed='no'/></interface>"
        "<interface type='ethernet'><target dev='tap1'/></interface>"
        "<interface type='network'><source network='default'/></interface>"
    )
    found = needs(devices)
    assert found.links == (Link("br0", is_bridge=True), Link("ovs0"), Link("eth0"), Link("tap0"))
    assert found.networks == ("default",)


def test_each_interface_on_a_network_counts():
    on_it = "<interface type='network'><source network='pool'/></interface>"
    assert needs(on_it * 2).networks == ("pool", "pool")


def test_memory_without_pages_is_ordinary():
    assert needs(rest="<memory unit='MiB'>8</memory>").memory == (Share(8 * MIB),)


@pytest.mark.parametrize(
    ("pages", "page"), [("", 0), ("<page size='1' unit='G'/>", 1 << 30), ("<page size='2048' nodeset='0'/>", 2 * MIB)]
)
def test_huge_pages_of_a_guest_without_nodes(pages, page):
    backing = f"<memory unit='MiB'>8</memory><memoryBacking><hugepages>{pages}</hugepages></memoryBacking>"
    assert needs(rest=backing).memory == (Share(8 * MIB, page),)


def test_each_node_of_the_guest_has_its_pages_and_its_nodes_of_the_host():
    rest = (
        "<memoryBacking><hugepages><page size='1' unit='GiB' nodeset='0'/></hugepages></memoryBacking>"
        "<cpu><numa><cell id='0' memory='4' unit='GiB'/><cell id='1' memory='1' unit='GiB'/></numa></cpu>"
        "<numatune><memory mode='strict' nodeset='1'/><memnode cellid='0' mode='strict' nodeset='0'/></numatune>"
    )
    assert needs(rest=rest).memory == (Share(4 << 30, 1 << 30, (0,)), Share(1 << 30, None, (1,)))


@pytest.mark.parametrize(
    ("backing", "cell", "memfd", "shared"),
    [
        ("<source type='memfd'/>", "", True, True),
        ("<source type='memfd'/><access mode='private'/>", "", True, False),
        ("<source type='memfd'/><access mode='shared'/>", "memAccess='private'", True, False),
        ("<source type='file'/>", "", False, False),
        ("<source type='file'/><access mode='shared'/>", "", False, True),
        ("", "memAccess='shared'", False, True),
    ],
)
def test_memory_of_a_file_is_shared_where_the_domain_says_so_and_that_of_a_memfd_unless(backing, cell, memfd, shared):
    rest = f"<memoryBacking>{backing}</memoryBacking><cpu><numa><cell memory='8' unit='MiB' {cell}/></numa></cpu>"
    assert needs(rest=rest).memory == (Share(8 * MIB, memfd=memfd, shared=shared),)


@pytest.mark.parametrize("mode", ["preferred", "interleave"])
def test_a_wish_for_nodes_binds_nothing_and_they_must_be_there(mode):
    rest = f"<memory unit='MiB'>8</memory><numatune><memory mode='{mode}' nodeset='1'/></numatune>"
    assert needs(rest=rest).memory == (Share(8 * MIB),)
    assert needs(rest=rest).nodes == (1,)


def test_the_nodes_of_every_part_must_be_there():
    tune = "<memory mode='strict' nodeset='2'/><memnode cellid='0' mode='preferred' nodeset='0,3'/>"
    assert needs(rest=f"<numatune>{tune}</numatune>").nodes == (0, 2, 3)


@pytest.mark.parametrize(
    ("vcpu", "pins"), [("<vcpu>2</vcpu>", (0b11, 0b100, 0b1000)), ("<vcpu current='1'>2</vcpu>", (0b11, 0b1000))]
)
def test_the_cpus_of_threads_that_run_from_the_start_are_needed(vcpu, pins):
    tune = "<vcpupin vcpu='0' cpuset='0-1'/><vcpupin vcpu='1' cpuset='2'/><emulatorpin cpuset='3'/>"
    assert needs(rest=f"{vcpu}<cputune>{tune}</cputune>").pins == pins


@pytest.mark.parametrize(
    ("cpu", "model"),
    [
        ("<cpu mode='custom'><model fallback='forbid'>EPYC</model></cpu>", "EPYC"),
        ("<cpu><model>EPYC</model></cpu>", "EPYC"),
        ("<cpu mode='custom' match='minimum'><model>EPYC</model></cpu>", None),
        ("<cpu mode='host-model'><model>EPYC</model></cpu>", None),
        ("<cpu mode='host-passthrough'/>", None),
    ],
)
def test_only_a_model_by_name_is_needed(cpu, model):
    assert needs(rest=cpu).cpu_model == model


@pytest.mark.parametrize(
    ("text", "nodes"),
    [("0", (0,)), ("0-2,^1,4", (0, 2, 4)), ("", ()), (None, ()), ("x", ()), ("1-", (1,)), ("99999", ()), ("2-1", ())],
)
def test_a_set_of_nodes(text, nodes):
    assert node_set(text) == nodes


# Any tree of what is read here, with any values: the reader answers, or refuses.

NAMES = (
    "disk", "source", "target", "driver", "backingStore", "format", "hostdev", "interface", "rom", "os", "nvram",
    "loader", "cpu", "numa", "cell", "model", "memory", "memoryBacking", "hugepages", "page", "numatune",
    "memnode", "vendor", "product", "address", "devices", "input", "kernel",
)  # fmt: skip
ATTRIBUTES = (
    "type", "file", "dev", "dir", "id", "size", "unit", "nodeset", "memory", "cellid", "mode", "bridge", "network",
    "managed", "startupPolicy", "template", "bus", "device", "bar",
)  # fmt: skip
VALUES = st.sampled_from(
    ("file", "block", "usb", "bridge", "ethernet", "network", "/x", "0", "1", "-1", "0x10", "0-3,^1", "GiB", "strict",
     "9" * 40, "no", "optional", "", "é")
)  # fmt: skip


def element(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    attributes = st.dictionaries(st.sampled_from(ATTRIBUTES), VALUES, max_size=4).map(
        lambda found: "".join(f' {name}="{value}"' for name, value in found.items())
    )
    return st.builds(
        lambda name, said, inner: f"<{name}{said}>{''.join(inner)}</{name}>",
        st.sampled_from(NAMES), attributes, st.lists(children, max_size=4),
    )  # fmt: skip


@given(st.lists(st.recursive(VALUES, element, max_leaves=12), max_size=6), st.booleans())
def test_any_domain_is_read_or_refused(parts, inside):
    with suppress(Refused):
        needs(*("".join(parts), "") if inside else ("", "".join(parts)))
