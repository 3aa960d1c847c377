"""Whether SELinux or AppArmor would keep the hook from running or from doing its work. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl import files
from vfioctl.errors import VfioctlError
from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.proc import Programs

DEADLINE = 5.0
BOOLEAN = "virt_hooks_unconfined"
LABELS = ("virt_hook_t", "virt_hook_exec_t", "bin_t")
PROFILES = ("usr.sbin.libvirtd", "usr.sbin.virtqemud")
RULES = {"/etc/libvirt/hooks/": "/etc/libvirt/hooks/** rmix,", "/usr/bin/*": "/usr/bin/* PUx,"}


def mandatory_access(host: Host) -> Iterator[Finding]:
    """What SELinux and AppArmor have against the hook; nothing on a host without them."""
    if _says(host.programs, "getenforce").lower() == "enforcing":
        yield from _selinux(host)
    yield from _apparmor(host)


def _finding(code: str, message: str, hint: str, evidence: str) -> Finding:
    return Finding(code, message, Severity.BLOCK, hint, "hook", evidence)


def _says(programs: Programs, *argv: str) -> str:
    """What a program says on stdout; "" when it is not installed or fails, as on a host without SELinux."""
    if programs.find(argv[0]) is None:
        return ""
    try:
        return programs.run(argv, deadline=DEADLINE).stdout.strip()
    except VfioctlError:
        return ""


def _selinux(host: Host) -> Iterator[Finding]:
    shim = host.paths.shim
    state = _says(host.programs, "getsebool", BOOLEAN)
    if not state:
        return  # a policy that does not know hooks runs them as the daemon itself
    if state.endswith("off"):
        yield _finding(
            "hook.selinux_boolean",
            f"SELinux is enforcing and its boolean {BOOLEAN} is off: a hook may not touch drivers or units.",
            f"setsebool -P {BOOLEAN} on",
            f"getenforce; getsebool {BOOLEAN}",
        )
    label = _says(host.programs, "ls", "-Zd", shim).partition(" ")[0]
    kind = label.split(":")[2] if label.count(":") > 1 else ""
    if kind and kind not in LABELS:
        message = f"SELinux is enforcing and {shim} has the type {kind}, not {LABELS[0]}: it may not be started."
        yield _finding("hook.selinux_label", message, f"restorecon -v {shim}", f"ls -Zd {shim}")


def _apparmor(host: Host) -> Iterator[Finding]:
    for name in PROFILES:
        path = host.paths.at("etc/apparmor.d", name)
        text = _with_local(path)
        lacking = [about for about in RULES if text and about not in text]
        if lacking and _enforces(host):
            rules, local = (f"'{RULES[about]}'" for about in lacking), f"{os.path.dirname(path)}/local/{name}"
            yield _finding(
                "hook.apparmor", f"AppArmor enforces {path}, which has no rule for {' or for '.join(lacking)}.",
                f"printf '%s\\n' {' '.join(rules)} >>{local}; apparmor_parser -r {path}",
                f"/sys/kernel/security/apparmor/profiles, {path}",
            )


def _enforces(host: Host) -> bool:
    """Whether AppArmor confines a daemon of libvirt. Raises PermissionError: only root may see its profiles."""
    loaded = files.read_text(host.paths.at("sys/kernel/security/apparmor/profiles"), follow=True) or ""
    return "libvirtd (enforce)" in loaded or "virtqemud (enforce)" in loaded


def _with_local(path: str) -> str:
    """A profile and what the administrator adds to it."""
    local = os.path.join(os.path.dirname(path), "local", os.path.basename(path))
    text = files.read_text(path, follow=True) or ""
    return text + (files.read_text(local, follow=True) or "") if text else ""
