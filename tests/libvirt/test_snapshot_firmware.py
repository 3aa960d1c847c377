"""`vfioctl snapshot` with the firmware and the TPM that guests really have: OVMF writes the NVRAM, swtpm its state."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab
from running_guests import Running

from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_snapshot")

CODE, VARS = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
BOOTING, REST = 120, 3  # seconds, under TCG


@pytest.fixture(scope="module")
def host(module_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    absent = [one for one in (CODE, VARS, shutil.which("swtpm") or "swtpm") if not os.path.exists(one)]
    if absent:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{absent} are missing (apt install ovmf swtpm-tools)")
    place = tmp_path_factory.mktemp("firmware")
    place.chmod(0o755)
    made = snapshot_lab.SnapshotLab(module_lab, place)
    module_lab.start(wrapper=("sh", "-ec", snapshot_lab.SWTPM_PLACES, "places"))
    return made


class Real(Running):
    """A guest with OVMF, and a TPM that swtpm emulates."""

    def __init__(self, host: Any, *, tpm: bool = True) -> None:
        guest = snapshot_lab.Guest(host, uefi=True)
        host.must("cp", VARS, guest.nvram)
        document = host.place / f"{guest.name}.xml"
        text = document.read_text().replace("/usr/share/OVMF/OVMF_CODE.fd", CODE).replace(">32<", ">128<")
        devices = snapshot_lab.TPM if tpm else ""
        document.write_text(text.replace("<controller type='usb'", f"{devices}<controller type='usb'"))
        host.lab.virsh("define", str(document))
        self.tpm = f"{snapshot_lab.TPMS}/{guest.uuid}/tpm2/tpm2-00.permall"
        super().__init__(guest)

    def boot(self) -> None:
        """Switch it on; OVMF has written what it found, and swtpm that it was started, and both are at rest."""
        before = self.state()
        self.switch_on()
        assert until(lambda: not self.state().items() & before.items(), BOOTING), "OVMF and swtpm wrote nothing"
        assert until(self._is_at_rest, BOOTING), "OVMF goes on writing"

    def _is_at_rest(self) -> bool:
        before = self.state()
        time.sleep(REST)
        return self.state() == before

    def booted(self) -> None:
        """The same, and switch it off."""
        self.boot()
        self.switch_off()

    def state(self) -> dict[str, str]:
        """A checksum of the NVRAM and one of the TPM's state, which is not there before the first start."""
        names = {self.guest.nvram: "nvram", self.tpm: "tpm"}
        seen = self.host.run("sha256sum", *names).stdout.splitlines()
        return {names[path]: checksum for checksum, path in map(str.split, seen)}


@pytest.fixture
def real(host: Any) -> Iterator[Real]:
    made = Real(host)
    yield made
    host.lab.virsh("destroy", made.name, check=False)


def test_what_ovmf_and_swtpm_wrote_goes_back_and_both_start_with_it(real, host):
    real.booted()
    clean = real.state()
    host.done("create", real.name, "clean")
    assert real.state() == clean
    real.booted()
    later = real.state()
    host.done("revert", real.name, "clean")
    assert real.state() == clean
    real.booted()
    (kept,) = [row["name"] for row in host.listed(real.name) if row["origin"] == "revert"]
    host.done("revert", real.name, kept, "--discard", "--yes")
    assert real.state() == later


def test_a_tpm_that_is_at_work_is_not_copied(real, host):
    real.switch_on()
    before = host.files()
    said = host.refused("create", real.name, "clean")
    assert "[snapshot.vtpm_state]" in said
    assert "--disks-only" in said
    assert host.files() == before
    host.done("create", real.name, "bare", "--disks-only")
    assert real.disks == real.guest.sources


def test_the_nvram_that_ovmf_wrote_is_kept_while_the_guest_runs(host):
    real = Real(host, tpm=False)
    try:
        real.boot()
        clean = real.state()
        host.done("create", real.name, "clean")
    finally:
        real.switch_off()
    host.must("cp", VARS, real.guest.nvram)
    host.done("revert", real.name, "clean")
    assert real.state() == clean
    real.switch_on()
    real.switch_off()
