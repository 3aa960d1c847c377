"""At length: the hook and the daemon that calls it."""

from __future__ import annotations

TEXTS = {
    "hook.missing": """
libvirt calls /etc/libvirt/hooks/qemu.d/50-vfioctl at each start and stop of a guest. Without it guests start as if
vfioctl were not there: with managed='yes' libvirt itself takes the card, under the desktop, and for NVIDIA's driver
that may never return. `vfioctl hook install` writes it; `vfioctl hook uninstall` takes it away without a trace.""",
    "hook.daemon_older": """
libvirtd looks once, when it starts, whether there is any hook for QEMU; virtqemud does the same. A hook that came
later is not called until the daemon is started anew. Running guests live on: systemctl restart libvirtd (or
virtqemud) does not touch them.""",
    "hook.no_daemon": """
Neither libvirtd nor virtqemud runs, and no socket waits for them. Modular daemons (Fedora, newer distributions) are
started by their socket: virtqemud.socket. Until one runs no guest starts, and no hook is called.""",
    "hook.rival": """
Another hook moves drivers or ends the desktop as well. Both would run at each start: libvirt runs hooks/qemu first,
then every file in hooks/qemu.d, and neither can stop the other. Keep one: a file without its execute permission is
not run, and comes back with chmod +x.""",
    "hook.walled_in": """
Hooks are children of the daemon and live in its sandbox. With ProtectKernelModules=yes no module can be loaded or
unloaded, with ProtectKernelTunables=yes /sys is read-only, with PrivateDevices=yes the cards' nodes are not there
(systemd.exec(5)). A hand-off needs all three. The service of a distribution has none of them; somebody added it:
systemctl cat shows where.""",
    "hook.two_daemons": """
libvirtd does everything in one process, virtqemud is the QEMU part of the modular daemons. Run both and each has
its own list of running guests and its own idea of which device is free. Distributions choose one; an update from
one to the other may leave both: disable the sockets of one of them, too.""",
    "hook.selinux_boolean": """
Where SELinux is enforcing hooks may touch neither drivers nor units unless the boolean virt_hooks_unconfined is on;
it is off by default. setsebool -P virt_hooks_unconfined on keeps it for good.""",
    "hook.session_guest": """
qemu:///session is a daemon of the user's own, without any right to devices of the host. It runs the same hooks, as
the user; they do nothing then. virt-manager shows both connections below each other: a guest under "QEMU/KVM User
session" is such a one. Its XML can be defined for the system with virsh define.""",
}  # fmt: skip
