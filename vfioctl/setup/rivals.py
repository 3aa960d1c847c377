"""Other hooks that hand devices off, guests that no hook of ours reaches, other installations of ours. Reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from vfioctl import files
from vfioctl.config.load import managed_guests
from vfioctl.findings import Finding, Severity
from vfioctl.host.hooks import hooks
from vfioctl.paths import Paths

LARGEST = 1 << 20
# What hand-off scripts have in common, whoever wrote them: they move drivers, detach devices or end the desktop.
HANDOFF = re.compile(
    r"driver_override|/drivers/vfio-pci/|modprobe\s+(?:-\S+\s+)*vfio|nodedev-(?:detach|reattach)|vfio[-_](?:startup|teardown)"
    r"|/sys/class/vtconsole|(?:efi|simple)-framebuffer|systemctl\s+(?:stop|start)\s+display-manager|vfio-handover"
)
SESSION_GUESTS = ".config/libvirt/qemu"
SYSTEM_GUESTS = "etc/libvirt/qemu"
LOCAL = "usr/local/bin"  # where a shell looks first, and where no program of the host is searched for root
PROGRAM = "vfioctl"


def other_hooks(paths: Paths) -> Iterator[Finding]:
    """Hooks of others that move devices too: both would act at every start."""
    for path in (*hooks(paths), *_dispatched(paths)):
        if os.path.basename(path) == os.path.basename(paths.shim):
            continue
        if found := HANDOFF.search(_text(path)) or HANDOFF.search(os.path.basename(path)):
            yield Finding(
                "hook.rival",
                f"{path} hands devices off too (it has {found.group(0)!r}) and would fight with vfioctl over them.",
                Severity.WARN,
                f"Leave one of them: chmod -x {path}",
                "hook",
                path,
            )


def _dispatched(paths: Paths) -> Iterator[str]:
    """Scripts in qemu.d/GUEST/OPERATION/…, which a dispatcher in hooks/qemu calls for a guest that we manage."""
    if not os.path.isfile(os.path.join(paths.libvirt_hooks, "qemu")):
        return  # libvirt itself ignores directories
    for guest in managed_guests(paths):
        for directory, _, names in sorted(os.walk(os.path.join(os.path.dirname(paths.shim), guest))):
            yield from (os.path.join(directory, name) for name in sorted(names))


def _text(path: str) -> str:
    """The script without its comments, which only tell."""
    try:
        data = files.read_bytes(path, follow=True, limit=LARGEST)
    except OSError:
        return ""
    lines = data.decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def session_guests(paths: Paths) -> Iterator[Finding]:
    """Managed guests that only a user's own daemon knows: it has no rights to a device, so our hook ignores it."""
    for guest in managed_guests(paths):
        if os.path.isfile(paths.at(SYSTEM_GUESTS, f"{guest}.xml")):
            continue
        for user, home in homes(paths):
            if os.path.isfile(os.path.join(home, SESSION_GUESTS, f"{guest}.xml")):
                yield Finding(
                    "hook.session_guest",
                    f"{guest} is a guest of {user}'s own daemon (qemu:///session), whose guests get no host devices.",
                    Severity.BLOCK,
                    f"Define it for the system: virsh -c qemu:///system define {home}/{SESSION_GUESTS}/{guest}.xml",
                    "hook",
                    f"{home}/{SESSION_GUESTS}/{guest}.xml",
                )


def homes(paths: Paths) -> Iterator[tuple[str, str]]:
    """Users and their home directories, as the host's own password file has them."""
    rows = _text(paths.at("etc/passwd")).splitlines()
    users = {row.split(":")[0]: row.split(":")[5] for row in rows if row.count(":") > 5}  # noqa: PLR2004 -- passwd(5)
    yield from ((user, paths.at(home)) for user, home in sorted(users.items()) if home != "/")


def other_installations(paths: Paths, python: str) -> Iterator[Finding]:
    """Programs called vfioctl that a shell finds and another Python than `python` runs: the hook is of one alone."""
    programs = (os.path.join(place, PROGRAM) for place in (paths.at(LOCAL), *paths.programs.split(":")))
    for path in {os.path.realpath(path): path for path in programs if os.path.exists(path)}.values():
        other = _interpreter(path)
        if other and os.path.dirname(other) != os.path.dirname(python):
            yield Finding(
                "setup.other_installation", f"{path} is of another installation ({other}; this one has {python}).",
                Severity.WARN, "Remove the one that is not to be used; the hook stays with the one that wrote it last.",
                "hook",
            )  # fmt: skip


def _interpreter(program: str) -> str:
    """The Python that runs the script `program`, or "" when it is none of Python's."""
    try:
        first = files.read_bytes(program, follow=True, limit=LARGEST).partition(b"\n")[0].decode("utf-8", "replace")
    except OSError:
        return ""
    words = first.removeprefix("#!").split() if first.startswith("#!") else []
    return words[0] if words and os.path.basename(words[0]).startswith("python") else ""
