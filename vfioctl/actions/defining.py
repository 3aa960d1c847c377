"""The step that gives libvirt a changed domain, before those of the same operation. Plans it; changes nothing.

A copy of the domain as it was is kept for root, as in define.py: the blobs of an operation go with its journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.actions.define import keep
from vfioctl.actions.domains import Found, Way
from vfioctl.actions.hostdev_mode import difference
from vfioctl.frozen import replace
from vfioctl.plugin.operations import content_name
from vfioctl.txn.step import StepProposal
from vfioctl.virt.nodes import LOCAL

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call

DEFINE = "guest:define"  # the id of the step
SHORT = 60.0  # seconds


def defining(
    call: Call, found: Found, new: bytes, steps: tuple[StepProposal, ...], *, reason: str
) -> tuple[tuple[StepProposal, ...], dict[str, bytes]]:
    """`steps` behind the one that makes `new` the domain of `found`, and the contents that it names.

    Only `steps` where the domain is right already, or libvirt-python did not read it.
    """
    if found.way is not Way.BINDING or not difference(found.xml, new, found.domain.name):
        return steps, {}
    keep(call.paths, found)
    step, contents = define_step(found, new, live=True, reason=reason)
    first, *more = steps
    return (step, replace(first, after=(DEFINE,)), *more), contents


def define_step(found: Found, new: bytes, *, live: bool, reason: str) -> tuple[StepProposal, dict[str, bytes]]:
    """The change of the domain, refused where it is not as it was read any more; with `live` the guest may run."""
    blob, former = content_name(new), content_name(found.xml)
    params = {"uri": LOCAL.uri, "uuid": found.domain.uuid, "blob": blob, "former": former}
    step = StepProposal(
        id=DEFINE, kind="domain.define", params={**params, **({"live": True} if live else {})}, reason=reason,
        deadline=SHORT,
    )  # fmt: skip
    return step, {blob: new, former: found.xml}
