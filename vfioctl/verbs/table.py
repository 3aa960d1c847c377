"""The one table of the built-in verbs: help, completion, the man page, views and doors come from it."""

from __future__ import annotations

from vfioctl.verbs.row import Group, Row, Verbs


def _verb(name: str, text: str, view: str, effect: str = "read", *, terminal: bool = False) -> Row:
    """A verb in the file that its name says: "gpu list" lives in cli/commands/gpu/list.py; views lie in cli/render."""
    target = f"vfioctl.cli.commands.{name.replace(' ', '.')}:command"
    return Row(name, text, target, f"vfioctl.cli.render.{view}", effect, terminal=terminal)


GROUPS = (
    Group("gpu", "Look at the cards of this host."),
    Group("hook", "The hook that libvirt calls."),
    Group("operation", "Look at what is open, follow it, cancel it."),
    Group("node", "Hosts that run guests: this one, and others over libvirt."),
    Group("config", "Look at and change the configuration."),
    Group("plugins", "Look at the plugins."),
    Group("verb", "Look at what can be asked for by name."),
)
ROWS = (
    _verb("enable", "Let vfioctl manage a guest.", "managed:view", "change"),
    _verb("disable", "Manage a guest no longer.", "managed:view", "change"),
    _verb("list", "List the managed guests with state, devices and last outcome.", "guests:view"),
    _verb("plan", "Show what a start would do and how it returns; nothing is done.", "plan:view"),
    _verb("status", "Show where each device is, who holds it, what is unfinished.", "status:view"),
    _verb("gpu list", "List the cards by IOMMU group.", "cards:tree"),
    _verb("gpu holders", "List the processes that hold a card.", "cards:holders"),
    _verb("doctor", "Tell what would keep devices from being given here, and what helps.", "doctor:view"),
    _verb("recover", "Finish what was interrupted.", "recovery:view", "change"),
    _verb("rescue", "Bring the desktop back from anything.", "recovery:rescued", "destroy"),
    _verb("hook install", "Install the libvirt hook, the recovery unit and the plugin manifest.", "hook:view",
          "change"),
    _verb("hook uninstall", "Remove the libvirt hook and the unit.", "hook:removed", "change"),
    _verb("hook verify", "Tell what would stop the hook from firing.", "hook:view"),
    _verb("history", "List past hand-offs, or show one and where its time went.", "history:view"),
    _verb("operation list", "List what is open: hand-offs and every other operation.", "operations:view"),
    _verb("operation show", "Show one open operation, step by step.", "operations:one"),
    _verb("operation follow", "Follow an operation until it has ended.", "general:messages_only"),
    _verb("operation cancel", "Ask an operation to stop: it undoes its work.", "general:messages_only", "destroy"),
    _verb("node list", "List the nodes, and whether each answers.", "nodes:listed"),
    _verb("node show", "Show the machine that a node is.", "nodes:shown"),
    _verb("node devices", "List the devices of a node, and whose each is.", "nodes:devices"),
    _verb("node add", "Add a node, once its libvirt has answered.", "general:messages_only", "change"),
    _verb("node remove", "Remove a node.", "general:messages_only", "change"),
    _verb("node cordon", "Take no new guest on a node, and start none there.", "general:messages_only", "change"),
    _verb("node uncordon", "Let a node take and start guests again.", "general:messages_only", "change"),
    _verb("config show", "Show every setting of a guest with its value.", "settings:show"),
    _verb("config get", "Show one setting.", "settings:one"),
    _verb("config set", "Change one setting; comments are kept.", "general:messages_only", "change"),
    _verb("config add", "Add to a list.", "general:messages_only", "change"),
    _verb("config unset", "Remove one setting, or only these items of a list.", "general:messages_only", "change"),
    _verb("config edit", "Open a configuration file in your editor, and keep it only if it is right.",
          "general:messages_only", "change", terminal=True),
    _verb("config validate", "Check every configuration file.", "settings:validated"),
    _verb("plugins list", "List the plugins with version, state and claims.", "plugins:view"),
    _verb("plugins refresh", "Search for plugins and write the manifest.", "plugins:view", "change"),
    _verb("verb list", "List every verb with its effect and its parameters.", "verbs:view"),
    _verb("demo", "Run a whole hand-off on a simulated host.", "demo:view", terminal=True),
    _verb("completion", "Print the completion script of a shell, or put it in its place.", "general:script", "change",
          terminal=True),
)  # fmt: skip
BUILT_IN = Verbs(ROWS, GROUPS)
