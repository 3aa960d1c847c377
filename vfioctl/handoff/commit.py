"""The one durable commit of a hand-off, and its end: its transaction and the shim's markers come and go together."""

from __future__ import annotations

from contextlib import suppress

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import Refused
from vfioctl.handoff import attempts, markers, notes
from vfioctl.host.stuck import drop_ended

if TYPE_CHECKING:
    from vfioctl.txn.transaction import Transaction

HINTS = {  # of what keeps a hand-off from being committed: the way on
    "plan.malformed": "See which plugins there are with: vfioctl plugins list",
    "journal.unwritable": "Free space or make it writable, then start the guest again.",
}


def commit(transaction: Transaction, boot_id: str) -> None:
    """The one durable commit: plan and whole return, holders, the rendered undo, and last the shim's markers.

    Raises Refused when it cannot be written (disk full, read-only), or would not be obeyed when it is read: nothing was
    touched, and nothing of it stays.
    """
    plan, paths = transaction.plan, transaction.paths
    try:
        transaction.begin(
            boot_id,
            lambda: markers.write(paths, plan, armed=str(attempts.by_caller(paths, plan.limits.start))),
            lambda: _clear(transaction),
        )
    except Refused as error:
        if error.code not in HINTS:
            raise
        said = f"{plan.subject} was not started: {error.message[0].lower()}{error.message[1:]}"
        raise Refused(error.code, said, state=error.state, hints=(HINTS[error.code],)) from error


def forget(transaction: Transaction) -> None:
    """The hand-off is over and everything is as it was: holders, markers and journal go, the journal last."""
    transaction.forget(lambda: _clear(transaction))


def _clear(transaction: Transaction) -> None:
    with suppress(OSError):
        drop_ended(transaction.paths, notes.devices(transaction.plan))
    markers.clear_of(transaction.paths, transaction.plan)
