"""systemd units. The texts are what systemctl of systemd 252 (Debian 12) prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vfioctl.errors import StepFailed, VfioctlError
from vfioctl.host.model import Unit

if TYPE_CHECKING:
    from host_tree import Tree

LIGHTDM = "Id=lightdm.service\\nLoadState=loaded\\nActiveState=active\\nJob={job}\\nMainPID=812\\n"
ABSENT = "Id=nothing.service\\nLoadState=not-found\\nActiveState=inactive\\nJob=0\\nMainPID=0\\n"


def systemctl(tree: Tree, script: str) -> None:
    """A systemctl that also writes down with what it was called."""
    tree.with_systemd()
    tree.program("systemctl", f'echo "$@" >> {tree.root}/calls\n{script}')


def calls(tree: Tree) -> list[str]:
    log = tree.root / "calls"
    return log.read_text().splitlines() if log.exists() else []


def test_without_systemd_no_unit_exists_and_no_program_runs(tree: Tree) -> None:
    tree.program("systemctl", f"echo called > {tree.root}/calls")
    host = tree.host()
    assert not host.booted_with_systemd()
    assert host.unit("lightdm.service") == Unit("lightdm.service", "not-found", "inactive")
    assert (host.display_manager(), host.user_units(1000), host.sessions()) == (None, (), ())
    assert calls(tree) == []


def test_an_alias_is_resolved_to_the_real_unit(tree: Tree) -> None:
    systemctl(tree, f"printf '{LIGHTDM.format(job='')}'")
    assert tree.host().display_manager() == Unit("lightdm.service", "loaded", "active", main_pid=812)


def test_a_unit_that_is_not_there_does_not_exist(tree: Tree) -> None:
    systemctl(tree, f"printf '{ABSENT}'")
    host = tree.host()
    assert host.display_manager() is None
    assert not host.unit("nothing.service").is_active


def test_a_queued_start_counts_as_active(tree: Tree) -> None:
    show = LIGHTDM.format(job="212").replace("=active", "=inactive")
    jobs = "212 lightdm.service start waiting\\n213 graphical.target start waiting\\n"
    systemctl(tree, f'case "$*" in *list-jobs*) printf "{jobs}";; *) printf "{show}";; esac')
    unit = tree.host().unit("lightdm.service")
    assert (unit.active_state, unit.job, unit.is_active) == ("inactive", "start", True)


def test_a_job_that_ended_meanwhile_is_no_job(tree: Tree) -> None:
    show = LIGHTDM.format(job="212")
    systemctl(tree, f'case "$*" in *list-jobs*) echo "No jobs running.";; *) printf "{show}";; esac')
    assert tree.host().unit("lightdm.service").job == ""


def test_many_units_are_read_by_one_program_and_kept(tree: Tree) -> None:
    systemctl(tree, f"printf '{LIGHTDM.format(job='')}\\n{ABSENT}'")
    host = tree.host()
    units = host.units(("display-manager.service", "nothing.service", "display-manager.service"))
    assert [unit.name for unit in units] == ["lightdm.service", "nothing.service"]
    assert host.unit("nothing.service") == units[1]
    assert len(calls(tree)) == 1


def test_what_an_alias_and_a_list_told_is_not_asked_again(tree: Tree) -> None:
    rows = "pipewire.service loaded active running PipeWire\\n"
    systemctl(tree, f'case "$*" in *list-units*) printf "{rows}";; *) printf "{LIGHTDM.format(job="")}";; esac')
    host = tree.host()
    assert host.display_manager() == host.unit("lightdm.service")
    assert host.user_units(1000) == (host.unit("pipewire.service", 1000),)
    assert len(calls(tree)) == 2


def test_no_units_need_no_program(tree: Tree) -> None:
    systemctl(tree, "exit 1")
    assert tree.host().units(()) == ()
    assert calls(tree) == []


def test_a_unit_of_a_user_is_asked_of_that_users_manager(tree: Tree) -> None:
    systemctl(tree, "printf 'Id=pipewire.service\\nLoadState=loaded\\nActiveState=active\\nMainPID=9\\n'")
    unit = tree.host().unit("pipewire.service", uid=1000)
    assert unit == Unit("pipewire.service", "loaded", "active", main_pid=9, uid=1000)
    assert calls(tree)[0].startswith("--user --machine=1000@.host show")


@pytest.mark.parametrize("script", ["echo 'Failed to connect to bus' >&2; exit 1", "exit 0", "echo garbage"])
def test_a_systemctl_that_does_not_answer_is_an_error_that_quotes_it(tree: Tree, script: str) -> None:
    systemctl(tree, script)
    with pytest.raises(VfioctlError, match=r"lightdm\.service") as caught:
        tree.host().unit("lightdm.service")
    assert caught.value.code == "unit.unreadable"


def test_a_malformed_pid_is_none(tree: Tree) -> None:
    systemctl(tree, "printf 'Id=a.service\\nLoadState=loaded\\nActiveState=active\\nMainPID=x\\n'")
    assert tree.host().unit("a.service").main_pid == 0


def test_a_missing_systemctl_is_an_error(tree: Tree) -> None:
    tree.with_systemd()
    with pytest.raises(StepFailed) as caught:
        tree.host().unit("lightdm.service")
    assert caught.value.code == "program.missing"


def test_the_active_units_of_a_user_are_listed(tree: Tree) -> None:
    rows = "pipewire.service loaded active running PipeWire\\ngraphical-session.target loaded active active x\\n\\n"
    systemctl(tree, f"printf '{rows}'")
    units = tree.host().user_units(1000)
    assert units == (
        Unit("pipewire.service", "loaded", "active", uid=1000),
        Unit("graphical-session.target", "loaded", "active", uid=1000),
    )


def test_a_user_manager_that_does_not_run_has_no_units(tree: Tree) -> None:
    systemctl(tree, "echo 'Failed to list units: Transport endpoint is not connected' >&2; exit 1")
    assert tree.host().user_units(1000) == ()
