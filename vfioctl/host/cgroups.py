"""Whose a process is, by the place of its control group: unit, user unit, session, container. Reads only.

Read by position, from the top: systemd makes what lies in a slice, and only root can put a process there. Below a user
manager, a service or a container its owner makes groups of any name, which name nothing of the host.
"""

from __future__ import annotations

import re

from vfioctl.frozen import frozen

# Compiled when a holder is found.
USERS = "user.slice"
USER_SLICE = r"user-(\d+)\.slice"  # below user.slice (systemd.special(7))
SESSION = r"session-(.+)\.scope"
UNIT = r".+\.(?:service|scope)"
ID = r"[0-9a-f]{64}"  # the whole id of an OCI container
CONTAINERS = (
    r"(?:docker|libpod|crio|cri-containerd|nerdctl)-(?:conmon-)?([0-9a-zA-Z_.-]+)\.scope",
    r"machine-(.+)\.scope",
    r"systemd-nspawn@(.+)\.service",
)
PAYLOAD = r"libpod-payload-([0-9a-f]+)"  # below the unit that Podman runs in, with --cgroups=split: quadlet
LXC = r"lxc\.(?:payload|monitor)\.(.+)"
POD = r".+:(?:cri-containerd|crio):([0-9a-f]+)"  # of a runtime that takes the kubelet's systemd names for plain ones
PARENTS = ("docker", "lxc", "libpod_parent", "lxc.payload", "lxc.monitor")  # of runtimes that do without systemd
BUILDS = ("docker", "buildkit")  # below them lie the steps of a build, which no tool of Docker knows by name
PODS = "kubepods"  # of a kubelet: a group of its own, or a slice; what lies there is the kubelet's, whoever runs it


@frozen
class Owner:
    """Each is None when the control group does not say it. `session_uid` is the user in whose slice the session is."""

    unit: str | None = None
    user_unit: str | None = None
    user_manager: int | None = None  # uid of the user manager
    session: str | None = None
    session_uid: int | None = None
    container: str | None = None


def owner(text: str) -> Owner:
    """The owner that the text of /proc/PID/cgroup names (cgroups(7); systemd's or elogind's hierarchy)."""
    found = _paths(text)
    for name in ("name=systemd", "name=elogind", ""):
        if found.get(name):
            return _of_path(found[name])
    inside = (_container(parts) for parts in found.values() if parts)  # without systemd: controllers alone are used
    return Owner(container=next(filter(None, inside), None))


def _paths(text: str) -> dict[str, list[str]]:
    """The parts of the path in each hierarchy, by its controllers or its name; none for its root."""
    found = {}
    for line in text.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        # systemd puts "_" before what the kernel could take for a file of its own (cg_escape)
        found[controllers] = [part[1:] if part.startswith("_") else part for part in path.split("/") if part]
    return found


def _of_path(parts: list[str]) -> Owner:
    slices, rest = _after_slices(parts)
    if not rest:
        return Owner()
    unit, below = rest[0], rest[1:]
    uid = _user(slices)
    if uid is not None and unit == f"user@{uid}.service":
        return _of_manager(uid, below)
    if uid is not None and (session := re.fullmatch(SESSION, unit)):
        return Owner(session=session[1], session_uid=uid)
    if re.fullmatch(UNIT, unit):
        container = _of_unit(unit, below)
        return Owner(unit=unit, container=_of_pod(container) if container and f"{PODS}.slice" in slices else container)
    if not slices and not below and "." not in unit:
        return Owner(session=unit)  # elogind: one group a session, at the top
    return Owner(container=_container(rest))


def _after_slices(parts: list[str]) -> tuple[list[str], list[str]]:
    """The slices at the beginning, and what is in the last of them."""
    count = next((index for index, part in enumerate(parts) if not part.endswith(".slice")), len(parts))
    return parts[:count], parts[count:]


def _user(slices: list[str]) -> int | None:
    """The user whose slice it is."""
    match = re.fullmatch(USER_SLICE, slices[1]) if len(slices) == 2 and slices[0] == USERS else None  # noqa: PLR2004
    return int(match[1]) if match else None


def _of_manager(uid: int, parts: list[str]) -> Owner:
    """Below a user manager everything is that user's, whatever it is called."""
    _, rest = _after_slices(parts)
    if not rest or not re.fullmatch(UNIT, rest[0]):
        return Owner(user_manager=uid)
    return Owner(user_unit=rest[0], user_manager=uid, container=_of_unit(rest[0], rest[1:]))


def _of_unit(unit: str, below: list[str]) -> str | None:
    """The container that the unit is, or that lies right below it."""
    place = below[0] if below else ""
    return _named(CONTAINERS, unit) or _named((PAYLOAD,), place) or _anywhere(place)


def _anywhere(place: str) -> str | None:
    """The container of a runtime that makes the same group at the top and below a unit."""
    pod = re.fullmatch(POD, place)
    return _of_pod(pod[1]) if pod else _named((LXC,), place)


def _of_pod(container: str) -> str:
    return f"{PODS}-{container}"


def _container(parts: list[str]) -> str | None:
    """The container in a place that no systemd has made: /docker/ID, /lxc.payload.NAME, /kubepods/…/ID."""
    if parts[0] in PARENTS:
        return parts[1] if len(parts) > 1 and tuple(parts[:2]) != BUILDS else None
    if parts[0] == PODS:
        return next((_of_pod(part) for part in parts if re.fullmatch(ID, part)), None)
    return _anywhere(parts[0])


def _named(patterns: tuple[str, ...], part: str) -> str | None:
    return next((match[1] for pattern in patterns if (match := re.fullmatch(pattern, part))), None)
