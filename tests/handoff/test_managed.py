"""What libvirt remembers of a card between two runs of one daemon is told before the next start."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from hand_offs import BY_NAME, GPU, GUEST, Stage, stage

from vfioctl.testing.domains import UUID, domain

OTHER, OTHER_UUID = "linux", "7d2e3b45-6c7e-4f80-9ba1-c2d3e4f50617"
CODE = "domain.managed_differs"


@pytest.fixture
def on(tmp_path):
    with stage(BY_NAME["generic"], tmp_path) as one:
        one.libvirt.manage(OTHER)
        yield one


def run(on: Stage, managed: str, guest: str = GUEST, uuid: str = UUID) -> str:
    """A whole run of a guest; what its start said."""
    xml = domain(guest, uuid=uuid, hostdevs=(GPU,), managed=managed == "yes").encode()
    said = on.libvirt.start(guest, uuid, xml, addresses=(GPU,))
    assert said.status == 0
    on.libvirt.stop(guest, xml)
    assert on.wait_for_return()
    return said.stderr


def test_a_yes_after_a_no_names_card_both_modes_and_who_is_to_change(on):
    run(on, "no", OTHER, OTHER_UUID)
    said = run(on, "yes")
    for part in (GPU, "given to linux with managed='no'", "win11 has managed='yes'", f"process {os.getpid()}"):
        assert part in said


def test_libvirt_does_not_forget_a_no_when_a_yes_follows_it(on):
    run(on, "no")
    assert "managed='no'" in run(on, "yes")
    assert "managed='no'" in run(on, "yes")


def test_a_no_after_the_yes_of_another_guest_is_told(on):
    run(on, "yes")
    assert "given to win11 with managed='yes', and linux has managed='no'" in run(on, "no", OTHER, OTHER_UUID)


@pytest.mark.parametrize("modes", [("no", "no"), ("yes", "yes"), ("yes", "no")])
def test_a_guest_that_stays_as_it_is_or_is_corrected_hears_nothing(on, modes):
    assert "managed" not in "".join(run(on, mode) for mode in modes)


def test_the_memory_ends_with_the_daemon(on):
    argv = ["sh", "-c", '"$@"; exit $?', "a-daemon", on.host.paths.shim, GUEST, "prepare", "begin", "-"]
    assert subprocess.run(argv, input=on.xml, capture_output=True, check=False, cwd="/").returncode == 0
    assert os.path.exists(os.path.join(on.host.paths.managed, f"{GPU}.json"))
    on.libvirt.gone(GUEST, on.xml)
    assert on.wait_for_return()
    assert "managed" not in run(on, "yes")


def test_a_plan_tells_it_too_while_the_daemon_runs(on, tmp_path):
    run(on, "no")
    file = tmp_path / "win11.xml"
    file.write_text(domain(GUEST, hostdevs=(GPU,), managed=True))
    shown = on.command("plan", GUEST, "--xml", str(file), "--format", "json")
    (finding,) = [one for one in json.loads(shown.stdout)["data"]["plan"]["findings"] if one["code"] == CODE]
    assert (finding["severity"], finding["hint"]) == ("warn", "Make them alike with: vfioctl enable win11")


def test_a_damaged_memory_costs_the_warning_and_nothing_else(on):
    run(on, "no")
    with open(os.path.join(on.host.paths.managed, f"{GPU}.json"), "w", encoding="utf-8") as file:
        file.write("[")
    assert "managed" not in run(on, "yes")
    assert "managed='no'" not in run(on, "yes")


def test_what_cannot_be_kept_does_not_fail_the_start(on):
    os.makedirs(on.host.paths.run)
    with open(on.host.paths.managed, "w", encoding="utf-8"):
        assert "could not be kept" in run(on, "no")
