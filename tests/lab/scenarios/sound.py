"""The card's sound function while a process has it open: released as configured or refused, and never waited for."""

from __future__ import annotations

from tests.lab.inside import card, desktop, guest, kernel, managed, programs, units, users
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.guests import Guest
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

NODE = "/dev/snd/controlC0"
MACHINE = Guest("gamer", 1, guest.CARD)
SERVER = "pipewire.service"


@scenario(seconds=70)
def service(lab: Lab) -> None:
    """A service that may be stopped lets go of the sound, and runs again afterwards; another one is refused."""
    with lab.check("a service has the sound function open"):
        units.holding("radio.service", NODE)
        eventually(lambda: bool(card.openers(NODE)), 20, "it has not")
    before = guest.remember(lab)
    MACHINE.define()
    MACHINE.is_refused(lab, "radio.service", card.SOUND)
    with lab.check("nothing waits in the kernel, nothing has changed"):
        _nobody_waits()
        expect(truth=before == card.snapshot(), otherwise="; ".join(card.differences(before, card.snapshot())))
    MACHINE.define('units = ["radio.service"]\n')
    MACHINE.start(lab)
    with lab.check("the service is stopped"):
        expect(truth=programs.unit("radio.service") == "inactive", otherwise=programs.unit("radio.service"))
        _nobody_waits()
    MACHINE.destroy(lab)
    guest.comes_home(lab, "returned", before)
    with lab.check("the service has the sound again"):
        eventually(lambda: "sleep" in card.openers(NODE).values(), 30, lambda: f"{card.openers(NODE)}")
    managed.has_finished(lab, "returned")


@scenario(seconds=90)
def sound_server(lab: Lab) -> None:
    """The sound server of a logged-in user: her session is kept unless the guest may end it, and then both go."""
    units.holding(SERVER, NODE, directory=units.USER)
    users.log_in(lab)
    with lab.check("her sound server has the sound function open") as said:
        programs.must(["systemctl", "--user", f"--machine={users.NAME}@", "start", SERVER])
        eventually(lambda: "sleep" in card.openers(NODE).values(), 20, lambda: f"{card.openers(NODE)}")
        said.append(f"{card.openers(NODE)}")
    before = card.snapshot()
    MACHINE.define()
    MACHINE.is_refused(lab, users.NAME, "session")
    with lab.check("her session goes on, nothing has changed"):
        expect(truth=users.has_desktop(), otherwise=users.what_runs())
        expect(truth=before == card.snapshot(), otherwise="; ".join(card.differences(before, card.snapshot())))
    MACHINE.define('session = "end"\n')
    MACHINE.start(lab)
    with lab.check("her session and her sound server have ended, nothing waits in the kernel"):
        expect(truth=not users.has_desktop(), otherwise=users.what_runs())
        _nobody_waits()
    MACHINE.destroy(lab)
    with lab.check("the card is home, and the display manager on it"):
        eventually(card.is_home, 60, card.where)
        eventually(lambda: "Xorg" in card.openers(desktop.NODE).values(), 60, desktop.what_runs)
    managed.has_finished(lab, "returned")


@scenario(seconds=20)
def beside_a_share(lab: Lab) -> None:
    """Who has a file of a share of its own open beside the sound function is refused, and no unbind waits for it."""
    with lab.check("a process of nobody has the sound function open, and a file that root may not look at") as said:
        player = ["/usr/bin/python3", "-m", "tests.lab.inside.fuse", "/run/lab-share", NODE]
        programs.as_unit("lab-player", player, "WorkingDirectory=/lab")
        pid = programs.unit("lab-player", "MainPID")
        eventually(lambda: int(pid) in card.openers("/run/lab-share/film"), 20, "it has not")
        expect(truth=int(pid) in card.openers(NODE), otherwise=f"{card.openers(NODE)}")
        said.append(programs.run(["ls", "-lL", f"/proc/{pid}/fd"]).stderr.strip())
    before = guest.remember(lab)
    MACHINE.define()
    MACHINE.is_refused(lab, pid, "lab-player.service", card.SOUND)
    with lab.check("it is listed, nothing waits in the kernel, nothing has changed"):
        listed = programs.must(["vfioctl", "gpu", "holders"])
        expect(truth=pid in listed, otherwise=listed)
        _nobody_waits()
        expect(truth=before == card.snapshot(), otherwise="; ".join(card.differences(before, card.snapshot())))


def _nobody_waits() -> None:
    expect(truth=not kernel.waiting(), otherwise=f"waiting in the kernel: {kernel.waiting()}")
