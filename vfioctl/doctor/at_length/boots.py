"""At length: drivers, and what a boot leaves on cards or gives away."""

from __future__ import annotations

TEXTS = {
    "driver.no_vfio": """
vfio-pci is the driver through which QEMU has a device. A kernel of a distribution has it as a module; one that was
built by hand needs CONFIG_VFIO_PCI and CONFIG_VFIO_IOMMU_TYPE1. If the package of the kernel was updated since the
boot, its modules were replaced by those of the new one: restart.""",
    "driver.modules_gone": """
Modules lie in a directory with the name of their kernel, and an update of the kernel may take away the old one
(Arch does, Debian keeps it). What was loaded goes on; nothing more can be loaded, vfio-pci among it, nor the driver
that brings the card home. uname -r and ls /lib/modules show both names.""",
    "driver.built_in": """
A driver that is a part of the kernel has no module to unload. vfioctl takes single cards off their drivers by an
unbind anyway, except NVIDIA's, which is never built in; so this matters only where a guest file asks to unload it.""",
    "driver.nomodeset": """
nomodeset is a help for broken pictures: the drivers of cards leave the screen to the firmware's picture. Such a
host has no driver that gives the card to a guest and takes it back, and the picture of the firmware does not come
back after a guest.""",
    "driver.taken_at_boot": """
A static set-up gives the card to vfio-pci at each boot, by its ids: the host never has it. vfioctl moves the card
with each start and stop, so the word is not needed. It does no harm where the host is never to use the card. Ids
name each card of that model: a second one like it is taken along.""",
    "driver.taken_by_file": """
options vfio-pci ids=… in a file of modprobe takes each device with those ids as soon as vfio-pci is loaded before
their own driver, as with a softdep or in the initramfs. vfioctl needs none of it. If every card with a screen is
among them, the next boot shows nothing at all: see to it before you restart. After a change make the initramfs anew
(update-initramfs -u, dracut -f, mkinitcpio -P): it has a copy of the file.""",
    "driver.taken_by_driverctl": """
driverctl keeps an override in /etc/driverctl.d and sets it at every boot through udev. With vfioctl the card is to
be at home while no guest has it. Both at once are a race at boot: take one of them.""",
    "driver.early": """
An initramfs loads what its list names before udev sees any card. vfio-pci with ids in that list takes the cards
before their drivers can. Alone, without ids, it takes nothing and costs nothing.""",
    "driver.blacklisted": """
A blacklist keeps modprobe from loading a driver by itself when its card is found. The card then has no driver on
the host: a guest gets it all the same, and after the guest it is again without one. Programs can still load the
driver by name.""",
    "boot.framebuffer": """
The firmware drew its logo on this card, and the kernel goes on drawing there, through simpledrm, efifb or vesafb,
until the card's own driver comes. The picture's memory belongs to that driver: QEMU could not have the card. A
start takes it off, and nothing puts it back: after the guest only the card's own driver, if the host has one, shows
a picture.""",
    "boot.framebuffer_memory": """
The kernel has marked a part of the card's memory for the firmware's picture (BOOTFB in /proc/iomem), and there is
no device left that could let go of it. QEMU then fails to map the card: "BAR 0: can't reserve". Three ways are
known: let the firmware draw on another card (Primary Display in its set-up); boot with
initcall_blacklist=sysfb_init, so that the kernel makes no such device (the console then comes with the card's
driver); or, with older kernels, video=efifb:off.""",
}  # fmt: skip
