"""A start that must fail is refused before anything is touched; what may be missing, or may be brought, is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vfioctl.config.model import GuestConfig
from vfioctl.events.domain import read_domain
from vfioctl.handoff import start_files
from vfioctl.handoff.startable import start_findings
from vfioctl.host import links
from vfioctl.host.host import Host
from vfioctl.host.looks import THERE, UNKNOWN, Answer
from vfioctl.host.memory import PAGE
from vfioctl.host.model import PciDevice
from vfioctl.paths import Paths
from vfioctl.plugin.types import Phase, Request, Severity, StepProposal
from vfioctl.proc import Programs
from vfioctl.testing import guest_files
from vfioctl.testing.domains import DiskXml, domain

GPU = "0000:01:00.0"
MDEV = "0c7d2e91-4a6b-4f0c-9d3e-2b8a7c5f1e60"
POOL = "sys/kernel/mm/hugepages/hugepages-2048kB"
NODE = "sys/devices/system/node/node0/hugepages/hugepages-2048kB"
HUGE = "<memoryBacking><hugepages/></memoryBacking>"


class Bench:
    """A plain tree with what every host has, and the findings of a start on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(str(root))
        guest_files.install(str(root))
        self.write("proc/meminfo", "MemTotal: 16777216 kB\nSwapTotal: 0 kB\nHugepagesize: 2048 kB\n")
        self.write("etc/libvirt/qemu/networks/default.xml")
        self.write("run/libvirt/network/default.xml", "<networkstatus><network><bridge name='virbr0'/></network>")
        self.write("run/libvirt/network/autostarted")
        self.write("proc/self/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n")
        for place in (POOL, NODE):
            self.pages(0, place)
        for name in ("br0", "virbr0"):
            (root / "sys/class/net" / name / "bridge").mkdir(parents=True)

    def write(self, path: str, text: str = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def pages(self, free: int, place: str = POOL, **more: int) -> None:
        for name, value in {"nr": free, "free": free, **more}.items():
            self.write(f"{place}/{name}_hugepages", str(value))

    def findings(self, *, steps=(), incoming=False, preflight="refuse", hostdevs=(GPU,), **wishes):
        made = read_domain(domain(hostdevs=hostdevs, **wishes).encode())
        host = Host(self.paths, Programs(""))
        device = PciDevice(GPU, 0x10DE, 0x2206, 0x030000, driver="nvidia", iommu_group=14)
        config = GuestConfig("win11", preflight=preflight)
        request = Request("win11", made.uuid, made, config, host, (device,), incoming)
        return start_findings(request, steps)

    def codes(self, **wishes) -> list[str]:
        return [finding.code for finding in self.findings(**wishes)]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def step(kind: str, phase: Phase = Phase.BEFORE, **params: object) -> StepProposal:
    return StepProposal(f"{kind}:x", kind, params, "a test", phase)


def rom(path: str) -> str:
    return f"<interface type='user'><rom file='{path}'/></interface>"


def mediated() -> str:
    source = f"<source><address uuid='{MDEV}'/></source>"
    return f"<hostdev mode='subsystem' type='mdev' model='vfio-pci'>{source}</hostdev>"


def usb(vendor: int = 0x1234, more: str = "", policy: str = "") -> str:
    source = f"<vendor id='{vendor:#x}'/><product id='0xbeef'/>{more}"
    return f"<hostdev mode='subsystem' type='usb'><source{policy}>{source}</source></hostdev>"


def network(name: str) -> str:
    return f"<interface type='network'><source network='{name}'/></interface>"


def bridge(name: str) -> str:
    return f"<interface type='bridge'><source bridge='{name}'/></interface>"


def evdev(path: str) -> str:
    return f"<input type='evdev'><source dev='{path}'/></input>"


def test_a_guest_that_has_all_it_needs_is_not_refused(bench):
    disks = (DiskXml("/var/lib/libvirt/images/win11.qcow2"),)
    devices = network("default") + bridge("br0")
    assert bench.codes(disks=disks, nvram="/var/lib/libvirt/qemu/nvram/win11_VARS.fd", devices=devices) == []


@pytest.mark.parametrize(
    ("wishes", "code", "named"),
    [
        ({"devices": rom("/roms/x.rom")}, "start.rom_missing", "/roms/x.rom"),
        ({"disks": (DiskXml("/images/a.qcow2"),)}, "start.disk_missing", "/images/a.qcow2"),
        ({"disks": (DiskXml("/iso/a.iso", "sda", "raw", "cdrom"),)}, "start.disk_missing", "sda"),
        ({"devices": usb()}, "start.usb_missing", "1234:beef"),
        ({"devices": mediated()}, "start.mediated_missing", MDEV),
        ({"devices": bridge("br7")}, "start.bridge_missing", "br7"),
        ({"devices": network("other")}, "start.network_unknown", "other"),
        ({"devices": evdev("/dev/input/kbd")}, "start.evdev_missing", "/dev/input/kbd"),
        ({"devices": "<serial type='dev'><source path='/dev/ttyS9'/></serial>"}, "start.file_missing", "/dev/ttyS9"),
        ({"rest": HUGE}, "start.hugepages", "4096 huge pages of 2 MiB"),
    ],
)
def test_what_is_missing_is_refused_and_named(bench, wishes, code, named):
    found = bench.findings(**wishes)
    assert [(finding.code, finding.severity) for finding in found] == [(code, Severity.BLOCK)]
    assert named in found[0].message
    assert found[0].hint


def test_a_mediated_device_that_is_there_is_no_obstacle(bench):
    bench.write(f"sys/bus/mdev/devices/{MDEV}/remove")
    assert bench.codes(devices=mediated()) == []


def test_a_missing_loader_is_refused(bench):
    (bench.root / "usr/share/OVMF/OVMF_CODE_4M.fd").unlink()
    assert bench.codes(nvram="/var/lib/libvirt/qemu/nvram/win11_VARS.fd") == ["start.loader_missing"]


def test_a_template_is_missed_only_while_there_is_no_nvram(bench):
    xml = domain(hostdevs=(GPU,), nvram="/nvram/x.fd").replace("<nvram>", "<nvram template='/fw/V.fd'>")
    made = read_domain(xml.encode())
    host = Host(bench.paths, Programs(""))
    device = PciDevice(GPU, 0x10DE, 0x2206, 0x030000, driver="nvidia", iommu_group=14)
    request = Request("win11", made.uuid, made, GuestConfig("win11"), host, (device,))
    assert [finding.code for finding in start_findings(request, ())] == ["start.nvram_template_missing"]
    bench.write("nvram/x.fd")
    assert start_findings(request, ()) == ()


def test_a_missing_backing_file_names_the_image_that_needs_it(bench, monkeypatch):
    answer = Answer("/base", "absent", "/images/mid")
    monkeypatch.setattr(start_files, "look_at", lambda *_: (answer,))
    (finding,) = bench.findings(disks=(DiskXml("/images/top"),))
    assert finding.code == "start.disk_missing"
    assert "/base is not there; /images/mid" in finding.message


def test_a_chain_that_is_too_long_is_refused(bench, monkeypatch):
    monkeypatch.setattr(start_files, "look_at", lambda *_: (Answer("/images/top", "too_long"),))
    assert bench.codes(disks=(DiskXml("/images/top"),)) == ["start.chain_too_long"]


def test_a_format_that_is_not_stated_is_refused(bench, monkeypatch):
    monkeypatch.setattr(start_files, "look_at", lambda *_: (Answer("/base", "unstated", "/images/top"),))
    assert bench.codes(disks=(DiskXml("/images/top"),)) == ["start.backing_format"]


def test_a_path_that_does_not_answer_is_refused(bench, monkeypatch):
    monkeypatch.setattr(start_files, "look_at", lambda *_: (Answer("/nfs/a", UNKNOWN, hung=True),))
    (finding,) = bench.findings(disks=(DiskXml("/nfs/a"),))
    assert (finding.code, finding.severity) == ("start.unanswered", Severity.BLOCK)


def test_usb_devices_that_are_alike_are_refused_without_an_address(bench):
    for number in (1, 2):
        plug_in(bench, f"1-{number}", number)
    assert bench.codes(devices=usb()) == ["start.usb_ambiguous"]
    assert bench.codes(devices=usb(more="<address bus='1' device='2'/>")) == []
    assert bench.codes(devices=usb(more="<address bus='1' device='9'/>")) == ["start.usb_missing"]


def test_an_optional_usb_device_may_be_missing_and_not_be_there_twice(bench):
    optional = usb(policy=" startupPolicy='optional'")
    assert bench.codes(devices=optional) == []
    for number in (1, 2):
        plug_in(bench, f"1-{number}", number)
    assert bench.codes(devices=optional) == ["start.usb_ambiguous"]


def test_an_interface_that_is_no_bridge_is_refused(bench):
    (bench.root / "sys/class/net/eth0").mkdir()
    assert bench.codes(devices=bridge("eth0")) == ["start.bridge_missing"]


@pytest.mark.parametrize(
    "interface",
    [
        "<interface type='direct'><source dev='enp9s0'/></interface>",
        "<interface type='ethernet'><target dev='tap9' managed='no'/></interface>",
    ],
)
def test_an_interface_that_is_missing_is_refused(bench, interface):
    (finding,) = bench.findings(devices=interface)
    assert (finding.code, finding.severity) == ("start.bridge_missing", Severity.BLOCK)


def test_a_bridge_by_an_alternative_name_is_one(bench, monkeypatch):
    monkeypatch.setattr(links, "name_of", lambda _paths, name: {"lan0": "br0"}.get(name, name))
    assert bench.codes(devices=bridge("lan0")) == []


def test_an_inactive_network_is_refused(bench):
    bench.write("etc/libvirt/qemu/networks/lab.xml")
    assert bench.codes(devices=network("lab")) == ["start.network_inactive"]
    assert bench.codes(devices=network("lab") * 2) == ["start.network_inactive"], "it is said once"


def test_a_network_that_the_daemon_has_yet_to_start_is_not_refused(bench):
    bench.write("etc/libvirt/qemu/networks/lab.xml")
    bench.write("etc/libvirt/qemu/networks/autostart/lab.xml")
    (bench.root / "run/libvirt/network/autostarted").unlink()
    assert bench.codes(devices=network("lab")) == []


def test_the_bridge_of_an_active_network_must_be_there(bench):
    os.rename(bench.root / "sys/class/net/virbr0", bench.root / "sys/class/net/virbr1")
    assert bench.codes(devices=network("default")) == ["start.bridge_missing"]


# What goes from the host with the device that is given


def behind_the_card(bench, place: str, link: str) -> None:
    """A device behind the card, and the link in /sys that leads to it."""
    (bench.root / f"sys/devices/pci0000:00/{GPU}/{place}").mkdir(parents=True)
    path = bench.root / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(bench.root / f"sys/devices/pci0000:00/{GPU}/{place}")


def plug_in(bench, name: str, number: int) -> None:
    for key, value in (("idVendor", "1234"), ("idProduct", "beef"), ("busnum", "1"), ("devnum", f"{number}")):
        bench.write(f"sys/bus/usb/devices/{name}/{key}", f"{value}\n")


@pytest.mark.parametrize(
    ("kind", "device"),
    [
        ("block", "<disk type='block'><source dev='/dev/x'/></disk>"),
        ("char", evdev("/dev/x")),
        ("char", "<graphics type='egl-headless'><gl rendernode='/dev/x'/></graphics>"),
    ],
)
def test_a_node_of_the_device_that_is_given_is_refused(bench, monkeypatch, kind, device):
    behind_the_card(bench, "x", f"sys/dev/{kind}/8:0")
    monkeypatch.setattr(start_files, "look_at", lambda *_: (Answer("/dev/x", THERE, node=f"{kind}/8:0"),))
    (finding,) = bench.findings(devices=device)
    assert finding.code == "start.given_twice"
    assert f"is behind {GPU} on the host" in finding.message


def test_a_usb_device_of_a_controller_that_is_given_is_refused(bench):
    behind_the_card(bench, "usb1/1-1", "sys/bus/usb/devices/1-1")
    plug_in(bench, "1-1", 1)
    assert bench.codes(devices=usb()) == ["start.given_twice"]


def test_a_usb_device_of_a_controller_that_is_given_is_no_more_alike(bench):
    behind_the_card(bench, "usb1/1-1", "sys/bus/usb/devices/1-1")
    for name, number in (("1-1", 1), ("2-1", 2)):
        plug_in(bench, name, number)
    assert bench.codes(devices=usb()) == []


def test_a_macvtap_on_the_card_that_is_given_is_refused(bench):
    behind_the_card(bench, "net/eth0", "sys/class/net/eth0")
    assert bench.codes(devices="<interface type='direct'><source dev='eth0'/></interface>") == ["start.given_twice"]


# Memory


@pytest.mark.parametrize(
    ("pool", "codes"),
    [
        ({"free": 4096}, []),
        ({"free": 4095}, ["start.hugepages"]),
        ({"free": 4096, "resv": 1}, ["start.hugepages"]),
        ({"free": 0, "nr_overcommit": 4096}, []),
        ({"free": 0, "nr_overcommit": 4096, "surplus": 1}, ["start.hugepages"]),
    ],
)
def test_huge_pages_count_when_they_can_be_had(bench, pool, codes):
    bench.pages(**pool)
    assert bench.codes(rest=HUGE) == codes


def test_huge_pages_must_be_on_the_node_that_the_guest_is_bound_to(bench):
    bench.pages(4096)
    assert bench.codes(rest=f"{HUGE}<numatune><memory mode='strict' nodeset='0'/></numatune>") == ["start.hugepages"]
    bench.pages(4096, NODE)
    assert bench.codes(rest=f"{HUGE}<numatune><memory mode='strict' nodeset='0'/></numatune>") == []


def test_huge_pages_that_may_be_added_to_the_pool_count_on_every_node(bench):
    bench.pages(0, nr_overcommit=4097, surplus=1)
    assert bench.codes(rest=f"{HUGE}<numatune><memory mode='strict' nodeset='0'/></numatune>") == []
    bench.pages(0, nr_overcommit=4096, surplus=1)
    assert bench.codes(rest=f"{HUGE}<numatune><memory mode='strict' nodeset='0'/></numatune>") == ["start.hugepages"]


def test_huge_pages_of_a_bound_part_are_not_counted_for_another_one_again(bench):
    cells = "".join(f"<cell id='{number}' memory='4' unit='GiB'/>" for number in (0, 1))
    rest = f"{HUGE}<cpu><numa>{cells}</numa></cpu><numatune><memnode cellid='0' mode='strict' nodeset='0'/></numatune>"
    for place in (POOL, NODE):
        bench.pages(2048, place)
    (finding,) = bench.findings(rest=rest)
    assert "4096 huge pages of 2 MiB, and 2048 are free" in finding.message
    bench.pages(4096)
    assert bench.codes(rest=rest) == []


def test_huge_pages_without_a_mount_of_their_size_are_refused(bench):
    bench.write("proc/self/mounts", "")
    (finding,) = bench.findings(rest=HUGE)
    assert finding.code == "start.hugepages_unmounted"
    assert "mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages2M" in finding.hint


def test_huge_pages_that_the_kernel_does_not_have_are_refused(bench):
    rest = HUGE.replace("<hugepages/>", "<hugepages><page size='1' unit='G'/></hugepages>")
    assert bench.codes(rest=rest) == ["start.hugepages"]


def test_pages_of_the_ordinary_size_are_no_huge_pages(bench):
    page = f"<page size='{PAGE}' unit='b'/>"
    assert bench.codes(rest=f"<memoryBacking><hugepages>{page}</hugepages></memoryBacking>") == []


@pytest.mark.parametrize(
    ("pages", "codes"), [("<page size='2' unit='M'/>", []), ("", ["start.hugepages_unmounted"])]
)
def test_a_memfd_of_a_named_size_needs_no_mount(bench, pages, codes):
    bench.pages(4096)
    bench.write("proc/self/mounts", "")
    rest = f"<memoryBacking><hugepages>{pages}</hugepages><source type='memfd'/></memoryBacking>"
    assert bench.codes(rest=rest) == codes


def test_without_a_named_size_libvirt_takes_the_one_that_is_mounted(bench):
    bench.pages(8, POOL.replace("2048", "1048576"))
    bench.write("proc/self/mounts", "hugetlbfs /dev/hugepages1G hugetlbfs rw,pagesize=1024M 0 0\n")
    assert bench.codes(rest=HUGE) == []


@pytest.mark.parametrize(
    "path", [f"/{POOL}/nr_hugepages", f"/{NODE}/nr_hugepages", "/proc/sys/vm/nr_hugepages"]
)
def test_huge_pages_that_a_step_of_the_plan_makes_count(bench, path):
    assert bench.codes(rest=HUGE, steps=(step("sysfs.write", path=path, value="4096"),)) == []
    assert bench.codes(rest=HUGE, steps=(step("sysfs.write", path=path, value="4095"),)) == ["start.hugepages"]
    late = step("sysfs.write", Phase.RUNNING, path=path, value="4096")
    assert bench.codes(rest=HUGE, steps=(late,)) == ["start.hugepages"]


def test_huge_pages_that_a_step_takes_away_do_not_count(bench):
    bench.pages(4096)
    assert bench.codes(rest=HUGE, steps=(step("sysfs.write", path=f"/{POOL}/nr_hugepages", value="0"),)) == [
        "start.hugepages"
    ]


@pytest.mark.parametrize(
    ("mode", "total", "codes"),
    [("0", 7 << 20, ["start.memory"]), ("1", 7 << 20, []), ("0", 8 << 20, []), ("2", 16 << 20, [])],
)
def test_memory_beyond_the_hosts_is_refused_as_the_kernel_would(bench, mode, total, codes):
    bench.write("proc/meminfo", f"MemTotal: {total} kB\nSwapTotal: 0 kB\nCommitLimit: {8 << 20} kB\n")
    bench.write("proc/sys/vm/overcommit_memory", mode)
    assert bench.codes(hostdevs=()) == codes


@pytest.mark.parametrize("mode", ["strict", "preferred", "interleave"])
def test_a_node_that_the_host_does_not_have_is_refused(bench, mode):
    assert bench.codes(rest=f"<numatune><memory mode='{mode}' nodeset='0-1'/></numatune>") == ["start.numa_node"]


@pytest.mark.parametrize(("cpus", "codes"), [("8-9", ["start.cpu_missing"]), ("7-8", []), ("", [])])
def test_a_thread_needs_one_of_the_cpus_that_it_is_pinned_to(bench, cpus, codes):
    bench.write("sys/devices/system/cpu/present", "0-7\n")
    assert bench.codes(rest=f"<cputune><vcpupin vcpu='0' cpuset='{cpus}'/></cputune>") == codes


def test_swap_does_not_count_for_a_guest_whose_memory_is_pinned(bench):
    bench.write("proc/meminfo", f"MemTotal: {7 << 20} kB\nSwapTotal: {8 << 20} kB\n")
    assert bench.codes(hostdevs=()) == []
    assert bench.codes(hostdevs=(GPU,)) == ["start.memory"]


def test_memory_that_is_shared_may_exceed_the_hosts_unless_it_is_pinned(bench):
    bench.write("proc/meminfo", f"MemTotal: {7 << 20} kB\nSwapTotal: 0 kB\n")
    shared = "<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>"
    assert bench.codes(hostdevs=(), rest=shared) == []
    assert bench.codes(hostdevs=(), rest=shared.replace("shared", "private")) == ["start.memory"]
    assert bench.codes(hostdevs=(GPU,), rest=shared) == ["start.memory"]


# Who else may bring it


@pytest.mark.parametrize("place", ["etc/libvirt/hooks/qemu", "etc/libvirt/hooks/qemu.d/60-disks"])
def test_what_another_hook_may_bring_is_a_warning(bench, place):
    bench.write(place).chmod(0o755)
    (finding,) = bench.findings(devices=rom("/roms/x.rom"))
    assert finding.severity is Severity.WARN
    assert f"/{place}" in finding.message


def test_our_own_hook_and_a_file_that_is_not_executable_bring_nothing(bench):
    bench.write("etc/libvirt/hooks/qemu.d/50-vfioctl").chmod(0o755)
    bench.write("etc/libvirt/hooks/qemu.d/60-notes")
    assert bench.findings(devices=rom("/roms/x.rom"))[0].severity is Severity.BLOCK


def test_no_hook_brings_memory(bench):
    bench.write("etc/libvirt/hooks/qemu").chmod(0o755)
    bench.write("proc/meminfo", f"MemTotal: {7 << 20} kB\n")
    assert bench.findings()[0].severity is Severity.BLOCK


def test_what_a_program_of_the_plan_may_bring_is_a_warning(bench):
    assert bench.findings(devices=rom("/x"), steps=(step("command.run", argv=["mount"]),))[0].severity is Severity.WARN


def test_a_file_that_a_step_copies_there_is_not_missed(bench):
    assert bench.codes(devices=rom("/x"), steps=(step("file.copy", source="/y", dest="/x"),)) == []


# What the settings say


def test_the_setting_makes_warnings_of_it(bench):
    assert bench.findings(devices=rom("/x"), preflight="warn")[0].severity is Severity.WARN


def test_the_setting_leaves_the_looks_out(bench):
    assert bench.findings(devices=rom("/x"), preflight="off") == ()


def test_a_guest_that_arrives_brings_its_disks_and_not_its_roms(bench):
    assert bench.codes(disks=(DiskXml("/a"),), devices=rom("/x"), incoming=True) == ["start.rom_missing"]


def test_a_guest_without_files_costs_no_child(bench, monkeypatch):
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a child was forked"))
    assert bench.codes(devices=network("default")) == []
