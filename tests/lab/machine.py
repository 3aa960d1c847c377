"""The lab machine as QEMU's command line. Starts nothing.

A saved state fits only the command line that it was saved with, so everything that a scenario may change is either
hot-plugged or needs a cold boot.
"""

from __future__ import annotations

from dataclasses import dataclass

# A VT-d IOMMU; a graphics card with sound, two functions behind one root port and so one IOMMU group; a USB controller
# behind another; free ports to plug into.
DEVICES = (
    "intel-iommu,intremap=on,caching-mode=on",
    "pcie-root-port,id=card,chassis=1,slot=1",
    "VGA,id=gpu0,bus=card,multifunction=on,addr=0.0",
    "ich9-intel-hda,id=sound0,bus=card,addr=0.1",
    "hda-duplex,bus=sound0.0,audiodev=silent",  # a codec: without one there is no /dev/snd/controlC0
    "pcie-root-port,id=usb,chassis=2,slot=2",
    "qemu-xhci,id=usb0,bus=usb",
    "pcie-root-port,id=port1,chassis=3,slot=3,mem-reserve=32M",
    "pcie-root-port,id=port2,chassis=4,slot=4,mem-reserve=32M",
    "pcie-root-port,id=port3,chassis=5,slot=5,mem-reserve=32M",
)
KERNEL = (
    "root=/dev/vda rw console=tty0 console=ttyS0 intel_iommu=on iommu=pt apparmor=0 mitigations=off"
    " vt.global_cursor_default=0 quiet"
)
PORT = "lab.0"
COPY = "copy"


@dataclass(frozen=True, slots=True)
class Machine:
    """One run of it: files and sockets of the outside, and what differs from the plain machine."""

    image: str  # directory with vmlinuz and initrd.img
    disk: str
    payload: str
    sockets: str  # directory with line and qmp, on which somebody listens, and where serial.log goes
    state: str = ""  # resumed from this file instead of booted
    append: str = ""
    devices: tuple[str, ...] = ()
    copy: str = ""  # a second disk with the same contents, for a device with drive=copy
    firmware: tuple[str, str] = ("", "")  # UEFI and its variables: it boots by the loader on its disk

    def argv(self) -> list[str]:
        argv = [
            "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
            "-m", "2G", "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none",
            "-audiodev", "none,id=silent",
            "-chardev", f"file,id=serial,path={self.sockets}/serial.log,append=on", "-serial", "chardev:serial",
            "-chardev", f"socket,id=qmp,path={self.sockets}/qmp", "-mon", "chardev=qmp,mode=control",
            "-chardev", f"socket,id=line,path={self.sockets}/line", "-device", "virtio-serial-pci",
            "-device", f"virtserialport,chardev=line,name={PORT}",
            "-drive", f"file={self.disk},format=qcow2,if=virtio,cache=writeback",
            "-drive", f"file={self.payload},format=raw,if=virtio,readonly=on",
            *self._booted_by(),
        ]  # fmt: skip
        if self.copy:
            argv += ["-drive", f"file={self.copy},format=qcow2,if=none,id={COPY}"]
        for device in (*DEVICES, *self.devices):
            argv += ["-device", device]
        if self.state:
            argv += ["-incoming", f"exec:zstd -q -dc {self.state}"]
        return argv

    def _booted_by(self) -> list[str]:
        if not any(self.firmware):
            words = f"{KERNEL} {self.append}".strip()
            return ["-kernel", f"{self.image}/vmlinuz", "-initrd", f"{self.image}/initrd.img", "-append", words]
        flash, (code, variables) = "if=pflash,format=raw,unit", self.firmware
        return ["-drive", f"{flash}=0,readonly=on,file={code}", "-drive", f"{flash}=1,file={variables}"]
