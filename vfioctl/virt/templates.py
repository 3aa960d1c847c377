"""The templates of a node, as they are written down in their pools, and whether their images are as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.errors import Refused, VfioctlError
from vfioctl.frozen import frozen, replace
from vfioctl.shell import argument
from vfioctl.unknown import no_such
from vfioctl.virt import template_data
from vfioctl.virt.connection import unwatched
from vfioctl.virt.nodes import LOCAL, Node
from vfioctl.virt.pools import read_pools
from vfioctl.virt.volumes import read_volumes

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vfioctl.virt.connection import Connection
    from vfioctl.virt.pools import Pool
    from vfioctl.virt.template_data import TemplateData
    from vfioctl.virt.volumes import Volume

POOL_SUFFIX = "-templates"
NOTHING_CHANGED = "Nothing was changed."
READING = 7 * 24 * 3600.0  # seconds: a large image takes long, also over a network
GLANCE = 10.0  # seconds for a record
AT_ONCE = 256 << 10  # bytes


@frozen
class Template:
    """A template in `pool`; `image` is None where its volume is gone. `problem` says why its record cannot be used."""

    pool: Pool
    name: str
    data: TemplateData | None
    image: Volume | None
    record: Volume
    problem: str = ""
    node: Node = LOCAL

    def usable(self) -> tuple[TemplateData, Volume]:
        """What is written down, and the image. Raises Refused("template.damaged")."""
        if self.data is None or self.image is None:
            raise self._damaged()
        return self.data, self.image

    @property
    def place(self) -> str:
        """Where its image is, or was before it was gone. Raises Refused("template.damaged")."""
        if self.data is None:
            raise self._damaged()
        return self.image.path if self.image else f"{self.pool.path.rstrip('/')}/{self.data.image}"

    @property
    def removal(self) -> str:
        """The command that removes it: of one whose record cannot be used nobody knows the image."""
        if self.data is None:
            return f"vfioctl volume delete {argument(self.pool.name)} {argument(self.record.name)}{self.node.there}"
        base, version = version_of(self.name)  # the name alone means the newest
        return f"vfioctl template delete {argument(f'{_owner(self)}/{base}@{version}')}{self.node.there}"

    def _damaged(self) -> Refused:
        said = self.problem or f"The image of template {self.name} is gone."
        hints = (f"Remove what is left of it with: {self.removal}",)
        return Refused("template.damaged", said, state=NOTHING_CHANGED, hints=hints)


def templates_pool(pool: str) -> str:
    """The name of the pool of the templates that belong to `pool`."""
    return f"{pool}{POOL_SUFFIX}"


def read_templates(connection: Connection) -> tuple[Template, ...]:
    """Every template of the node, by pool and name. Raises VfioctlError as `Connection.ask`."""
    pools = [pool for pool in read_pools(connection) if pool.name.endswith(POOL_SUFFIX)]
    return tuple(found for pool in pools for found in _of(connection, pool))


def version_of(name: str) -> tuple[str, int]:
    """What a template is called without its version, and that: NAME and NAME@1 are the first."""
    base, at, digits = name.partition("@")
    return (base, int(digits)) if at and digits.isascii() and digits.isdigit() else (name, 1)


def next_version(connection: Connection, template: Template) -> str:
    """The name of a version that would be the newest of `template`. Raises VfioctlError as `Connection.ask`."""
    base, _ = version_of(template.name)
    known = [version_of(one.name) for one in read_templates(connection) if one.pool.name == template.pool.name]
    return f"{base}@{1 + max(number for name, number in known if name == base)}"


def find_template(connection: Connection, word: str) -> Template:
    """The template NAME or POOL/NAME, its newest version unless NAME@VERSION says which.

    Raises Refused("template.unknown", "template.ambiguous", …).
    """
    known = read_templates(connection)
    pool, _, name = word.rpartition("/")
    wanted = version_of(name)
    named = [one for one in known if version_of(one.name)[0] == wanted[0] and pool in ("", one.pool.name, _owner(one))]
    found = [one for one in named if version_of(one.name) == wanted] if "@" in name else _newest(named)
    if not found:
        names = [one.name for one in known]
        raise no_such("template.unknown", f"There is no template {word!r}", name, names, "The templates")
    if len(found) > 1:
        ways = ", ".join(f"{_owner(one)}/{one.name}" for one in found)
        raise Refused("template.ambiguous", f"There are several templates {name}: {ways}.", state=NOTHING_CHANGED)
    return found[0]


def verify_template(connection: Connection, template: Template) -> None:
    """Read the whole image, and raise Refused("template.changed") where the image is not byte by byte as it was."""
    from hashlib import sha256  # OpenSSL costs 3 ms, and a completion reads no image

    data, image = template.usable()
    found = sha256()
    read_content(connection, template.pool.uuid, image.name, found.update)
    if found.hexdigest() != data.sha256:
        hint = f"See who uses it with: vfioctl template show {argument(template.name)}"
        raise Refused(
            "template.changed", f"The image {image.path} of template {template.name} was changed since it was added: "
            "what lies above it mixes old and new.", state=NOTHING_CHANGED, hints=(hint,),
        )  # fmt: skip


def _newest(templates: list[Template]) -> list[Template]:
    """Of each pool the newest."""
    newest = {one.pool.name: one for one in sorted(templates, key=lambda one: version_of(one.name)[1])}
    return list(newest.values())


def _owner(template: Template) -> str:
    return template.pool.name.removesuffix(POOL_SUFFIX)


def _of(connection: Connection, pool: Pool) -> tuple[Template, ...]:
    volumes = {volume.name: volume for volume in read_volumes(connection, pool)}
    records = [volume for name, volume in volumes.items() if name.endswith(template_data.SUFFIX)]
    found = (_template(connection, pool, volumes, record) for record in records)
    return tuple(replace(one, node=connection.node) for one in found)


def _template(connection: Connection, pool: Pool, volumes: dict[str, Volume], record: Volume) -> Template:
    name, parts = record.name.removesuffix(template_data.SUFFIX), bytearray()
    if record.capacity > template_data.LARGEST:
        return Template(pool, name, None, None, record, f"{record.path} is larger than a record can be.")
    read_content(connection, pool.uuid, record.name, parts.extend, limit=GLANCE)
    try:
        data = template_data.read(bytes(parts), record.path)
    except VfioctlError as error:
        return Template(pool, name, None, None, record, error.message)
    return Template(pool, name, data, volumes.get(data.image), record)


def read_content(
    connection: Connection, pool: str, name: str, take: Callable[[bytes], object], *, limit: float = READING,
    watch: Callable[[], None] = unwatched,
) -> None:  # fmt: skip
    """Give every byte of a volume to `take`, within `limit` seconds; `pool` is a UUID. What `take` raises ends it.

    Raises VfioctlError as `Connection.ask`, which calls `watch`.
    """

    def work(libvirt: Any) -> None:
        stream = libvirt.newStream(0)
        volume = libvirt.storagePoolLookupByUUIDString(pool).storageVolLookupByName(name)
        volume.download(stream, 0, 0, 0)
        while data := stream.recv(AT_ONCE):
            take(data)
        stream.finish()

    connection.ask(work, f"what is in {name}", limit=limit, watch=watch)
