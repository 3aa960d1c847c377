"""Every machine gets what its own process would have had: log, umask, user, namespace."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from machine_driver import SECONDS

from vfioctl.testing import scenarios
from vfioctl.testing.host import FakeHost
from vfioctl.wait import until

IN_A_NAMESPACE_OF_ITS_OWN = """
import ctypes, sys
from vfioctl.testing import scenarios
from vfioctl.testing.host import FakeHost
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)
with FakeHost(scenarios.generic_nic(), sys.argv[1] + "/a"):
    assert libc.unshare(CLONE_NEWNS) == 0
    assert libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
    with FakeHost(scenarios.generic_nic(), sys.argv[1] + "/b"), open("/proc/self/mounts") as mounts:
        print([line for line in mounts if line.split()[1] == sys.argv[1] + "/b/.machine"] != [])
"""


def fork_server_of(host):
    return int(Path(f"/proc/{host._server.pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_machines_of_one_process_have_one_fork_server(tmp_path):
    with FakeHost(scenarios.generic_nic(), tmp_path / "a") as one, FakeHost(scenarios.two_gpu(), tmp_path / "b") as two:
        assert fork_server_of(one) == fork_server_of(two)
        assert len(two.kernel.processes()) != len(one.kernel.processes())


def test_a_fork_server_that_was_killed_is_replaced(tmp_path):
    with FakeHost(scenarios.generic_nic(), tmp_path / "a") as host:
        killed = fork_server_of(host)
        os.kill(killed, signal.SIGKILL)
    with FakeHost(scenarios.generic_nic(), tmp_path / "b") as host:
        assert fork_server_of(host) != killed


def test_a_fork_server_whose_owner_ends_before_it_answers_ends_without_a_word(tmp_path):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [sys.executable, "-I", "-m", "vfioctl.testing.forkserver", str(theirs.fileno())]
    request = json.dumps({"root": str(tmp_path), "umask": 0o022}).encode()
    with theirs, (tmp_path / "log").open("wb") as log:
        with ours, open(os.devnull) as parent:
            socket.send_fds(ours, [request], [parent.fileno(), log.fileno()])
        ended = subprocess.run(argv, pass_fds=[theirs.fileno()], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_what_a_machine_makes_has_the_umask_of_who_started_it(tmp_path):
    before = os.umask(0o027)
    try:
        with FakeHost(scenarios.generic_nic(), tmp_path) as host:
            subprocess.run([tmp_path / "usr/bin/systemd-run", "--unit=job", "touch", tmp_path / "made"], check=True)
            assert until((tmp_path / "made").exists, SECONDS)
            assert host.kernel.units()
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o640


def test_a_machine_that_cannot_start_says_why(tmp_path):
    broken = replace(scenarios.generic_nic(), devices=(None,))
    with pytest.raises(RuntimeError, match=r"did not start: [^\0]*Traceback"):
        FakeHost(broken, tmp_path).start()


@pytest.mark.skipif(os.getuid() != 0, reason="a namespace of its own needs root")
def test_a_machine_is_mounted_where_its_process_is_by_then(tmp_path):
    argv = [sys.executable, "-I", "-c", IN_A_NAMESPACE_OF_ITS_OWN, str(tmp_path)]
    assert subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout == "True\n"
