"""How a user says what a pool is of: a directory, a file system, a volume group, a directory of a server. Pure."""

from __future__ import annotations

from vfioctl_storage.documents import DIR, FS, LOGICAL, NETFS, Source
from vfioctl_storage.names import bad_path, bad_source, check_device, check_export, check_group, check_path

# What each kind takes besides --path, by its option.
TAKES = {DIR: (), FS: ("--device",), LOGICAL: ("--source-name", "--device"), NETFS: ("--source-host", "--source-path")}
OPTION = {"devices": "--device", "source_name": "--source-name", "source_host": "--source-host",
          "source_path": "--source-path"}  # fmt: skip


def asked(
    name: str, path: str, *, kind: str | None, devices: tuple[str, ...], source_name: str, source_host: str,
    source_path: str,
) -> tuple[Source, str]:  # fmt: skip
    """What the pool `name` is to be of, and where its volumes are. Raises Refused("pool.bad_source", "pool.bad_path").

    A `kind` that is not said follows from the rest.
    """
    given = {OPTION["devices"]: devices, OPTION["source_name"]: source_name, OPTION["source_host"]: source_host,
             OPTION["source_path"]: source_path}  # fmt: skip
    chosen = kind or _kind({option for option, value in given.items() if value})
    _must_fit(chosen, {option for option, value in given.items() if value})
    for device in devices:
        check_device(device)
    if chosen == FS and len(devices) != 1:
        raise bad_source("a pool of the type fs is of one device", "Give one --device.")
    if chosen == NETFS:
        check_export(source_host, source_path)
    if chosen == LOGICAL:
        group = source_name or name
        check_group(group)
        return Source(LOGICAL, devices, group), _place(path, group)
    if not path:
        raise bad_path(path, "nothing says where its volumes are", "Give --path DIR.")
    check_path(path)
    return Source(chosen, devices, "", source_host, source_path), path


def _kind(given: set[str]) -> str:
    if given & {OPTION["source_host"], OPTION["source_path"]}:
        return NETFS
    if OPTION["source_name"] in given:
        return LOGICAL
    return FS if given else DIR


def _must_fit(kind: str, given: set[str]) -> None:
    takes = TAKES[kind]
    if strange := sorted(given.difference(takes)):
        known = f"it takes {' and '.join(takes)}" if takes else "it takes --path alone"
        said = f"a pool of the type {kind} takes no {', '.join(strange)}: {known}"
        raise bad_source(said, "See: vfioctl pool create --help")


def _place(path: str, group: str) -> str:
    """Where LVM shows the volumes of the group; libvirt looks there whatever it is told."""
    place = f"/dev/{group}"
    if path and path.rstrip("/") != place:
        raise bad_path(path, f"the volumes of that group are at {place}", "Leave --path out.")
    return place
