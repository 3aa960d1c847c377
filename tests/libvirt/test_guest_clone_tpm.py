"""`vfioctl guest clone` of a guest whose TPM a real swtpm emulates: the clone starts with the keys that were copied."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest
import snapshot_lab

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

LOG = "/var/log/swtpm/libvirt/qemu/{}-swtpm.log"
MADE = "vTPM manufacturing"  # what swtpm_setup says where it makes the keys of a new TPM


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if shutil.which("swtpm") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("swtpm is missing (apt install swtpm-tools)")
    place = tmp_path_factory.mktemp("tpm")
    place.chmod(0o755)
    made = snapshot_lab.SnapshotLab(module_lab, place)
    module_lab.start(wrapper=("sh", "-ec", snapshot_lab.SWTPM_PLACES, "places"))
    module_lab.virsh("pool-define-as", "default", "dir", "--target", snapshot_lab.IMAGES)
    module_lab.virsh("pool-start", "default")
    return made


def run_once(host: Any, name: str) -> None:
    host.lab.virsh("start", name)
    host.lab.virsh("destroy", name)


def log(host: Any, name: str) -> str:
    """What swtpm and its setup have said of the guest."""
    argv = host.lab.inside("cat", LOG.format(name))
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_a_clone_starts_with_the_keys_of_its_original_and_makes_none(host: Any) -> None:
    guest = snapshot_lab.Guest(host)
    document = host.place / f"{guest.name}.xml"
    usb = "<controller type='usb'"
    document.write_text(document.read_text().replace(usb, f"{snapshot_lab.TPM}{usb}"))
    host.lab.virsh("define", str(document))
    host.lab.virsh("pool-refresh", "default")
    run_once(host, guest.name)
    assert MADE in log(host, guest.name)
    state = f"{snapshot_lab.TPMS}/{guest.uuid}/tpm2/tpm2-00.permall"
    ended = host.cli("guest", "clone", guest.name, "twin", "--format", "json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    uuid = json.loads(ended.stdout)["data"]["guest"]["uuid"]
    host.must("cmp", state, state.replace(guest.uuid, uuid))
    run_once(host, "twin")
    assert MADE not in log(host, "twin")
