"""Judges the profiles of this host. No start of a guest imports this plugin; its verbs are in `commands`."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.plugin import TYPE_CHECKING, hookimpl

if TYPE_CHECKING:
    from vfioctl.plugin import ConfigFile, Host


@hookimpl
def vfioctl_config_files(host: Host) -> Iterable[ConfigFile]:
    """Every profile, judged by the options of `guest create`."""
    from vfioctl.plugin import ConfigFile, Finding
    from vfioctl_guest.commands.create import create
    from vfioctl_guest.profiles import judged, names

    for name in names(host):
        profile, wrong = judged(host, name, create)
        yield ConfigFile(profile.file, tuple(Finding(one.code, one.message) for one in wrong))
