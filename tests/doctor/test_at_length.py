"""What doctor says at length of a code: for each that doctor alone finds, and for none that there is not."""

from __future__ import annotations

import json

import pytest

from vfioctl import codes
from vfioctl.cli.app import main
from vfioctl.codes import doctor
from vfioctl.compose import compose
from vfioctl.doctor.at_length import AT_LENGTH

SHORTEST = 100  # characters that are worth to be asked for


@pytest.mark.parametrize("code", [row.code for row in doctor.CODES if not row.code.startswith("doctor.")])
def test_each_code_of_doctor_is_explained_at_length(code):
    assert len(AT_LENGTH[code]) > SHORTEST


def test_what_is_explained_is_a_code():
    assert set(AT_LENGTH) - {row.code for row in codes.CODES} == set()


def test_the_command_says_it(tree, capfd):
    assert main(compose(str(tree.root)), ["doctor", "iommu.acs_override", "--format", "json"], {}) == 0
    assert json.loads(capfd.readouterr().out)["data"]["at_length"] == AT_LENGTH["iommu.acs_override"]


def test_on_a_terminal_it_is_wrapped(tree, capfd):
    main(compose(str(tree.root)), ["doctor", "power.lid"], {})
    lines = capfd.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("    ") and ":" not in line.split()[0]]
    assert " ".join(line.strip() for line in told if not line.startswith("    What")) == AT_LENGTH["power.lid"]
    assert max(map(len, told)) <= 100
