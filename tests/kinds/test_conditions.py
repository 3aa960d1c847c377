"""Conditions on plain files: each word of the vocabulary, true and false, in words, and wrong ones refused."""

from __future__ import annotations

import os

import pytest
from step_builders import plain_machine, put

from vfioctl.errors import VfioctlError
from vfioctl.host.processes import start_time
from vfioctl.kinds import conditions
from vfioctl.txn.step import Condition


@pytest.fixture
def machine(tmp_path):
    return plain_machine(str(tmp_path))


def holds(machine, kind, **args):
    return conditions.evaluate(Condition(kind, args), machine)


def test_a_path_exists_or_is_absent(machine):
    put(machine.paths.at("sys/a"), "1\n")
    assert holds(machine, "path.exists", path="/sys/a")
    assert not holds(machine, "path.absent", path="/sys/a")
    assert holds(machine, "path.absent", path="/sys/b")
    assert not holds(machine, "path.exists", path="/sys/b")


def test_a_path_equals_its_text_without_the_newline(machine):
    put(machine.paths.at("sys/a"), "on\n")
    assert holds(machine, "path.equals", path="/sys/a", value="on")
    assert not holds(machine, "path.equals", path="/sys/a", value="auto")
    assert not holds(machine, "path.equals", path="/sys/gone", value="on")


def test_a_link_is_judged_by_the_base_name_of_its_target(machine):
    os.symlink("../../drivers/vfio-pci", machine.paths.at("sys/driver"))
    assert holds(machine, "link.target", path="/sys/driver", name="vfio-pci")
    assert not holds(machine, "link.target", path="/sys/driver", name="")
    assert holds(machine, "link.target", path="/sys/other", name="")


def test_a_module_is_gone_when_its_directory_is(machine):
    put(machine.paths.at("sys/module/nvidia_drm/refcnt"), "0\n")
    assert not holds(machine, "module.gone", module="nvidia-drm")
    assert holds(machine, "module.gone", module="nvidia")


def test_a_process_is_gone_when_another_one_has_its_pid(machine):
    started = start_time(machine.paths, os.getpid())
    assert not holds(machine, "process.gone", pid=os.getpid(), start_time=started)
    assert holds(machine, "process.gone", pid=os.getpid(), start_time=started + 1)


def test_without_systemd_every_session_is_gone_and_every_unit_inactive(machine):
    assert holds(machine, "session.gone", session="c1")
    assert holds(machine, "unit.state", unit="lightdm.service", state="inactive")
    assert not holds(machine, "unit.state", unit="lightdm.service", state="active")


def test_a_unit_of_a_user_manager_that_has_ended_is_inactive(machine):
    assert holds(machine, "unit.state", unit="pipewire.service", uid=1000, state="inactive")


def test_an_unknown_condition_names_the_known_ones(machine):
    with pytest.raises(VfioctlError, match=r"no condition 'path\.soon'.*path\.exists") as caught:
        holds(machine, "path.soon", path="/sys/a")
    assert caught.value.code == "condition.unknown"


@pytest.mark.parametrize(
    "args",
    [{}, {"path": "/sys/a"}, {"path": "/sys/a", "value": 1}, {"path": "/a", "value": "b", "x": "c"}],
    ids=["none", "missing", "wrong type", "too many"],
)
def test_wrong_arguments_are_refused_with_what_is_needed(machine, args):
    with pytest.raises(VfioctlError, match=r"path\.equals needs path \(str\), value \(str\)") as caught:
        holds(machine, "path.equals", **args)
    assert caught.value.code == "condition.arguments"


@pytest.mark.parametrize(
    ("kind", "args", "words"),
    [
        ("no.holders", {"addresses": ["0000:01:00.0", "0000:01:00.1"]}, "nobody holds 0000:01:00.0, 0000:01:00.1"),
        ("link.target", {"path": "/sys/x", "name": ""}, "/sys/x points to nothing"),
        ("unit.state", {"unit": "a.service", "uid": 1000, "state": "active"}, "a.service of user 1000 is active"),
        ("process.gone", {"pid": 7, "start_time": 9}, "process 7 is gone"),
    ],
)
def test_a_condition_is_described_in_words(kind, args, words):
    assert conditions.describe(Condition(kind, args)) == words
