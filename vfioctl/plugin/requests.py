"""What a verb of a plugin may ask for: checked in type and content, so that nothing odd reaches planner or journal."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.errors import VfioctlError
from vfioctl.plugin.operations import OperationRequest, Question
from vfioctl.plugin.results import BadResultError, check_json, checked_steps, kept, many, shown
from vfioctl.plugin.types import Finding, StepProposal
from vfioctl.txn.blobs import is_name
from vfioctl.txn.plan import Unfinished
from vfioctl.txn.planner import APPLIED
from vfioctl.txn.shape import is_uuid


def checked(request: OperationRequest) -> OperationRequest:
    """The request itself. Raises VfioctlError("plugin.bad_result") naming the plugin and what is wrong with it."""
    try:
        _check(request)
    except BadResultError as error:
        raise VfioctlError(
            "plugin.bad_result", f"The plugin {request.plugin} asked for an operation with {error}.",
            state="Nothing was changed.", hints=("See it with: vfioctl plugins list",),
        ) from error
    return request


def _check(request: OperationRequest) -> None:
    for name in ("plugin", "operation", "subject", "key", "id"):
        if not isinstance(value := getattr(request, name), str):
            raise BadResultError(f"the {name} {shown(value)}")
    if not is_uuid(request.key):  # it names files
        raise BadResultError(f"the key {request.key!r}, which is no UUID")
    if not isinstance(request.unfinished, Unfinished) or not isinstance(request.question, Question | None):
        raise BadResultError("an end or a question of the wrong type")
    if request.unfinished is Unfinished.RETURN:
        raise BadResultError("the end RETURN, which a hand-off alone has: no verb would run the way back")
    for name, content in request.contents.items():
        if not is_name(name) or not isinstance(content, bytes):
            raise BadResultError(f"the content {shown(name)}, which is not bytes by their content_name")
    kept(checked_steps, request.proposals, "the steps")
    _check_phases(request.proposals)
    kept(many(Finding), request.findings, "the findings")
    check_json(request.notes, "the notes")


def _check_phases(proposals: Iterable[StepProposal]) -> None:
    """A verb's operation ends once its steps are applied, so what is for later would never run."""
    for proposal in proposals:
        if proposal.phase not in APPLIED:
            why = f"the phase {proposal.phase}, which only a hand-off comes to"
            raise BadResultError(f"the step {proposal.id!r} of {why}")
