"""How a hand-off is ended without its process: undone where it never began, else brought home unless its guest runs.

What differs from other operations stands here and in way_back.py; txn/settling.py drives it.
"""

from __future__ import annotations

from vfioctl.errors import Refused, VfioctlError
from vfioctl.handoff import notes, reboot
from vfioctl.handoff.in_use import has_its_devices, is_in_use, overdue, starting, user
from vfioctl.handoff.way_back import WayBack
from vfioctl.host.host import Host
from vfioctl.host.processes import comm
from vfioctl.txn.journal import Story
from vfioctl.txn.plan import Unfinished
from vfioctl.txn.settling import CAME_FAR


class Settle(WayBack):
    """One hand-off that is ended. `spare` keeps the devices for a guest whose QEMU is about to come."""

    patience = 10.0
    late = ""  # what its daemon has not done in time

    def verdict(self) -> Unfinished:
        story, host = self.story, self.node.machine().host()
        if self.case.spare:
            self._refuse_starting(host)
        if self.is_rebooted:
            return Unfinished.UNDO
        came_far = story.standing in CAME_FAR
        if user(story, host) is not None if came_far else has_its_devices(story, host):
            return Unfinished.LEAVE
        if came_far:
            _refuse_in_use(story, host)
            self.late = overdue(self.node.paths, story)
        return Unfinished.RETURN if came_far else Unfinished.UNDO

    @property
    def lasting_seconds(self) -> float:
        """A return that libvirt waits for gets no more time than a release."""
        return self.plan.limits.release if self.case.hurried else self.plan.limits.finish

    def give_back(self) -> None:
        self.run(None, seconds=self.lasting_seconds, accept_others=True)

    def ended(self, verdict: Unfinished) -> str:
        if verdict is Unfinished.LEAVE:
            return f"{self.plan.subject} is running with its devices."
        if self.is_rebooted:
            return reboot.close(self)
        self.close("recover")
        if verdict is Unfinished.RETURN:
            return self._home()
        return " ".join((f"{self.plan.subject}: the interrupted hand-off was undone.", *self.left))

    def failed(self, verdict: Unfinished) -> VfioctlError:
        what = ""
        if self.is_rebooted:
            what = f"{reboot.begins(self.story)}, and not everything that outlives a boot could be undone"
        elif verdict is Unfinished.UNDO:
            what = f"{self.plan.subject}: not everything of the interrupted hand-off could be undone"
        return self.leave_open("recover", what, hints=self.given_up)

    def afterwards(self, said: str) -> str:
        """Wait for the proof of the return, while nobody waits for us."""
        if self.case.hurried or not self.unseen:
            return said
        self.prove()
        return self._home()

    def _home(self) -> str:
        return " ".join((f"{self.plan.subject}: {self._late}everything is home{self.but}.", *self.left))

    def _said(self) -> str:
        return f"{self._late}{super()._said()}"

    @property
    def _late(self) -> str:
        return f"{self.late}; " if self.late else ""

    def _refuse_starting(self, host: Host) -> None:
        attempt = starting(self.node.paths, self.story)
        if attempt is None or is_in_use(self.story, host):
            return
        from vfioctl.shell import argument  # the hook path comes here too, and never refuses it

        guest, daemon = self.plan.subject, attempt.daemon
        raise Refused(
            "guest.starting",
            f"{guest} is being started by {comm(self.node.paths, daemon)} (process {daemon}): it has its devices, and "
            f"QEMU is about to come.",
            state="Nothing was changed.",
            hints=("Wait until it runs; if it does not come, its devices return by themselves.",
                   f"Or take them back at once with: vfioctl recover --abort {argument(guest)}"),
        )  # fmt: skip


def _refuse_in_use(story: Story, host: Host) -> None:
    """vfio-pci waits in an unbind until whoever has the device open has closed it."""
    if pids := host.vfio_open(notes.devices(story.plan)):
        held = ", ".join(f"{pid} ({comm(host.paths, pid)})" for pid in pids)
        raise VfioctlError(
            "device.in_use", f"{story.plan.subject}: process {held} has its devices open, and is not its QEMU.",
            state="Nothing of it was brought home.", hints=("End that process, then: vfioctl recover",),
        )  # fmt: skip
