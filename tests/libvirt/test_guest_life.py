"""The life of a guest by `vfioctl guest …` on a real libvirtd: one that hears its power button, and a deaf one."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_guest
from living import Living

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")


@pytest.fixture(scope="module")
def host(open_to_the_group: None, bare_host: Any) -> Any:
    return bare_host


@pytest.fixture
def deaf(guest: Living) -> Living:
    guest.break_()
    guest.host.lab.virsh("start", guest.name)
    return guest


# start


def test_a_guest_is_started_and_boots(guest):
    data = guest.done("start")
    assert (data["guest"], data["was"], data["operation"]["ok"]) == (guest.name, "off", True)
    guest.wait()
    assert guest.state == "running"
    assert guest.done("start")["operation"] is None, "it is running already"
    assert guest.host.left_open() == []


def test_a_dry_run_starts_nothing(guest):
    assert [step["kind"] for step in guest.done("start", "--dry-run")["steps"]] == ["domain.start"]
    assert guest.state == "shut off"


def test_a_name_that_there_is_not_is_answered_with_the_nearest(guest):
    ended = guest.cli("start", f"{guest.name}x")
    assert ended.returncode == 3
    assert f'did you mean "{guest.name}"?' in ended.stderr


def test_a_network_and_a_pool_that_there_are_not_are_named(guest):
    guest.define(devices="""<interface type='network'><source network='nowhere'/></interface>
      <disk type='volume' device='disk'><source pool='nothing' volume='one'/>
      <target dev='vdb' bus='virtio'/></disk>""")
    said = guest.refused("start", "--yes")
    assert "is on the network nowhere, which its node does not have. [guest.no_network]" in said
    assert "has a disk in the pool nothing, which its node does not have. [guest.no_pool]" in said


def test_a_start_that_a_hook_refuses_leaves_it_off_and_says_why(guest, host):
    host.lab.hook("10-no", "[ $2 != prepare ] || { echo no card today >&2; exit 1; }\n")
    host.lab.restart()
    try:
        ended = guest.cli("start", guest.name)
    finally:
        host.lab.hook("10-no", "exit 0\n")
    assert ended.returncode == 1
    assert "no card today" in ended.stderr
    assert guest.state == "shut off"
    assert guest.host.left_open() == []


def test_a_cordoned_node_starts_nothing(guest, host):
    lines = r"""uri = "qemu:///system"\ncordoned = true\n"""
    host.must("sh", "-c", f"mkdir -p /etc/vfioctl/nodes && printf '{lines}' > /etc/vfioctl/nodes/closed.toml")
    assert "[node.cordoned]" in guest.refused("start", "--node", "closed")


# stop, shutdown, destroy


@pytest.mark.parametrize("verb", ["stop", "shutdown"])
def test_a_guest_that_hears_its_power_button_is_off_when_the_command_ends(running, verb):
    ended = running.cli(verb, running.name)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 request to its power button" in ended.stdout + ended.stderr
    assert running.state == "shut off"
    assert running.done(verb)["operation"] is None, "it is off already"


def test_one_that_boots_is_asked_again(guest):
    """The button is lost on the firmware."""
    guest.host.lab.virsh("start", guest.name)
    assert guest.done("stop")["operation"]["ok"]
    assert guest.state == "shut off"


def test_a_deaf_guest_is_named_and_runs_on_and_force_switches_it_off(deaf):
    said = deaf.refused("stop", "--timeout", "2", status=1)
    assert "[guest.deaf]" in said
    assert f"vfioctl guest stop {deaf.name} --force" in said
    assert deaf.host.left_open() == []
    deaf.done("stop", "--force")
    assert deaf.state == "shut off"


def test_destroy_does_nothing_and_names_both_things_that_it_may_mean(running):
    said = running.refused("destroy", "--graceful")
    assert f"vfioctl guest stop {running.name} --force" in said
    assert f"vfioctl guest delete {running.name}" in said


# reboot, suspend, resume


def test_a_guest_restarts_and_the_command_waits_for_it(running):
    assert running.done("reboot")["operation"]["ok"]
    running.wait(boots=2)
    assert running.state == "running"


def test_a_deaf_guest_is_reset_by_force(deaf):
    assert "[guest.deaf]" in deaf.refused("reboot", "--timeout", "2", status=1)
    assert deaf.done("reboot", "--force")["operation"]["ok"]


def test_a_guest_is_paused_and_goes_on(running):
    running.done("suspend")
    assert running.state == "paused"
    assert running.done("suspend")["operation"] is None
    for verb in ("start", "stop", "reboot"):
        said = running.refused(verb)
        assert "[guest.paused]" in said
        assert f"vfioctl guest resume {running.name}" in said
    running.done("resume")
    assert running.state == "running"
    assert running.done("resume")["operation"] is None


@pytest.mark.parametrize("verb", ["reboot", "suspend", "resume", "save", "address", "stats"])
def test_what_needs_a_running_guest_says_how_to_start_it(guest, verb):
    said = guest.refused(verb)
    assert "[guest.off]" in said
    assert f"vfioctl guest start {guest.name}" in said


# save, discard-saved


def test_a_saved_guest_goes_on_where_it_was(running):
    running.done("save")
    assert running.state == "shut off"
    assert running.done("save")["operation"] is None
    assert "[guest.off]" in running.refused("suspend")
    assert [step["kind"] for step in running.done("start")["steps"]] == ["domain.restore"]
    assert running.state == "running"
    assert running.done("stop")["operation"]["ok"], "it hears its button as before"
    assert running.boots == 0, "it has not booted again: the log begins anew with each QEMU"


def test_saved_memory_is_given_up_only_when_that_is_agreed_to(running):
    running.done("save")
    said = running.refused("discard-saved")
    assert "[guest.unconfirmed_discard]" in said
    assert running.done("discard-saved", "--yes")["operation"]["ok"]
    assert [step["kind"] for step in running.done("start")["steps"]] == ["domain.start"]


# address, stats, screenshot


def test_a_guest_without_an_address_says_what_was_asked(host):
    guest = Living(host, devices="<interface type='user'><mac address='52:54:00:00:00:77'/></interface>")
    host.lab.virsh("start", guest.name)
    try:
        for more in ((), ("--wait", "--timeout", "1")):
            said = guest.refused("address", *more, status=1)
            assert "[guest.no_address]" in said
            assert "it has no channel for an agent" in said
            assert "leases" in said
    finally:
        guest.remove()


def test_what_a_guest_uses_is_told_once_and_as_it_goes(running):
    once = running.done("stats")["stats"]
    assert once["state"] == "running"
    assert once["cpu_time"] > 0
    assert once["disk_read"] >= tiny_guest.SECTOR
    assert once["memory"] == 32 << 20
    ended = running.cli("stats", running.name, "--watch", "--every", "0.5", "--count", "2")
    assert ended.returncode == 0, ended.stderr
    lines = (ended.stdout + ended.stderr).splitlines()
    assert len([line for line in lines if "%" in line]) == 2
    assert any(line.startswith("   CPU") for line in lines)


def test_what_a_guest_shows_becomes_a_png_that_replaces_nothing(host):
    screen = "<graphics type='vnc'><listen type='socket'/></graphics><video><model type='vga'/></video>"
    guest = Living(host, devices=screen)
    host.lab.virsh("start", guest.name)
    file = host.place / f"{guest.name}.png"
    try:
        guest.wait()
        data = guest.done("screenshot", str(file))
        assert file.read_bytes().startswith(b"\x89PNG")
        assert (data["file"], data["bytes"]) == (str(file), file.stat().st_size)
        assert "[guest.screenshot]" in guest.refused("screenshot", str(file))
        guest.done("screenshot", str(file), "--overwrite")
        assert [path.name for path in host.place.glob(f"{guest.name}.png*")] == [file.name]
        assert "[guest.screenshot]" in guest.refused("screenshot", f"{file}.jpg")
    finally:
        guest.remove()


def test_a_guest_without_a_display_has_nothing_to_show(running):
    ended = running.cli("screenshot", running.name, str(running.host.place / "none.png"))
    assert ended.returncode == 1
    assert not (running.host.place / "none.png").exists()


# Another node


def test_each_of_them_works_on_another_node(guest, host):
    host.must("sh", "-c", "mkdir -p /etc/vfioctl/nodes && echo 'uri = \"qemu:///system?mode=legacy\"' > "
              "/etc/vfioctl/nodes/other.toml")  # fmt: skip
    other = ("--node", "other")
    assert guest.done("start", *other)["node"] == "other"
    guest.wait()
    for verb in ("suspend", "resume", "save", "start", "reboot", "stats", "stop"):
        assert guest.done(verb, *other), verb
    assert guest.state == "shut off"


# Who may


MEMBER, GROUP = 65534, 1  # nobody, as a member of the group daemon


def test_a_member_of_libvirts_group_does_all_of_it_and_nobody_else_does(guest, host):
    for verb in ("start", "suspend", "resume", "save", "start", "stats"):
        ended = host.cli_of(MEMBER, GROUP, "guest", verb, guest.name)
        assert ended.returncode == 0, (verb, ended.stdout + ended.stderr)
    ended = host.cli_of(MEMBER, GROUP, "guest", "stop", guest.name, "--force")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    refused = host.cli_of(MEMBER, MEMBER, "guest", "start", guest.name)
    assert refused.returncode in (1, 3), refused.stdout + refused.stderr
    assert "[libvirt.denied]" in refused.stderr
    assert guest.state == "shut off"
