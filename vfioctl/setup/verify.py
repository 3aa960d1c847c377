"""Says what would stop the hook from firing, or make it fight with another. Reads only, asks libvirt nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.setup import daemon, presence, rivals, shim, trust
from vfioctl.setup.mandatory import mandatory_access

if TYPE_CHECKING:
    from vfioctl.compose import Composition

INSTALL = "vfioctl hook install"


def verify(composition: Composition) -> tuple[Finding, ...]:
    """Everything that is wrong with the hook, at once; an empty tuple means that it fires."""
    host = Host(composition.paths, composition.programs)
    return (
        *_file(composition),
        *_trusted(composition),
        *_daemon(host),
        *mandatory_access(host),
        *rivals.other_hooks(composition.paths),
        *rivals.session_guests(composition.paths),
        *rivals.other_installations(composition.paths, composition.self_argv[0]),
    )


def would_not_fire(composition: Composition) -> tuple[Finding, ...]:
    """What keeps the hook from its work at the next start: a quick look, for commands that speak of a start.

    Raises PermissionError where that may not be seen.
    """
    host = Host(composition.paths, composition.programs)
    found = (*_file(composition), *_daemon(host), *mandatory_access(host))
    return tuple(finding for finding in found if finding.severity is Severity.BLOCK)


def _finding(
    code: str, message: str, hint: str = INSTALL, severity: Severity = Severity.BLOCK, evidence: str = ""
) -> Finding:  # fmt: skip
    return Finding(code, message, severity, hint, "hook", evidence)


def _file(composition: Composition) -> Iterator[Finding]:
    path = composition.paths.shim
    if not os.path.lexists(path):
        yield _finding("hook.missing", f"{path} is not there: libvirt starts every guest without vfioctl.",
                       evidence=path)  # fmt: skip
        return
    if not os.path.isfile(path):
        yield _finding("hook.no_file", f"{path} is no regular file: libvirt ignores it.", f"rm -r {path}; {INSTALL}",
                       evidence=path)  # fmt: skip
        return
    if not os.stat(path).st_mode & 0o100:
        mode = f"{path}: mode {os.stat(path).st_mode & 0o777:04o}"
        yield _finding("hook.not_executable", f"{path} is not executable: libvirt ignores it.", f"chmod 0755 {path}",
                       evidence=mode)  # fmt: skip
    yield from _text(composition, shim.installed(path) or "")


def _text(composition: Composition, text: str) -> Iterator[Finding]:
    path = composition.paths.shim
    if "\r" in text:
        yield _finding("hook.line_endings", f"{path} has CRLF line ends: the kernel looks for '/bin/sh\\r'.",
                       evidence=path)  # fmt: skip
    if text.partition("\n")[0].rstrip("\r") != shim.FIRST_LINE:
        yield _finding("hook.shebang", f"The first line of {path} is not {shim.FIRST_LINE!r}: it cannot be started.",
                       evidence=f"{path}:1")  # fmt: skip
    python = shim.interpreter_of(text)
    if python and not os.access(python, os.X_OK):
        yield _finding("hook.interpreter_gone", f"{path} calls {python}, which cannot be executed.", evidence=path)
    entry = shim.entry_of(text)
    if entry and not os.path.exists(entry):
        yield _finding("hook.entry_gone", f"{path} starts {entry}, which is not there.", evidence=path)
    if text == shim.rendered(composition, os.stat(path).st_uid):
        return
    if python and python != composition.self_argv[0]:
        ours = composition.self_argv[0]
        yield _finding(
            "hook.other_installation", f"{path} calls another installation ({python}; this one is {ours}).",
            severity=Severity.WARN, evidence=path,
        )  # fmt: skip
    else:
        yield _finding("hook.changed", f"{path} is not as this version of vfioctl writes it.", severity=Severity.WARN,
                       evidence=path)  # fmt: skip


def _trusted(composition: Composition) -> Iterator[Finding]:
    if found := trust.problem(composition):
        message = f"The hook would let others run code as root: {found.why}."
        yield _finding("setup.writable", message, found.hints[0])


def _daemon(host: Host) -> Iterator[Finding]:
    found = daemon.find(host)
    if found is None:
        yield _finding(
            "hook.no_daemon", "Neither virtqemud nor libvirtd runs or listens on this host.",
            daemon.start_command(host), Severity.WARN, "/proc/PID/comm; units of libvirtd and virtqemud",
        )  # fmt: skip
    elif not presence.daemon_knows_hooks(host.paths, found):
        yield _finding(
            "hook.daemon_older",
            f"{found.name} (pid {found.pid}) runs since before there was a hook and does not look again.",
            found.restart,
            evidence=f"/proc/{found.pid}/stat, {host.paths.libvirt_hooks}",
        )
