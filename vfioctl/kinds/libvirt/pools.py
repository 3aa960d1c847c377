"""The storage pool that a step is about, and what the kinds share that change one."""

from __future__ import annotations

import os
import time
from xml.etree import ElementTree as ET

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.kinds.libvirt.change import Change
from vfioctl.kinds.libvirt.volumes import SKEW
from vfioctl.shell import argument
from vfioctl.txn.shape import Form, Shape, is_number, optional
from vfioctl.txn.step import State

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.host.host import Host
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

GROUP = "logical"  # that of a volume group
FILE_SYSTEM = "fs"  # that of a device which libvirt mounts
# What a pool is known by: libvirt adds what it finds out by itself, such as sizes and owners (formatstorage).
NAMED = ("name", "uuid", "target/path", "source/name", "source/format", "source/dir", "source/device", "source/host")


class Pool:
    """A pool by its UUID, on an open connection. Each of its methods asks libvirt; raises libvirtError."""

    def __init__(self, connection: Any, uuid: str) -> None:
        self.connection = connection
        self.uuid = uuid

    @property
    def found(self) -> Any | None:
        """libvirt's handle; None when there is no such pool."""
        return self._looked_up(lambda: self.connection.storagePoolLookupByUUIDString(self.uuid))

    @property
    def handle(self) -> Any:
        """The same. Raises StepFailed("pool.unknown")."""
        if (found := self.found) is None:
            raise StepFailed("pool.unknown", f"libvirt has no pool with the UUID {self.uuid}.")
        return found

    @property
    def xml(self) -> str:
        """Its configuration; "" when there is none."""
        import libvirt

        found = self.found
        keeps = found is not None and found.isPersistent()
        return str(found.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE)) if found is not None and keeps else ""

    def is_taken(self, name: str) -> bool:
        """Whether a pool has that name."""
        return self._looked_up(lambda: self.connection.storagePoolLookupByName(name)) is not None

    @staticmethod
    def _looked_up(look: Any) -> Any | None:
        import libvirt

        try:
            return look()
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL:
                return None
            raise


class PoolChange(Change[Pool]):
    """What the kinds about pools have in common: `uri` and `uuid` say which pool."""

    def thing(self, libvirt: Any, params: Json) -> Pool:
        return Pool(libvirt, params["uuid"])

    def called(self, params: Json) -> str:
        return f"the pool {params['uuid']}"

    def resource(self, params: Json) -> str:
        return f"pool:{params['uuid']}"


PLANNED = optional(Form("a time", is_number))


class Opening(PoolChange):
    """What the kinds share that bring a pool up: a new one stays where others have written to volumes in it since."""

    keeps = Shape(planned=PLANNED)

    def baseline(self, params: Json, host: Host) -> Json:  # noqa: ARG002
        return {"planned": time.time()}

    def is_made(self, params: Json) -> bool:
        """Whether the pool is new with the plan."""
        return bool(params.get("made", False))

    def written(self, step: Step, machine: Machine) -> tuple[str, ...]:
        """The volumes that somebody has written to since the plan; those of the plan are gone before this is undone."""
        since = step.baseline.get("planned") if self.is_made(step.params) else None
        return () if since is None else self.on(step, machine, lambda pool: _written(pool, since - SKEW))

    def probe(self, step: Step, machine: Machine) -> State:
        found = super().probe(step, machine)
        return State.FOREIGN if found is State.AFTER and self.written(step, machine) else found

    def foreign(self, step: Step, machine: Machine) -> str:
        from vfioctl.virt.nodes import of_uri  # rare

        name, written = self.on(step, machine, lambda pool: pool.handle.name()), self.written(step, machine)
        said = f"The pool {name} stays as it is: somebody has written to {', '.join(written)} in it since."
        return f"{said} If nobody needs it: vfioctl pool delete {argument(name)}{of_uri(step.params['uri']).there}"


def _written(pool: Pool, since: float) -> tuple[str, ...]:
    """Volumes of a directory alone: the nodes of those of a group are made when it is started."""
    from vfioctl.virt.volumes import volumes_in

    if (found := pool.found) is None or not has_directory(found.XMLDesc(0)):
        return ()
    return tuple(one.name for one in volumes_in(found) if one.changed >= since)


def is_same_pool(asked: str, present: str) -> bool:
    """Whether `present` is the pool that `asked` describes, whatever libvirt has added to it."""
    one, other = ET.fromstring(asked), ET.fromstring(present)
    return one.get("type") == other.get("type") and all(_part(one, path) == _part(other, path) for path in NAMED)


def _part(root: ET.Element, path: str) -> list[tuple[str, dict[str, str]]]:
    """What an absent format comes to is `auto` in libvirt's own words."""
    found = [((one.text or "").strip(), dict(one.attrib)) for one in root.iterfind(path)]
    return [] if found == [("", {"type": "auto"})] else found


def has_directory(document: str) -> bool:
    """Whether its volumes are files in a directory. Else libvirt's build and delete make and remove what holds them:
    vgcreate and vgremove for a volume group (storage_backend_logical.c)."""
    from vfioctl.virt.pools import OF_FILES

    return ET.fromstring(document).get("type") in OF_FILES


def is_group(document: str) -> bool:
    """Whether its volumes are those of an LVM volume group."""
    return ET.fromstring(document).get("type") == GROUP


def path_of(document: str) -> str:
    """Where the volumes of a pool are; "" where they have no path, as those of RBD."""
    return ET.fromstring(document).findtext("target/path", "")


def name_of(document: str) -> str:
    """The name of a pool."""
    return ET.fromstring(document).findtext("name", "")


def must_be_unused(machine: Machine, params: Json, document: str, doing: str, *, running: bool) -> None:
    """Raise StepRefused("pool.used") where a guest has a disk in the pool; `running`: only one that runs counts."""
    from vfioctl.virt.uses import read_uses

    name, place = name_of(document), path_of(document)
    users = sorted(
        use.name for use in read_uses(machine.libvirt(params["uri"]))
        if (use.runs or not running)
        and (name in use.pools or (place and any(_is_below(path, place, params) for path in use.paths)))
    )  # fmt: skip
    if users:
        said = f"The pool {name} is not {doing}: {'running ' if running else ''}guests have disks in it: "
        hint = "Shut them down first." if running else "See their disks with: vfioctl guest show GUEST"
        raise StepRefused("pool.used", f"{said}{', '.join(users)}.", hints=(hint,))


def _is_below(path: str, place: str, params: Json) -> bool:
    """By its name, as those of a volume group are links to /dev/dm-N; and without links, where it is on this host."""
    if path.startswith(f"{place.rstrip('/')}/"):
        return True
    return is_here(params) and os.path.realpath(path).startswith(f"{os.path.realpath(place)}/")


def is_here(params: Json) -> bool:
    """Whether the files of that libvirt are on this host."""
    from vfioctl.virt.nodes import of_uri

    return of_uri(params["uri"]).is_local
