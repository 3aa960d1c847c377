"""What this host keeps under a guest's name, as steps that move it to another one. Reads files; changes nothing.

Its file in /etc/vfioctl/guests, its pinned devices, and its NVRAM: left behind, that would become another guest's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from vfioctl.plugin import StepProposal, content_name, field, frozen, guest_firmware, read_bytes
from vfioctl_guest.life import PLUGIN, step
from vfioctl_guest.names import below_root

if TYPE_CHECKING:
    from vfioctl.plugin import Call
    from vfioctl_guest.life import Subject

RECORDS = {"pins": "its pinned devices are listed", "before": "what `disable` restores is kept"}


@frozen
class Moves:
    """Steps before and after the guest has its new name, and the contents that they name."""

    before: tuple[StepProposal, ...] = ()
    after: tuple[StepProposal, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)


def moves(call: Call, about: Subject, new: str) -> Moves:
    """The steps that move what this host keeps of it. The former files go last, when all else is done."""
    uuid = about.guest.uuid
    parts = (
        _guest_file(call, about, new), _record(call, new, call.paths.identity(uuid), "pins"),
        _record(call, new, call.paths.before_enable(uuid), "before"), _nvram(call, about, new),
    )  # fmt: skip
    contents = {name: data for part in parts for name, data in part.contents.items()}
    before = tuple(one for part in parts for one in part.before)
    return Moves(before, tuple(one for part in parts for one in part.after), contents)


def new_nvram(about: Subject, new: str) -> str:
    """Where its NVRAM goes; "" where it has none that is called as the guest is."""
    place, name = os.path.split(guest_firmware(about.guest.xml).nvram)
    return os.path.join(place, f"{new}{name.removeprefix(about.name)}") if name.startswith(f"{about.name}_") else ""


def _guest_file(call: Call, about: Subject, new: str) -> Moves:
    former, fresh = (below_root(call, call.paths.guest_config(name)) for name in (about.name, new))
    if not about.managed:
        return Moves()
    copied = _step("file", "file.copy", "its file comes with it", source=former, dest=fresh)
    return Moves((copied,), (_removal(call, "former-file", former),))


def _record(call: Call, new: str, path: str, what: str) -> Moves:
    """A record of it in our state, which names it; the file is called by its UUID, and stays where it is."""
    try:
        record = json.loads(read_bytes(path))
    except (FileNotFoundError, ValueError):
        return Moves()
    data = json.dumps({**record, "guest": new}, sort_keys=True).encode() + b"\n"
    name = content_name(data)
    written = _step(what, "file.write", f"{RECORDS[what]} under its new name", path=below_root(call, path), blob=name,
                    size=len(data), mode="0600", replace=True)  # fmt: skip
    return Moves((written,), (), {name: data})


def _nvram(call: Call, about: Subject, new: str) -> Moves:
    """A copy first, then the configuration, where that names it; one that was never made needs the latter alone."""
    firmware, fresh = guest_firmware(about.guest.xml), new_nvram(about, new)
    if not fresh:
        return Moves()
    defined = _naming(about, firmware.nvram, fresh) if firmware.named else Moves()
    if not os.path.exists(call.paths.at(firmware.nvram)):
        return defined
    copied = _step("nvram", "file.copy", "its NVRAM comes with it", source=firmware.nvram, dest=fresh)
    gone = _removal(call, "former-nvram", firmware.nvram, uri=about.uri, domain=about.guest.uuid)
    return Moves((copied, *defined.before), (gone,), defined.contents)


def _naming(about: Subject, former: str, fresh: str) -> Moves:
    """The configuration that names `fresh` where it has named `former`."""
    named = about.guest.xml.replace(_escaped(former), _escaped(fresh))
    old, data = about.guest.xml.encode(), named.encode()
    names = content_name(data), content_name(old)
    defined = step(about, "domain.define", "its NVRAM is called as it is", blob=names[0], former=names[1])
    return Moves((defined,), (), {names[0]: data, names[1]: old})


def _escaped(path: str) -> str:
    """As libvirt writes it in its XML (virBufferEscapeString)."""
    return escape(path, {"'": "&apos;", '"': "&quot;"})


def _removal(call: Call, name: str, path: str, **more: str) -> StepProposal:
    found = os.stat(call.paths.at(path))
    return _step(name, "file.delete", "nothing is called that any more", path=path, device=found.st_dev,
                 inode=found.st_ino, **more)  # fmt: skip


def _step(name: str, kind: str, reason: str, **params: object) -> StepProposal:
    return StepProposal(id=f"{PLUGIN}.{name}", kind=kind, params=params, reason=reason)
