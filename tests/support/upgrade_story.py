"""Run in a tree by the installed package: a guest starts, the package is upgraded, the guest stops.

    python upgrade_story.py NEWER_PACKAGE

Says the driver of the card while the guest runs, the version that is installed then, and the driver afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys

from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.testing.scenarios import single_gpu_nvidia_desktop

GPU, SOUND = "0000:01:00.0", "0000:01:00.1"
XML = domain("win11", hostdevs=(GPU, SOUND), managed=True)


def driver(host: FakeHost) -> str:
    return os.path.basename(os.readlink(host.paths.pci(GPU, "driver")))


def main() -> None:
    os.makedirs("/srv/host")
    with FakeHost(single_gpu_nvidia_desktop(), "/srv/host") as host:
        daemon = FakeLibvirt(host)
        daemon.install()
        daemon.manage("win11", 'session = "end"\n')
        started = daemon.start("win11", UUID, XML.encode(), addresses=(GPU, SOUND))
        assert started.status == 0, started.stderr
        given = driver(host)
        subprocess.run(["dpkg", "-i", sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
        version = subprocess.run(["vfioctl", "--version"], check=True, capture_output=True, text=True).stdout
        daemon.stop("win11", XML.encode())
        assert daemon.returned(UUID)
        sys.stdout.write(f"{given} | {version.strip()} | {driver(host)}\n")


main()
