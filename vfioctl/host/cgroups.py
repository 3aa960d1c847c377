"""Whom a process belongs to, read from its control group: unit, user unit, session, container. Reads only."""

from __future__ import annotations

import re

from vfioctl.frozen import frozen

# Compiled when a holder is found.
SESSION = r"session-(.+)\.scope"
USER_MANAGER = r"user@(\d+)\.service"
PAYLOAD = r"libpod-payload-([0-9a-f]+)"  # below the unit that Podman runs in, with --cgroups=split: quadlet
CONTAINER_SCOPE = r"(?:docker|libpod|crio|cri-containerd)-(?:conmon-)?([0-9a-zA-Z_.-]+)\.scope"
MACHINE_SCOPE = r"machine-(.+)\.scope"
CONTAINER_PARENTS = ("docker", "lxc", "libpod_parent", "lxc.payload")
UNIT = r".+\.(?:service|scope)"


@frozen
class Owner:
    """Each is None when the control group does not say it."""

    unit: str | None = None
    user_unit: str | None = None
    user_manager: int | None = None  # uid of the user manager
    session: str | None = None
    container: str | None = None


def owner(text: str) -> Owner:
    """The owner that the text of /proc/PID/cgroup names (cgroups(7); systemd's or elogind's hierarchy)."""
    return _of_path(_path(text))


def _path(text: str) -> str:
    """The path in the unified hierarchy, or in the named one of systemd or elogind."""
    found = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        found[controllers] = path
    for name in ("name=systemd", "name=elogind", ""):
        if found.get(name, "/") != "/":
            return found[name]
    return next((path for path in found.values() if _container(path.split("/"))), "/")


def _of_path(path: str) -> Owner:
    parts = [part for part in path.split("/") if part]
    session = next((match[1] for part in parts if (match := re.fullmatch(SESSION, part))), None)
    if session is None and len(parts) == 1 and "." not in parts[0]:
        session = parts[0]  # elogind: one group a session
    manager = next((match[1] for part in parts if (match := re.fullmatch(USER_MANAGER, part))), None)
    units = [part for part in parts if re.fullmatch(UNIT, part) and not re.fullmatch(SESSION, part)]
    inner = [unit for unit in units if not re.fullmatch(USER_MANAGER, unit)]
    return Owner(
        unit=None if session or manager else next(iter(units), None),
        user_unit=next(iter(inner), None) if manager else None,
        user_manager=int(manager) if manager else None,
        session=session,
        container=_container(parts),
    )


def _container(parts: list[str]) -> str | None:
    for before, part in zip(["", *parts], parts, strict=False):
        match = re.fullmatch(CONTAINER_SCOPE, part) or re.fullmatch(MACHINE_SCOPE, part) or re.fullmatch(PAYLOAD, part)
        if match:
            return match[1]
        if before in CONTAINER_PARENTS:
            return part
    return None
