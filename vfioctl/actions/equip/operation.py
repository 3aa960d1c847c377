"""`enable` that gives a guest its card: the domain, the guest file and the pins in one operation, or nothing of it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.defining import DEFINE, define_step
from vfioctl.actions.domains import Found, Way, find
from vfioctl.actions.enable_words import kept_file, no_device
from vfioctl.actions.equip.draft import Draft, drafted, findings
from vfioctl.actions.equip.record import seen
from vfioctl.actions.facts import guest_config, plugin_infos
from vfioctl.actions.libvirt import has_daemon
from vfioctl.errors import Refused, VfioctlError
from vfioctl.events.domain import read_domain
from vfioctl.files import remove
from vfioctl.frozen import replace
from vfioctl.plugin.operations import OperationRequest, Question
from vfioctl.result import Message
from vfioctl.shell import argument
from vfioctl.virt.connection import HOW_TO_INSTALL
from vfioctl.virt.guests import Guest, read_guests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.actions.caller import Call
    from vfioctl.actions.equip.wish import Wish
    from vfioctl.result import Result

CHANGE = "enable.change"  # the code of the question


def equip(
    call: Call, guest: str, wish: Wish, *, xml: str | None = None, end_session: bool = False, dry_run: bool = False
) -> Result:
    """Let vfioctl manage `guest` and give it what `wish` says, by one operation; `dry_run` only shows it.

    Raises Refused of what is chosen, and where the domain is not libvirt's own; whoever agrees to CHANGE is not asked.
    """
    call.need_trust()
    found = find(call, guest, xml)
    if wish and found.way is not Way.BINDING:
        raise _by_hand(call, found, xml)
    guests = _guests(call) if found.way is Way.BINDING else ()
    draft = drafted(call, found, wish, guests, end_session=end_session if end_session or dry_run else None)
    result = call.perform(_request(call, draft), dry_run=dry_run)
    done = result.exit_status == 0 and not dry_run
    end = end_session or guest_config(call, guest, plugin_infos(call)).session == "end"
    ended = replace(result, data={**result.data, **_data(call, draft, applied=done), "end_session": end, "shown": True})
    if not done:
        return ended
    remove(kept_file(call.paths, guest))
    return ended.saying(*_see(call, guest, draft), *_said(call, draft))


def _guests(call: Call) -> tuple[Guest, ...]:
    with call.connection() as connection:
        return read_guests(connection)


def _request(call: Call, draft: Draft) -> OperationRequest:
    """The domain first: with the guest file, the last, the hook acts."""
    name, contents = draft.found.domain.name, dict(draft.enabling.contents)
    steps = draft.enabling.steps
    if draft.diff and draft.found.way is Way.BINDING:
        reason = f"{name} gets what is to be handed over"
        define, texts = define_step(draft.found, draft.xml, live=draft.live, reason=reason)
        first, *more = steps
        steps, contents = (define, replace(first, after=(DEFINE,)), *more), {**contents, **texts}
    question = Question(CHANGE, tuple(draft.diff.split("\n"))) if draft.diff else None
    return OperationRequest(
        plugin="core", operation="enable", subject=f"guest:{name}", key=str(uuid.uuid4()), proposals=steps,
        contents=contents, findings=tuple(findings(call, draft)), question=question,
    )  # fmt: skip


def _see(call: Call, guest: str, draft: Draft) -> Iterator[Message]:
    """Keep what libvirt has made of the domain: by that `disable` knows whether it was edited. All is done by then."""
    if draft.found.way is not Way.BINDING:
        return
    try:
        now = find(call, guest, None)
        seen(call.paths, now.domain.uuid, guest, now.xml)
    except VfioctlError as error:
        text = f"What libvirt has made of the domain could not be kept: {error.message}"
        yield Message(text, "warning", "enable.unseen", "`vfioctl disable` takes out what was put in, all the same.")


def _data(call: Call, draft: Draft, *, applied: bool) -> dict[str, Any]:
    domain, host = read_domain(draft.xml), call.host()
    there = [address for address in domain.pci_addresses if host.has_device(address)]
    return {
        "guest": domain.name, "uuid": domain.uuid, "file": call.paths.guest_config(domain.name),
        "devices": [{"address": one, "identity": host.device(one).identity} for one in there],
        "diff": draft.diff, "applied": applied and bool(draft.diff), "created": draft.created,
    }  # fmt: skip


def _said(call: Call, draft: Draft) -> Iterator[Message]:
    domain = read_domain(draft.xml)
    if not domain.pci_addresses:
        yield from no_device(domain, call.paths)
        return
    later = " It runs, and has this from its next start on." if draft.live else ""
    hint = f"See what a start does: vfioctl plan {argument(domain.name)}"
    yield Message(f"Nothing is handed over yet.{later}", hint=hint)


def _by_hand(call: Call, found: Found, xml: str | None) -> Refused:
    said = f"The domain of {found.domain.name} is from {found.origin}, and only libvirt's own can be given devices."
    name = argument(found.domain.name)
    by_hand = f"Put the devices into FILE of `virsh dumpxml --inactive {name} >FILE`, then: virsh define FILE"
    hint = "Leave out --xml." if xml else HOW_TO_INSTALL if has_daemon(call.paths) else by_hand
    return Refused("libvirt.binding", said, state=NOTHING_CHANGED, hints=(hint,))
