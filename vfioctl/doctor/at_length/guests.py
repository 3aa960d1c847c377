"""At length: the definitions of guests."""

from __future__ import annotations

TEXTS = {
    "domain.unseen": """
libvirt keeps its definitions in /etc/libvirt/qemu, which only root may read in most distributions. All checks of
guests were left out; the others hold. Run it with sudo to see them.""",
    "domain.managed_yes": """
With managed='yes', which virt-manager writes, libvirt unbinds the card's driver by itself, with the desktop on it.
The driver of NVIDIA then waits in the kernel for its last user, for ever: the daemon hangs, and with it every
guest, until the host is restarted. With `vfioctl enable GUEST` the desktop leaves first, the modules are unloaded,
and managed becomes 'no'; `vfioctl disable GUEST` puts it back.""",
    "domain.wants_pinned": """
Two guests name the same card, and only one of them has a file in /etc/vfioctl/guests. The other starts past
vfioctl: nothing is freed for it, and nothing brings the card home. With `vfioctl enable` both are handed the card,
one at a time: the second is refused while the first has it.""",
    "domain.starts_at_boot": """
autostart starts the guest with libvirt's daemon, which is at boot. It takes the only card then, perhaps before the
login screen is there. That is right for a host without a desktop; else start the guest by hand. If the guest does
not come up, the host is reached by SSH alone.""",
    "domain.session": """
qemu:///session is a daemon of the user's own, without any right to devices of the host: a guest of its with a PCI
device does not start. Define it in qemu:///system, and move its disks to where the system's QEMU may read them.""",
    "domain.no_uefi": """
The card's own program for the screen is a UEFI driver in its ROM. With a BIOS (SeaBIOS) the guest runs the old one,
which new cards do not have: the screen stays dark until the guest's driver comes, or for good. A guest cannot be
changed over in place: the disk needs an EFI partition, and Windows mbr2gpt.""",
    "domain.virtual_display": """
With a virtual display the guest has two screens, and its firmware, its boot loader and often its desktop take the
virtual one as the first. It is needed to install the guest and the card's driver. Afterwards <video><model
type='none'/></video> leaves the card as the only one; so does leaving <graphics> out.""",
    "domain.no_input": """
The picture of the guest is on the card's screen, and nothing brings a key to it: no USB device, no USB controller,
no evdev and no viewer. Four ways: give a keyboard and a mouse as USB devices; give a whole USB controller, so that
what is plugged in there is the guest's; share the host's keyboard by <input type='evdev'>, where both Ctrl keys
switch; or keep <graphics type='spice'/> for Looking Glass.""",
    "domain.evdev_number": """
The kernel numbers input devices in the order in which it finds them, so event7 may be the power button after the
next boot, and the guest grabs that. The links in /dev/input/by-id are named after the device: take the one that
ends in -event-kbd or -event-mouse.""",
    "domain.kvmfr_missing": """
Looking Glass shares the guest's picture through memory, here through a node of its kernel module kvmfr. Without the
node QEMU does not start. modprobe kvmfr static_size_mb=64 makes it; a file in modules-load.d and one in modprobe.d
do it at each boot. The size depends on the screen: looking-glass.io/docs has the table.""",
    "domain.looking_glass": """
The guest shares its picture through a file in /dev/shm. Whoever is there first makes it: the client, as the user,
or QEMU, as its own user. Its mode then keeps the other one out, and the kernel (fs.protected_regular) refuses files
of others in such a directory. tmpfiles.d makes it at boot with the right owner and the group of QEMU: f
/dev/shm/looking-glass 0660 USER kvm -""",
    "domain.node_not_allowed": """
libvirt puts each guest into a control group that may open only the devices of its definition. What stands in QEMU's
own arguments it does not read, so these nodes are refused: "Operation not permitted". cgroup_device_acl in
/etc/libvirt/qemu.conf lists what every guest may open; set it whole, with the defaults that stand in the file's
comment, then restart the daemon.""",
    "domain.no_root_port": """
A machine of the type q35 takes each device that comes while it runs on a root port of its own, and these are made
when the guest is defined. Where all are taken, attach is refused: "No more available PCI slots". More controllers
of the model pcie-root-port, while the guest is off, are free ports (libvirt.org/pci-hotplug.html).""",
    "start.hugepages": """
Huge pages are set aside for guests: a guest that asks for them starts only where enough are free, on its NUMA node
if it is bound to one. The kernel finds them easily after boot and hardly later, when memory is in pieces;
hugepages=N on the kernel's command line sets them aside for good. A step of a plugin may make them for the time of
the guest.""",
    "start.evdev_missing": """
The guest names a keyboard or a mouse of the host that is not there now: unplugged, or a receiver that has another
number. QEMU does not start without it. ls -l /dev/input/by-id shows what there is.""",
}  # fmt: skip
