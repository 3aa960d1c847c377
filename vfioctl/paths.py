"""Every path that vfioctl uses, derived from one root. Touches nothing."""

from __future__ import annotations

import os

from vfioctl.frozen import frozen

LOCK_PREFIX, LOCK_SUFFIX = "guest-", ".lock"  # of an operation's lock file, around its key


@frozen
class Paths:
    """The places of one host, as plain strings (pathlib costs the hook path milliseconds).

    `root` is "/" on a real host, a chroot or a simulated host otherwise. `sys`, `proc` and `dev` may be symlinks:
    never compare a resolved path with a prefix, compare base names.
    `own` is the directory of somebody who is not root, for what vfioctl keeps of their operations.
    """

    root: str = "/"
    own: str = ""

    def at(self, *parts: str) -> str:
        """The path of `parts` below the root; an absolute part stays below the root."""
        return "/".join((self.root.rstrip("/"), *[part.lstrip("/") for part in parts]))  # join costs the hook 2 ms

    @property
    def sys(self) -> str:
        return self.at("sys")

    @property
    def proc(self) -> str:
        return self.at("proc")

    @property
    def dev(self) -> str:
        return self.at("dev")

    @property
    def pci_devices(self) -> str:
        return self.at("sys/bus/pci/devices")

    @property
    def pci_drivers(self) -> str:
        return self.at("sys/bus/pci/drivers")

    def pci(self, address: str, *parts: str) -> str:
        """The sysfs path of the function at `address` (DDDD:BB:DD.F), or of a file in it."""
        return self.at("sys/bus/pci/devices", address, *parts)

    @property
    def etc(self) -> str:
        return self.at("etc/vfioctl")

    @property
    def host_config(self) -> str:
        return self.at("etc/vfioctl/config.toml")

    @property
    def guest_configs(self) -> str:
        return self.at("etc/vfioctl/guests")

    @property
    def nodes(self) -> str:
        """One file for each host whose libvirt is asked besides this one's."""
        return self.at("etc/vfioctl/nodes")

    def guest_config(self, guest: str) -> str:
        return os.path.join(self.guest_configs, f"{guest}.toml")

    @property
    def run(self) -> str:
        """Boot-lived state: gone after a reboot, like the changes it describes."""
        return f"{self.own}/run" if self.own else self.at("run/vfioctl")

    @property
    def markers(self) -> str:
        return f"{self.run}/guests"

    def guest_markers(self, guest: str) -> str:
        """The directory that the shim asks about `guest`; see docs/explanation/journal.md."""
        return os.path.join(self.markers, guest)

    def boot_journal(self, uuid: str) -> str:
        return f"{self.run}/journal/{uuid}.jsonl"

    def disk_journal(self, uuid: str) -> str:
        return f"{self.state}/journal/{uuid}.jsonl"

    @property
    def blobs(self) -> str:
        """Content that the plans of open journals name; see vfioctl/txn/blobs.py."""
        return f"{self.state}/blobs"

    @property
    def downloads(self) -> str:
        """What has come of downloads that were broken off; see vfioctl/kinds/files/kept.py."""
        return f"{self.state}/downloads"

    @property
    def ledger(self) -> str:
        """One file a held resource: baseline and the guests that hold it."""
        return f"{self.run}/resources"

    @property
    def managed(self) -> str:
        """One file a card: the `managed` that libvirt remembers of it."""
        return f"{self.run}/managed"

    @property
    def stuck(self) -> str:
        return f"{self.run}/stuck"

    @property
    def locks(self) -> str:
        return f"{self.run}/locks"

    def key_lock(self, key: str) -> str:
        """The file that the process of one operation locks; a hand-off's key is the UUID of its guest."""
        return os.path.join(self.locks, f"{LOCK_PREFIX}{key}{LOCK_SUFFIX}")

    @property
    def state(self) -> str:
        """Disk-lived state: identity pins, history, last outcomes, the plugin manifest."""
        return self.own or self.at("var/lib/vfioctl")

    def identity(self, uuid: str) -> str:
        return f"{self.state}/identity/{uuid}.json"

    def before_enable(self, uuid: str) -> str:
        """What `enable` found in the domain of guest `uuid`, for `disable`."""
        return f"{self.state}/domains/{uuid}.json"

    def definition(self, uuid: str) -> str:
        """The domain of guest `uuid` before its last change. For root only: it holds passwords of displays."""
        return f"{self.state}/definitions/{uuid}.xml"

    def last(self, guest: str) -> str:
        """The last outcome of `guest`, kept where a dead session cannot take it along."""
        return f"{self.state}/last/{guest}.json"

    @property
    def discarded(self) -> str:
        """Where journals are put aside that cannot be ended, one directory each."""
        return f"{self.state}/discarded"

    @property
    def history(self) -> str:
        return f"{self.state}/history"

    @property
    def manifest(self) -> str:
        return self.at("var/lib/vfioctl/manifest.json")

    @property
    def log(self) -> str:
        return f"{self.own}/log" if self.own else self.at("var/log/vfioctl")

    @property
    def libvirt_hooks(self) -> str:
        return self.at("etc/libvirt/hooks")

    @property
    def shim(self) -> str:
        return self.at("etc/libvirt/hooks/qemu.d/50-vfioctl")

    @property
    def recovery_unit(self) -> str:
        """What systemd runs as root at boot."""
        return self.at("etc/systemd/system/vfioctl-recover.service")

    @property
    def rest_unit(self) -> str:
        """What systemd runs as root where the recovery at boot has failed."""
        return self.at("etc/systemd/system/vfioctl-recover-rest.service")

    @property
    def programs(self) -> str:
        """The PATH in which programs are searched: system directories below the root, nothing inherited."""
        return ":".join(self.at(part) for part in ("usr/local/sbin", "usr/sbin", "usr/bin", "sbin", "bin"))
