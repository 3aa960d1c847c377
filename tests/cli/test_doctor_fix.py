"""`vfioctl doctor --fix` as it is typed: each fixer mends its finding, on record, and is taken back whole."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boot_trees import BootTree

from vfioctl.actions import offers
from vfioctl.compose import compose
from vfioctl.setup import shim

SHIM = "etc/libvirt/hooks/qemu.d/50-vfioctl"
BOOT_PICTURE = "c0000000-cfffffff : PCI Bus\n  c0000000-c1ffffff : 0000:01:00.0\n    c0000000-c07e8fff : BOOTFB\n"
Break = Callable[[BootTree], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "host"


@pytest.fixture
def tree(root: Path) -> BootTree:
    tree = BootTree(root).grub().initramfs_tools()
    tree.shell("modprobe", '#!/bin/sh\n[ "$1" = refused ] && exit 1\n: >"$ROOT/dev/${1%_intel}"\n')
    tree.write(SHIM, shim.rendered(compose(str(root)))).chmod(0o755)
    return tree


@pytest.fixture
def found(run) -> Callable[[], set[str]]:
    """The codes that doctor finds now."""

    def codes() -> set[str]:
        checks = json.loads(run("doctor", "--format", "json").out)["data"]["checks"]
        return {one["code"] for check in checks for one in check["findings"]}

    return codes


def shim_text(old: str, new: str) -> Break:
    def change(tree: BootTree) -> None:
        file = tree.root / SHIM
        file.write_text(file.read_text().replace(old, new), newline="")

    return change


def command_line(words: str) -> Break:
    """Settings, menu and running kernel with these words."""

    def change(tree: BootTree) -> None:
        tree.write("etc/default/grub", f'GRUB_CMDLINE_LINUX_DEFAULT="quiet {words}"\n')
        tree.make("update-grub")
        tree.restart()

    return change


def with_iommu(change: Break) -> Break:
    def both(tree: BootTree) -> None:
        tree.write("sys/class/iommu/dmar0/x")
        change(tree)

    return both


BROKEN: dict[str, Break] = {
    "hook.not_executable": lambda tree: (tree.root / SHIM).chmod(0o644),
    "hook.line_endings": shim_text("\n", "\r\n"),
    "hook.shebang": shim_text("#!/bin/sh", "#!/bin/nosuch"),
    "hook.changed": shim_text("#!/bin/sh\n", "#!/bin/sh\n# mine\n"),
    "hook.interpreter_gone": shim_text(sys.executable, "/nosuch/python"),
    "cpu.no_kvm": lambda tree: None,
    "power.lid": lambda tree: (
        tree.with_systemd().shell("systemctl", "#!/bin/sh\n"),
        tree.write("sys/bus/acpi/devices/PNP0C0D:00/path", "\\_SB_.LID0\n"),
        tree.write("etc/systemd/logind.conf", "# settings\n[Login]\n#HandleLidSwitch=suspend\n"),
    ),
    "config.writable": lambda tree: tree.write("etc/vfioctl/config.toml", "# mine\n").chmod(0o666),
    "driver.taken_by_file": lambda tree: tree.write(
        "etc/modprobe.d/vfio.conf", "# by hand\noptions vfio-pci ids=10de:1111\nsoftdep nouveau pre: vfio-pci\n"),
    "driver.early": lambda tree: (
        tree.write("etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:1111\n"),
        tree.write("etc/initramfs-tools/modules", "# modules\nvfio\nvfio_pci\n"),
    ),
    "driver.blacklisted": with_iommu(lambda tree: (
        (tree.root / "sys/devices/pci0000:00/0000:01:00.0/driver").unlink(),
        tree.write("etc/modprobe.d/no.conf", "blacklist nouveau # for now\nblacklist nvidia\nblacklist pcspkr\n"),
    )),
    "iommu.off": lambda tree: None,
    "iommu.kernel_off": command_line("intel_iommu=off"),
    "iommu.acs_override": with_iommu(command_line("pcie_acs_override=downstream,multifunction")),
    "boot.framebuffer_memory": with_iommu(lambda tree: tree.write("proc/iomem", BOOT_PICTURE)),
    "driver.nomodeset": command_line("nomodeset"),
    "driver.taken_at_boot": command_line("vfio-pci.ids=10de:2684"),
}  # fmt: skip
AT_BOOT = {"boot.framebuffer_memory", "iommu.off", "iommu.kernel_off", "iommu.acs_override", "driver.nomodeset",
           "driver.taken_at_boot"}  # fmt: skip


@pytest.mark.parametrize("code", BROKEN)
def test_a_fix_mends_what_was_found_and_is_taken_back(tree, run, found, code) -> None:
    BROKEN[code](tree)
    tree.make("update-initramfs", "-u", "-k", "all")
    before = tree.state()
    assert code in found()
    shown = run("doctor", "--fix", code, "--yes")
    assert f"[{code}] done: " in shown.out, shown.whole
    if code in AT_BOOT:
        assert "It takes effect when this host is restarted." in shown.whole
        tree.restart()
        if "initcall_blacklist=sysfb_init" in tree.next_words()[0]:
            tree.write("proc/iomem")
    assert code not in found()
    back = ("setup", "--undo") if code in AT_BOOT else ("doctor", "--undo")
    assert f"Take it back with: vfioctl {' '.join(back)}" in shown.whole
    assert run(*back, "--yes").status == 0
    (tree.root / "dev/kvm").unlink(missing_ok=True)
    assert tree.state() == before


LISTS = [
    ("etc/mkinitcpio.conf", "MODULES=(vfio_pci vfio vfio_iommu_type1 dm_integrity megaraid_sas) # vfio_pci\n",
     "MODULES=(dm_integrity megaraid_sas) # vfio_pci\n"),
    ("etc/mkinitcpio.conf", "MODULES=(\n  vfio_pci\n  amdgpu vfio-pci\n)\n", "MODULES=(\n\n  amdgpu\n)\n"),
    ("etc/mkinitcpio.conf.d/x.conf", "MODULES+=('vfio_pci' \"dm_integrity\")\n", 'MODULES+=("dm_integrity")\n'),
    ("etc/dracut.conf.d/x.conf", 'force_drivers+=" vfio vfio-pci megaraid_sas "\n',
     'force_drivers+=" megaraid_sas "\n'),
    ("etc/dracut.conf", 'add_drivers+="vfio_pci" ; hostonly=yes\n', "add_drivers+=; hostonly=yes\n"),
    ("etc/initramfs-tools/modules", "vfio_pci ids=10de:1111\ndm_integrity\n",
     "# vfio_pci ids=10de:1111\ndm_integrity\n"),
]  # fmt: skip


@pytest.mark.parametrize("listed", LISTS)
def test_other_modules_stay_in_the_initramfs(tree, run, found, listed) -> None:
    path, text, left = listed
    tree.write("etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:1111\n")
    file = tree.write(path, text)
    assert "driver.early" in found()
    assert "done" in run("doctor", "--fix", "driver.early", "--yes").out
    assert file.read_text() == left
    assert "driver.early" not in found()
    assert run("doctor", "--undo", "--yes").status == 0
    assert file.read_text() == text


def closes_the_lid(tree, **drop_ins: str) -> None:
    """A laptop whose logind has the settings of Debian, one of them against us, and these drop-ins by their names."""
    BROKEN["power.lid"](tree)
    text = "#  See [Login] in logind.conf(5)\n[Login]\nHandleLidSwitch=suspend\nLidSwitchIgnoreInhibited=yes\n"
    tree.write("etc/systemd/logind.conf", text)
    for name, said in drop_ins.items():
        tree.write(f"etc/systemd/logind.conf.d/{name}.conf", f"[Login]\n{said}\n")


@pytest.mark.parametrize("said", ["LidSwitchIgnoreInhibited=yes", "HandleLidSwitch=hibernate"])
def test_a_lid_is_mended_by_a_drop_in_of_our_own_whatever_comes_before_it(tree, run, found, said) -> None:
    closes_the_lid(tree, aa=said)
    before = tree.state()
    assert "[power.lid] done: /etc/systemd/logind.conf.d/vfioctl.conf" in run(
        "doctor", "--fix", "power.lid", "--yes").out  # fmt: skip
    assert "power.lid" not in found()
    assert {name: file for name, file in tree.state().items() if name in before} == before
    assert run("doctor", "--undo", "--yes").status == 0
    assert tree.state() == before


def test_a_drop_in_that_would_outrank_ours_is_named_and_left_to_a_person(tree, run) -> None:
    closes_the_lid(tree, zz="LidSwitchIgnoreInhibited=yes")
    before = tree.state()
    assert mended_with(run, "power.lid") == [""]
    assert "Take LidSwitchIgnoreInhibited=yes out of /etc/systemd/logind.conf.d/zz.conf:2" in run("doctor").out
    assert "has no fix that vfioctl makes" in run("doctor", "--fix", "power.lid", "--yes").whole
    assert tree.state() == before


def mended_with(run, code: str) -> list[str]:
    """What doctor names with each finding of the code."""
    checks = json.loads(run("doctor", "--format", "json").out)["data"]["checks"]
    return [one["fix"] for check in checks for one in check["findings"] if one["code"] == code]


@pytest.mark.parametrize("code", BROKEN)
def test_doctor_names_the_command_that_mends_it(tree, run, code) -> None:
    BROKEN[code](tree)
    named = "vfioctl setup" if code in ("iommu.off", "iommu.kernel_off") else f"vfioctl doctor --fix {code}"
    assert mended_with(run, code) == [named]
    for words in (("doctor",), ("doctor", code)):
        assert f"        Mend it with: {named}\n" in run(*words).out
    run(*named.split()[1:], "--yes")
    tree.restart()
    if code != "boot.framebuffer_memory":
        assert mended_with(run, code) == []


def test_without_its_plugin_no_command_of_one_is_named(tree, run, monkeypatch) -> None:
    BROKEN["iommu.kernel_off"](tree)
    monkeypatch.setattr(offers, "plugin_infos", lambda _call: {})
    assert mended_with(run, "iommu.kernel_off") == [""]


@pytest.mark.parametrize("code", ["iommu.off", "iommu.kernel_off"])
def test_a_boot_loader_that_nobody_knows_is_for_a_person(tree, run, code) -> None:
    BROKEN[code](tree)
    shutil.rmtree(tree.root / "boot")
    shutil.rmtree(tree.root / "etc/default")
    assert mended_with(run, code) == [""]


def test_a_kernel_of_arm_without_kvm_is_for_a_person(tree, run) -> None:
    tree.write("proc/cpuinfo", "Features : fp asimd\nCPU implementer : 0x41\n")
    assert mended_with(run, "cpu.no_kvm") == [""]


def test_an_iommu_that_no_word_turns_on_is_for_a_person(tree, run) -> None:
    (tree.root / "sys/firmware/acpi/tables/DMAR").unlink()
    tree.write("sys/firmware/acpi/tables/IVRS")
    tree.write("proc/cpuinfo", "vendor_id : AuthenticAMD\nflags : svm\n")
    assert mended_with(run, "iommu.off") == [""]


def test_a_dry_run_shows_the_change_and_makes_none(tree, run) -> None:
    (tree.root / SHIM).chmod(0o644)
    before = tree.state()
    shown = run("doctor", "--fix", "--dry-run", "hook.not_executable")
    assert shown.status == 0
    assert f"[hook.not_executable] would be done: /{SHIM}\nmode 0644 becomes 0755" in shown.out
    assert tree.state() == before


def test_without_a_code_everything_is_mended_that_can_be(tree, run, found) -> None:
    (tree.root / SHIM).chmod(0o644)
    command_line("nomodeset intel_iommu=off")(tree)
    shown = run("doctor", "--fix", "--format", "json", "--yes")
    fixed = {one["code"]: one["state"] for one in json.loads(shown.out)["data"]["fixed"]}
    assert fixed == dict.fromkeys(("cpu.no_kvm", "driver.nomodeset", "hook.not_executable", "iommu.kernel_off"), "done")
    tree.restart()
    assert not set(fixed) & found()


def test_nobody_is_asked_in_a_pipe_so_that_nothing_is_mended(tree, run) -> None:
    (tree.root / SHIM).chmod(0o644)
    before = tree.state()
    shown = run("doctor", "--fix", "hook.not_executable")
    assert (shown.status, "[doctor.unconfirmed]" in shown.err) == (3, True)
    assert "vfioctl doctor --fix hook.not_executable --yes" in shown.err
    assert tree.state() == before


def test_a_fix_that_fails_is_told_undone_and_costs_only_itself(tree, run) -> None:
    (tree.root / SHIM).chmod(0o644)
    tree.shell("modprobe", "#!/bin/sh\necho not supported >&2; exit 1\n")
    shown = run("doctor", "--fix", "--format", "json", "--yes")
    fixed: dict[str, Any] = {one["code"]: one for one in json.loads(shown.out)["data"]["fixed"]}
    assert shown.status == 1
    assert fixed["hook.not_executable"]["state"] == "done"
    assert (fixed["cpu.no_kvm"]["state"], "not supported" in fixed["cpu.no_kvm"]["why"]) == ("failed", True)
    assert not (tree.root / "etc/modules-load.d/vfioctl-kvm.conf").exists()


def test_a_fix_that_waits_for_a_restart_is_not_made_twice(tree, run) -> None:
    assert "[iommu.off] done: " in run("doctor", "--fix", "iommu.off", "--yes").out
    before = tree.state()
    assert "[iommu.off] already there: the files say so already" in run("doctor", "--fix", "iommu.off", "--yes").out
    assert tree.state() == before


def test_a_finding_without_a_fix_says_so(tree, run) -> None:
    shown = run("doctor", "--fix", "firmware.no_uefi", "--yes")
    assert "firmware.no_uefi is not found here, or has no fix that vfioctl makes" in shown.whole


def test_what_was_edited_after_a_fix_is_not_written_over(tree, run) -> None:
    assert "done" in run("doctor", "--fix", "cpu.no_kvm", "--yes").out
    file = tree.write("etc/modules-load.d/vfioctl-kvm.conf", "kvm_amd\n")
    shown = run("doctor", "--undo", "--yes")
    assert (shown.status, "[change.edited]" in shown.err) == (3, True)
    assert file.read_text() == "kvm_amd\n"
    assert run("doctor", "--undo", "--leave-edited", "--yes").status == 0
    assert file.read_text() == "kvm_amd\n"
