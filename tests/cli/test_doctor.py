"""`vfioctl doctor` as it is typed: a line a check, what was seen, what helps, and how bad it is as exit status."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vfioctl.cli.app import main
from vfioctl.compose import compose
from vfioctl.testing.scenarios import named

MACHINE = named("two-gpu")


@pytest.fixture
def asked(start_host, capfd):
    """The status and the text of `vfioctl ARGUMENTS` on a machine whose hook is installed."""

    def call(machine, *arguments):
        composition = compose(start_host(machine).root)
        main(composition, ["hook", "install"], {})
        capfd.readouterr()
        status = main(composition, arguments, {})
        out, err = capfd.readouterr()
        return status, out, err

    return call


def test_what_blocks_a_start_is_said_with_what_was_seen_and_what_helps(asked):
    status, out, err = asked(replace(MACHINE, iommu=False, command_line="quiet iommu=off"), "doctor")
    assert status == 3
    assert "A start would be refused: look at iommu" in err
    assert "[doctor.found]" in err
    assert "[iommu.kernel_off] The kernel was told to leave the IOMMU off (iommu=off)." in out
    assert "seen: /proc/cmdline: iommu=off" in out
    assert "Remove iommu=off from the kernel's command line" in out


def test_as_data_every_check_has_its_findings_and_the_worst_is_told(asked):
    status, out, _ = asked(replace(MACHINE, command_line="nomodeset"), "doctor", "--format", "json")
    data = json.loads(out)["data"]
    by_name = {check["name"]: check for check in data["checks"]}
    assert [one["code"] for one in by_name["drivers"]["findings"]] == ["driver.nomodeset"]
    assert (by_name["drivers"]["worst"], by_name["iommu"]["worst"], by_name["iommu"]["findings"]) == ("warn", None, [])
    assert (status, data["worst"]) == ((3, "block") if by_name["hook"]["worst"] == "block" else (1, "warn"))


def test_a_code_is_explained_and_looked_for(asked):
    status, out, _ = asked(replace(MACHINE, command_line="nomodeset"), "doctor", "driver.nomodeset")
    assert status == 0
    assert "What it means: The kernel was told to leave the drivers of cards off the screen." in out
    assert "It is found here:" in out


def test_the_code_of_a_plugin_is_explained_too(asked):
    _, out, _ = asked(MACHINE, "doctor", "display_manager.no_alias")
    assert "display_manager.no_alias (plugin display-manager)" in out
    assert "It is not found here now." in out


def test_a_code_that_there_is_not_is_refused_with_the_nearest(asked):
    status, _, err = asked(MACHINE, "doctor", "iommu.of")
    assert (status, 'did you mean "iommu.off"?' in err, "[code.unknown]" in err) == (3, True, True)
