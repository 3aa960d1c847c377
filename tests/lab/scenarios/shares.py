"""Network shares whose server is gone: whoever looks there waits in the kernel, and a start must not."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

from tests.lab.inside import card, guest, managed, nfs_server, programs
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario
from tests.lab.scenarios.refusals import refused

SERVED, SHARE = "/srv/share", "/mnt/share"
IMAGE = f"{SHARE}/disk.qcow2"
FILE = "/etc/vfioctl/guests/lab.toml"
LIMIT = 30.0  # seconds; deadlines.plan is 20


@scenario(seconds=60)
def nfs_server_gone(lab: Lab) -> None:
    """A guest's disk is on an NFS mount whose server is gone, snapshots are on: refused by name, and in time."""
    os.makedirs(SERVED, exist_ok=True)
    programs.must(["qemu-img", "create", "-q", "-f", "qcow2", f"{SERVED}/disk.qcow2", "16M"])
    server = mounted(lab)
    with lab.check("the guest has its disk there, and snapshots are on"):
        whole = guest.xml("no").replace("type='raw'", "type='qcow2'").replace(guest.DISK, IMAGE)
        with open("/run/share.xml", "w", encoding="utf-8") as file:
            file.write(whole.replace("<readonly/><shareable/>", ""))
        programs.must(["virsh", "define", "/run/share.xml"])
        with open(FILE, "a", encoding="utf-8") as file:
            file.write("[snapshot]\nenabled = true\n")
    holder = subprocess.Popen(["/usr/bin/tail", "-f", IMAGE], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with lab.check("the server is gone, and whoever looks there waits in the kernel") as said:
        eventually(lambda: IMAGE in opened(holder.pid), 20, "tail does not open it")
        server.send_signal(signal.SIGSTOP)
        looker = subprocess.Popen(["/usr/bin/head", "-c1", f"{SHARE}/other"], stderr=subprocess.DEVNULL)
        eventually(lambda: state_of(looker.pid) == "D", 30, lambda: f"it is in state {state_of(looker.pid)!r}")
        said.append(card.read(f"/proc/{looker.pid}/wchan"))
    began = time.monotonic()
    refused(lab, IMAGE, "does not answer", touched=guest.CARD)
    with lab.check("each command ends as well") as said:
        lab.time("the refused start, with its pictures", time.monotonic() - began)
        for words in (["plan", guest.NAME], ["status"], ["recover"], ["hook", "verify"], ["gpu", "holders"]):
            done, seconds = programs.timed(["vfioctl", *words], LIMIT)
            said.append(f"{words[0]}: {seconds:.1f} s, status {done.returncode}")
        expect(truth=IMAGE in programs.run(["vfioctl", "plan", guest.NAME]).stdout
               or IMAGE in programs.run(["vfioctl", "plan", guest.NAME]).stderr, otherwise="plan does not name it")
    server.send_signal(signal.SIGCONT)
    with lab.check("with its server back, what waited goes on, and the plan is not refused"):
        eventually(lambda: looker.poll() is not None, 60, "it still waits")
        eventually(lambda: programs.run(["vfioctl", "plan", guest.NAME]).returncode == 0, 60, "the plan is refused")
    managed.has_finished(lab, "afterwards")


def mounted(lab: Lab) -> subprocess.Popen[str]:
    """The server, once the kernel's client has mounted what it serves, hard as NFS mounts are by default."""
    with lab.check("an NFS share is mounted, by the kernel's own client"):
        programs.must(["modprobe", "nfsv3"])
        os.makedirs(SHARE, exist_ok=True)
        argv = [sys.executable, nfs_server.__file__, SERVED]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        assert server.stdout
        port = server.stdout.readline().strip()
        options = (
            f"addr=127.0.0.1,vers=3,proto=tcp,port={port},mountproto=tcp,mountport={port},mountaddr=127.0.0.1,"
            "mountvers=3,nolock,hard,timeo=20"
        )
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mount(f"127.0.0.1:{SERVED}".encode(), SHARE.encode(), b"nfs", 0, options.encode())
        expect(truth=not failed, otherwise=f"mount(2): {os.strerror(ctypes.get_errno())}")
        expect(truth=os.path.exists(IMAGE), otherwise="the image is not seen through it")
    return server


def opened(pid: int) -> list[str]:
    return [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]


def state_of(pid: int) -> str:
    return card.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0]
