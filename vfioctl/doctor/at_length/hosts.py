"""At length: the processor, the IOMMU and its groups, the display, firmware, power, versions."""

from __future__ import annotations

TEXTS = {
    "cpu.no_extension": """
Guests run on the processor itself only with VT-x (vmx) or AMD-V (svm); without it QEMU emulates every instruction,
tens of times slower. Firmware often has it off: it is called Intel Virtualization Technology or SVM Mode there.
Inside of a guest the host must allow nested guests (kvm_intel.nested=1) and give the guest its own processor model
(host-passthrough). See it with: grep -cwE 'vmx|svm' /proc/cpuinfo""",
    "cpu.no_kvm": """
The processor can, and /dev/kvm is not there: the module kvm_intel or kvm_amd is not loaded, or it refused. Load it
by hand and look what the kernel says: modprobe kvm_intel; dmesg | tail. "disabled by bios" means what it says.
On Arm KVM is a part of the kernel and needs one that the firmware starts in EL2: dmesg | grep -i kvm tells.""",
    "deep.ran": """
QEMU was started with a guest of one sector, which said a word on its serial line and left. So QEMU, its firmware
and KVM work for this user. It says nothing about devices: a guest with a card needs the IOMMU, too.""",
    "deep.emulated": """
The same guest ran, but QEMU emulated its processor: what KVM said stands in the message. "Permission denied": the
user is not in the group of /dev/kvm. "No such file or directory": the module is not loaded. Nothing at all within
four seconds: /dev/kvm is there and does not work, as in a guest whose host allows no nested guests.""",
    "deep.failed": """
QEMU did not run the smallest of guests, not even emulated. Its own words stand in the message: mostly a file of its
package is missing (bios-256k.bin of seabios), or the program is not for this system.""",
    "deep.skipped": """
The guest of one sector is for the processors of PCs. On others, and where QEMU is not installed in the usual
places, nothing was run.""",
    "iommu.off": """
Without an IOMMU a device could write anywhere in the host's memory, so the kernel gives none away. The firmware
describes units, and the kernel does not use them. AMD's are used by default; Intel's are off in many kernels until
intel_iommu=on stands on the command line. For GRUB it is a word in GRUB_CMDLINE_LINUX of /etc/default/grub, then
update-grub (Debian) or grub2-mkconfig; for systemd-boot a word in the entry below /boot/loader/entries. It holds
from the next boot on: cat /proc/cmdline shows it, ls /sys/class/iommu shows the units. On Arm the unit is the SMMU, of
which the table IORT need not tell: no word turns it on, the firmware does.""",
    "iommu.firmware_off": """
The firmware hands the kernel a table that describes the IOMMU: DMAR (Intel, VT-d), IVRS (AMD) or IORT (Arm). There is
none, so no word on the kernel's command line can help: turn on VT-d, AMD-Vi or "IOMMU" in the firmware's set-up. On AMD
boards "Auto" often means off; choose "Enabled". A guest has the table only where its own host gives it a virtual
IOMMU.""",
    "iommu.kernel_off": """
Somebody told the kernel to leave the IOMMU alone, mostly to get around a fault of a board or a driver. Take the
word out of the boot loader's configuration, then restart. If the host misbehaves without it, iommu=pt (pass-through
for the host's own devices) is the gentler way, and guests get devices all the same.""",
    "iommu.acs_override": """
A group is the smallest set of devices that the hardware keeps apart from others. The patch behind pcie_acs_override
lets the kernel pretend that bridges keep devices apart, which they may not: a guest that controls its card could
then read and write the host's memory, or another guest's. See whether the groups allow the card without it (vfioctl
gpu list --all), and whether another slot of the board has a group of its own; slots on the processor mostly have.""",
    "group.unviable": """
All devices of an IOMMU group go to the guest, or at least leave their drivers: the hardware does not keep them
apart. Bridges do not count. Sound and USB functions of the card itself go along by default. For another member
either let it go along (the setting include), or take its driver from it, or put the card into another slot.
`vfioctl plan GUEST` names the setting that helps and never one that the next check forbids.""",
    "display.no_card": """
This host has no graphics card that the kernel shows, so nothing here is about screens. Network cards, drives and
other functions are given to guests the same way: `vfioctl gpu list --all` shows all of them with their groups.""",
    "display.only_card": """
With one card the desktop ends for each guest that gets it, and the login screen comes back after the guest. What
was open in the session is lost, as with a log-out: nothing can give it back. A cheap second card, or the graphics
of the processor, turned on in the firmware, let the desktop go on beside the guest.""",
    "display.no_way_in": """
While a guest has the only card, this host has no screen and no keyboard of its own. If the guest hangs, only the
network is left: an SSH server, from which `vfioctl rescue` brings the card home. Log in once from elsewhere before
you rely on it: a firewall or a missing key is found out then.""",
    "firmware.no_uefi": """
A card of the last ten years starts a guest's screen through its UEFI driver, so the guest needs UEFI firmware.
libvirt finds it by descriptors in /usr/share/qemu/firmware and /etc/qemu/firmware, which come with the package. A
guest that was installed with a BIOS cannot be changed over without work in it; a new one is made with <os
firmware='efi'>.""",
    "power.no_inhibitor": """
A host that falls asleep with a guest's card mostly loses it: the card comes out of its sleep without the state that
the guest had given it. For the time of a guest vfioctl has logind keep the host awake, through systemd-inhibit in a
unit of its own. Without that program nothing does.""",
    "power.lid": """
logind obeys the lid of a laptop even while somebody keeps the host awake: LidSwitchIgnoreInhibited is yes by
default (logind.conf(5)). While a desktop runs it mostly handles the lid itself; where the desktop has ended for a
guest, closing the lid suspends the host. With LidSwitchIgnoreInhibited=no the lid waits for the guest to stop. It
is one line below [Login] in a file of its own, and systemctl restart systemd-logind makes it hold.""",
    "libvirt.no_drop_ins": """
libvirt runs the file hooks/qemu, and since 6.5 also every executable file in hooks/qemu.d. vfioctl is one of the
latter, so that other hooks can stay. An older libvirt never calls it: guests start without their cards being freed.""",
    "libvirt.unproven": """
The tests of vfioctl run against the libvirt of Debian 12 and of Debian 13; docs/explanation/proof.md has the
numbers. An older one may do as well, and nobody has seen it. What would differ is told by the first `vfioctl plan`
and by the log.""",
    "qemu.missing": """
Neither QEMU's own name nor that of Fedora's package is among the programs of this host. Where it lies in another
place, as on NixOS, libvirt knows it by <emulator>, and this warning means nothing.""",
    "qemu.unproven": """
The tests of vfioctl run against the QEMU of Debian 12 and of Debian 13; docs/explanation/proof.md has the numbers.
An older one gives devices to guests in the same way, and nobody has seen it with this vfioctl.""",
}  # fmt: skip
