"""What a start needs, as rows: each is held against libvirtd and QEMU and against our look at the same files."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

FIRMWARE = "/var/lib/libvirt/firmware"
IMAGES = "/var/lib/libvirt/images"
NVRAM = "/var/lib/libvirt/qemu/nvram"
NOWHERE = "/nowhere"
BACKING_FORMAT = 0xE2792ACA


@dataclass(frozen=True, slots=True)
class Row:
    """A start. `said` are libvirt's or QEMU's words when it fails; `code` is our finding; both empty: it starts.

    `before` is shell that runs in the lab first.
    """

    name: str
    said: str = ""
    code: str = ""
    devices: str = ""
    boot: str = ""
    rest: str = ""
    before: str = ""
    memory: int = 32  # MiB
    usb: bool = False  # the guest has a USB controller

    def xml(self, identity: str) -> str:
        """The whole domain."""
        usb = "" if self.usb else "<controller type='usb' model='none'/>"
        return f"""<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>start</name><uuid>{identity}</uuid><memory unit='MiB'>{self.memory}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>{self.boot}</os><features><acpi/></features>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{self.devices}{usb}<memballoon model='none'/></devices>
  {self.rest}
</domain>"""


def disk(source: str, more: str = "", *, form: str = "qcow2", device: str = "disk", kind: str = "file") -> str:
    bus, target = {"cdrom": ("sata", "sda"), "floppy": ("fdc", "fda")}.get(device, ("virtio", "vda"))
    return (
        f"<disk type='{kind}' device='{device}'><driver name='qemu' type='{form}'/>{source}"
        f"<target dev='{target}' bus='{bus}'/>{more}</disk>"
    )


def file(path: str, policy: str = "") -> str:
    return f"<source file='{path}'{startup(policy)}/>"


def on_device(path: str) -> str:
    return f"<nvram type='block' template='{NOWHERE}/VARS.fd'><source dev='{path}'/></nvram>"


def startup(policy: str) -> str:
    return f" startupPolicy='{policy}'" if policy else ""


def rom(attributes: str) -> str:
    return f"<interface type='user'><model type='e1000'/><rom {attributes}/></interface>"


def usb(inner: str, policy: str = "") -> str:
    return f"<hostdev mode='subsystem' type='usb'><source{startup(policy)}>{inner}</source></hostdev>"


def arguments(*words: str) -> str:
    return f"<qemu:commandline>{''.join(f'<qemu:arg value={word!r}/>' for word in words)}</qemu:commandline>"


def interface(kind: str, inner: str) -> str:
    return f"<interface type='{kind}'>{inner}</interface>"


def pflash(code: str, nvram: str) -> str:
    return f"<loader readonly='yes' type='pflash'>{code}</loader>{nvram}"


def huge(page: str = "") -> str:
    return f"<memoryBacking><hugepages>{page}</hugepages></memoryBacking>"


def backed(inner: str) -> str:
    return f"<memoryBacking>{inner}</memoryBacking>"


def qcow2(path: Path, backing: str, form: str) -> None:
    """The header of a qcow2 image with a backing name, also one that qemu-img does not write."""
    said, name = form.encode(), backing.encode()
    padded = said.ljust((len(said) + 7) // 8 * 8, b"\0")
    extension = (struct.pack(">II", BACKING_FORMAT, len(said)) + padded if said else b"") + bytes(8)
    offset = 104 + len(extension)
    header = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, offset, len(name), 16, 1 << 20).ljust(100, b"\0")
    path.write_bytes(header + struct.pack(">I", 104) + extension + name)


def forget_format(path: Path) -> None:
    """Make of the backing format in a qcow2 header an extension that nobody knows: qemu-img always writes one."""
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack(">I", BACKING_FORMAT), struct.pack(">I", 0x12345678), 1))


UNKNOWN_USB = "<vendor id='0x1234'/><product id='0xdead'/>"
KNOWN_USB = "<vendor id='0x1234'/><product id='0xbeef'/>"
TWICE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 19  # MiB: more than the host has
NO_FILE = "No such file or directory"
NO_ACCESS = "Cannot access storage file"
SHARE = "<source protocol='nbd' name='x'><host name='127.0.0.1' port='1'/></source>"
EMPTY_NVRAM = f"<nvram template='{FIRMWARE}/VARS.fd'>{NVRAM}/new.fd</nvram>"

FILES = (
    Row("nothing beyond the machine itself"),
    Row("a ROM that is missing", "failed to find romfile", "start.rom_missing", rom(f"file='{NOWHERE}/x.rom'")),
    Row("a ROM that QEMU gives to the firmware", devices=rom(f"bar='off' file='{NOWHERE}/x.rom'")),
    Row("a ROM that is there", devices=rom(f"file='{FIRMWARE}/x.rom'")),
    Row("a ROM on QEMU's command line that is missing", "failed to find romfile", "start.rom_missing",
        rest=arguments("-device", f"virtio-rng-pci,romfile={NOWHERE}/x.rom")),
    Row("firmware that is missing", "could not load", "start.loader_missing",
        boot=f"<loader>{NOWHERE}/bios.bin</loader>"),
    Row("flash that is missing", f"Could not open '{NOWHERE}/CODE.fd'", "start.loader_missing",
        boot=pflash(f"{NOWHERE}/CODE.fd", EMPTY_NVRAM)),
    Row("firmware by its bare name", boot="<loader type='rom'>bios-256k.bin</loader>"),
    Row("a template that is there", boot=pflash(f"{FIRMWARE}/CODE.fd", EMPTY_NVRAM)),
    Row("a template that is missing", f"Failed to open file '{NOWHERE}/VARS.fd'", "start.nvram_template_missing",
        boot=pflash(f"{FIRMWARE}/CODE.fd", f"<nvram template='{NOWHERE}/VARS.fd'>{NVRAM}/none.fd</nvram>")),
    Row("a template that is missing where there is an NVRAM",
        boot=pflash(f"{FIRMWARE}/CODE.fd", f"<nvram template='{NOWHERE}/VARS.fd'>{NVRAM}/kept.fd</nvram>"),
        before=f"cp {FIRMWARE}/VARS.fd {NVRAM}/kept.fd"),
    Row("a template that is missing for an NVRAM on a device that is missing", "Failed to open file",
        "start.nvram_template_missing", boot=pflash(f"{FIRMWARE}/CODE.fd", on_device(f"{NVRAM}/no-node"))),
    Row("a template that is missing for an NVRAM on a device", "its size must be a non-zero multiple",
        boot=pflash(f"{FIRMWARE}/CODE.fd", on_device(f"{NVRAM}/node")),
        before=f"mknod {NVRAM}/node c 1 5"),  # a node of the lab's own: `undefine --nvram` unlinks it
    Row("a template that is missing for an NVRAM on a share", "Failed to connect to '127.0.0.1:1'",
        boot=pflash(f"{FIRMWARE}/CODE.fd", f"<nvram type='network' template='{NOWHERE}/VARS.fd'>{SHARE}</nvram>")),
    Row("a kernel that is missing", "unable to stat", "start.kernel_missing",
        boot=f"<kernel>{NOWHERE}/vmlinuz</kernel>"),
    Row("a device tree that is missing", "unable to stat", "start.kernel_missing", boot=f"<dtb>{NOWHERE}/x.dtb</dtb>"),
    Row("an input device that is missing", "unable to stat", "start.evdev_missing",
        "<input type='evdev'><source dev='/dev/input/nowhere'/></input>"),
    Row("an input device on QEMU's command line", "Could not open '/dev/input/nowhere'", "start.evdev_missing",
        rest=arguments("-object", "input-linux,id=k,evdev=/dev/input/nowhere")),
    Row("an input device in JSON", "Could not open '/dev/input/nowhere'", "start.evdev_missing",
        rest=arguments("-object", '{"qom-type":"input-linux","id":"k","evdev":"/dev/input/nowhere"}')),
)  # fmt: skip

OTHER_FILES = (
    Row("a directory to share that is missing", "failed to open '/nowhere'", "start.file_missing",
        f"<filesystem type='mount'><source dir='{NOWHERE}'/><target dir='x'/></filesystem>"),
    Row("a directory for virtiofs that is missing", "virtiofs export directory '/nowhere' does not exist",
        "start.file_missing", rest=backed("<source type='memfd'/><access mode='shared'/>"),
        devices="<filesystem type='mount'><driver type='virtiofs'/>"
                f"<source dir='{NOWHERE}'/><target dir='x'/></filesystem>"),
    Row("a console of the host that is missing", "unable to stat: /nowhere", "start.file_missing",
        f"<console type='dev'><source path='{NOWHERE}'/><target type='virtio' port='0'/></console>"),
    Row("a socket of a port that is missing", "unable to stat: /nowhere/s", "start.file_missing",
        f"<serial type='unix'><source mode='connect' path='{NOWHERE}/s'/><target port='0'/></serial>"),
    Row("a socket of a vhost-user switch that is missing", "Failed to connect to '/nowhere/v'", "start.file_missing",
        interface("vhostuser", f"<source type='unix' path='{NOWHERE}/v' mode='client'/><model type='virtio'/>"),
        rest=backed("<source type='memfd'/><access mode='shared'/>")),
    Row("a vDPA device that is missing", "Unable to open '/dev/vhost-vdpa-9'", "start.file_missing",
        interface("vdpa", "<source dev='/dev/vhost-vdpa-9'/>")),
    Row("a directory of an NVDIMM that is missing", "unable to stat: /nowhere/nv", "start.file_missing",
        f"<memory model='nvdimm'><source><path>{NOWHERE}/nv</path></source>"
        "<target><size unit='MiB'>64</size><node>0</node></target></memory>",
        rest="<maxMemory slots='4' unit='MiB'>512</maxMemory>"
             "<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/></numa></cpu>"),
    Row("memory in QEMU's arguments that is missing", "can't open backing store /nowhere/kvmfr0", "start.file_missing",
        rest=arguments("-object", "memory-backend-file,id=lg,mem-path=/nowhere/kvmfr0,size=1M,share=yes")),
    Row("memory in QEMU's arguments that QEMU makes",
        rest=arguments("-object", f"memory-backend-file,id=lg,mem-path={IMAGES}/lg,size=1M,share=yes")),
    Row("a drive in QEMU's arguments that is missing", "Could not open '/nowhere/x.img'", "start.file_missing",
        rest=arguments("-drive", "file=/nowhere/x.img,if=none,id=x")),
    Row("a render node that is missing", "no drm render node available", "start.file_missing",
        "<graphics type='spice'><listen type='none'/><gl enable='yes' rendernode='/nowhere/renderD128'/></graphics>"
        "<video><model type='virtio'/></video>"),
    Row("a port of the host that is missing", "unable to stat: /nowhere", "start.file_missing",
        f"<serial type='dev'><source path='{NOWHERE}'/><target port='0'/></serial>"),
    Row("a source of random numbers that is missing", "Could not open '/nowhere'", "start.file_missing",
        f"<rng model='virtio'><backend model='random'>{NOWHERE}</backend></rng>"),
    Row("a source of random numbers that is there",
        devices="<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"),
    Row("a TPM that is missing", "Could not open TPM device /nowhere", "start.file_missing",
        f"<tpm model='tpm-tis'><backend type='passthrough'><device path='{NOWHERE}'/></backend></tpm>"),
    Row("a script that is missing", "cannot execute binary /nowhere", "start.file_missing",
        interface("ethernet", f"<script path='{NOWHERE}'/>")),
    Row("an ACPI table that is missing", "unable to stat: /nowhere", "start.file_missing",
        boot=f"<acpi><table type='slic'>{NOWHERE}</table></acpi>"),
)  # fmt: skip

DISKS = (
    Row("a disk that is there", devices=disk(file(f"{IMAGES}/base.img"), form="raw")),
    Row("a disk that is missing", NO_ACCESS, "start.disk_missing", disk(file(f"{NOWHERE}/a.img"))),
    Row("a mandatory disk that is missing", NO_ACCESS, "start.disk_missing",
        disk(file(f"{NOWHERE}/a.img", "mandatory"))),
    Row("an optional disk that is missing", devices=disk(file(f"{NOWHERE}/a.img", "optional"))),
    Row("a block device that is missing", NO_ACCESS, "start.disk_missing",
        disk("<source dev='/dev/nowhere'/>", form="raw", kind="block")),
    Row("an optional block device that is missing",
        devices=disk("<source dev='/dev/nowhere' startupPolicy='optional'/>", form="raw", kind="block")),
    Row("a directory that is missing", NO_ACCESS, "start.disk_missing",
        disk(f"<source dir='{NOWHERE}'/>", "<readonly/>", form="fat", device="floppy", kind="dir")),
    Row("an empty CD drive", devices=disk("", device="cdrom", form="raw")),
    Row("a CD that is missing", NO_ACCESS, "start.disk_missing",
        disk(file(f"{NOWHERE}/a.iso"), device="cdrom", form="raw")),
    Row("a requisite CD that is missing", NO_ACCESS, "start.disk_missing",
        disk(file(f"{NOWHERE}/a.iso", "requisite"), device="cdrom", form="raw")),
    Row("an optional CD that is missing",
        devices=disk(file(f"{NOWHERE}/a.iso", "optional"), device="cdrom", form="raw")),
    Row("a floppy that is missing", NO_ACCESS, "start.disk_missing",
        disk(file(f"{NOWHERE}/a.img"), device="floppy", form="raw")),
    Row("a relative backing file", devices=disk(file(f"{IMAGES}/two.qcow2"))),
    Row("a backing file that is missing", "Cannot access backing file", "start.disk_missing",
        disk(file(f"{IMAGES}/lost.qcow2"))),
    Row("a backing file beside the target of a link only", "Cannot access backing file", "start.disk_missing",
        disk(file(f"{IMAGES}/links/two.qcow2"))),
    Row("a missing backing file of an optional disk", devices=disk(file(f"{IMAGES}/lost.qcow2", "optional"))),
    Row("a missing backing file below what is used as raw", devices=disk(file(f"{IMAGES}/lost.qcow2"), form="raw")),
    Row("a missing backing file that the domain cuts off",
        devices=disk(file(f"{IMAGES}/lost.qcow2"), "<backingStore/>")),
    Row("a missing backing file that the domain names", "unable to stat", "start.disk_missing",
        disk(file(f"{IMAGES}/one.qcow2"), "<backingStore type='file'><format type='raw'/>"
                                          f"<source file='{NOWHERE}/b.img'/><backingStore/></backingStore>")),
    Row("a missing backing file of the format qed", "Cannot access backing file", "start.disk_missing",
        disk(file(f"{IMAGES}/lost.qed"), form="qed")),
    Row("a missing backing file that is named in JSON", "Cannot access backing file '/nowhere/b'", "start.disk_missing",
        disk(file(f"{IMAGES}/json.qcow2"))),
    Row("a missing file with the data of an image", "Could not open 'data.raw'", "start.disk_missing",
        disk(file(f"{IMAGES}/data.qcow2"))),
    Row("a backing file of no stated format", devices=disk(file(f"{IMAGES}/plain.qcow2"))),
    Row("a backing file of no stated format, which is based on another", "was not specified in the image metadata",
        "start.backing_format", disk(file(f"{IMAGES}/unstated.qcow2"))),
    Row("a chain that comes back to itself", "self-referential or too deeply nested", "start.chain_too_long",
        disk(file(f"{IMAGES}/loop.qcow2"))),
    Row("a chain of 201 files", "self-referential or too deeply nested", "start.chain_too_long",
        disk(file(f"{IMAGES}/c200.qcow2"))),
)  # fmt: skip

DEVICES = (
    Row("a USB device that is not plugged in", "Did not find USB device 1234:dead", "start.usb_missing",
        usb(UNKNOWN_USB), usb=True),
    Row("a requisite USB device that is not plugged in", "Did not find USB device 1234:dead", "start.usb_missing",
        usb(UNKNOWN_USB, "requisite"), usb=True),
    Row("an optional USB device that is not plugged in", devices=usb(UNKNOWN_USB, "optional"), usb=True),
    Row("a USB address where nothing is", "Did not find USB device bus:9 device:99", "start.usb_missing",
        usb("<address bus='9' device='99'/>"), usb=True),
    Row("a USB device that has moved", "Did not find USB device 1234:beef bus:9 device:99", "start.usb_missing",
        usb(f"{KNOWN_USB}<address bus='9' device='99'/>"), usb=True),
    Row("two USB devices that are alike", "Multiple USB devices for 1234:beef", "start.usb_ambiguous", usb(KNOWN_USB),
        usb=True),
    Row("two optional USB devices that are alike", "Multiple USB devices for 1234:beef", "start.usb_ambiguous",
        usb(KNOWN_USB, "optional"), usb=True),
    Row("two USB devices that are alike, at bus 0", "Multiple USB devices for 1234:beef", "start.usb_ambiguous",
        usb(f"{KNOWN_USB}<address bus='0' device='0'/>"), usb=True),
    Row("a bridge that is missing", "Cannot get interface MTU on 'nobr0'", "start.bridge_missing",
        interface("bridge", "<source bridge='nobr0'/>")),
    Row("an interface that is no bridge", "Cannot set interface MTU", "start.bridge_missing",
        interface("bridge", "<source bridge='lo'/>")),
    Row("a bridge that is there", devices=interface("bridge", "<source bridge='br0'/>")),
    Row("a TAP that libvirt is not to make", "target managed='no' but specified dev doesn't exist",
        "start.bridge_missing", interface("ethernet", "<target dev='notap' managed='no'/>")),
    Row("a TAP that is there", devices=interface("ethernet", "<target dev='tap7' managed='no'/>")),
    Row("a bridge by its alternative name", devices=interface("bridge", "<source bridge='lan0'/>")),
    Row("a TAP by its alternative name", devices=interface("ethernet", "<target dev='tapalt' managed='no'/>")),
    Row("a TAP that libvirt makes", devices=interface("ethernet", "<target dev='tap8'/>")),
    Row("a lower device that is missing", "Unable to get index for interface nodev0", "start.bridge_missing",
        interface("direct", "<source dev='nodev0' mode='bridge'/>")),
    Row("a lower device by its alternative name", devices=interface("direct", "<source dev='lan0' mode='bridge'/>")),
    Row("a lower device that is there", devices=interface("direct", "<source dev='br0' mode='bridge'/>")),
    Row("a network that nobody knows", "no network with matching name 'nonet'", "start.network_unknown",
        interface("network", "<source network='nonet'/>")),
    Row("a network that is not active", "network 'idle' is not active", "start.network_inactive",
        interface("network", "<source network='idle'/>")),
    Row("a network whose bridge is missing", "Cannot get interface MTU on 'nobr9'", "start.bridge_missing",
        interface("network", "<source network='cut'/>")),
    Row("a network that is active", devices=interface("network", "<source network='live'/>")),
    Row("a CPU that the host does not have", "cannot set CPU affinity", "start.cpu_missing",
        rest="<cputune><vcpupin vcpu='0' cpuset='200'/></cputune>"),
    Row("an emulator on a CPU that the host does not have", "cannot set CPU affinity", "start.cpu_missing",
        rest="<cputune><emulatorpin cpuset='200-201'/></cputune>"),
    Row("a CPU model that nobody knows", "Unknown CPU model NoSuch", "start.cpu_model",
        rest="<cpu mode='custom'><model fallback='allow'>NoSuch</model></cpu>"),
    Row("a CPU model that QEMU alone knows", "Unknown CPU model max", "start.cpu_model",
        rest="<cpu mode='custom' check='none'><model fallback='allow'>max</model></cpu>"),
    Row("a CPU model that nobody knows, as the least", rest="<cpu match='minimum'><model>NoSuch</model></cpu>"),
    Row("a CPU model that QEMU knows", rest="<cpu mode='custom'><model fallback='forbid'>Skylake-Client</model></cpu>"),
)  # fmt: skip

MEMORY = (
    Row("memory beyond the host's", "cannot set up guest memory", "start.memory", memory=100 << 20),
    Row("a memfd beyond the host's memory", rest=backed("<source type='memfd'/>"), memory=TWICE),
    Row("a private memfd beyond the host's memory", "unable to map backing store", "start.memory", memory=TWICE,
        rest=backed("<source type='memfd'/><access mode='private'/>")),
    Row("shared memory beyond the host's", rest=backed("<access mode='shared'/>"), memory=TWICE),
    Row("pages of the ordinary size", rest=huge("<page size='4' unit='KiB'/>")),
    Row("a memfd of pages that are not mounted", "unable to map backing store", "start.hugepages", memory=1024,
        rest=backed("<hugepages><page size='1' unit='G'/></hugepages><source type='memfd'/>")),
    Row("a NUMA node that the host does not have", "NUMA node 7 is unavailable", "start.numa_node",
        rest="<numatune><memory mode='strict' nodeset='7'/></numatune>"),
    Row("a NUMA node that is preferred, and that the host does not have", "NUMA node 7 is unavailable",
        "start.numa_node", rest="<numatune><memory mode='preferred' nodeset='7'/></numatune>"),
    Row("huge pages where none are free", "unable to map backing store", "start.hugepages", rest=huge()),
    Row("huge pages for a node of the guest", "unable to map backing store", "start.hugepages",
        rest=huge("<page size='2' unit='M' nodeset='0'/>")),
    Row("huge pages of a node of the host", "unable to map backing store", "start.hugepages",
        rest=huge() + "<numatune><memory mode='strict' nodeset='0'/></numatune>"),
    Row("huge pages of a size that is not mounted", "Unable to find any usable hugetlbfs mount for 1048576 KiB",
        "start.hugepages_unmounted", rest=huge("<page size='1' unit='G'/>"), memory=1024),
    Row("huge pages of a size that the kernel does not have", "Unable to find any usable hugetlbfs mount for 3072 KiB",
        "start.hugepages", rest=huge("<page size='3' unit='M'/>")),
)  # fmt: skip

ROWS = (*FILES, *OTHER_FILES, *DISKS, *DEVICES, *MEMORY)
