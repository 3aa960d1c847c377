"""The table of commands: name, place, one line of help. --help and completion read it and import no command."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """A command that is not imported yet, or a group when it has `children`. `target` is "module:attribute"."""

    name: str
    help: str
    target: str = ""
    children: tuple[Entry, ...] = ()


def _verb(name: str, text: str) -> Entry:
    """A command in the file that its name says: "gpu list" lives in commands/gpu/list.py."""
    return Entry(name.rpartition(" ")[2], text, f"vfioctl.cli.commands.{name.replace(' ', '.')}:command")


COMMANDS = (
    _verb("enable", "Let vfioctl manage a guest."),
    _verb("disable", "Manage a guest no longer."),
    _verb("list", "List the managed guests with state, devices and last outcome."),
    _verb("plan", "Show what a start would do and how it returns; nothing is done."),
    _verb("status", "Show where each device is, who holds it, what is unfinished."),
    Entry("gpu", "Look at the cards of this host.", children=(
        _verb("gpu list", "List the cards by IOMMU group."),
        _verb("gpu holders", "List the processes that hold a card."),
    )),
    _verb("recover", "Finish what was interrupted."),
    _verb("rescue", "Bring the desktop back from anything."),
    Entry("hook", "The hook that libvirt calls.", children=(
        _verb("hook install", "Install the libvirt hook, the recovery unit and the plugin manifest."),
        _verb("hook uninstall", "Remove the libvirt hook and the unit."),
        _verb("hook verify", "Tell what would stop the hook from firing."),
    )),
    _verb("history", "List past hand-offs, or show one and where its time went."),
    Entry("config", "Look at and change the configuration.", children=(
        _verb("config show", "Show every setting of a guest with its value."),
        _verb("config get", "Show one setting."),
        _verb("config set", "Change one setting; comments are kept."),
        _verb("config add", "Add to a list."),
        _verb("config unset", "Remove one setting, or only these items of a list."),
        _verb("config edit", "Open a configuration file in your editor, and keep it only if it is right."),
        _verb("config validate", "Check every configuration file."),
    )),
    Entry("plugins", "Look at the plugins.", children=(
        _verb("plugins list", "List the plugins with version, state and claims."),
        _verb("plugins refresh", "Search for plugins and write the manifest."),
    )),
    _verb("demo", "Run a whole hand-off on a simulated host."),
    _verb("completion", "Print the completion script of a shell."),
)  # fmt: skip
