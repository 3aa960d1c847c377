"""The domain XML: what the guest wants, and every way in which the bytes can be wrong."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.errors import VfioctlError
from vfioctl.events.domain import read_domain
from vfioctl.events.element import MAX_DEPTH, MAX_ELEMENTS
from vfioctl.events.model import Disk, Domain, Hostdev, Needs

UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"


def xml(devices: str = "", rest: str = "") -> bytes:
    """A whole domain with `devices` in <devices> and `rest` beside it."""
    text = f"<domain type='kvm'><name>win11</name><uuid>{UUID}</uuid>{rest}<devices>{devices}</devices></domain>"
    return text.encode()


def hostdev(source: str, attributes: str = "mode='subsystem' type='pci' managed='yes'", more: str = "") -> str:
    return f"<hostdev {attributes}><source>{source}</source>{more}</hostdev>"


def code_of(data: bytes) -> str:
    with pytest.raises(VfioctlError) as caught:
        read_domain(data)
    return caught.value.code


def test_the_smallest_domain_has_a_name_a_uuid_and_nothing_else():
    assert read_domain(xml()) == Domain(name="win11", uuid=UUID, needs=Needs())


def test_a_uuid_is_brought_into_the_form_of_a_file_name():
    assert read_domain(xml().replace(UUID.encode(), UUID.replace("-", "").upper().encode())).uuid == UUID


def test_the_source_address_counts_and_never_the_one_inside_the_guest():
    source = "<address domain='0x0000' bus='0x0b' slot='0x1f' function='0x3'/>"
    guest_side = "<address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/>"
    assert read_domain(xml(hostdev(source, more=guest_side))).pci_addresses == ("0000:0b:1f.3",)


def test_addresses_are_read_in_hex_in_decimal_in_octal_and_without_a_domain():
    for bus in ("0x0b", "11", "013"):
        assert read_domain(xml(hostdev(f"<address bus='{bus}'/>"))).pci_addresses == ("0000:0b:00.0",)


def test_a_large_pci_domain_keeps_all_its_digits():
    source = "<address domain='0x10000' bus='0' slot='0' function='0'/>"
    assert read_domain(xml(hostdev(source))).pci_addresses == ("10000:00:00.0",)


@pytest.mark.parametrize(
    "address", ["bus='0x100'", "slot='0x20'", "function='8'", "bus='-1'", "bus='1_1'", "bus='08'", "bus='x'"]
)
def test_an_impossible_address_is_malformed_and_names_its_line(address):
    with pytest.raises(VfioctlError, match=r"line 1: .* of a PCI address is") as caught:
        read_domain(xml(hostdev(f"<address {address}/>")))
    assert caught.value.code == "domain.malformed"


@pytest.mark.parametrize(("managed", "said"), [("managed='yes'", True), ("managed='no'", False), ("", False)])
def test_managed_is_what_the_hostdev_says(managed, said):
    source = "<address bus='1'/>"
    (found,) = read_domain(xml(hostdev(source, f"mode='subsystem' type='pci' {managed}"))).hostdevs
    assert found.managed is said


def test_the_driver_of_a_hostdev_is_kept():
    more = "<driver name='vfio' model='mlx5_vfio_pci'/>"
    (found,) = read_domain(xml(hostdev("<address bus='1'/>", more=more))).hostdevs
    assert (found.driver, found.model) == ("vfio", "mlx5_vfio_pci")


def test_a_mediated_device_has_its_uuid_and_no_pci_address():
    source = f"<address uuid='{UUID}'/>"
    domain = read_domain(xml(hostdev(source, "mode='subsystem' type='mdev' model='vfio-pci'")))
    assert domain.hostdevs == (Hostdev("mdev", None, mdev_uuid=UUID),)


def test_a_usb_hostdev_is_kept_without_a_pci_address():
    source = "<vendor id='0x1234'/><product id='0xbeef'/><address bus='1' device='2'/>"
    assert read_domain(xml(hostdev(source, "mode='subsystem' type='usb'"))).hostdevs == (Hostdev("usb", None),)


def test_a_network_function_given_as_an_interface_is_a_pci_device_of_the_host():
    devices = (
        "<interface type='hostdev' managed='yes'><source><address type='pci' bus='0x3b' slot='2'/></source></interface>"
    )
    assert read_domain(xml(devices)).hostdevs == (Hostdev("pci", "0000:3b:02.0", managed=True),)


def test_a_usb_device_as_an_interface_has_no_pci_address():
    devices = "<interface type='hostdev'><source><address type='usb' bus='1' device='2'/></source></interface>"
    assert read_domain(xml(devices)).hostdevs == (Hostdev("usb", None),)


def test_an_nvme_disk_takes_its_controller_from_the_host():
    devices = (
        "<disk type='nvme'><source type='pci' managed='yes' namespace='1'><address bus='5'/></source>"
        "<target dev='vda'/></disk>"
    )
    domain = read_domain(xml(devices))
    assert domain.pci_addresses == ("0000:05:00.0",)
    assert domain.hostdevs[0].managed
    assert domain.disks[0].source is None


NVME = "<source type='pci' managed='yes' namespace='1'><address bus='5'/></source>"
CHAIN = "<source file='/top.qcow2'/><backingStore type='file'><source file='/base.qcow2'/>{}</backingStore>"


@pytest.mark.parametrize(
    "disk",
    [
        f"<source file='/top.qcow2'/><backingStore type='nvme'>{NVME}<backingStore/></backingStore>",
        CHAIN.format(f"<backingStore type='nvme'>{NVME}</backingStore>"),
        f"<source file='/meta.qcow2'><dataStore type='nvme'>{NVME}</dataStore></source>",
        CHAIN.format(
            f"<backingStore type='file'><source file='/meta'><dataStore type='nvme'>{NVME}</dataStore></source>"
            "</backingStore>"
        ),
    ],
    ids=["below the image", "two below it", "its data", "the data of one below it"],
)
def test_an_nvme_drive_that_an_image_is_on_is_taken_like_one_that_is_the_disk(disk: str):
    domain = read_domain(xml(f"<disk type='file'>{disk}<target dev='vda'/></disk>"))
    assert domain.hostdevs == (Hostdev("pci", "0000:05:00.0", managed=True),)


def test_each_drive_of_a_chain_is_taken():
    below = "<backingStore type='nvme'>" + NVME.replace("bus='5'", "bus='6'") + "</backingStore>"
    assert read_domain(xml(f"<disk type='nvme'>{NVME}{below}</disk>")).pci_addresses == ("0000:05:00.0", "0000:06:00.0")


def test_a_whole_usb_controller_and_a_card_are_both_devices():
    devices = hostdev("<address bus='1'/>") + hostdev("<address bus='3' slot='0' function='0x3'/>")
    assert read_domain(xml(devices)).pci_addresses == ("0000:01:00.0", "0000:03:00.3")


def test_a_file_disk_is_read_with_its_flags():
    devices = (
        "<disk type='file' device='disk' snapshot='external'><driver name='qemu' type='qcow2'/>"
        "<source file='/images/a b.qcow2' index='1'/><backingStore type='file'><source file='/base'/></backingStore>"
        "<target dev='vda' bus='virtio'/><shareable/><transient/><readonly/></disk>"
    )
    assert read_domain(xml(devices)).disks == (
        Disk("vda", "file", "disk", "qcow2", "/images/a b.qcow2", readonly=True, shareable=True, transient=True,
             has_backing_store=True, external_snapshot=True),
    )  # fmt: skip


def test_an_empty_backing_store_ends_a_chain_and_is_none():
    devices = "<disk type='file'><source file='/a'/><backingStore/><target dev='vda'/></disk>"
    assert not read_domain(xml(devices)).disks[0].has_backing_store


@pytest.mark.parametrize(
    ("disk", "source"),
    [
        ("<disk type='block'><source dev='/dev/vg/win'/><target dev='vdb'/></disk>", "/dev/vg/win"),
        ("<disk type='network'><source protocol='rbd' name='pool/image'/><target dev='vdb'/></disk>", None),
        ("<disk type='volume'><source pool='default' volume='x'/><target dev='vdb'/></disk>", None),
        ("<disk type='file' device='cdrom'><target dev='vdb'/><readonly/></disk>", None),
    ],
)
def test_only_a_disk_that_lies_here_has_a_source(disk, source):
    (found,) = read_domain(xml(disk)).disks
    assert (found.target, found.source) == ("vdb", source)


@pytest.mark.parametrize(
    "nvram", ["<nvram template='/t'>/nv/win.fd</nvram>", "<nvram type='file'><source file='/nv/win.fd'/></nvram>"]
)
def test_the_nvram_is_found_in_both_forms(nvram):
    domain = read_domain(xml(rest=f"<os><type>hvm</type><loader>/code.fd</loader>{nvram}</os>"))
    assert (domain.nvram, domain.loader) == ("/nv/win.fd", "/code.fd")


def test_an_emulated_tpm_is_a_vtpm_and_a_passed_through_one_is_not():
    assert read_domain(xml("<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>")).has_vtpm
    assert not read_domain(xml("<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>")).has_vtpm


@pytest.mark.parametrize(
    "value",
    ["input-linux,id=m,evdev=/dev/input/mouse,grab_all=on", '{"qom-type":"input-linux","evdev":"/dev/input/mouse"}'],
)
def test_grabbed_inputs_are_found_in_libvirts_and_in_qemus_own_words(value):
    devices = (
        "<input type='evdev'><source dev='/dev/input/by-id/kbd'/></input><input type='tablet' bus='usb'/>"
        "<input type='passthrough' bus='virtio'><source evdev='/dev/input/event1'/></input>"
    )
    arguments = f"<qemu:arg value='-object'/><qemu:arg value='{value}'/>"
    data = xml(devices, f"<qemu:commandline>{arguments}</qemu:commandline>")
    assert read_domain(data).evdev_inputs == ("/dev/input/by-id/kbd", "/dev/input/event1", "/dev/input/mouse")


@pytest.mark.parametrize(
    ("memory", "size"),
    [
        ("<memory>1024</memory>", 1 << 20),
        ("<memory unit='KiB'> 8 </memory>", 8192),
        ("<memory unit='k'>1</memory>", 1024),
        ("<memory unit='KB'>1</memory>", 1000),
        ("<memory unit='GiB'>16</memory>", 16 << 30),
        ("<memory unit='bytes'>7</memory>", 7),
    ],
)
def test_memory_is_in_bytes_whatever_its_unit(memory, size):
    assert read_domain(xml(rest=memory)).memory_bytes == size


@pytest.mark.parametrize(
    "memory", ["<memory>much</memory>", "<memory unit='parsec'>1</memory>", f"<memory>{'9' * 5000}</memory>"]
)
def test_memory_that_is_no_size_is_malformed(memory):
    assert code_of(xml(rest=memory)) == "domain.malformed"


def test_what_is_not_read_is_kept_by_path_once_and_in_order():
    data = xml("<emulator>/usr/bin/qemu</emulator><hovercraft/><hovercraft/>", "<vcpu>4</vcpu><future><x/></future>")
    domain = read_domain(data)
    assert domain.unknown == ("vcpu", "future", "devices/hovercraft")
    assert domain.emulator == "/usr/bin/qemu"


def test_a_missing_name_and_a_missing_uuid_have_their_own_codes():
    assert code_of(b"<domain><uuid>x</uuid></domain>") == "domain.nameless"
    assert code_of(b"<domain><name>win11</name></domain>") == "domain.no_uuid"


def test_a_uuid_that_would_leave_the_state_directory_is_malformed():
    assert code_of(xml().replace(UUID.encode(), b"../../../../etc/passwd")) == "domain.malformed"


def test_a_name_that_is_no_file_name_is_refused():
    assert code_of(xml().replace(b"win11", b"a/b")) == "guest.name"


@pytest.mark.parametrize(
    "document",
    [
        b"<!DOCTYPE d [<!ENTITY a 'x'>]><domain/>",
        b"<!DOCTYPE d SYSTEM 'file:///etc/passwd'><domain/>",
        b"<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]><domain><name>&b;</name></domain>",
    ],
)
def test_document_types_and_entities_are_refused(document):
    assert code_of(document) == "domain.entities"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"   ", b"hello", b"<domain>", xml()[:-3], b"<volume/>", b"<domain/><domain/>", b"<domain>&x;</domain>",
        b"\xff\xfe\xfd", b"<?xml version='1.0' encoding='klingon'?><domain/>",
        b"<?xml version='1.0' encoding='utf-7'?><domain/>",
        b"<domain a='1' a='2'/>", b"<domain>\0</domain>",
    ],
)  # fmt: skip
def test_bytes_that_are_no_domain_are_malformed(data):
    assert code_of(data) == "domain.malformed"


def test_malformed_xml_names_its_line():
    with pytest.raises(VfioctlError, match="malformed at line 3"):
        read_domain(b"<domain>\n<name>a</name>\n</oops>")


def test_another_encoding_is_read():
    text = "<?xml version='1.0' encoding='UTF-16'?>" + xml().decode().replace("win11", "größe")
    assert read_domain(text.encode("utf-16")).name == "größe"


def test_deep_nesting_is_malformed_and_the_limit_itself_is_not():
    assert code_of(xml("<a>" * MAX_DEPTH)) == "domain.malformed"
    depth = MAX_DEPTH - 2
    assert read_domain(xml("<a>" * depth + "</a>" * depth)).unknown == ("devices/a",)


def test_too_many_elements_are_refused():
    assert code_of(xml("<a/>" * MAX_ELEMENTS)) == "domain.too_large"


def test_50_mb_are_refused_without_being_parsed():
    data = xml("<!--" + "x" * 50_000_000 + "-->")
    tracemalloc.start()
    try:
        assert code_of(data) == "domain.too_large"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


NAMES = st.sampled_from(
    [
        "domain",
        "name",
        "uuid",
        "memory",
        "os",
        "nvram",
        "loader",
        "devices",
        "disk",
        "backingStore",
        "dataStore",
        "hostdev",
        "interface",
        "input",
        "tpm",
        "backend",
        "source",
        "address",
        "target",
        "driver",
        "emulator",
        "backingStore",
        "qemu:commandline",
        "qemu:arg",
        "unheard-of",
    ]
)
ATTRIBUTE = st.sampled_from(
    [
        "type",
        "mode",
        "managed",
        "bus",
        "slot",
        "function",
        "domain",
        "file",
        "dev",
        "unit",
        "value",
        "uuid",
        "evdev",
        "name",
        "snapshot",
    ]
)
PRINTABLE = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
WORD = st.one_of(
    st.sampled_from(
        ["pci", "mdev", "yes", "0x1", "hostdev", "nvme", "evdev", "emulator", "file", "KiB", "win11", UUID, "1024"]
    ),
    PRINTABLE,
)


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;").replace("]]>", "]]&gt;")


def element(name: str, attributes: dict[str, str], inner: list[str]) -> str:
    said = "".join(f" {key}='{escaped(value)}'" for key, value in attributes.items())
    return f"<{name}{said}>{''.join(inner)}</{name}>"


LEAF = WORD.map(escaped)
TREE = st.recursive(
    LEAF,
    lambda inner: st.builds(element, NAMES, st.dictionaries(ATTRIBUTE, WORD, max_size=3), st.lists(inner, max_size=4)),
    max_leaves=8,
)


def gives_a_domain_or_a_refusal(data: bytes) -> Domain | None:
    """Whatever else `read_domain` raises fails the test."""
    try:
        domain = read_domain(data)
    except VfioctlError as error:
        caught = error
    else:
        assert isinstance(domain, Domain)
        return domain
    assert caught.code.partition(".")[0] in ("domain", "guest")
    assert str(caught)
    return None


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_give_a_traceback(data):
    gives_a_domain_or_a_refusal(data)


@given(st.lists(TREE, max_size=4))
def test_arbitrary_elements_of_a_domain_never_give_a_traceback(trees):
    gives_a_domain_or_a_refusal(xml("".join(trees)))
    gives_a_domain_or_a_refusal(xml("", "".join(trees)))


@given(st.integers(0, 1000), st.binary(max_size=6))
def test_a_real_domain_that_is_cut_and_spliced_never_gives_a_traceback(cut, splice):
    data = xml(hostdev("<address bus='1'/>") + "<disk type='file'><source file='/a'/><target dev='vda'/></disk>")
    gives_a_domain_or_a_refusal(data[:cut] + splice + data[cut:])
    gives_a_domain_or_a_refusal(data[:cut])


@given(st.integers(0, 0xFFFF), st.integers(0, 255), st.integers(0, 31), st.integers(0, 7))
def test_every_possible_address_is_read_as_it_was_written(domain, bus, slot, function):
    source = f"<address domain='{domain:#x}' bus='{bus}' slot='{slot:#04x}' function='{function:#x}'/>"
    (found,) = read_domain(xml(hostdev(source))).pci_addresses
    assert found == f"{domain:04x}:{bus:02x}:{slot:02x}.{function}"
