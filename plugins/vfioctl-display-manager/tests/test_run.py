"""The proposals at work on a simulated machine: the card is free afterwards, and undone it is the desktop's again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vfioctl.errors import StepFailed
from vfioctl.host.host import Host
from vfioctl.kinds.conditions import evaluate
from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess, FakeUnit
from vfioctl.testing.scenarios import GPU, SOUND
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.step import Condition

SHELL = "org.gnome.Shell@wayland.service"


def facts(fake):
    return Host(fake.paths, fake.programs)


def apply(fake, said):
    """Run the planned steps in order, as the engine does; best effort where they say so."""
    machine = Machine(fake.paths, fake.programs)
    plan = said.plan()
    assert not plan.blocks
    for step in plan.steps:
        try:
            kind(step.kind).guard(step, machine)
            kind(step.kind).apply(step, machine)
        except StepFailed:
            if not step.best_effort:
                raise
    return plan


def undo(fake, plan):
    """Put everything back, newest first, and run what proves the return."""
    machine = Machine(fake.paths, fake.programs)
    said = [kind(step.kind).undo(step, machine) for step in plan.undo_order()]
    for step in plan.returns:
        kind(step.kind).apply(step, machine)
    return said


def commands(fake):
    return [" ".join(call["argv"]) for call in fake.kernel.calls()]


def test_a_greeter_leaves_the_card_and_comes_back_to_it(start_host, ask, desktops):
    fake = start_host(desktops.greeter())
    plan = apply(fake, ask(fake))
    assert facts(fake).holders((GPU, SOUND)) == ()
    assert not facts(fake).unit("lightdm.service").is_active
    undo(fake, plan)
    assert facts(fake).unit("lightdm.service").is_active
    assert [holder.comm for holder in facts(fake).holders((GPU,))] == ["Xorg"]


def test_a_session_that_may_end_leaves_the_card_and_the_greeter_comes_back(start_host, ask):
    machine = scenarios.single_gpu_amdgpu_desktop()
    fake = start_host(machine)
    plan = apply(fake, ask(fake, session="end"))
    assert facts(fake).holders((GPU, SOUND)) == ()
    assert facts(fake).sessions() == ()
    undo(fake, plan)
    assert [session.klass for session in facts(fake).sessions()] == ["greeter"]
    assert facts(fake).holders((GPU,))


def test_the_display_manager_is_held_while_its_session_ends(start_host, ask):
    fake = start_host(scenarios.single_gpu_amdgpu_desktop())
    undo(fake, apply(fake, ask(fake, session="end")))
    said = commands(fake)
    order = [
        "systemctl kill --kill-who=main --signal=SIGSTOP -- lightdm.service",
        "loginctl terminate-session -- 2",
        "systemctl stop -- lightdm.service",
        "systemctl start -- lightdm.service",
        "systemctl kill --kill-who=main --signal=SIGCONT -- lightdm.service",
    ]
    places = [next(place for place, call in enumerate(said) if call.endswith(wanted)) for wanted in order]
    assert places == sorted(places)
    assert any("reset-failed -- lightdm.service" in call for call in said)


def test_a_shell_in_the_users_manager_leaves_the_card_though_ssh_keeps_the_manager(start_host, ask, desktops):
    fake = start_host(desktops.gnome(ssh=True))
    plan = apply(fake, ask(fake, session="end"))
    assert facts(fake).holders((GPU, SOUND)) == ()
    assert [session.id for session in facts(fake).sessions()] == ["9"]
    undo(fake, plan)
    assert not facts(fake).unit(SHELL, 1000).is_active
    assert [holder.uid for holder in facts(fake).holders((GPU,))] == [120]
    assert [session.id for session in facts(fake).sessions()] == ["9"]


def test_the_units_of_a_manager_that_ends_with_the_session_are_no_error(start_host, ask, desktops):
    fake = start_host(desktops.gnome())
    said = ask(fake, session="end")
    undo(fake, apply(fake, said))
    assert facts(fake).unit("gdm.service").is_active


def test_sound_servers_let_go_and_come_back_all_of_them(start_host, ask, desktops):
    machine = scenarios.two_gpu()
    pipewire = FakeProcess("pipewire", uid=1000, user_unit="pipewire.service", opens=("/dev/snd/*",))
    alive = tuple(process for process in machine.processes if process.comm != "pipewire")
    units = (
        *(unit for unit in machine.units if unit.uid is None),
        FakeUnit("pipewire.service", uid=1000, brings=(pipewire,)), *desktops.sound_servers("pipewire.socket"),
    )  # fmt: skip
    fake = start_host(replace(machine, processes=(*alive, replace(pipewire, pid=5_000_200)), units=units))
    before = facts(fake).user_units(1000)
    plan = apply(fake, ask(fake, GPU, SOUND))
    assert facts(fake).holders((GPU, SOUND)) == ()
    undo(fake, plan)
    assert facts(fake).user_units(1000) == before
    assert [holder.comm for holder in facts(fake).holders((SOUND,))] == ["pipewire"]


def test_a_compositor_on_a_text_terminal_leaves_the_card(start_host, ask, desktops):
    fake = start_host(desktops.tty_compositor(display_manager=True))
    plan = apply(fake, ask(fake, session="end"))
    assert facts(fake).holders((GPU, SOUND)) == ()
    assert facts(fake).unit("greetd.service").is_active
    undo(fake, plan)


def test_somebody_who_takes_the_card_meanwhile_is_named(start_host, ask, desktops):
    fake = start_host(desktops.greeter())
    said = ask(fake, table={"stop_deadline": 1.0})
    fake.kernel.add_process(FakeProcess("mpv", session="9", opens=("/dev/dri/card0",)))
    with pytest.raises(StepFailed, match="mpv"):
        apply(fake, said)


def test_an_x_server_that_outlived_its_card_does_not_count_as_back(start_host, ask, desktops):
    """Seen on Linux 6.1: unbound under an X server, that goes on with a node that reads "(deleted)"."""
    fake = start_host(desktops.greeter())
    (drawn,) = [step for step in ask(fake, table={"verify_deadline": 1.0}).after if step.id == "display-manager.drawn"]
    with open(fake.paths.at("sys/bus/pci/drivers/bochs-drm/unbind"), "w", encoding="ascii") as file:
        file.write(GPU)
    assert facts(fake).holders((GPU,))
    assert not evaluate(Condition(**drawn.params["condition"]), Machine(fake.paths, fake.programs))


def test_a_display_manager_that_runs_without_the_card_does_not_count_as_back(start_host, ask, desktops):
    """Seen: after a hand-off that left the card on vfio-pci, display-manager is active and draws on nothing."""
    fake = start_host(desktops.greeter())
    plan = apply(fake, ask(fake, table={"verify_deadline": 1.0}))
    fake.kernel.set_unit("lightdm.service", brings=(), sessions=())
    with pytest.raises(StepFailed, match=GPU):
        undo(fake, plan)
    assert facts(fake).unit("lightdm.service").is_active
