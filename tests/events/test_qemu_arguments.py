"""What a domain hands to QEMU in QEMU's own arguments."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.events.element import Element, parse_element
from vfioctl.events.qemu_arguments import NAMESPACE, Passed, read_arguments

UUID = "5a7c1f0e-6d3b-4c2a-9f8e-0b1c2d3e4f50"


def root(*words: str, more: str = "", prefix: str = "qemu") -> Element:
    listed = "".join(f"<{prefix}:arg value={quoteattr(word)}/>" for word in words)
    line = f"<{prefix}:commandline>{listed}</{prefix}:commandline>"
    return parse_element(f"<domain xmlns:{prefix}='{NAMESPACE}'>{line}{more}</domain>".encode())


def taken(*words: str, **more: str) -> list[str | None]:
    return [dev.address or dev.mdev_uuid for dev in read_arguments(root(*words, **more)).hostdevs]


def test_a_device_is_libvirts_business_in_nothing():
    (found,) = read_arguments(root("-device", "vfio-pci,host=01:00.0,x-vga=on")).hostdevs
    assert (found.kind, found.address, found.managed, found.in_arguments) == ("pci", "0000:01:00.0", False, True)


@pytest.mark.parametrize(
    "words",
    [
        ("-device", "vfio-pci,host=01:00.0,multifunction=on"),
        ("-device", "vfio-pci,id=a,,b,host=0000:01:00.0"),
        ("-device", "driver=vfio-pci,host=0000:01:00.0"),
        ("-device", "vfio-pci-nohotplug,host=1:0.0"),
        ("-device", "vfio-pci,host=00000000:01:00.0"),
        ("-device", "vfio-pci,host=0x0:0x001:0x00.0"),
        ("--device", "vfio-pci,host=0000:01:00.0"),
        ("-device vfio-pci,host=01:00.0",),
        ("-device=vfio-pci,host=01:00.0",),
        ("-device", '{"driver":"vfio-pci","host":"0000:01:00.0","id":"gpu"}'),
        ("-device", ' { "host" : "01:00.0", "driver" : "vfio-pci" } '),
        ("-device", "vfio-pci,sysfsdev=/sys/bus/pci/devices/0000:01:00.0"),
        ("-device", "vfio-pci,sysfsdev=/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/"),
        ("-device", '{"driver":"vfio-pci","sysfsdev":"/sys/bus/pci/devices/0000:01:00.0"}'),
        ("-device", "vfio-pci,id=gpu", "-set", "device.gpu.host=01:00.0"),
        ("-device", "vfio-pci,id=gpu,host=02:00.0", "-set", "device.gpu.host=01:00.0"),
        ("-set", "device.hostdev0.host=0000:01:00.0"),
        ("-drive", "file=nvme://0000:01:00.0/1,if=none,id=d"),
        ("-blockdev", "driver=nvme,node-name=n,device=0000:01:00.0,namespace=1"),
        ("-blockdev", '{"driver":"raw","file":{"driver":"nvme","device":"0000:01:00.0","namespace":1}}'),
        ("-drive", "file.driver=nvme,file.device=0000:01:00.0,file.namespace=1"),
        ("-device", "{'driver':'vfio-pci','host':'01:00.0'}"),
        ("-device", "{'driver':\"vfio-pci\",'id':'a\\'b','romfile':'a\"b','host':'01:00.0'}"),
        ("-device", '{"driver":"vfio-pci","romfile":"a\\\'b","host":"01:00.0"}'),
        ("-blockdev", "{'driver':'nvme','device':'0000:01:00.0','namespace':1,'node-name':'n'}"),
        ("-blockdev", '{"driver":"quorum","children":[{"driver":"nvme","device":"0000:01:00.0"}]}'),
        ("-blockdev", "driver=virtio-blk-vfio-pci,path=/sys/bus/pci/devices/0000:01:00.0,node-name=n"),
        ("-drive", "format=nvme,device=0000:01:00.0,namespace=1,if=none"),
        ("-drive", 'file=json:{"driver":"nvme",,"device":"0000:01:00.0",,"namespace":1},if=none,id=d'),
        ("-drive", 'file=json:{"driver":"raw",,"file.driver":"nvme",,"file.device":"0000:01:00.0"},if=none,id=d'),
        ("-drive", "if=none,id=d", "-set", "drive.d.file=nvme://0000:01:00.0/1"),
        ("-hda", "nvme://0000:01:00.0/1"),
        ("-cdrom", "json:{'driver':'nvme','device':'0000:01:00.0','namespace':1}"),
        ("nvme://0000:01:00.0/1",),
    ],
)
def test_every_way_to_name_a_function_is_read(words):
    assert taken(*words) == ["0000:01:00.0"]


def test_two_functions_are_two_devices_and_one_that_is_named_twice_is_one():
    words = ("-device", "vfio-pci,host=01:00.0", "-device", "vfio-pci,host=01:00.1", "-device", "vfio-pci,host=01:00.0")
    assert taken(*words) == ["0000:01:00.0", "0000:01:00.1"]


def test_a_mediated_device_by_its_path_is_no_function():
    (found,) = read_arguments(root("-device", f"vfio-pci,sysfsdev=/sys/bus/mdev/devices/{UUID}")).hostdevs
    assert (found.kind, found.address, found.mdev_uuid) == ("mdev", None, UUID)


def test_an_override_of_libvirts_device_is_read():
    inner = "<qemu:frontend><qemu:property name='host' type='string' value='01:00.0'/></qemu:frontend>"
    more = f"<qemu:override><qemu:device alias='hostdev0'>{inner}</qemu:device></qemu:override>"
    assert taken(more=more) == ["0000:01:00.0"]


def test_the_namespace_may_be_declared_where_it_is_used():
    words = "<q:arg value='-device'/><q:arg value='vfio-pci,host=01:00.0'/>"
    text = f"<domain><q:commandline xmlns:q='{NAMESPACE}'>{words}</q:commandline></domain>"
    (found,) = read_arguments(parse_element(text.encode())).hostdevs
    assert found.address == "0000:01:00.0"


def test_the_namespace_may_be_that_of_names_without_a_prefix():
    words = "<arg value='-device'/><arg value='vfio-pci,host=01:00.0'/>"
    text = f"<domain xmlns:qemu='{NAMESPACE}'><commandline xmlns='{NAMESPACE}'>{words}</commandline></domain>"
    domain = parse_element(text.encode())
    assert domain.is_extended
    assert [dev.address for dev in read_arguments(domain).hostdevs] == ["0000:01:00.0"]


def test_a_name_without_a_prefix_is_none_of_qemus_by_itself():
    text = "<domain><commandline><arg value='-device'/><arg value='vfio-pci,host=01:00.0'/></commandline></domain>"
    assert read_arguments(parse_element(text.encode())) == Passed()


def test_the_namespace_counts_and_not_its_prefix():
    assert taken("-device", "vfio-pci,host=01:00.0", prefix="q") == ["0000:01:00.0"]


@pytest.mark.parametrize(
    "words",
    [
        ("-device", "virtio-net-pci,host=01:00.0"), ("-device", "usb-host,hostbus=1"), ("-cpu", "host,kvm=off"),
        ("-set", "device.hostdev0.x-vga=on"), ("-set", "device.net0.host=example"), ("-device",), (), ("-device", ""),
        ("-drive", "file=/images/nvme.qcow2"), ("vfio-pci,host=01:00.0",), ("-fw_cfg", "name=opt/x,string=-device"),
        ("-device", "vfio-ap,sysfsdev=/sys/bus/mdev/devices/x"),
    ],
)  # fmt: skip
def test_what_takes_no_function_is_none(words):
    assert read_arguments(root(*words)) == Passed()


@pytest.mark.parametrize(
    "value",
    [
        "vfio-pci,fd=22", "vfio-pci,host=01:00", "vfio-pci,host=01:40.0", "vfio-pci", '{"driver":"vfio-pci"}',
        "{'driver':",
    ],
)  # fmt: skip
def test_a_device_that_names_no_function_is_not_passed_over(value):
    found = read_arguments(root("-device", value))
    assert (found.hostdevs, found.unseen) == ((), (f"-device {value}",))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("-blockdev", "{'driver':'nvme'"), ("-drive", "driver=nvme,id=d"), ("-blockdev", "driver=nvme,device=disk"),
        ("-drive", "file=json:{,if=none"),
    ],
)  # fmt: skip
def test_a_drive_that_names_no_function_is_not_passed_over(option, value):
    found = read_arguments(root(option, value))
    assert (found.hostdevs, found.unseen) == ((), (f"{option} {value}",))


def test_a_file_of_options_is_not_passed_over():
    assert read_arguments(root("-readconfig", "/etc/qemu/card.cfg")).unseen == ("-readconfig /etc/qemu/card.cfg",)


KEYS = st.sampled_from(("host", "sysfsdev", "id"))
WORDS = st.one_of(
    st.sampled_from(("-device", "-set", "-drive", "-blockdev", "-readconfig", "-hda")),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40),
    st.builds("vfio-pci,{}={}".format, KEYS, st.text("0123456789abcdef:./,", max_size=16)),
    st.builds("json:{{'driver':'nvme','device':{}}}".format, st.sampled_from(("1", "[]", "'x'", "'01:00.0'", "null"))),
    st.builds('{{"driver":"vfio-pci","{}":{}}}'.format, KEYS, st.sampled_from(("1", "[]", '"x"', "{", "null"))),
)


@given(st.lists(WORDS, max_size=6))
def test_arguments_of_any_kind_are_read_without_an_error(words):
    for dev in read_arguments(root(*words)).hostdevs:
        assert dev.address or dev.mdev_uuid
