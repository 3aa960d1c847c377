"""What the verbs of a guest's life share: the guest that is meant, and steps of it as one operation. Prints nothing."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.plugin import (
    Message,
    Node,
    OperationRequest,
    Refused,
    Result,
    StepProposal,
    Unfinished,
    argument,
    field,
    frozen,
    guest_hostdevs,
    guest_machine,
    read_guest,
    replace,
)
from vfioctl_guest.names import NOTHING_CHANGED

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Connection, Finding, Guest, Question

PLUGIN = "guest"
OFF, RUNNING, PAUSED, SAVED = "off", "running", "paused", "saved"
START = 600.0  # seconds in which the hook of a managed guest hands over all of its devices
QUICK = 30.0


@frozen
class Subject:
    """The guest of a verb and the node that it is on. `managed`: it gets devices of this host from vfioctl."""

    guest: Guest
    node: str
    uri: str
    local: bool
    managed: bool

    @property
    def name(self) -> str:
        return self.guest.name

    @property
    def called(self) -> str:
        """The guest as it is typed, with its node where that is another one."""
        return f"{argument(self.name)}{self.there}"

    @property
    def there(self) -> str:
        """The option for its node alone."""
        return Node(self.node, self.uri).there

    @property
    def about(self) -> dict[str, str]:
        """The parameters of a step that name it."""
        return {"uri": self.uri, "uuid": self.guest.uuid}


@frozen
class Doing:
    """How steps are carried out: as which verb, only foretold or not, what is asked, and what is found beforehand."""

    verb: str
    dry_run: bool = False
    question: Question | None = None
    findings: tuple[Finding, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)
    starts: bool = False  # the steps start the guest, which calls the hook
    id: str = ""
    unfinished: Unfinished = Unfinished.UNDO


def find(call: Call, connection: Connection, word: str) -> Subject:
    """The guest that `word` names on an open connection. Raises Refused("guest.unknown")."""
    guest, node = read_guest(connection, word), connection.node
    managed = node.is_local and os.path.lexists(call.paths.guest_config(guest.name))
    return Subject(guest, str(node), node.uri, node.is_local, managed)


def subject(call: Call, word: str, node: str) -> Subject:
    """The same over a connection of its own. Raises Refused, VfioctlError."""
    with call.connection(node) as connection:
        return find(call, connection, word)


def step(about: Subject, kind: str, reason: str, *, deadline: float = QUICK, **params: Any) -> StepProposal:
    """A step of the guest, called as its kind is."""
    name = f"{PLUGIN}.{kind.partition('.')[2].replace('_', '-')}"
    return StepProposal(id=name, kind=kind, params={**about.about, **params}, reason=reason, deadline=deadline)


def perform(call: Call, about: Subject, steps: Iterable[StepProposal], how: Doing) -> Result:
    """The result of the operation. One that starts a managed guest runs apart: it may end the caller's login."""
    expects = [f"domain:{about.guest.uuid}"] if how.starts else []
    request = OperationRequest(
        plugin=PLUGIN, operation=f"guest {how.verb}", subject=f"guest:{about.name}", key=str(uuid.uuid4()),
        proposals=tuple(steps), findings=how.findings, question=how.question, contents=how.contents, id=how.id,
        unfinished=how.unfinished, notes={"uuid": about.guest.uuid, "expects": expects},
    )  # fmt: skip
    result = call.perform(request, dry_run=how.dry_run, apart=how.starts and about.managed)
    return replace(result, data={**result.data, **_said(about)})


def nothing_to_do(about: Subject, why: str) -> Result:
    """The result where the guest is already as it should be; its data has no operation."""
    data = {"operation": None, "steps": [], "dry_run": False, **_said(about)}
    return Result(data=data).saying(Message(f"Guest {about.name} {why}."))


def _said(about: Subject) -> dict[str, Any]:
    return {"guest": about.name, "uuid": about.guest.uuid, "node": about.node, "was": about.guest.state}


def hinting(result: Result, code: str, *hints: str) -> Result:
    """The same, whose error `code` says what to type in our own words."""
    errors = tuple(replace(error, hints=hints) if error.code == code else error for error in result.errors)
    return replace(result, errors=errors)


def must_run(about: Subject) -> None:
    """Raise Refused("guest.off") where it is off, or only its memory is kept."""
    if about.guest.state in (RUNNING, PAUSED):
        return
    hints = [f"Start it with: vfioctl guest start {about.called}"]
    said = "is off" if about.guest.state != SAVED else "is saved: it is off, and its memory is kept"
    raise Refused("guest.off", f"Guest {about.name} {said}.", state=NOTHING_CHANGED, hints=tuple(hints))


def must_not_be_saved(about: Subject) -> None:
    """Raise Refused("guest.saved"): saved memory beats every change of what it belongs to."""
    if about.guest.saved:
        raise Refused(
            "guest.saved", f"Guest {about.name} is saved: its next start goes on from that, on what it had then.",
            state=NOTHING_CHANGED, hints=(f"Start it with: vfioctl guest start {about.called}",
                                          f"Or give its memory up: vfioctl guest discard-saved {about.called}"),
        )  # fmt: skip


def must_be_off(about: Subject, why: str) -> None:
    """Raise Refused("guest.saved", "guest.running"); `why` it has to be, as "it is renamed while it is off"."""
    must_not_be_saved(about)
    if about.guest.state != OFF:
        raise Refused(
            "guest.running", f"Guest {about.name} is {about.guest.state}: {why}.",
            state=NOTHING_CHANGED, hints=(f"Shut it down with: vfioctl guest stop {about.called}",),
        )  # fmt: skip


def must_not_be_paused(about: Subject) -> None:
    """Raise Refused("guest.paused"): one that stands still hears nothing."""
    if about.guest.state == PAUSED:
        raise Refused(
            "guest.paused", f"Guest {about.name} is paused, and does nothing until it goes on.",
            state=NOTHING_CHANGED, hints=(f"Let it go on with: vfioctl guest resume {about.called}",),
        )  # fmt: skip


def must_have_agent(about: Subject) -> None:
    """Raise Refused("guest.off", "guest.paused", "guest.no_agent"): libvirt knows whether its agent is connected."""
    must_run(about)
    must_not_be_paused(about)
    agent = guest_machine(about.guest.live_xml).agent
    if agent == "connected":
        return
    why = "is not connected" if agent else "has no channel: its configuration has none"
    raise Refused(
        "guest.no_agent", f"The agent of guest {about.name} {why}.", state=NOTHING_CHANGED,
        hints=(f"Log in with: vfioctl guest console {about.called}",),
    )  # fmt: skip


def must_keep_nothing_of_the_host(about: Subject) -> None:
    """Raise Refused("guest.host_devices"): what a device of the host holds cannot be saved."""
    if guest_hostdevs(about.guest.live_xml or about.guest.xml):
        raise Refused(
            "guest.host_devices", f"Guest {about.name} has devices of its host, whose state cannot be saved.",
            state=NOTHING_CHANGED, hints=(f"Pause it, or shut it down: vfioctl guest stop {about.called}",),
        )  # fmt: skip
