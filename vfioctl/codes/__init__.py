"""Every stable code of an error or a finding, what it means and what to do: the source of docs/reference/errors.md."""

from __future__ import annotations

from vfioctl.codes import devices, disks, engine, guests, host, libvirt
from vfioctl.codes.code import Code

__all__ = ["CODES", "Code"]

CODES = tuple(sorted((*devices.CODES, *disks.CODES, *engine.CODES, *guests.CODES, *host.CODES, *libvirt.CODES)))
