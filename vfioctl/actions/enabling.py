"""What `enable` writes for a guest, as steps of the operation that makes it: each undone with the rest of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions import hostdev_mode
from vfioctl.actions.enable_words import agreed, kept_file, unasked
from vfioctl.actions.facts import guest_config, plugin_infos
from vfioctl.actions.firing import warnings
from vfioctl.config.edit import new_guest_text, with_value
from vfioctl.config.store import DIRECTORY_MODE, looks
from vfioctl.events.domain import read_domain
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen, replace
from vfioctl.handoff import identity
from vfioctl.handoff.make_plan import make_plan
from vfioctl.plugin.operations import Enabling, content_name
from vfioctl.txn.step import StepProposal

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.events.model import Domain
    from vfioctl.handoff.make_plan import Planned
    from vfioctl.paths import Paths
    from vfioctl.plugin.types import Request
    from vfioctl.result import Message

SECONDS = 120.0  # for what a start would need: nobody waits in libvirt's hook here
LASTING = ("device.", "group.", "iommu.", "exclude.")  # codes of what stands in the way of every start, not of one now
PRIVATE, PUBLIC = "0600", "0644"
SESSION = "session"
ENDED = {SESSION: "end"}
SEVERITIES = {"warning": Severity.WARN, "info": Severity.INFO}


@frozen
class _File:
    """A file that is to be written, and why."""

    name: str
    path: str
    text: str
    mode: str
    reason: str
    replaces: bool = False
    uid: int = -1  # -1: ours
    gid: int = -1


def enabling(
    call: Call, xml: str, *, end_session: bool | None = None, before: Mapping[str, Any] | None = None
) -> Enabling:
    """What lets vfioctl manage the guest that `xml` is to define. Raises as `enabling_of`, and "domain.*"."""
    return enabling_of(call, read_domain(xml.encode()), end_session=end_session, before=before)


def enabling_of(
    call: Call, domain: Domain, *, end_session: bool | None = None, before: Mapping[str, Any] | None = None
) -> Enabling:
    """What lets vfioctl manage the guest of `domain`.

    `before` is what `disable` needs of a guest that is there (hostdev_mode.record): what is kept of that is replaced,
    and its own file stays. Raises NotRoot, Refused("state.writable") and what a plan raises.
    """
    call.need_trust()
    paths, plugins = call.paths, plugin_infos(call)
    config = guest_config(call, domain.name, plugins)
    planned = make_plan(call.composition, domain, config, tuple(plugins.values()), seconds=SECONDS)
    request = planned.request
    end = end_session
    if end is None:
        end = config.session == "end" or agreed(call, domain.name, request.devices, request.host)
    new = tuple(_new(request, paths, end=bool(end)) if before is None else _again(request, call, before, end=bool(end)))
    contents = {one.name: one.text.encode() for one in new}
    names = {name: content_name(content) for name, content in contents.items()}
    said = (*warnings(call), *((unasked(domain.name),) if end is None else ()))
    return Enabling(
        steps=tuple(_steps(paths, new, names)),
        contents={names[name]: content for name, content in contents.items()},
        findings=(*_findings(planned), *map(_as_finding, said)),
    )


def _new(request: Request, paths: Paths, *, end: bool) -> Iterator[_File]:
    """The guest file is the last: with it the hook acts."""
    guest = request.guest
    yield _pins(request, paths)
    yield _before(paths, request.uuid, hostdev_mode.record(guest), "`disable` has nothing to restore in its domain")
    yield _file(paths, guest, new_guest_text(paths, guest, ENDED if end else {}))


def _again(request: Request, call: Call, before: Mapping[str, Any], *, end: bool) -> Iterator[_File]:
    """The same for a guest that is there, and may be managed already, or have been."""
    guest, paths = request.guest, call.paths
    pins = _pins(request, paths)
    yield replace(pins, replaces=os.path.lexists(pins.path))
    record = _before(paths, request.uuid, before, "`disable` restores its domain from it")
    yield replace(record, replaces=os.path.lexists(record.path))
    file = paths.guest_config(guest)
    if not os.path.lexists(file):
        kept = files.read_text(kept_file(paths, guest))
        if kept is None:
            yield _file(paths, guest, new_guest_text(paths, guest, ENDED if end else {}))
        else:
            text = with_value(file, kept, SESSION, "end") if kept and end else kept
            yield _like(_file(paths, guest, text), kept_file(paths, guest))
    elif end and request.config.session != "end":
        text = files.read_text(file, follow=True) or ""
        yield _instead(_file(paths, guest, with_value(file, text, SESSION, "end")), paths)


def _pins(request: Request, paths: Paths) -> _File:
    text = files.as_json(identity.record(request.guest, request.devices))
    reason = "its devices are given only while they are the same"
    return _File("pins", paths.identity(request.uuid), text, PRIVATE, reason)


def _before(paths: Paths, uuid: str, record: Mapping[str, Any], reason: str) -> _File:
    return _File("before", paths.before_enable(uuid), files.as_json(record), PRIVATE, reason)


def _file(paths: Paths, guest: str, text: str) -> _File:
    return _File("file", paths.guest_config(guest), text, PUBLIC, "vfioctl hands its devices over when it starts")


def _instead(new: _File, paths: Paths) -> _File:
    """The same for a file that is there: where a link leads, as private as it is."""
    path = new.path
    if os.path.islink(path):
        path = paths.at(os.path.relpath(os.path.realpath(path), os.path.realpath(paths.root)))
    return replace(_like(new, new.path), path=path, replaces=True)


def _like(new: _File, former: str) -> _File:
    """The same, as private as the file `former` is, and of the same owner."""
    mode, uid, gid = looks(former)
    return replace(new, mode=f"0{mode:o}", uid=uid, gid=gid)


def _steps(paths: Paths, new: tuple[_File, ...], names: Mapping[str, str]) -> Iterator[StepProposal]:
    after: tuple[str, ...] = ()
    for one in new:
        mode = DIRECTORY_MODE if one.path.startswith(f"{paths.guest_configs}/") else files.PRIVATE_DIR
        params = {
            "path": f"/{os.path.relpath(one.path, paths.root)}", "blob": names[one.name],
            "size": len(one.text.encode()), "mode": one.mode, "directory": f"0{mode:o}",
            **({"replace": True} if one.replaces else {}),
            **{name: number for name, number in (("uid", one.uid), ("gid", one.gid)) if number >= 0},
        }  # fmt: skip
        yield StepProposal(
            id=f"guest:enable:{one.name}", kind="file.write", params=params, reason=one.reason, after=after
        )
        after = (f"guest:enable:{one.name}",)


def _findings(planned: Planned) -> Iterator[Finding]:
    """What blocks every start of it, and what each would warn of; what only blocks one now may be gone by then."""
    for item in planned.plan.findings:
        lasts = item.code.startswith(LASTING)
        if item.severity is Severity.WARN or (item.severity is Severity.BLOCK and lasts):
            yield item


def _as_finding(message: Message) -> Finding:
    return Finding(message.code, message.text, SEVERITIES[message.level], hint=message.hint)
