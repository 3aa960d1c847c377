"""Whether a guest has its devices, or is about to, as the machine tells and whatever its journal says. Looks only."""

from __future__ import annotations

from vfioctl.handoff import attempts, notes
from vfioctl.handoff.attempts import Attempt
from vfioctl.host.host import Host
from vfioctl.host.processes import comm, is_alive
from vfioctl.paths import Paths
from vfioctl.txn.journal import Standing, Story
from vfioctl.txn.plan import Plan


def is_in_use(story: Story, host: Host) -> bool:
    """Whether the guest runs or anybody has its devices open: then there is nothing to bring home."""
    return user(story, host) is not None or bool(host.vfio_open(notes.devices(story.plan)))


def user(story: Story, host: Host) -> int | None:
    """The guest's QEMU while that has the devices, or may be about to open them; None when none does.

    Of a plan with devices the open node decides. It opens them after its memory is allocated, and `started` follows.
    """
    plan = story.plan
    qemu = host.qemu_of(plan.key, plan.subject)
    return qemu if qemu and (_has_open(qemu, plan, host) or attempts.of(host.paths, plan.subject, plan.key)) else None


def has_its_devices(story: Story, host: Host) -> bool:
    """Whether its QEMU runs and holds them, whatever the journal says: then they must not be taken away."""
    qemu = host.qemu_of(story.plan.key, story.plan.subject)
    return qemu is not None and _has_open(qemu, story.plan, host)


def _has_open(qemu: int, plan: Plan, host: Host) -> bool:
    """Whether `qemu` has a device of `plan` open, as far as one may see; true of a plan without any."""
    return not notes.devices(plan) or host.has_vfio_open(qemu, notes.devices(plan)) is not False


def starting(paths: Paths, story: Story) -> Attempt | None:
    """The attempt that has given the guest its devices, while its daemon may still be about to start QEMU."""
    if story.standing is not Standing.HELD:
        return None
    attempt = attempts.of(paths, story.plan.subject, story.plan.key)
    return attempt if attempt and attempt.may_go_on(paths) else None


def overdue(paths: Paths, story: Story) -> str:
    """What a daemon that lives has not done in its time, in words; "" while it has time, or where it was not asked."""
    attempt = attempts.of(paths, story.plan.subject, story.plan.key)
    if story.standing is not Standing.HELD or attempt is None or attempt.left:
        return ""
    if not is_alive(paths, attempt.daemon, attempt.began):
        return ""
    seconds = story.plan.limits.start
    return f"{comm(paths, attempt.daemon)} has not started the guest within {seconds:g} s (deadlines.start)"
