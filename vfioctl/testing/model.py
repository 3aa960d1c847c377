"""What a simulated machine consists of, as frozen data that goes to the serving process as JSON."""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

FIRST_PID = 5_000_000  # above any real pid: pid_max is at most 4194304

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FakeBlock:
    """A block device: a disk with partitions, a partition, or, in MachineSpec.volumes, one built `on` others.

    What claims it: `mounted_at` (with `btrfs`, a UUID, as a file system that spans every block of that UUID), `swap`,
    `held` (opened exclusively by the kernel, as by ZFS, with nothing to see in sysfs), a volume that is `on` it.
    `contents` says what it carries: "lvm", "md-0.90", "md-1.0", "md-1.1", "md-1.2", "zfs:POOL".
    """

    name: str  # "nvme1n1", "sda2", "dm-0"
    partitions: tuple[FakeBlock, ...] = ()
    mounted_at: str = ""
    swap: bool = False
    held: bool = False
    btrfs: str = ""
    contents: str = ""
    on: tuple[str, ...] = ()
    mapped: str = ""  # dm's name, "vg-root"
    uuid: str = ""  # dm's, "LVM-…"
    backing: str = ""  # of a loop device: the file or node that it shows
    size: int = 64 << 20  # bytes
    empty: bool = False  # an optical drive ("sr0") without a disc: it can be opened, and not read


@dataclass(frozen=True, slots=True)
class FakeDevice:
    """One PCI function. `drivers` are those whose id table lists it, the first that is there wins."""

    address: str
    vendor: int
    device: int
    class_code: int  # 24 bits
    driver: str | None = None  # bound at the start
    drivers: tuple[str, ...] = ()
    group: int | None = None
    bridge: str | None = None  # address of the port that it sits behind
    subsystem_vendor: int = 0
    subsystem_device: int = 0
    boot_vga: bool | None = None
    reset_methods: tuple[str, ...] = ("flr", "bus")
    power_state: str = "D0"
    power_control: str = "on"
    d3cold_allowed: str = "1"
    numa_node: int = -1
    connectors: tuple[str, ...] = ()  # "HDMI-A-1:connected"
    consumers: tuple[str, ...] = ()  # addresses of functions that a device link makes depend on it
    framebuffer: str | None = None  # platform device that shows the firmware's picture on it
    disk: str | None = None  # block device behind it, "nvme0n1"
    mounted_at: str | None = None
    network: str | None = None  # interface, "eth0"
    i2c: tuple[int, ...] = ()  # i2c buses of its driver
    model_name: str = ""  # in /proc/driver/nvidia
    gpu_uuid: str = ""
    disks: tuple[FakeBlock, ...] = ()  # further disks behind it, or such as `disk` and `mounted_at` cannot describe
    multipath: bool = False  # its NVMe namespaces are children of a subsystem
    physical: str | None = None  # address of its physical function; a virtual one goes with the driver of that
    mediated: Pairs = ()  # its driver's mediated devices: UUID and number of the IOMMU group
    vfio: bool = False  # its own driver offers it through VFIO, as NVIDIA's does a vGPU


@dataclass(frozen=True, slots=True)
class FakeDriver:
    """A PCI driver of a module. `kind`: display, nvidia, sound, vfio, network, storage, usb, bridge or plain."""

    name: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class FakeNode:
    """A device node that is there while its module is loaded."""

    path: str
    major: int
    minor: int
    klass: str = ""  # /sys/class/KLASS/NAME/dev says its number


@dataclass(frozen=True, slots=True)
class FakeModule:
    """A kernel module. `uses` are the modules whose reference count it raises."""

    name: str
    uses: tuple[str, ...] = ()
    drivers: tuple[FakeDriver, ...] = ()
    nodes: tuple[FakeNode, ...] = ()
    version: str | None = None
    parameters: Pairs = ()
    loaded: bool = False
    builtin: bool = False
    drm_for: str | None = None  # gives DRM cards to the devices on this driver (nvidia_drm)
    aliases: tuple[str, ...] = ()
    leaked: int = 0  # references that no process holds and that never go


@dataclass(frozen=True, slots=True)
class FakeProcess:
    """A process. `opens` and `maps` name nodes ("/dev/dri/card*" all of them); absent nodes are not opened.

    pid 0: the next free one. `shown_as` gives the path that a node has in the process's own mount namespace.
    `requires`: it runs only while such a node exists. `cgroup` is its path in the unified hierarchy, when it is not the
    one of its unit, session or container. `guest`: libvirt has started it as that guest's QEMU, and a pid file says so;
    a process of root's that is called qemu… and has an option -name counts as one.
    """

    comm: str
    pid: int = 0
    opens: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    uid: int = 0
    unit: str | None = None
    user_unit: str | None = None
    session: str | None = None
    container: str | None = None
    cmdline: tuple[str, ...] = ()
    start_time: int = 4200
    shown_as: Pairs = ()
    requires: str | None = None
    ignores_term: bool = False
    peers: tuple[str, ...] = ()  # IPv4 addresses from which it has a TCP connection, to port `port` of this host
    port: int = 22
    runtime: str = "docker"  # of `container`: docker, podman, or with @UID a user's rootless one
    cgroup: str = ""
    guest: str = ""


@dataclass(frozen=True, slots=True)
class FakeLink:
    """A network interface above others: a bridge, a bond, a VLAN, or `ovs-system` with the ports of Open vSwitch.

    What leads from Open vSwitch to the host, such as `br-ex`, is above nothing. A name with a dot is that of a VLAN.
    With `tap`, the number of its /dev/tapN, it is a macvtap, which vanishes with what is below it.
    """

    name: str
    lower: tuple[str, ...]
    tap: int = 0


@dataclass(frozen=True, slots=True)
class FakeSession:
    """A logind session; its scope is session-ID.scope. It ends with any of the units in `ends_with`.

    `lingers`: its leader is deaf to SIGTERM, so that only SIGKILL ends it.
    """

    id: str
    user: str
    uid: int
    seat: str = "seat0"
    type: str = "x11"
    klass: str = "user"
    state: str = "active"
    leader: int = 0
    service: str = "lightdm"
    remote: bool = False
    tty: str = ""
    ends_with: tuple[str, ...] = ()
    lingers: bool = False


@dataclass(frozen=True, slots=True)
class FakeUnit:
    """A systemd unit. `brings` and `sessions` come with a start; a stop ends every process of the unit.

    `start_limit`: starts that pass before reset-failed is needed (StartLimitBurst). `stop_hangs`: a stop never ends.
    `ignores_term`: only SIGKILL ends it; `stop_waits`: or the end of the sessions that end with it.
    `uid` makes it a unit of that user's manager. `part_of`: it stops with that unit.
    """

    name: str
    active: bool = True
    load_state: str = "loaded"
    uid: int | None = None
    aliases: tuple[str, ...] = ()
    brings: tuple[FakeProcess, ...] = ()
    sessions: tuple[FakeSession, ...] = ()
    start_limit: int | None = None
    stop_hangs: bool = False
    start_fails: bool = False
    part_of: tuple[str, ...] = ()
    description: str = ""
    job: str = ""  # "start": a job is queued
    exec_start: str = ""
    ignores_term: bool = False
    stop_waits: bool = False


@dataclass(frozen=True, slots=True)
class FakeContainer:
    """A container of Docker or Podman; with `uid` that user's rootless one. A start brings `brings` under the same id.

    `auto_remove` (--rm): it is gone with its stop. `restarts`: its restart policy lets it start with Docker's daemon.
    `labels` are what `inspect` tells: com.docker.compose.project, PODMAN_SYSTEMD_UNIT.
    """

    name: str
    id: str
    tool: str = "docker"
    uid: int | None = None
    running: bool = True
    brings: tuple[FakeProcess, ...] = ()
    labels: Pairs = ()
    auto_remove: bool = False
    restarts: bool = False
    stop_hangs: bool = False


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A whole machine at rest."""

    name: str
    devices: tuple[FakeDevice, ...] = ()
    modules: tuple[FakeModule, ...] = ()
    processes: tuple[FakeProcess, ...] = ()
    sessions: tuple[FakeSession, ...] = ()
    units: tuple[FakeUnit, ...] = ()
    users: Pairs = (("0", "root"),)
    iommu: bool = True
    group_type: str = "DMA-FQ"
    systemd: bool = True
    framebuffer_console: bool = True
    system_console: bool = True  # after a boot in VGA text mode no back-end of the system is left
    kernel: str = "6.1.0-56-amd64"
    command_line: str = "BOOT_IMAGE=/boot/vmlinuz root=/dev/vda1 ro quiet intel_iommu=on iommu=pt"
    cpu_flags: str = "vmx"  # of /proc/cpuinfo, those that matter here
    kvm: bool = True  # /dev/kvm is there
    settings: Pairs = ()  # further files of /sys and /proc/sys that keep what is written: path, value at boot
    volumes: tuple[FakeBlock, ...] = ()  # dm, md, bcache and loop devices
    mounts: tuple[tuple[str, str, str], ...] = ()  # further lines of mountinfo: source, place, type; anonymous numbers
    links: tuple[FakeLink, ...] = ()
    routes: Pairs = ()  # "default" or "10.0.0.0/8", interface; earlier ones have the lower metric. (): the first card's
    containers: tuple[FakeContainer, ...] = ()


T = TypeVar("T")


def to_json(spec: MachineSpec) -> str:
    return json.dumps(spec, default=_fields)


def _fields(part: Any) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}


def from_json(text: str) -> MachineSpec:
    """The machine in `text`; raises TypeError when a field is unknown."""
    return build(MachineSpec, json.loads(text))


def build(kind: type[T], data: dict[str, Any]) -> T:
    """A spec of `kind` from plain data, nested specs included."""
    hints = _hints(kind)  # type: ignore[arg-type] # mypy takes no class for hashable
    return kind(**{name: _value(hints[name], value) for name, value in data.items()})


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    """Field → its type. Asked for each part of each machine, and a millisecond of work."""
    return typing.get_type_hints(kind)


def _value(hint: Any, value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return value
    inner = typing.get_args(hint)[0]
    if dataclasses.is_dataclass(inner):
        return tuple(build(typing.cast("type[Any]", inner), item) for item in value)
    return tuple(tuple(item) if isinstance(item, (list, tuple)) else item for item in value)
