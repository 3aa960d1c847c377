"""The floor: a plain shell hook with the bare sysfs writes.

Proves the checks without vfioctl, and is what vfioctl is timed against.
"""

from __future__ import annotations

import os

HOOK = """#!/bin/sh
pci=/sys/bus/pci
case $2 in
prepare)
    holders=$(find /proc/[0-9]*/fd -lname '/dev/dri/card0' 2>/dev/null | cut -d/ -f3 | tr '\\n' ' ')
    [ -z "$holders" ] || { echo "floor: /dev/dri/card0 is held by $holders" >&2; exit 1; }
    modprobe vfio-pci
    target=vfio-pci ;;
release)
    case $(readlink $pci/devices/0000:01:00.0/driver) in */vfio-pci) ;; *) exit 0 ;; esac
    target= ;;
*) exit 0 ;;
esac
for device in 0000:01:00.0 0000:01:00.1; do
    echo "$target" >$pci/devices/$device/driver_override
    [ ! -e $pci/devices/$device/driver ] || echo $device >$pci/devices/$device/driver/unbind
    echo $device >$pci/drivers_probe
done
"""
PATH = "/etc/libvirt/hooks/qemu.d/50-floor"


def install() -> None:
    os.makedirs(os.path.dirname(PATH), exist_ok=True)
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(HOOK)
    os.chmod(PATH, 0o755)
