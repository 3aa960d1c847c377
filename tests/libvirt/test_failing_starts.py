"""What libvirtd and QEMU refuse after `prepare`, and what they let pass: our look before a start must say the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from starts import FIRMWARE, IMAGES, MEMORY, NOWHERE, NVRAM, ROWS, Row, forget_format, qcow2

LOOK = Path(__file__).with_name("look.py")
WORDS = (9, 0)  # the libvirt whose words the rows have
LONG_CHAIN = 201
DEADLINE = 60
LOG = "/var/log/libvirt/qemu/start.log"
# A network of its own, huge pages, and two USB devices that are alike, before the daemon looks for any of them.
MACHINE = f"""\
set -e
mount -t sysfs sysfs /sys
ip link set lo up; ip link add br0 type bridge; ip tuntap add tap7 mode tap
ip link property add dev br0 altname lan0; ip link property add dev tap7 altname tapalt
mkdir -p /dev/hugepages; mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages
if [ -d /sys/bus/usb ]; then mount -t tmpfs tmpfs /sys/bus/usb; else mount -t tmpfs tmpfs /sys/bus; fi
mkdir -p /sys/bus/pci/devices /sys/bus/pci/drivers 2>/dev/null || :
for number in 1 2; do
    device=/sys/bus/usb/devices/1-$number; mkdir -p $device
    echo 1234 >$device/idVendor; echo beef >$device/idProduct; echo 1 >$device/busnum; echo $number >$device/devnum
done
mkdir -p {FIRMWARE} {NVRAM} {IMAGES}/links
truncate -s 3653632 {FIRMWARE}/CODE.fd; truncate -s 540672 {FIRMWARE}/VARS.fd; truncate -s 1024 {FIRMWARE}/x.rom
cd {IMAGES}
qemu-img create -q -f raw base.img 1M
qemu-img create -q -f qcow2 -b base.img -F raw one.qcow2
qemu-img create -q -f qcow2 -b one.qcow2 -F qcow2 two.qcow2
ln -s ../two.qcow2 links/two.qcow2
qemu-img create -q -f qcow2 gone.qcow2 1M
qemu-img create -q -f qcow2 -b {IMAGES}/gone.qcow2 -F qcow2 lost.qcow2
rm gone.qcow2
qemu-img create -q -f qed -u -b {NOWHERE}/base.img -F raw lost.qed 1M
qemu-img create -q -f qcow2 -u -b 'json:{{"driver":"file","filename":"{NOWHERE}/b"}}' -F raw json.qcow2 1M
qemu-img create -q -f qcow2 -o data_file=data.raw data.qcow2 1M
rm data.raw
cp "$0"/*.qcow2 .
exec "$@"
"""
NETWORKS = {
    "idle": "<bridge name='virbr77'/><ip address='192.0.2.1' netmask='255.255.255.0'/>",
    "cut": "<forward mode='bridge'/><bridge name='nobr9'/>",
    "live": "<forward mode='bridge'/><bridge name='br0'/>",
}


def images(directory: Path) -> Path:
    """The images that qemu-img does not make: chains that are too long, and formats that are not stated."""
    directory.mkdir()
    make = ("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "base.img", "-F", "raw", "plain.qcow2", "1M")
    subprocess.run(make, cwd=directory, check=True)
    forget_format(directory / "plain.qcow2")
    qcow2(directory / "loop.qcow2", "loop.qcow2", "qcow2")
    qcow2(directory / "unstated.qcow2", "two.qcow2", "")
    for number in range(LONG_CHAIN):
        below, form = (f"c{number - 1}.qcow2", "qcow2") if number else ("base.img", "raw")
        qcow2(directory / f"c{number}.qcow2", below, form)
    return directory


@pytest.fixture(scope="module")
def furnished(module_lab: Any) -> Any:
    """A daemon in a machine that has what the rows name, and a hook that records what is called."""
    if not shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin"):
        pytest.skip("needs iproute2")
    lab = module_lab
    lab.hook("00-record", f'echo "$2" >>{lab.work}/calls\ncat >/dev/null\n')
    lab.start(wrapper=("unshare", "-n", "sh", "-c", MACHINE, str(images(lab.work / "images"))))
    for name, inner in NETWORKS.items():
        file = lab.work / f"{name}.xml"
        file.write_text(f"<network><name>{name}</name>{inner}</network>")
        lab.virsh("net-define", str(file))
        if name != "idle":
            lab.virsh("net-start", name)
    return lab


def found_by_us(lab: Any, file: Path) -> list[str]:
    """The codes of our own look, in the machine and the network that the daemon sees."""
    network = ("nsenter", "-t", str(lab.daemon_pid), "-n")
    argv = (*network, *lab.inside(sys.executable, "-I", str(LOOK), str(file)))
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert ended.returncode == 0, ended.stderr
    return list(json.loads(ended.stdout))


def words_of_qemu(lab: Any) -> str:
    """The log of the start: a QEMU that ends while libvirt connects to its monitor says its reason only there."""
    return subprocess.run(lab.inside("cat", LOG), capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_the_daemon_and_our_look_agree_about(furnished: Any, row: Row, libvirt_version: tuple[int, int]) -> None:
    lab = furnished
    if row in MEMORY and "start.hugepages" in row.code and _has_free_pages():
        pytest.skip("this machine has free huge pages")
    if row.before:
        subprocess.run(lab.inside("sh", "-c", row.before), check=True)
    file, calls = lab.work / "start.xml", lab.work / "calls"
    file.write_text(row.xml(str(uuid.uuid4())))
    calls.write_text("")
    subprocess.run(lab.inside("sh", "-c", f": >{LOG}"), check=True)
    defined = lab.virsh("define", str(file), check=False)
    if "not supported with this QEMU" in defined.stderr:
        pytest.skip("QEMU is built without it")
    assert defined.returncode == 0, defined.stderr
    try:
        assert found_by_us(lab, file) == ([row.code] if row.code else [])
        started = lab.virsh("start", "start", check=False)
        assert bool(started.returncode) is bool(row.said), started.stderr
        assert calls.read_text().startswith("prepare"), "libvirt looks at it before the hook"
        if row.said and libvirt_version == WORDS:
            assert row.said in started.stderr + words_of_qemu(lab)
    finally:
        lab.virsh("destroy", "start", check=False)
        lab.virsh("undefine", "start", "--nvram")


def _has_free_pages() -> bool:
    path = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
    return os.path.exists(path) and Path(path).read_text().strip() != "0"
