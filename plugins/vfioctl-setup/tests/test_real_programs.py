"""`vfioctl setup` with the programs of Debian that make boot menus, in a root directory of their own.

GRUB's are those of the packages grub-common and grub2-common: installed, or unpacked (`dpkg -x`) into $VFIOCTL_GRUB.
Only grub-probe is played, since a directory has no disk that GRUB could find. kernel-install comes with systemd.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from boot_trees import MACHINE_ID, RELEASE, ROOT_WORDS
from real_root import furnish, set_up_and_undo

PACKAGES = Path(os.environ.get("VFIOCTL_GRUB", "/"))
GRUB = ("usr/sbin/update-grub", "usr/sbin/grub-mkconfig", "etc/grub.d/10_linux", "usr/share/grub/grub-mkconfig_lib")
INSTALL = Path("/usr/bin/kernel-install"), Path("/usr/lib/kernel/install.d/90-loaderentry.install")
ENTRIES = "/boot/efi/loader/entries"
RESTART = f"sed -n 's/^options *//p' $root{ENTRIES}/*.conf >$root/proc/cmdline"
PROBE = "#!/bin/sh\ncase $* in *target=device*) echo /dev/vda1 ;; *target=fs*) echo ext2 ;; *) echo 1234 ;; esac\n"

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")


def lines(menu: dict[str, str], start: str) -> list[list[str]]:
    """The words of each line of the menu that begins so."""
    texts = (text for text in menu.values() for text in text.splitlines())
    return [line.split() for line in texts if line.split()[:1] == [start]]


@root_only
@pytest.mark.skipif(not all((PACKAGES / name).exists() for name in GRUB), reason="needs grub-common and grub2-common")
def test_the_menu_that_grub_makes_has_the_word_and_is_the_same_again(tree, tmp_path) -> None:
    furnish(tree)
    tree.write("etc/default/grub", 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n')
    tree.write("etc/default/grub.d/init-select.cfg", "# for init-select\n")
    for file in (PACKAGES / "etc/grub.d").iterdir():
        tree.write(f"etc/grub.d/{file.name}", file.read_text()).chmod(file.stat().st_mode)
    (tree.root / "boot/grub").mkdir()
    probe = tmp_path / "work/grub-probe"
    probe.parent.mkdir()
    probe.write_text(PROBE)
    probe.chmod(0o755)
    before = tree.state()
    menus = set_up_and_undo(tree, probe.parent, PACKAGES, "/boot/grub/grub.cfg", "update-grub")
    assert lines(menus["before"], "linux")
    assert not [line for line in lines(menus["before"], "linux") if "intel_iommu=on" in line]
    assert all("intel_iommu=on" in line for line in lines(menus["after"], "linux"))
    assert menus["back"] == menus["before"]
    settings = {name: found for name, found in tree.state().items() if name.startswith("etc/default")}
    assert settings == {name: found for name, found in before.items() if name.startswith("etc/default")}


def systemd_boot(tree, work: Path) -> str:
    """The command that makes the menu of this host the first time.

    That of systemd 257 takes no directory for the boot partition unless it is told to (kernel-install(8), BOOT_ROOT).
    """
    furnish(tree)
    tree.write("etc/kernel/install.conf", "BOOT_ROOT=/boot/efi\n")
    tree.write("boot/efi/EFI/systemd/systemd-bootx64.efi", "MZ")
    for place in ("loader/entries", MACHINE_ID):
        (tree.root / "boot/efi" / place).mkdir(parents=True)
    work.mkdir()
    return f"kernel-install add {RELEASE} /boot/vmlinuz-{RELEASE}"


@root_only
@pytest.mark.skipif(not all(path.exists() for path in INSTALL), reason="needs kernel-install with its plugins")
@pytest.mark.parametrize("command_line", [ROOT_WORDS, f"{ROOT_WORDS} intel_iommu=off"])
def test_the_entries_that_kernel_install_makes_have_the_word_and_are_the_same_again(
    tree, tmp_path, command_line
) -> None:
    make = systemd_boot(tree, tmp_path / "work")
    tree.write("etc/kernel/cmdline", f"{command_line}\n")
    menus = set_up_and_undo(tree, tmp_path / "work", Path("/"), ENTRIES, make)
    (before,), (after,) = lines(menus["before"], "options"), lines(menus["after"], "options")
    assert before[1:-1] == command_line.split() or before[1:] == command_line.split()
    assert "intel_iommu=on" in after
    assert "intel_iommu=off" not in after
    assert menus["back"] == menus["before"]
    assert (tree.root / "etc/kernel/cmdline").read_text() == f"{command_line}\n"


@root_only
@pytest.mark.skipif(not all(path.exists() for path in INSTALL), reason="needs kernel-install with its plugins")
def test_the_entries_are_the_same_again_where_kernel_install_had_their_words_of_the_running_kernel(tree, tmp_path):
    make = systemd_boot(tree, tmp_path / "work")
    menus = set_up_and_undo(tree, tmp_path / "work", Path("/"), ENTRIES, make, restart=RESTART)
    (after,) = lines(menus["after"], "options")
    assert "intel_iommu=on" in after
    assert menus["back"] == menus["before"]
