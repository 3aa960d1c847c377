"""How findings of the core are mended whose fix is one file: as a change of the host on record. Makes none itself.

A finding that names a line ("/etc/x.conf:3: …" as its evidence) is mended by making a comment of that line, or by
taking vfio-pci out of it where the line lists modules.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.doctor import power
from vfioctl.host.processor import is_arm, processor_flags
from vfioctl.host.readers import entries
from vfioctl.ownership import is_own, writable_itself
from vfioctl.plugin.host_changes import FileEdit, HostChange, read_now
from vfioctl.setup import shim

if TYPE_CHECKING:
    from vfioctl.compose import Composition
    from vfioctl.findings import Finding
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths

Fixer = Callable[["Host", "Finding"], HostChange | None]

RECORD = "doctor"
BACK = "vfioctl doctor --undo"
EXECUTABLE = 0o755
FOR_OTHERS = 0o022  # what lets them write
PLACE = re.compile(r"(/etc/[^:]+):(\d+)(?:: |, |$)")
MODULES = "/etc/modules-load.d/vfioctl-kvm.conf"  # modules-load.d(5)
LISTS = ("/etc/mkinitcpio.conf", "/etc/dracut.conf")  # and their drop-ins: one line lists many (mkinitcpio.conf(5))
# A name as it stands there, with its quotes and the blanks beside it: vfio-pci's and those that it brings along.
NAMES = rb"([\"']?)vfio(?:[-_](?:pci|pci[-_]core|iommu[-_]type1|virqfd))?\%d"
END = rb"(?=[\s\"')]|$)"
LISTED = re.compile(rb"[ \t]+%s%s|(?<![^\s\"'(=])%s(?:[ \t]+|%s)" % (NAMES % 1, END, NAMES % 2, END))
INITRAMFS = {
    "update-initramfs": ("-u", "-k", "all"),
    "dracut": ("--regenerate-all", "--force"),
    "mkinitcpio": ("-P",),
}  # what makes one anew, by the programs that there are


def fixers(composition: Composition) -> Mapping[str, Fixer]:
    """The fixer of each code of the core that has one."""
    hook = _hook_text(composition)
    return {
        "hook.not_executable": _hook_mode(composition),
        "hook.line_endings": hook,
        "hook.shebang": hook,
        "hook.interpreter_gone": hook,
        "hook.changed": hook,
        "config.writable": _config_mode(composition),
        "cpu.no_kvm": _kvm,
        "driver.taken_by_file": _without_lines,
        "driver.early": _without_lines,
        "driver.blacklisted": _without_lines,
        "power.lid": _lid,
    }


def _change(
    *edits: FileEdit, refresh: tuple[tuple[str, ...], ...] = (), restart: bool = False
) -> HostChange | None:
    return HostChange(RECORD, BACK, edits, refresh, restart=restart) if edits else None


# ---------------------------------------------------------------- the hook


def _shim(composition: Composition) -> str:
    return f"/{os.path.relpath(composition.paths.shim, composition.paths.root)}"


def _hook_mode(composition: Composition) -> Fixer:
    """Lets libvirt start the hook as it is."""

    def fix(_host: Host, _finding: Finding) -> HostChange | None:
        there = read_now(composition.paths.shim)
        if there is None:
            return None
        why = "libvirt calls no hook that is not executable"
        return _change(FileEdit(_shim(composition), there.content, why, EXECUTABLE, remode=True))

    return fix


def _hook_text(composition: Composition) -> Fixer:
    """Writes the hook as `vfioctl hook install` does."""

    def fix(_host: Host, _finding: Finding) -> HostChange | None:
        there = read_now(composition.paths.shim)
        if there is None:
            return None
        text = shim.rendered(composition, there.uid).encode()
        return _change(FileEdit(_shim(composition), text, "the hook of this version", EXECUTABLE, remode=True))

    return fix


def _config_mode(composition: Composition) -> Fixer:
    """Takes from others the permission to write files of our configuration."""
    paths = composition.paths

    def fix(_host: Host, _finding: Finding) -> HostChange | None:
        guests = [os.path.join(paths.guest_configs, name) for name in entries(paths.guest_configs)]
        wrong = [path for path in (paths.host_config, *guests) if is_own(path) and writable_itself(path)]
        return _change(*(_closed(paths, path) for path in wrong))

    return fix


def _closed(paths: Paths, path: str) -> FileEdit:
    there = read_now(path)
    inside, why = f"/{os.path.relpath(path, paths.root)}", "only root may write what root obeys"
    content, mode = (there.content, there.mode) if there else (b"", EXECUTABLE)
    return FileEdit(inside, content, why, mode & ~FOR_OTHERS, remode=True)


# ---------------------------------------------------------------- modules and settings


def _kvm(host: Host, _finding: Finding) -> HostChange | None:
    """Loads the module of this processor now and at each boot; that of Arm is a part of the kernel."""
    if is_arm(host.paths):
        return None
    module = "kvm_intel" if "vmx" in processor_flags(host.paths) else "kvm_amd"
    edit = FileEdit(MODULES, f"{module}\n".encode(), f"{module} is loaded at each boot", own=True)
    return _change(edit, refresh=(("modprobe", module),))


def _lid(host: Host, _finding: Finding) -> HostChange | None:
    """Lets logind heed who keeps the host awake, where no other drop-in has the last word (logind.conf(5))."""
    if power.outranking(host):
        return None
    text = f"[Login]\n{power.OBEYS}=no\n".encode()
    return _change(FileEdit(power.OWN, text, "a closed lid is not to stop a guest", own=True), restart=True)


# ---------------------------------------------------------------- lines of modprobe and the initramfs


def _without_lines(host: Host, finding: Finding) -> HostChange | None:
    """Without what the lines that the finding names say of vfio-pci; files of packages are left alone."""
    places: dict[str, set[int]] = {}
    for path, number in PLACE.findall(finding.evidence):
        places.setdefault(path, set()).add(int(number))
    edits = tuple(edit for path, numbers in places.items() for edit in _edits(host, path, numbers))
    return _change(*edits, refresh=_initramfs(host), restart=True)


def _edits(host: Host, path: str, numbers: set[int]) -> Iterator[FileEdit]:
    mended = _unlisted if path.startswith(LISTS) else _commented
    text = files.read_bytes(host.paths.at(path))
    lines = enumerate(text.splitlines(keepends=True), 1)
    new = b"".join(mended(line) if number in numbers else line for number, line in lines)
    if new != text:
        yield FileEdit(path, new, "vfioctl needs none of it")


def _commented(line: bytes) -> bytes:
    return b"# " + line


def _unlisted(line: bytes) -> bytes:
    """The line with its other modules alone: without those no disk might be found at boot."""
    said, mark, comment = line.partition(b"#")
    return LISTED.sub(b"", said) + mark + comment


def _initramfs(host: Host) -> tuple[tuple[str, ...], ...]:
    name = next(filter(host.programs.find, INITRAMFS), "")
    return ((name, *INITRAMFS[name]),) if name else ()
