"""A real container on the card: named as what stops it, and stopped and started where the guest file lists it."""

from __future__ import annotations

import os
import re
import shutil

from tests.lab.inside import card, desktop, guest, guests, kernel, managed, programs, standins, units
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

NAME = "trainer"
IMAGE = "lab/busybox"
TREE = "/run/container"
DAEMON = "docker.service"
UP = "/run/docker-is-up"
DOCKER = f"""#!/bin/sh
[ -e {UP} ] && exec podman "$@"
echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?' >&2
exit 1
"""
SERVICE = f"""[Unit]
After=libvirtd.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/touch {UP}
[Install]
WantedBy=multi-user.target
"""
EARLY, REST = managed.INSTALLED


@scenario(seconds=90)
def podman(lab: Lab) -> None:
    """A podman container has the card open: refused by its name; listed, it is stopped, and started afterwards."""
    (address,) = standins.plug(lab, 1)
    node = kernel.dri_node(address)
    with lab.check("a container has it open") as said:
        image(lab)
        works = f"trap 'exit 0' TERM; exec 9<{node}; while /bin/busybox sleep 1; do :; done"
        run = ["podman", "run", "--detach", f"--name={NAME}", "--network=none", f"--device={node}", IMAGE]
        programs.must([*run, "/bin/busybox", "sh", "-c", works], 180)
        eventually(lambda: bool(holders(node)), 60, "it has not")
        said.append(f"{card.openers(node)}")
    machine = guests.Guest("render", 1, (address,))
    machine.define()
    before = machine.state()
    machine.is_refused(lab, f"podman stop {NAME}")
    with lab.check("the container runs on, nothing has changed"):
        expect(truth=state() == "running" and bool(holders(node)), otherwise=state())
        expect(truth=machine.state() == before, otherwise="; ".join(guests.differences(before, machine.state())))
        expect(truth=desktop.shows_greeter(), otherwise=desktop.what_runs())
    with lab.check("gpu holders names it, too"):
        shown = managed.run("gpu", "holders", address)
        expect(truth=NAME in shown, otherwise=shown)
    machine.define(f'containers = ["podman:{NAME}"]\n')
    machine.start(lab)
    with lab.check("it is stopped"):
        expect(truth=state() == "exited", otherwise=state())
    machine.destroy(lab)
    machine.is_as(lab, before)
    with lab.check("it is started, and has the card"):
        eventually(lambda: state() == "running", 90, state)
        eventually(lambda: bool(holders(node)), 60, lambda: f"{card.openers(node)}")
    managed.has_finished(lab, "returned")


@scenario(seconds=150)
def docker_comes_late(lab: Lab) -> None:
    """The plug is pulled while the guest has the card, and Docker is up after libvirt: its container runs again."""
    before = guest.remember(lab)
    with lab.check("a container of docker runs (a stand-in: podman, once the unit of the daemon is active)"):
        image(lab)
        units.install(DAEMON, SERVICE)
        write("/usr/bin/docker", DOCKER, 0o755)
        works = "trap 'exit 0' TERM; while /bin/busybox sleep 1; do :; done"
        run = ["docker", "run", "--detach", f"--name={NAME}", "--network=none", IMAGE]
        programs.must([*run, "/bin/busybox", "sh", "-c", works], 180)
    write(f"{guests.FILES}/{guest.NAME}.toml", f'containers = ["docker:{NAME}"]\n')
    guest.start(lab)
    with lab.check("the container is stopped"):
        expect(truth=state() == "exited", otherwise=state())
    os.sync()
    lab.power_cut(finished_beside_libvirt, before=before)


def finished_beside_libvirt(lab: Lab) -> None:
    with lab.check("the unit before libvirt fails at the container, and libvirt starts all the same") as said:
        eventually(lambda: "Failed with result 'exit-code'" in journal(EARLY), 90, lambda: journal(EARLY))
        eventually(lambda: programs.unit("libvirtd.service") == "active", 60, "it does not")
        said.append(journal(EARLY)[-300:])
    with lab.check("the unit beside libvirt waits for docker, and succeeds"):
        eventually(lambda: units.ran(REST), 120, lambda: programs.unit(REST, "Result"))
        expect(truth=programs.unit(DAEMON) == "active", otherwise="docker was not waited for")
        eventually(lambda: state() == "running", 60, state)
    with lab.check("no unit stays failed"):
        expect(truth=programs.unit(EARLY) == "inactive", otherwise=programs.unit(EARLY))
    guest.comes_home(lab, "booted", lab.memory["before"], 150)
    managed.has_finished(lab, "booted")


def journal(unit: str) -> str:
    """What it has said in this boot."""
    return programs.must(["journalctl", "--boot", "--output=cat", f"--unit={unit}"]).strip()


def write(path: str, text: str, mode: int = 0o644) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def holders(node: str) -> list[int]:
    """Pids of the container's processes that have it open."""
    return [pid for pid in card.openers(node) if "libpod" in card.read(f"/proc/{pid}/cgroup")]


def state() -> str:
    return programs.must(["podman", "inspect", "--format={{.State.Status}}", NAME]).strip()


def image(lab: Lab) -> None:
    """Import one of busybox alone, with the libraries that it needs: nothing comes from a registry."""
    needs = re.findall(r"(/\S+) \(0x", programs.must(["ldd", "/bin/busybox"]))
    for path in ("/bin/busybox", *needs):
        os.makedirs(os.path.dirname(TREE + path), exist_ok=True)
        shutil.copy(path, TREE + path)
    programs.must(["tar", "-cf", f"{TREE}.tar", "-C", TREE, "."])
    programs.must(["podman", "import", "--quiet", f"{TREE}.tar", IMAGE], 180)
