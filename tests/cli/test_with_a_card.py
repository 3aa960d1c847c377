"""The commands on a simulated desktop with one card, through the installed hook."""

from __future__ import annotations

import json

import pytest

from vfioctl.cli.app import main
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.scenarios import two_screens
from vfioctl.txn.journal import open_uuids
from vfioctl.wait import until

GPU, SOUND = "0000:01:00.0", "0000:01:00.1"
XML = domain("win11", hostdevs=(GPU, SOUND)).encode()


@pytest.fixture
def daemon(fake_host) -> FakeLibvirt:
    daemon = FakeLibvirt(fake_host)
    daemon.install()
    daemon.manage("win11", 'session = "end"\n')
    return daemon


@pytest.fixture
def run(daemon, capfd, tmp_path):
    """Calls `vfioctl ARGUMENTS --format json` on the simulated host; {xml} is the guest's domain."""
    (tmp_path / "win11.xml").write_bytes(XML)

    def call(*arguments: str):
        capfd.readouterr()
        status = main(daemon.composition, [*arguments, "--format", "json"], {})
        return status, json.loads(capfd.readouterr().out)

    return call


@pytest.fixture
def xml(tmp_path) -> str:
    return str(tmp_path / "win11.xml")


def test_a_plan_that_ends_the_session_marks_where(run, xml) -> None:
    status, shown = run("plan", "win11", "--xml", xml)
    assert status == 0
    plan = shown["data"]["plan"]
    marked = next(step for step in plan["steps"] if step["id"] == shown["data"]["point_of_no_return"])
    assert (marked["kind"], marked["undo"]) == ("session.end", "none")
    assert {GPU, SOUND} <= set(plan["devices"])


def test_without_leave_to_end_the_session_a_plan_is_refused_and_names_the_user(run, xml, daemon) -> None:
    daemon.manage("win11")
    status, shown = run("plan", "win11", "--xml", xml)
    assert status == 3
    assert any("alice" in error["message"] for error in shown["errors"])


@pytest.mark.parametrize("fake_host", [two_screens()], indirect=True)
def test_enable_warns_of_what_a_start_would_warn_of(run, xml) -> None:
    status, shown = run("enable", "win11", "--xml", xml)
    assert status == 0
    warned = {one["code"]: one["hint"] for one in shown["messages"]}
    assert "AutoAddGPU" in warned["session.takes_again"]
    assert "session.ends" in warned


def test_a_plan_changes_nothing(run, xml, daemon) -> None:
    daemon.host.kernel.clear_log()
    run("plan", "win11", "--xml", xml)
    assert daemon.host.kernel.writes() == []


def test_status_tells_who_has_the_card_while_the_guest_runs(run, daemon) -> None:
    assert daemon.start("win11", UUID, XML, addresses=(GPU, SOUND)).status == 0
    _, shown = run("status")
    (card,) = shown["data"]["cards"]
    (hand_off,) = shown["data"]["hand_offs"]
    assert card["guest"] == "win11"
    assert [holder["process"] for holder in card["holders"]] == ["qemu-system-x86"]
    assert (hand_off["standing"], hand_off["unfinished"]) == ("given", False)


def test_recover_leaves_a_running_guest_alone(run, daemon) -> None:
    daemon.start("win11", UUID, XML, addresses=(GPU, SOUND))
    _, shown = run("recover")
    assert shown["data"]["recovered"][0]["said"] == "win11 is running with its devices."


def test_recover_brings_the_card_home_when_the_guest_is_gone(run, daemon) -> None:
    daemon.start("win11", UUID, XML, addresses=(GPU, SOUND))
    pid = next(item["pid"] for item in daemon.host.kernel.processes() if item["comm"] == "qemu-system-x86")
    daemon.host.kernel.end_process(pid)
    _, before = run("status")
    assert before["data"]["hand_offs"][0]["unfinished"] is True
    status, shown = run("recover", "win11")
    assert status == 0
    assert shown["data"]["recovered"][0]["steps"]
    assert open_uuids(daemon.host.paths) == ()
    assert daemon.composition.machine().host().device(GPU).driver == "nvidia"


def test_a_refusal_is_the_first_thing_in_status(run, daemon, capfd) -> None:
    daemon.manage("win11")
    assert daemon.start("win11", UUID, XML).status != 0
    capfd.readouterr()
    assert main(daemon.composition, ["status"], {}) == 0
    assert capfd.readouterr().out.startswith("FAILED: prepare of win11")


def test_status_answers_when_the_card_is_stuck(run, daemon) -> None:
    from vfioctl.host.stuck import record_stuck

    pid = next(item["pid"] for item in daemon.host.kernel.processes() if item["comm"] == "Xorg")
    record_stuck(daemon.host.paths, GPU, pid, "/sys/bus/pci/drivers/nvidia/unbind", GPU)
    status, shown = run("status")
    assert status == 0
    assert [item["address"] for item in shown["data"]["stuck"]] == [GPU]
    assert shown["data"]["cards"][0]["stuck"] is True


def test_history_has_a_waterfall_of_the_return(run, daemon) -> None:
    daemon.start("win11", UUID, XML, addresses=(GPU, SOUND))
    daemon.stop("win11", XML)
    assert until(lambda: not open_uuids(daemon.host.paths), 30)
    _, shown = run("history", "--guest", "win11")
    newest = shown["data"]["hand_offs"][0]
    assert newest["event"] == "release"
    _, one = run("history", newest["id"])
    assert any(step["kind"] == "driver.bind" for step in one["data"]["hand_off"]["steps"])


@pytest.mark.parametrize("scenario", ["nvidia", "amdgpu"])
def test_the_demo_ends_with_the_host_as_it_was(scenario: str, capfd) -> None:
    from vfioctl.compose import compose

    status = main(compose(), ["demo", scenario], {})
    shown = capfd.readouterr()
    assert (status, shown.err) == (0, "")
    assert "your session ends here" in shown.out
    assert "drivers, modules, units and files are as they were" in shown.out
    assert "█" in shown.out
