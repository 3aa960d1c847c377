"""Every stable code of an error or a finding, what it means and what to do: the source of docs/reference/errors.md."""

from __future__ import annotations

from vfioctl.codes import (
    devices,
    disks,
    doctor,
    domains,
    engine,
    equip,
    guests,
    host,
    libvirt,
    networks,
    sessions,
    storage,
)
from vfioctl.codes.code import Code

__all__ = ["CODES", "Code"]

PARTS = (devices, disks, doctor, domains, engine, equip, guests, host, libvirt, networks, sessions, storage)
CODES = tuple(sorted(code for part in PARTS for code in part.CODES))
