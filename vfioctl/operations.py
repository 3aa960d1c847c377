"""Which module knows each operation, and which one wrote the journals that name none. Names only; imports nothing."""

from __future__ import annotations

MODULES = {"hand-off": "vfioctl.handoff.operation"}
UNNAMED = "hand-off"  # plans of schemas 1 and 2 are its
