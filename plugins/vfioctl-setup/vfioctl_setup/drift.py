"""What has become of the set-up since: files that others have changed, a boot menu that has lost its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.plugin import DoctorCheck, Fate, Finding, Severity, VfioctlError, read_host_record
from vfioctl_setup.fixers import BY_SETUP, FIXERS
from vfioctl_setup.loaders.found import find
from vfioctl_setup.loaders.model import TEXT, seen
from vfioctl_setup.preparation import RECORD
from vfioctl_setup.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.plugin import Host, HostRecord

SAYS = {Fate.EDITED: "was changed by somebody else", Fate.GONE: "is gone", Fate.BEFORE: "is as it was before"}
BOOT = ("/etc/default/grub", "/etc/kernel/cmdline")


def checks() -> tuple[DoctorCheck, ...]:
    """The check of this plugin, and how findings about the kernel's command line are mended."""
    summary = "What `vfioctl setup` has changed is as it left it."
    return (DoctorCheck("setup", summary, look, fixers=FIXERS, commands=dict.fromkeys(BY_SETUP, "vfioctl setup")),)


def look(host: Host) -> tuple[Finding, ...]:
    """Nothing where nothing was set up, or where only root may see it."""
    try:
        record = read_host_record(host.paths, RECORD)
        return tuple(_findings(host, record))
    except PermissionError:
        return ()


def _findings(host: Host, record: HostRecord) -> Iterator[Finding]:
    for one in record.files:
        if (fate := one.fate(host.paths)) is not Fate.WRITTEN:
            yield Finding(
                "setup.drift", f"{one.path} {SAYS[fate]} since `vfioctl setup`.", Severity.WARN,
                hint="See what was there: vfioctl setup --undo --dry-run; keep the edit: vfioctl setup --undo "
                "--leave-edited",
                evidence=f"{host.paths.at('var/lib/vfioctl/changes-setup.json')} and {one.path}",
            )  # fmt: skip
    words = Words(tuple(_words(host, record)))
    if words:
        yield from _at_boot(host, words)


def _at_boot(host: Host, words: Words) -> Iterator[Finding]:
    said = ", ".join(words.add)
    try:
        holds = find(host).holds(words)
    except VfioctlError:
        holds = None  # several boot loaders: `setup` asks which
    if holds is False:
        yield Finding(
            "setup.menu_older", f"The boot menu lacks {said}, which the settings have.", Severity.WARN,
            hint="Make it anew (GRUB on Debian: update-grub).", evidence="the entries of the boot loader",
        )  # fmt: skip
    elif not words.hold_in(host.kernel_command_line().split()):
        yield Finding(
            "setup.restart", f"The running kernel was started without {said}.", Severity.INFO,
            hint="Restart this host.", evidence="/proc/cmdline",
        )  # fmt: skip


def _words(host: Host, record: HostRecord) -> Iterator[str]:
    """The words that the set-up has added to what the boot loader reads."""
    for one in record.files:
        if one.path.startswith(BOOT) or "/loader/entries/" in one.path:
            before = (one.before.content if one.before else one.stand_in or b"").decode(*TEXT)
            now = seen(host, one.path) or ""
            known = set(_said(before))
            yield from (word for word in _said(now) if word not in known)


def _said(text: str) -> Iterator[str]:
    """Words of a command line in a file: no comment, no name of a variable."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    words = (word.strip("\"'") for line in lines for word in line.split())
    yield from (word for word in words if word and not word.startswith(("$", "GRUB_")))
