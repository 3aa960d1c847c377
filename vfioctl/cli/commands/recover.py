"""`vfioctl recover [GUEST]`: finishes what a crash, a kill or a power cut interrupted."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

import click

from vfioctl.actions.caller import Call
from vfioctl.actions.errors import Interrupted
from vfioctl.cli.apart import Apart, is_worth_it
from vfioctl.cli.app import App
from vfioctl.cli.types import RECOVERABLE
from vfioctl.errors import VfioctlError
from vfioctl.result import Message, Result

FOLLOW_SECONDS = 7 * 24 * 3600.0  # what is finished may be a copy of hours; a unit that has ended is seen before


@click.command()
@click.argument("guest", type=RECOVERABLE, required=False)
@click.option("--abort", is_flag=True, help="Stop a hand-off that is running now, and undo it.")
@click.option("--discard", is_flag=True, help="Put a journal aside that cannot be ended; GUEST is its ID.")
@click.option("--yes", is_flag=True, help="Do not ask before a journal is put aside.")
@click.pass_obj
def command(call: Call, guest: str | None, abort: bool, discard: bool, yes: bool) -> Result | int:  # noqa: FBT001 -- click's signature
    """Finish what was interrupted.

    GUEST is a name or a UUID; without it everything unfinished is looked at. Guests that run with their devices are
    left alone. A hand-off that runs now, and a guest whose QEMU is about to come, are refused, unless --abort says to
    stop it: it finishes its step and undoes its work; one that does not is killed, and undone then. libvirt itself
    offers no way out of a hook. Called in a login, it works in a transient system unit and shows what that says: the
    login may end with the work.

    A journal that is damaged cannot be finished, nor one whose recovery was tried and has failed for good, as where a
    disk is gone: --discard shows what is known of it and what stays undone, asks, and puts it aside in
    /var/lib/vfioctl/discarded. It brings nothing home; `vfioctl rescue` does, where the undo of that start is there.
    One that was not tried yet, and may be finished, is refused.
    """
    from vfioctl.actions.discarding import UNCONFIRMED
    from vfioctl.actions.discarding import discard as put_aside
    from vfioctl.actions.recover import recover

    if yes:
        call.agree(UNCONFIRMED)
    if discard:
        return put_aside(call, guest)
    return _at_a_terminal(call, guest, abort=abort) if isinstance(call, App) else recover(call, guest, abort=abort)


def _at_a_terminal(app: App, guest: str | None, *, abort: bool) -> Result | int:
    """The terminal may end with the session that the work ends; the work must not."""
    from vfioctl.actions.recover import may_act, recover, unfinished

    chosen = unfinished(app, guest, abort=abort)
    here = partial(recover, app, guest, abort=abort)
    if is_worth_it(app.composition.paths) and (abort or may_act(app, chosen)):
        return _apart(app, guest, here, abort=abort)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return here()


def _apart(app: App, guest: str | None, here: Callable[[], Result], *, abort: bool) -> Result | int:
    """The same command line again, in a unit; in this process where none can be started."""
    flags = (*(("--no-color",) if app.color is False else ()), *(("--abort",) if abort else ()))
    named = ("--", guest) if guest else ()
    unit = Apart(app.composition, app.verb, ("--format", app.format, app.verb, *flags, *named))
    try:
        unit.start()
    except (VfioctlError, OSError) as error:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        text = f"No transient unit, so this ran in its own process: {error}"
        return here().saying(Message(text, "warning", "recover.apart"))
    try:
        return unit.follow(app.output().relay, FOLLOW_SECONDS)
    except KeyboardInterrupt:
        raise Interrupted(f"Interrupted. The recovery goes on in {unit.unit}.") from None
