"""The facts as frozen data. No reading here.

PCI addresses are always written DDDD:BB:DD.F in lower case; device numbers are (major, minor).
"""

from __future__ import annotations

from vfioctl.frozen import frozen

DISPLAY_CLASSES = (0x0300, 0x0302, 0x0380)
CARD_CLASSES = (*DISPLAY_CLASSES, 0x1200)  # 1200: an accelerator without a screen (PCI_CLASS_ACCELERATOR_PROCESSING)
VENDOR_DRIVERS = {0x1002: ("amdgpu", "radeon"), 0x10DE: ("nvidia", "nouveau"), 0x8086: ("i915", "xe")}
CARD_DRIVERS = tuple(name for names in VENDOR_DRIVERS.values() for name in names)
AUDIO_CLASSES = (0x0401, 0x0403)
USB_CONTROLLER = 0x0C03
GREETERS = ("greeter", "lock-screen", "manager-early")  # classes of sessions (sd_session_get_class(3))


@frozen
class PciDevice:
    """One PCI function. `None` means that the kernel shows no such attribute."""

    address: str
    class_code: int  # 24 bits: base class, sub-class, interface
    vendor: int
    device: int
    subsystem_vendor: int = 0
    subsystem_device: int = 0
    driver: str | None = None
    driver_override: str | None = None
    iommu_group: int | None = None
    boot_vga: bool | None = None
    reset_methods: tuple[str, ...] = ()
    power_state: str | None = None  # D0 … D3cold
    power_control: str | None = None  # "on" or "auto"
    d3cold_allowed: str | None = None
    numa_node: int | None = None
    links: tuple[str, ...] = ()  # addresses of supplier and consumer device links
    stuck: bool = False  # a kernel write on it does not return; driver_override was not read
    physical: str | None = None  # address of the physical function, when this is a virtual one
    virtual: tuple[str, ...] = ()  # addresses of the virtual functions that its driver has made
    mediated: tuple[str, ...] = ()  # UUIDs of the mediated devices that its driver has made
    vfio: bool = False  # its driver, whichever that is, offers it through VFIO: shown as vfio-dev since Linux 6.1

    @property
    def slot(self) -> str:
        """DDDD:BB:DD, shared by all functions of the slot."""
        return self.address.rpartition(".")[0]

    @property
    def kind(self) -> int:
        """Base class and sub-class, 16 bits: 0x0300 is a VGA controller."""
        return self.class_code >> 8

    @property
    def is_display(self) -> bool:
        return self.kind in DISPLAY_CLASSES

    @property
    def is_card(self) -> bool:
        """Whether it drives a screen or computes: what `vfioctl gpu` is about."""
        return self.kind in CARD_CLASSES or self.driver in CARD_DRIVERS

    @property
    def is_audio(self) -> bool:
        return self.kind in AUDIO_CLASSES

    @property
    def is_bridge(self) -> bool:
        return self.class_code >> 16 == 0x06  # noqa: PLR2004 -- PCI base class 06h, bridges

    @property
    def identity(self) -> str:
        """vendor:device:subsystem_vendor:subsystem_device, four hex digits each: what is pinned for a guest."""
        ids = (self.vendor, self.device, self.subsystem_vendor, self.subsystem_device)
        return ":".join(f"{part:04x}" for part in ids)


@frozen
class IommuGroup:
    """One IOMMU group. Viable: no member outside the given ones has a host driver (vfio.rst)."""

    number: int
    type: str
    members: tuple[str, ...]


@frozen
class Module:
    """A loaded kernel module. `refcount` minus `len(holders)` counts users outside the module graph."""

    name: str
    refcount: int
    holders: tuple[str, ...] = ()
    version: str | None = None

    @property
    def outside_users(self) -> int:
        return max(0, self.refcount - len(self.holders))


@frozen
class VtConsole:
    """A vtconsole back-end: name as the kernel says it, e.g. "(M) frame buffer device"."""

    entry: str  # vtcon0, vtcon1 …: numbers vary, match by name
    name: str
    bound: bool
    stuck: bool = False  # the kernel does not say whether it is bound


@frozen
class Framebuffer:
    """A platform framebuffer device (simple-framebuffer.0, efi-framebuffer.0) whose parent is the card."""

    name: str
    driver: str | None


@frozen
class Connector:
    """A port of a card, and whether a screen is plugged into it."""

    name: str  # card0-HDMI-A-1
    status: str  # connected, disconnected, unknown


@frozen
class DeviceNode:
    """A character device that belongs to a PCI function or to its driver."""

    path: str  # as seen on the host, "/dev/dri/card0", without the root
    rdev: tuple[int, int]
    role: str  # dri, nvidia, kfd, fb, snd, i2c, vfio, accel, tap, vdpa
    address: str | None  # None: it belongs to the driver as a whole (nvidiactl, kfd)


@frozen
class Holder:
    """A process that has nodes of a device open or mapped."""

    pid: int
    start_time: int  # clock ticks since boot, field 22 of /proc/PID/stat: pid + start_time name a process
    comm: str
    nodes: tuple[str, ...]
    addresses: tuple[str, ...]  # the devices that it keeps busy, as far as the nodes say
    uid: int = 0
    unit: str | None = None  # system unit, "lightdm.service"
    user_unit: str | None = None  # unit of the user manager, "pipewire.service"
    session: str | None = None  # logind session id
    container: str | None = None
    session_uid: int | None = None  # the user in whose slice the session is; None where systemd has made no slices

    def belongs_to(self, session: Session) -> bool:
        """Whether it is in `session`, and that is a session of its own user: the name alone may be anybody's.

        Without systemd's slices (elogind) the process tells its user; root's may be in any session, as an X server is.
        """
        if self.session != session.id:
            return False
        return self.uid in (0, session.uid) if self.session_uid is None else self.session_uid == session.uid

    @property
    def manager(self) -> int | None:
        """The user whose manager runs it; None where the system's does."""
        return None if self.user_unit is None else self.uid

    @property
    def is_stale(self) -> bool:
        """It only has nodes of a driver that has left the device meanwhile: it draws on nothing any more."""
        return all(node.endswith(" (deleted)") for node in self.nodes)

    @property
    def is_untouchable(self) -> bool:
        """PID 1 and logind hold DRM nodes on behalf of others (systemd#6908): tolerated, never killed."""
        return self.pid == 1 or self.unit in ("systemd-logind.service", "elogind.service")


@frozen
class Unit:
    """A systemd unit as `systemctl show` tells it. A queued start job counts as active."""

    name: str  # the real Id: display-manager.service resolves to lightdm.service
    load_state: str  # loaded, not-found, masked …
    active_state: str
    job: str = ""  # "start", "stop" … or "" when no job is queued
    main_pid: int = 0
    uid: int | None = None  # of the user manager that it belongs to; None: the system manager

    @property
    def exists(self) -> bool:
        return self.load_state == "loaded"

    @property
    def is_active(self) -> bool:
        return self.active_state in ("active", "activating", "reloading") or self.job in ("start", "restart")


@frozen
class Session:
    """A logind session. `klass` is user, greeter, lock-screen, background or manager."""

    id: str
    user: str
    uid: int
    seat: str
    type: str  # x11, wayland, tty, mir, unspecified
    klass: str
    state: str
    leader: int
    service: str = ""
    remote: bool = False
    tty: str = ""
    scope: str = ""

    @property
    def is_greeter(self) -> bool:
        """Whether it is a log-in screen: nobody's work ends with it."""
        return self.klass in GREETERS
