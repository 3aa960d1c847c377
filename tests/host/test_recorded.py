"""Our readers on what a booted Debian 12 printed (tests/data/recorded): each recording, played by a fake program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from recordings import PLACE, recording

from vfioctl.errors import VfioctlError
from vfioctl.host.model import Session, Unit
from vfioctl.host.sessions import read_all
from vfioctl.host.units import active_of_user, read

if TYPE_CHECKING:
    from host_tree import Tree

FIELDS = ("command", "status", "systemd", "kernel", "date", "machine")


def play(tree: Tree, *names: str) -> None:
    """Programs that answer the recorded commands, and no other one, as recorded."""
    tree.with_systemd()
    cases: dict[str, list[str]] = {}
    for name in names:
        told = recording(name)
        program, _, arguments = told.command.partition(" ")
        out, err = (tree.write(f"played/{name}.{part}", text) for part, text in
                    (("out", told.stdout), ("err", told.stderr)))  # fmt: skip
        cases.setdefault(program, []).append(
            f'"{arguments}") /bin/cat {out}; /bin/cat {err} >&2; exit {told.status};;')
    for program, lines in cases.items():
        tree.program(program, 'case "$*" in\n' + "\n".join(lines) + '\n*) echo "not recorded: $*" >&2; exit 99;;\nesac')


@pytest.mark.parametrize("name", sorted(path.stem for path in PLACE.glob("*.txt")))
def test_every_recording_says_where_it_comes_from(name: str) -> None:
    told = recording(name)
    assert tuple(told.head) == FIELDS
    assert told.head["systemd"].startswith("systemd 252 (")
    assert told.status >= 0


def test_the_alias_a_missing_and_a_masked_unit_are_read_at_once(tree: Tree) -> None:
    play(tree, "units-show")
    names = ("display-manager.service", "nothing.service", "masked-example.service", "dbus.socket", "multi-user.target")
    manager, nothing, masked, socket, target = read(tree.programs, names)
    assert (manager.name, manager.is_active, manager.job, manager.main_pid > 0) == ("lightdm.service", True, "", True)
    assert nothing == Unit("nothing.service", "not-found", "inactive")
    assert (masked.load_state, masked.is_active) == ("masked", False)
    assert (socket.is_active, socket.main_pid, target.is_active) == (True, 0, True)


def test_a_failed_unit_is_there_and_not_active(tree: Tree) -> None:
    play(tree, "unit-show-failed")
    assert read(tree.programs, ("failing.service",)) == (Unit("failing.service", "loaded", "failed"),)


def test_a_unit_that_waits_for_another_has_a_queued_start(tree: Tree) -> None:
    play(tree, "unit-show-waiting", "jobs-start")
    (unit,) = read(tree.programs, ("after.service",))
    assert (unit.active_state, unit.job) == ("inactive", "start")


def test_a_unit_that_is_being_stopped_has_a_stop(tree: Tree) -> None:
    play(tree, "unit-show-deactivating", "jobs-stop")
    (unit,) = read(tree.programs, ("lingering.service",))
    assert (unit.active_state, unit.job) == ("deactivating", "stop")


def test_a_unit_of_a_user_manager_is_read_as_one_of_the_system(tree: Tree) -> None:
    play(tree, "user-units-show")
    bus, nothing = read(tree.programs, ("dbus.service", "nothing.service"), 1000)
    assert (bus.name, bus.is_active, bus.uid, nothing.exists) == ("dbus.service", True, 1000, False)


def test_the_units_of_a_user_manager_are_listed(tree: Tree) -> None:
    play(tree, "user-units-list")
    units = active_of_user(tree.programs, 1000)
    assert Unit("dbus.service", "loaded", "active", uid=1000) in units
    assert len(units) == len(recording("user-units-list").stdout.splitlines())


def test_a_user_manager_that_cannot_be_reached_has_no_units_and_its_units_no_state(tree: Tree) -> None:
    play(tree, "user-list-unknown-uid", "user-show-unknown-uid")
    assert active_of_user(tree.programs, 4711) == ()
    with pytest.raises(VfioctlError, match="Transport endpoint is not connected"):
        read(tree.programs, ("dbus.service",), 4711)


def test_the_session_of_a_user_is_read(tree: Tree) -> None:
    play(tree, "sessions-list", "sessions-show")
    (session,) = read_all(tree.programs)
    leader = session.leader
    assert leader > 0
    assert session == Session(
        "1", "alice", 1000, "seat0", "x11", "user", "active", leader, "lightdm-autologin", scope="session-1.scope"
    )


def test_the_session_of_the_greeter_is_read(tree: Tree) -> None:
    play(tree, "sessions-list-greeter", "sessions-show-greeter")
    (session,) = read_all(tree.programs)
    assert (session.id, session.user, session.klass, session.service) == ("c1", "lightdm", "greeter", "lightdm-greeter")


def test_a_machine_that_just_booted_has_no_session(tree: Tree) -> None:
    play(tree, "sessions-none")
    assert read_all(tree.programs) == ()


def test_loginctl_prints_nothing_for_properties_joined_by_commas() -> None:
    told = recording("sessions-show-comma")
    assert (told.status, told.stdout, told.stderr) == (0, "", "")


def test_the_inhibitor_that_we_start_is_a_service_that_runs_under_our_name(tree: Tree) -> None:
    play(tree, "inhibit-show")
    (unit,) = read(tree.programs, ("vfioctl-inhibit-0a1b2c3d.service",))
    assert unit.is_active
    row = recording("inhibit-list").stdout.splitlines()[1].split()
    assert (row[0], row[5], row[-1]) == ("vfioctl", "sleep", "block")


@pytest.mark.parametrize("name", ["inhibit-show-stopped", "unit-show-missing"])
def test_a_collected_unit_is_as_if_it_had_never_been(tree: Tree, name: str) -> None:
    play(tree, name)
    (unit,) = read(tree.programs, (recording(name).command.split()[-1],))
    assert (unit.exists, unit.is_active, unit.main_pid) == (False, False, 0)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("unit-start-missing", 5), ("unit-stop-missing", 5), ("unit-reset-failed-missing", 1),
        ("unit-start-masked", 1), ("unit-start-stopping", 4), ("is-system-running-stopping", 1),
        ("run-background-again", 1), ("session-terminate-missing", 1), ("unit-kill-idle", 1),
    ],
)  # fmt: skip
def test_a_refusal_is_said_in_one_sentence(tree: Tree, name: str, status: int) -> None:
    play(tree, name)
    argv = recording(name).command.split()
    ended = tree.programs.run(argv, deadline=5.0)
    assert (ended.ok, ended.returncode) == (False, status)
    assert "\n" not in ended.why()
