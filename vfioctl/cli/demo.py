"""Plays a whole hand-off on a simulated host: the commands that a person would type, the hook that libvirt would call.

Needs the test kit. Changes nothing on this host but a temporary directory.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vfioctl.actions.errors import Interrupted
from vfioctl.cli.app import App, answer
from vfioctl.errors import EXIT_FAILED, VfioctlError
from vfioctl.result import Error, Result
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt, HookCall
from vfioctl.testing.scenarios import GPU, SOUND, named
from vfioctl.testing.snapshot import difference, take
from vfioctl.txn.follow import Follower
from vfioctl.txn.journal import Moment, open_uuids
from vfioctl.wait import Backoff, until

if TYPE_CHECKING:
    from vfioctl.cli.render.output import Output
    from vfioctl.paths import Paths

GUEST = "win11"
WAYS = {"nvidia": "single-gpu-nvidia-desktop", "amdgpu": "single-gpu-amdgpu-desktop"}
HOOK_SECONDS = 120.0
POLL = 0.02
# What a hand-off ends for good: alice's session with everything in it, and the vfio modules that stay loaded.
ONE_WAY = (
    "session *", "unit *@*", "unit session-*", "unit [0-9]*/*", "sys/module/vfio*", "sys/bus/pci/drivers/vfio*",
    "dev/vfio*", "sys/class/vfio*",
)  # fmt: skip


class Stage:
    """The simulated host with its daemon, and the screen on which everything is shown."""

    def __init__(self, app: App, host: FakeHost) -> None:
        self.output: Output = app.output()
        self.daemon = FakeLibvirt(host)
        self.paths = host.paths
        self.app = app
        self.acts: list[dict[str, Any]] = []

    def say(self, text: str) -> None:
        self.output.line("")
        self.output.line(text)

    def command(self, *argv: str) -> Result | int:
        """Run and show `vfioctl ARGV` as somebody on the simulated host would. Raises Interrupted: ^C ends the demo."""
        inner = App(self.daemon.composition, {})
        ended = answer(inner, argv)
        if isinstance(ended, Result) and ended.exit_status == Interrupted.exit_status:
            raise Interrupted
        self.say(f"$ vfioctl {' '.join(argv)}")
        if isinstance(ended, Result):
            self.acts.append({"argv": list(argv), "status": ended.exit_status, "result": ended.envelope()})
            if self.app.format == "text":
                self.output.result(ended, inner.verbs.find(ended.command))
        return ended

    def watch(self, title: str, work: Callable[[], HookCall]) -> HookCall:
        """Let libvirt's calls run, with a line for each step as it ends."""
        self.say(title)
        ended: list[HookCall] = []
        thread = threading.Thread(target=lambda: ended.append(work()))
        steps = Steps(self.paths, self.output)
        steps.follower.skip()
        thread.start()
        try:
            for _ in Backoff(HOOK_SECONDS, longest=POLL):
                steps.look()
                if not thread.is_alive():
                    break
        finally:
            thread.join()  # also at ^C: what libvirt's side still calls lies on the simulated host
        steps.look()
        steps.follower.close()
        return ended[0]


class Steps:
    """A line for each step of the guest's operation as it ends."""

    def __init__(self, paths: Paths, output: Output) -> None:
        self.follower = Follower(paths, UUID)
        self.output = output
        self.began: dict[str, float] = {}

    def look(self) -> None:
        """Show what came since the last look."""
        for said in self.follower.look():
            if isinstance(said, Moment):
                self._tell(said)

    def _tell(self, moment: Moment) -> None:
        if moment.what == "intent":
            self.began[moment.step] = moment.at
        elif moment.what == "done" and moment.step in self.began:
            took = moment.at - self.began.pop(moment.step)
            note = f"  {moment.note}" if moment.note else ""
            self.output.line(f"  {moment.action:<5}  {moment.step:<44} {took:6.2f} s{note}")


def open_shell(scenario: str) -> int:
    """A shell on the simulated host, for as long as the user stays in it; its exit status."""
    _need_fuse()
    from vfioctl.testing.shell import main as shell

    return shell([WAYS[scenario]])


def play(app: App, scenario: str) -> Result:
    """One hand-off from the plan to the proof that the host is as it was."""
    _need_fuse()
    began = time.monotonic()
    with _host(scenario) as host:
        stage = Stage(app, host)
        xml = domain(GUEST, hostdevs=(GPU, SOUND))
        file = os.path.join(host.root, "tmp", f"{GUEST}.xml")
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(xml)
        stage.say(f"A simulated host: {host.spec.name}. Its root is {host.root}.")
        stage.daemon.install()
        stage.daemon.manage(GUEST, 'session = "end"\n')
        before = take(host.root, files=())
        stage.command("gpu", "list")
        stage.command("plan", GUEST, "--xml", file)
        started, stopped = _hand_off(stage, xml.encode())
        changed = difference(before, take(host.root, files=()), allowed=ONE_WAY)
        errors = (*_errors(started, stopped, changed), *_failed_acts(stage))
    data = {"scenario": scenario, "acts": stage.acts, "changed": list(changed), "seconds": time.monotonic() - began}
    return Result(data=data, errors=errors, exit_status=EXIT_FAILED if errors else 0)


def _hand_off(stage: Stage, xml: bytes) -> tuple[HookCall, HookCall]:
    """Start, look, stop, and wait until the detached part has ended; then the two records."""
    daemon = stage.daemon
    started = stage.watch(
        f"$ virsh start {GUEST}", lambda: daemon.start(GUEST, UUID, xml, addresses=(GPU, SOUND))
    )
    stage.command("status")
    stopped = stage.watch(f"$ virsh destroy {GUEST}", lambda: _stopped(stage, xml))
    for record in reversed(_records(stage)):
        stage.command("history", record)
    return started, stopped


def _stopped(stage: Stage, xml: bytes) -> HookCall:
    ended = stage.daemon.stop(GUEST, xml)
    until(lambda: UUID not in open_uuids(stage.paths), HOOK_SECONDS)
    return ended


def _records(stage: Stage) -> list[str]:
    from vfioctl.txn.history import read_all

    return [item.id for item in read_all(stage.paths).runs]


def _errors(started: HookCall, stopped: HookCall, changed: tuple[str, ...]) -> Iterator[Error]:
    for call in (started, stopped):
        if call.status:
            yield Error("demo.hook", f"{call.operation} ended with status {call.status}: {call.stderr.strip()}")
    if changed:
        yield Error("demo.changed", f"The host is not as it was: {'; '.join(changed[:5])}")


def _failed_acts(stage: Stage) -> Iterator[Error]:
    for act in stage.acts:
        if act["status"]:
            yield Error("demo.command", f"vfioctl {' '.join(act['argv'])} ended with status {act['status']}.")


def _need_fuse() -> None:
    """Raise VfioctlError("demo.fuse") when the kernel's file system in user space cannot be mounted here."""
    if shutil.which("fusermount3") is None:
        raise _without_fuse("the program fusermount3 is not installed")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise _without_fuse("/dev/fuse is not there, or may not be opened")


def _without_fuse(why: str) -> VfioctlError:
    return VfioctlError(
        "demo.fuse", f"The simulated host cannot be started: {why.rstrip('.')}.", state="Nothing was changed.",
        hints=("Install fuse3, for example with: sudo apt-get install fuse3",),
    )


def _last_line(text: str) -> str:
    """Of a traceback only the last line says what is wrong."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it says nothing")


@contextmanager
def _host(scenario: str) -> Iterator[FakeHost]:
    with tempfile.TemporaryDirectory(prefix="vfioctl-demo-") as directory:
        host = FakeHost(named(WAYS[scenario]), directory)
        try:
            _start(host)
            yield host
        finally:  # also where ^C comes in its start: what is mounted could not be removed
            host.stop()


def _start(host: FakeHost) -> None:
    try:
        host.start()
    except (OSError, RuntimeError) as error:
        raise _without_fuse(_last_line(str(error))) from error
