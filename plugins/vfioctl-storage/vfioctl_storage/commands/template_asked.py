"""How a user says what a template is to be made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import frozen
from vfioctl_storage.checksums import checksum
from vfioctl_storage.commands.template_origin import unclear

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection
    from vfioctl_storage.commands.template_origin import Origin

WAYS = ("file", "volume", "snapshot", "url", "source")


@frozen
class Asked:
    """How a user says it: one of `file`, `url`, `source` (a published image), `volume` (POOL/VOLUME) and `snapshot`
    (GUEST@SNAPSHOT), and what goes with it.

    `disk` is the target of one of several disks, `form` the format that the user names, None for none.
    """

    file: str = ""
    volume: str = ""
    snapshot: str = ""
    url: str = ""
    source: str = ""
    disk: str = ""
    sha256: str = ""
    form: str | None = None

    def origin(self, call: Call, connection: Connection) -> Origin:
        """What is meant. Raises Refused("template.origin") where that is not said in one way, and what it meets."""
        if len([way for way in WAYS if getattr(self, way)]) != 1:
            hint = "Give one of --file, --url, --source, --volume and --snapshot."
            raise unclear("A template is made of one thing", hint)
        if self.sha256 and not (self.file or self.url):
            raise unclear("--sha256 is of a file or a URL", "Leave it out: the checksum of a copy is computed.")
        if self.disk and not self.snapshot:
            raise unclear("--disk is of a snapshot", "Leave it out.")
        return self._made(call, connection)

    def _made(self, call: Call, connection: Connection) -> Origin:
        # What downloads needs ssl, 30 ms, and a completion downloads nothing.
        from vfioctl_storage.commands.template_copy import of_snapshot, of_volume
        from vfioctl_storage.commands.template_image import of_file, of_url
        from vfioctl_storage.commands.template_sources import source_of

        if self.file:
            return of_file(call, self.file, checksum(self.sha256), self.form)
        if self.url:
            sha256 = checksum(self.sha256)
            return of_url(call, self.url, {"sha256": sha256} if sha256 else {}, self.form)
        if self.source:
            found, sums = source_of(call, self.source)
            return of_url(call, found.url, sums, self.form)
        if self.volume:
            return of_volume(call, connection, self.volume, self.form)
        return of_snapshot(call, connection, self.snapshot, self.disk, self.form)
