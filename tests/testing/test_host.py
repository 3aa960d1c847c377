"""A simulated machine is one for every process, ends with its test, and needs no root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from machine_driver import SECONDS

import vfioctl
from vfioctl.testing import crash, scenarios, snapshot
from vfioctl.testing.control import Control
from vfioctl.testing.host import FakeHost
from vfioctl.wait import until

GPU = scenarios.GPU
LIVES = """
import os, sys, time
from vfioctl.testing import scenarios
from vfioctl.testing.host import FakeHost
host = FakeHost(scenarios.named(sys.argv[2]), sys.argv[1])
host.start()
print(host._server.pid, flush=True)
time.sleep(600)
"""


def mounts(root):
    return [line for line in Path("/proc/mounts").read_text().splitlines() if str(root) in line]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_two_processes_meet_one_machine(machine_of):
    machine = machine_of(scenarios.generic_nic())
    code = "import sys; sys.stdout.write(open(sys.argv[1]).read())"
    machine.write(machine.pci(GPU, "driver_override"), "vfio-pci")
    path = str(machine.root / machine.pci(GPU, "driver_override"))
    assert subprocess.check_output([sys.executable, "-c", code, path], text=True) == "vfio-pci\n"


def test_the_machine_is_gone_after_the_block(fake_root):
    with FakeHost(scenarios.generic_nic(), fake_root) as host:
        assert os.path.ismount(fake_root / ".machine")
        server = host._server.pid
    assert not mounts(fake_root)
    assert not is_running(server)


@pytest.mark.parametrize("victim", ["test", "server"])
def test_nothing_is_left_when_the_test_or_the_server_is_killed(fake_root, victim):
    argv = [sys.executable, "-I", "-c", LIVES, str(fake_root), "generic-nic"]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    server = int(child.stdout.readline())
    fork_server = parent_of(server)
    os.kill(child.pid if victim == "test" else server, signal.SIGKILL)
    assert until(lambda: not mounts(fake_root) and not is_running(server), SECONDS)
    child.kill()
    child.communicate()
    assert until(lambda: not is_running(fork_server), SECONDS)


def test_whoever_waits_in_the_kernel_gets_an_error_when_the_machine_ends(machine_of):
    machine = machine_of(scenarios.two_nvidia(held=True))
    writer = machine.write_in_background("sys/bus/pci/drivers/nvidia/unbind", GPU)
    assert until(lambda: machine.is_blocked(writer), SECONDS)
    os.kill(machine.host._server.pid, signal.SIGKILL)
    assert machine.ended(writer)
    assert writer.returncode == 1


def test_transient_units_end_with_the_machine(fake_root):
    with FakeHost(scenarios.generic_nic(), fake_root) as host:
        subprocess.run([fake_root / "usr/bin/systemd-run", "--unit=job", "sleep", "600"], check=True)
        assert until(lambda: bool(host.kernel.units()["system/job.service"]["pid"]), SECONDS)
        pid = host.kernel.units()["system/job.service"]["pid"]
    assert until(lambda: not is_running(pid), SECONDS)


AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
RUNS_A_MACHINE = """
import os, sys
from vfioctl.testing import scenarios
from vfioctl.testing.host import FakeHost
with FakeHost(scenarios.single_gpu_nvidia_desktop(), sys.argv[1]) as host:
    with open(sys.argv[1] + "/sys/bus/pci/devices/0000:01:00.0/driver_override", "w") as file:
        file.write("vfio-pci")
    print(os.getuid(), len(host.kernel.processes()), len(os.listdir(sys.argv[1] + "/proc/5000011/fd")))
"""


@pytest.fixture
def place_of_nobody():
    """A directory that nobody owns, with an interpreter that they can run: root's may lie in root's home."""
    place = tempfile.mkdtemp(prefix="vfioctl-nobody-")
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", f"{place}/venv"], check=True)
    (packages,) = Path(place).glob("venv/lib/python3*/site-packages")
    (packages / "vfioctl.pth").write_text(os.path.dirname(os.path.dirname(vfioctl.__file__)) + "\n")
    os.mkdir(f"{place}/root")
    for path in (place, f"{place}/root"):
        shutil.chown(path, "nobody")
    yield place
    shutil.rmtree(place)


def with_fuse_for_all(place):
    """What runs a program where everybody may open /dev/fuse: udev sees to that, and not every machine has one."""
    if os.stat("/dev/fuse").st_mode & 0o006 == 0o006:
        return []
    script = """mknod -m 666 "$0/fuse" c 10 229 && mount --bind "$0/fuse" /dev/fuse && "$@" &&
        ! grep -F "$0/root" /proc/self/mounts"""
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, place]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_can_run_a_machine(place_of_nobody):
    python = [f"{place_of_nobody}/venv/bin/python", "-I", "-c", RUNS_A_MACHINE, f"{place_of_nobody}/root"]
    argv = [*with_fuse_for_all(place_of_nobody), *AS_NOBODY, *python]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd="/", check=False)
    assert (ended.returncode, ended.stdout) == (0, "65534 10 5\n"), ended.stderr
    assert not mounts(place_of_nobody)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_may_look_at_roots_machine_and_not_write(fake_root, machine_of):
    machine = machine_of(scenarios.generic_nic())
    for part in (fake_root, *fake_root.parents):
        if str(part).startswith("/tmp/"):
            part.chmod(part.stat().st_mode | 0o011)
    path = str(machine.root / machine.pci(GPU, "driver_override"))
    sh = [*AS_NOBODY, "sh", "-c"]
    assert subprocess.run([*sh, f"cat {path}"], capture_output=True, text=True, check=False).stdout == "(null)\n"
    assert subprocess.run([*sh, f"echo x > {path}"], capture_output=True, check=False).returncode != 0


def test_a_boot_makes_the_machine_anew_behind_cached_names(machine_of):
    machine = machine_of(scenarios.generic_nic())
    assert machine.read(machine.pci(GPU, "vendor")) == "0x8086"
    boot = machine.read("proc/sys/kernel/random/boot_id")
    machine.host.reboot(scenarios.single_gpu_nvidia_desktop())
    assert machine.read("proc/sys/kernel/random/boot_id") != boot
    assert machine.read(machine.pci(GPU, "vendor")) == "0x10de"
    assert os.listdir(machine.root / "run") == ["systemd"]


def test_a_snapshot_finds_every_change_and_what_is_allowed_is_left_out(machine_of):
    machine = machine_of(scenarios.single_gpu_nvidia_desktop())
    before = snapshot.take(machine.root)
    assert snapshot.difference(before, snapshot.take(machine.root)) == ()
    machine.write(machine.pci(GPU, "d3cold_allowed"), "0")
    machine.run("systemctl", "stop", "nvidia-persistenced")
    changed = snapshot.difference(before, snapshot.take(machine.root))
    assert [line.partition(":")[0].rpartition("/")[0] or line for line in changed][-1].startswith("unit system")
    assert len(changed) == 2
    assert len(snapshot.difference(before, snapshot.take(machine.root), allowed=["unit *"])) == 1


def test_a_process_dies_at_the_boundary_that_was_planned(tmp_path):
    (tmp_path / ".kit").mkdir()
    crash.crash_at(tmp_path, 2)
    code = "import sys; from vfioctl.testing.crash import boundary; b = boundary(sys.argv[1]); b('a'); b('b'); b('c')"
    died = subprocess.run([sys.executable, "-I", "-c", code, str(tmp_path)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert crash.boundaries(tmp_path) == ("a", "b")
    crash.crash_at(tmp_path, None)
    assert subprocess.run([sys.executable, "-I", "-c", code, str(tmp_path)], check=False).returncode == 0
    assert crash.boundaries(tmp_path) == ("a", "b", "c")


@pytest.mark.parametrize("make", scenarios.ALL, ids=lambda make: make.__name__)
def test_every_scenario_starts_with_its_drivers_bound(machine_of, make):
    machine = machine_of(make())
    for device in machine.host.spec.devices:
        assert machine.driver(device.address) == device.driver
    assert Control(str(machine.root)).blocked() == []
