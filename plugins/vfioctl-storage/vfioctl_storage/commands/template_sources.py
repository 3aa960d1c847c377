"""`vfioctl template sources`: the published images that plugins know, and the one that is meant by a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Refused, Result, glance, no_such
from vfioctl_storage import checksums
from vfioctl_storage.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call, TemplateSource

LONGEST = 1 << 20  # bytes of a list of checksums


@click.command("sources")
@click.pass_obj
def listed(call: Call) -> Result:
    """List the images that distributions publish, of which `template add --source` makes templates.

    They are what the installed plugins know; nobody is asked whether an address still leads somewhere.
    """
    rows = [
        {"name": one.name, "system": one.system, "version": one.version, "architecture": one.architecture,
         "url": one.url, "checksums": one.checksums, "plugin": plugin}
        for plugin, one in call.template_sources()
    ]  # fmt: skip
    return Result(data={"sources": sorted(rows, key=lambda row: (row["name"], row["plugin"]))})


def source_of(call: Call, name: str) -> tuple[TemplateSource, dict[str, str]]:
    """The source `name`, and the checksum of its image, which is fetched now. Raises Refused("template.source", …)."""
    known = call.template_sources()
    found = [one for _, one in known if one.name == name]
    if not found:
        raise no_such("template.source", f"No plugin knows an image {name!r}", name, [one.name for _, one in known],
                      "The images")  # fmt: skip
    if len(found) > 1:
        plugins = " and ".join(plugin for plugin, one in known if one.name == name)
        said = f"The plugins {plugins} both know an image {name}."
        raise Refused("template.source", said, state=NOTHING_CHANGED, hints=("Name its address: --url",))
    return found[0], _checksum(call, found[0])


def _checksum(call: Call, source: TemplateSource) -> dict[str, str]:
    seen = glance(source.checksums, LONGEST)
    file = source.url.rpartition("/")[2]
    kind, digits = checksums.find(seen.begin.decode(errors="replace"), file) if seen.is_whole else ("", "")
    if not kind:
        said = f"{source.checksums} has no sha256 or sha512 of {file}, or several."
        raise Refused("template.source", said, state=NOTHING_CHANGED, hints=("See it in a browser; then use --url.",))
    call.caller.tell(f"{file} must have the {kind} {digits}, says {source.checksums}.")
    return {kind: digits}
