"""No process that our hook starts ever reaches libvirt, by a socket or by a program: seen by strace."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vfioctl.testing import scenarios

GPU = "0000:01:00.0"
HOME = ("nvidia", "snd_hda_intel")
SYSCALLS = "trace=execve,connect,clone,clone3,fork,vfork"
CHILD = re.compile(r"^(?:<\.\.\. )?(?:clone3?|v?fork)\b.*= (\d+)$", re.MULTILINE)
EXECUTED = re.compile(r'^execve\("([^"]+)".* = 0$', re.MULTILINE)
CONNECTED = re.compile(r'^connect\(.*sun_path=@?"([^"]+)"', re.MULTILINE)


def family(traces: dict[int, str], hook: str) -> dict[int, str]:
    """The traces of every process that was `hook`, and of all that descend from it."""
    todo = [pid for pid, text in traces.items() if hook in EXECUTED.findall(text)]
    found: dict[int, str] = {}
    while todo:
        pid = todo.pop()
        if pid in traces and pid not in found:
            found[pid] = traces[pid]
            todo += [int(child) for child in CHILD.findall(traces[pid])]
    return found


def reached(processes: dict[int, str]) -> list[str]:
    """Each program and socket of libvirt that `processes` used."""
    text = "\n".join(processes.values())
    programs = [path for path in EXECUTED.findall(text) if os.path.basename(path).startswith(("vir", "libvirt"))]
    return programs + [path for path in CONNECTED.findall(text) if "libvirt" in path]


@pytest.mark.skipif(shutil.which("strace") is None and not os.environ.get("CI"), reason="strace is not installed")
def test_no_process_of_the_hook_reaches_libvirt(
    start_host: Callable[..., Any], make_lab: Callable[..., Any], make_house: Callable[..., Any], tmp_path: Path
) -> None:
    house = make_house(replace(scenarios.two_gpu(logged_in=False), systemd=False))
    house.lab.stop()
    house.lab.hook("70-wrong", "timeout 1 virsh -c qemu:///system version || :\n")
    traces = tmp_path / "trace"
    traces.mkdir()
    house.lab.start(wrapper=("strace", "-ff", "--seccomp-bpf", "-q", "-e", SYSCALLS, "-o", str(traces / "of")))
    house.guest("win11", GPU)
    assert house.start("win11").returncode == 0
    house.stop("win11")
    assert house.comes_home(*HOME), house.log()
    house.lab.close()
    seen = {int(path.suffix[1:]): path.read_text(errors="replace") for path in traces.iterdir()}
    ours = family(seen, house.host.paths.shim.replace(str(house.lab.etc), "/etc/libvirt"))
    programs = {os.path.basename(path) for text in ours.values() for path in EXECUTED.findall(text)}
    assert {"50-vfioctl", "modprobe"} <= programs
    for operation in ("prepare", "release"):
        assert any(f'"hook", "win11", "{operation}"' in text for text in ours.values())
    assert reached(ours) == []
    wrong = family(seen, "/etc/libvirt/hooks/qemu.d/70-wrong")
    assert any("virsh" in path for path in reached(wrong))
    assert any("libvirt" in path and "sock" in path for path in reached(wrong))
