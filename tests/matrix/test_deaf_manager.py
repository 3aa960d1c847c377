"""A display manager that does not end on SIGTERM: a start and a return get past it, also a killed hook's."""

from __future__ import annotations

import os
import signal

import pytest
from hand_offs import BY_NAME, Stage, stage
from recoveries import LEFT_BY_SH, as_before, recover, run_undo_sh
from walks import walk

from vfioctl.testing.domains import UUID
from vfioctl.wait import until

pytestmark = pytest.mark.matrix

GREETER = BY_NAME["nvidia-greeter"]
STOP = "display-manager.stop:lightdm.service"
QUICK = "[display-manager]\nstop_deadline = 3.0\n"


@pytest.fixture(params=["ignores_term", "stop_waits"])
def deaf(request, tmp_path):
    """`stop_waits`: as lightdm 1.32 on Debian 13, which waited for the worker of its login screen."""
    with stage(GREETER, tmp_path) as on:
        on.set_guest_file(QUICK)
        on.host.kernel.set_unit("lightdm.service", **{request.param: True})
        yield on


def boundary() -> int:
    """The one after the intent of the display manager's stop."""
    return next(stride.intent for stride in walk(GREETER).there if stride.step == STOP)


def test_the_guest_starts_and_the_desktop_is_back_afterwards(deaf):
    assert deaf.start().status == 0
    told = deaf.command("history", "--format", "json", "last").stdout
    assert "did not stop within" in told
    deaf.stop()
    as_before(deaf)


@pytest.fixture
def killed_in_the_stop(deaf):
    """The hook and its systemctl are killed while the display manager is stopping."""
    deaf.pause_at(boundary())
    with deaf.paused_hook("prepare") as hook:
        pass
    client = systemctl_stop(deaf)
    hook.process.kill()
    assert hook.wait().status == -signal.SIGKILL
    os.killpg(client, signal.SIGKILL)
    return deaf


def systemctl_stop(on: Stage) -> int:
    """The pid of the systemctl that waits for the stop."""

    def calls() -> list[int]:
        wanted = ["systemctl", "stop", "--", "lightdm.service"]
        return [call["pid"] for call in on.host.kernel.calls() if call["argv"] == wanted]

    assert until(lambda: bool(calls() and on.host.kernel.blocked()), 20)
    return calls()[0]


def test_recover_finishes_a_hand_off_that_was_killed_in_the_stop(killed_in_the_stop):
    assert until(lambda: killed_in_the_stop.command("recover").returncode == 0, 30)
    as_before(killed_in_the_stop)


def test_undo_sh_does_as_well(killed_in_the_stop):
    run_undo_sh(killed_in_the_stop)
    as_before(killed_in_the_stop, *LEFT_BY_SH)
    recover(killed_in_the_stop)
    as_before(killed_in_the_stop)


def test_the_release_that_follows_does_as_well(killed_in_the_stop):
    on = killed_in_the_stop
    on.libvirt.gone("win11", on.xml)
    assert on.wait_for_return(uuid=UUID)
    as_before(on)
