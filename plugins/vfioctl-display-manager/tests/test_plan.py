"""What is proposed for which desktop: which steps, in which order, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vfioctl.plugin.types import Frees, Phase, Severity, StepProposal
from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess, FakeSession, FakeUnit
from vfioctl.testing.scenarios import GPU, SOUND
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.step import Undo

SHELL = "org.gnome.Shell@wayland.service"
FIREFOX = "app-gnome-firefox-77.scope"
SECOND = "0000:02:00.0"


def test_a_greeter_ends_with_its_display_manager(start_host, ask, desktops):
    said = ask(start_host(desktops.greeter()))
    assert said.ids == ["display-manager.stop:lightdm.service", "display-manager.free"]
    assert said.step("display-manager.stop:lightdm.service").frees == (
        Frees(unit="lightdm.service"), Frees(session="c1"))
    assert said.findings == ()
    assert not said.plan().blocks


def test_a_greeter_without_a_display_manager_is_ended_freely(start_host, ask, desktops):
    machine = desktops.greeter()
    idle = tuple(process for process in machine.processes if process.unit != "lightdm.service")
    greeter = replace(next(process for process in idle if process.session == "c1"), opens=desktops.card)
    others = tuple(process for process in idle if process.session != "c1")
    said = ask(start_host(replace(machine, units=(), processes=(*others, greeter))))
    assert said.ids == ["display-manager.end:c1", "display-manager.free"]
    assert not said.plan().blocks


def test_a_logged_in_user_is_in_the_way_by_name_and_nothing_is_proposed(start_host, ask):
    said = ask(start_host(scenarios.single_gpu_nvidia_desktop()))
    assert (said.before, said.after) == ((), ())
    (finding,) = said.findings
    assert (finding.code, finding.severity) == ("session.active", Severity.BLOCK)
    for part in ("Session 2", "alice", GPU):
        assert part in finding.message
    assert finding.hint == "Log out, or allow it with: vfioctl config set session end --guest win11"


def test_the_hint_can_be_pasted_for_every_guest_name(start_host, ask):
    said = ask(start_host(scenarios.single_gpu_nvidia_desktop()), guest="my 'own' $(guest)")
    assert said.findings[0].hint.endswith("""--guest 'my '"'"'own'"'"' $(guest)'""")


def test_the_golden_plan_of_a_session_that_may_end(start_host, ask):
    fake = start_host(scenarios.single_gpu_nvidia_desktop())
    said = ask(fake, session="end")
    persistenced = StepProposal(
        "unit.stop:nvidia-persistenced.service", "unit.stop", {"unit": "nvidia-persistenced.service"}, "",
        phase=Phase.BEFORE,
    )  # fmt: skip
    assert [(step.id, step.undo, step.best_effort) for step in said.plan(Proposed("nvidia", persistenced)).steps] == [
        ("unit.stop:nvidia-persistenced.service", Undo.RECREATED, False),
        ("display-manager.warn", Undo.NONE, True),
        ("display-manager.hold:lightdm.service", Undo.EXACT, True),
        ("display-manager.end:2", Undo.NONE, False),
        ("display-manager.stop:lightdm.service", Undo.RECREATED, False),
        ("display-manager.stop:1000:graphical-session.target", Undo.RECREATED, True),
        ("display-manager.stop:1000:pipewire.service", Undo.RECREATED, True),
        ("display-manager.free", Undo.EXACT, False),
    ]
    assert said.codes == ["session.ends"]
    assert said.findings[0].severity is Severity.WARN


def test_the_session_is_named_so_that_no_other_one_is_ended(start_host, ask):
    said = ask(start_host(scenarios.single_gpu_nvidia_desktop()), session="end")
    assert said.step("display-manager.end:2").params == {
        "session": "2", "user": "alice", "uid": 1000, "leader": 5_000_020, "start_time": 4200,
        "scope": "session-2.scope", "warning": "Guest win11 takes the graphics card.",
    }  # fmt: skip


def test_the_alias_is_resolved_to_the_unit_that_really_runs(start_host, ask, desktops):
    said = ask(start_host(desktops.gnome()), session="end")
    assert said.step("display-manager.stop:gdm.service").params == {"unit": "gdm.service"}
    assert all("display-manager.service" not in str(step.params) for step in said.before)


@pytest.mark.parametrize("name", ["sddm.service", "greetd.service", "plasmalogin.service", "ly@tty2.service"])
def test_a_display_manager_without_the_alias_is_found_when_it_holds_the_card(start_host, ask, desktops, name):
    machine = desktops.machine(
        processes=(FakeProcess("Xorg", unit=name, opens=desktops.card),), units=(FakeUnit(name),))
    assert ask(start_host(machine)).ids == [f"display-manager.stop:{name}", "display-manager.free"]


def test_a_service_that_is_no_display_manager_is_left_to_the_core(start_host, ask, desktops):
    service = FakeProcess("ollama", unit="ollama.service", opens=desktops.card)
    machine = desktops.machine(processes=(service,), units=(FakeUnit("ollama.service"),))
    said = ask(start_host(machine))
    assert (said.before, said.findings) == ((), ())
    assert [finding.code for finding in said.plan().blocks] == ["holder.alive"]


# The user's manager


def test_the_parts_of_a_session_in_the_users_manager_end_with_it_and_do_not_come_back(start_host, ask, desktops):
    said = ask(start_host(desktops.gnome(ssh=True)), session="end")
    assert [name for name in said.ids if ":1000:" in name] == [
        "display-manager.stop:1000:graphical-session.target",
        f"display-manager.stop:1000:{SHELL}",
        f"display-manager.stop:1000:{FIREFOX}",
    ]
    shell = said.step(f"display-manager.stop:1000:{SHELL}")
    assert shell.params == {"unit": SHELL, "uid": 1000, "restart": False}
    assert shell.frees == (Frees(unit=SHELL, uid=1000),)
    assert not said.plan().blocks


def test_a_compositor_in_the_users_manager_stands_for_the_session(start_host, ask, desktops):
    said = ask(start_host(desktops.gnome()))
    assert said.before == ()
    assert said.codes == ["session.active"]
    assert "Session 2 of user ada on seat0" in said.findings[0].message


def test_a_rescue_session_over_ssh_survives(start_host, ask, desktops):
    said = ask(start_host(desktops.gnome(ssh=True)), session="end")
    assert [step.id for step in said.before if step.kind == "session.end"] == ["display-manager.end:2"]
    assert all(release.session != "9" for step in said.before for release in step.frees)


def test_a_process_of_an_ssh_session_on_the_card_is_left_to_the_core(start_host, ask, desktops):
    trainer = FakeProcess("python3", uid=1000, session="9", opens=desktops.card)
    said = ask(start_host(desktops.machine(processes=(trainer,), sessions=(desktops.ssh,))), session="end")
    assert (said.before, said.findings) == ((), ())
    assert [finding.code for finding in said.plan().blocks] == ["holder.alive"]


def test_a_service_of_the_user_that_draws_nothing_is_stopped_and_comes_back(start_host, ask, desktops):
    service = FakeProcess("ollama", uid=1000, user_unit="ollama.service", opens=("/dev/dri/renderD128",))
    session = FakeSession("2", "ada", 1000, type="tty", service="login", tty="tty1", leader=5_000_002)
    units = (FakeUnit("ollama.service", uid=1000),)
    said = ask(start_host(desktops.machine(processes=(service,), sessions=(session,), units=units)))
    assert said.ids == ["display-manager.stop:1000:ollama.service", "display-manager.free"]
    assert said.before[0].params == {"unit": "ollama.service", "uid": 1000}
    assert said.findings == ()
    assert not said.plan().blocks


def test_a_service_of_a_user_who_is_nowhere_logged_in_is_left_to_the_core(start_host, ask, desktops):
    service = FakeProcess("ollama", uid=1000, user_unit="ollama.service", opens=desktops.card)
    said = ask(start_host(desktops.machine(processes=(service,), units=(FakeUnit("ollama.service", uid=1000),))))
    assert said.before == ()
    assert [finding.code for finding in said.plan().blocks] == ["holder.alive"]


# Sound


def sound_machine(desktops, *names):
    base = scenarios.two_gpu()
    holders = tuple(
        FakeProcess(comm, uid=1000, user_unit=f"{comm}.service", opens=("/dev/snd/*",))
        for comm in ("pipewire", "wireplumber") if f"{comm}.service" in names
    )
    alive = tuple(process for process in base.processes if process.comm != "pipewire")
    system = tuple(unit for unit in base.units if unit.uid is None)
    return replace(
        base, processes=(*alive, *(replace(p, pid=5_000_200 + n) for n, p in enumerate(holders))),
        units=(*system, *desktops.sound_servers(*names)),
    )  # fmt: skip


def test_sound_servers_are_stopped_with_the_sockets_that_would_wake_them(start_host, ask, desktops):
    names = ("pipewire.service", "wireplumber.service", "pipewire.socket", "pipewire-pulse.socket")
    said = ask(start_host(sound_machine(desktops, *names)), GPU, SOUND)
    stops = [step.params["unit"] for step in said.plan().steps if step.kind == "unit.stop"]
    assert stops == ["pipewire-pulse.socket", "pipewire.socket", "wireplumber.service", "pipewire.service"]
    assert not said.plan().blocks


def test_a_user_who_stays_gets_the_sound_of_the_other_cards_while_the_guest_runs(start_host, ask, desktops):
    said = ask(start_host(sound_machine(desktops, "pipewire.service", "pipewire.socket")), GPU, SOUND)
    running = [(step.params["unit"], step.best_effort) for step in said.plan().held]
    assert sorted(running) == [("pipewire.service", True), ("pipewire.socket", True)]


def test_sound_is_not_started_for_a_user_whose_session_has_ended(start_host, ask, desktops):
    holder = FakeProcess("pipewire", uid=1000, user_unit="pipewire.service", opens=("/dev/snd/*",))
    said = ask(start_host(desktops.gnome(holder)), session="end")
    assert "display-manager.stop:1000:pipewire.service" in said.ids
    assert [step for step in said.before if step.phase is Phase.RUNNING] == []


# Whose card it is


def test_nothing_is_stopped_when_the_desktop_is_on_another_card(start_host, ask):
    machine = scenarios.two_gpu()
    idle = tuple(replace(p, opens=()) if p.comm == "pipewire" else p for p in machine.processes)
    said = ask(start_host(replace(machine, processes=idle)), GPU, SOUND)
    assert (said.before, said.after, said.findings) == ((), (), ())


def test_the_session_on_the_desktops_own_card_is_asked_for(start_host, ask):
    assert ask(start_host(scenarios.two_gpu()), SECOND, "0000:02:00.1").codes == ["session.active"]


def test_nothing_is_stopped_for_a_device_that_is_no_display(start_host, ask):
    said = ask(start_host(scenarios.generic_nic()), GPU)
    assert (said.before, said.after, said.findings) == ((), (), ())


@pytest.mark.parametrize(("active", "job"), [(False, "start"), (True, "")])
def test_a_display_manager_that_is_about_to_take_its_only_card_is_stopped(start_host, ask, desktops, active, job):
    """A guest that starts with the host races it: nobody holds the card yet."""
    machine = desktops.machine(units=(desktops.manager(active=active, job=job),))
    said = ask(start_host(machine))
    assert said.ids == ["display-manager.stop:lightdm.service", "display-manager.free"]


def test_a_display_manager_that_does_not_run_is_left_alone(start_host, ask, desktops):
    said = ask(start_host(desktops.machine(units=(desktops.manager(active=False),))))
    assert (said.before, said.after) == ((), ())


@pytest.mark.parametrize("boot", [True, False])
def test_of_two_idle_cards_the_boot_card_is_the_display_managers(start_host, ask, boot):
    machine = scenarios.two_gpu(logged_in=False)
    idle = tuple(replace(process, opens=(), maps=()) for process in machine.processes)
    said = ask(start_host(replace(machine, processes=idle, sessions=())), SECOND if boot else GPU)
    assert bool(said.before) is boot


def test_the_boot_card_is_not_the_desktops_when_that_is_on_another(start_host, ask, desktops):
    machine = scenarios.two_gpu(logged_in=False)
    first = ("/dev/dri/card0", "/dev/dri/renderD128")
    moved = tuple(replace(process, opens=first if process.opens else (), maps=()) for process in machine.processes)
    assert ask(start_host(replace(machine, processes=moved, sessions=())), SECOND).before == ()


def test_a_card_that_another_guest_has_is_not_the_desktops(start_host, ask):
    machine = scenarios.bochs_lab()
    modules = tuple(replace(module, loaded=module.loaded or "vfio" in module.name) for module in machine.modules)
    devices = tuple(replace(d, driver="vfio-pci") if d.group == 6 else d for d in machine.devices)
    said = ask(start_host(replace(machine, devices=devices, modules=modules)))
    assert (said.before, said.after, said.findings) == ((), (), ())


def test_without_systemd_nothing_is_proposed(start_host, ask, desktops):
    said = ask(start_host(replace(desktops.greeter(), systemd=False)))
    assert (said.before, said.after, said.findings) == ((), (), ())


# Text logins


@pytest.mark.parametrize("display_manager", [False, True])
def test_a_compositor_from_a_text_login_is_a_session_and_leaves_the_display_manager(
    start_host, ask, desktops, display_manager
):
    said = ask(start_host(desktops.tty_compositor(display_manager=display_manager)), session="end")
    assert said.ids == ["display-manager.warn", "display-manager.end:3", "display-manager.free"]
    assert said.codes == ["session.ends", "session.by_hand"]
    assert said.after == ()
    assert not said.plan().blocks


def test_a_compositor_from_a_text_login_is_not_ended_unasked(start_host, ask, desktops):
    said = ask(start_host(desktops.tty_compositor()))
    assert said.before == ()
    assert said.codes[0] == "session.active"


def test_a_text_login_beside_the_greeter_is_not_ended(start_host, ask, desktops):
    machine = desktops.greeter()
    shell = FakeSession("4", "ada", 1000, type="tty", service="login", tty="tty3", leader=5_000_002)
    said = ask(start_host(replace(machine, sessions=(*machine.sessions, shell))))
    assert said.ids == ["display-manager.stop:lightdm.service", "display-manager.free"]
    assert said.findings == ()


# Order and settings


def test_the_devices_are_waited_for_after_every_unit_that_anyone_stops(start_host, ask, desktops):
    said = ask(start_host(desktops.greeter()), units=("lact.service",))
    after = said.step("display-manager.free").after
    assert {"display-manager.stop:lightdm.service", "unit.stop:lightdm.service", "unit.stop:lact.service"} <= set(after)


def test_the_stop_stays_in_order_when_the_guest_file_lists_the_display_manager_too(start_host, ask, desktops):
    said = ask(start_host(desktops.greeter()), units=("lightdm.service",))
    own = StepProposal(
        "unit.stop:lightdm.service", "unit.stop", {"unit": "lightdm.service"}, "", phase=Phase.BEFORE)
    steps = [step.id for step in said.plan(Proposed("core", own)).steps]
    assert steps == ["unit.stop:lightdm.service", "display-manager.free"]


def test_nobody_is_written_to_without_wall_or_when_the_setting_says_so(start_host, ask):
    fake = start_host(scenarios.single_gpu_nvidia_desktop())
    assert "display-manager.warn" not in ask(fake, session="end", table={"warn": False}).ids
    fake.kernel.remove_program("wall")
    assert "display-manager.warn" not in ask(fake, session="end").ids


def test_a_user_whose_manager_runs_is_told_on_the_screen_and_the_plan_says_so(start_host, ask):
    said = ask(start_host(scenarios.single_gpu_nvidia_desktop()), session="end")
    step = said.step("display-manager.end:2")
    assert "warning" in step.params
    assert step.reason.endswith("a notification tells it first")


def test_the_screen_says_nothing_when_the_setting_says_so(start_host, ask):
    said = ask(start_host(scenarios.single_gpu_nvidia_desktop()), session="end", table={"warn": False})
    assert "warning" not in said.step("display-manager.end:2").params


def test_the_deadlines_are_those_of_the_settings(start_host, ask, desktops):
    said = ask(start_host(desktops.greeter()), table={"stop_deadline": 7.0, "verify_deadline": 9.0})
    assert {step.deadline for step in said.before} == {7.0}
    assert {step.deadline for step in said.after} == {9.0}


def test_the_return_is_proved_by_the_unit_and_by_something_that_draws(start_host, ask, desktops):
    said = ask(start_host(desktops.greeter()))
    active, again, drawn = said.after
    wanted = {"kind": "has.holder", "args": {"addresses": [GPU], "by": "lightdm.service"}}
    assert active.params["condition"] == {"kind": "unit.state", "args": {"unit": "lightdm.service", "state": "active"}}
    assert drawn.params["condition"] == again.params["unless"] == wanted
    assert {(step.phase, step.best_effort) for step in said.after} == {(Phase.AFTER, True)}
    assert (again.after, drawn.after) == ((active.id,), (again.id,))


def test_it_is_restarted_only_where_its_card_is_home(start_host, ask, desktops):
    (again,) = [step for step in ask(start_host(desktops.greeter())).after if step.kind == "unit.restart"]
    base = f"/sys/bus/pci/devices/{GPU}"
    assert again.params["unit"] == "lightdm.service"
    assert again.params["once"] == [
        {"kind": "link.target", "args": {"path": f"{base}/driver", "name": "bochs-drm"}},
        {"kind": "path.exists", "args": {"path": f"{base}/drm"}},
    ]


def test_the_return_is_not_proved_when_the_setting_says_so(start_host, ask, desktops):
    said = ask(start_host(desktops.greeter()), table={"verify": False})
    assert said.before
    assert said.after == ()


def test_a_container_of_a_logged_in_user_is_none_of_the_session(start_host, ask):
    machine = scenarios.two_gpu()
    trainer = FakeProcess("python3", uid=1000, opens=("/dev/nvidia0",), container="ab" * 32, runtime="podman@1000")
    said = ask(start_host(replace(machine, processes=(*machine.processes, trainer))))
    assert (said.before, said.codes) == ((), [])
    assert [block.code for block in said.plan().blocks] == ["holder.alive"]
