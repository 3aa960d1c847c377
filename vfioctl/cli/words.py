"""What hands type by habit, from virsh, kcli, incus and qm, and our words for it. Imports no command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vfioctl.verbs.row import Verbs

AT_THE_ROOT = {"log": "history", "logs": "history", "ls": "list", "undo": "recover", "restore": "recover"}
NOUNS = {"net": "network", "pool": "pool", "vol": "volume", "snapshot": "snapshot"}  # how virsh begins its words
# The words after the noun. `destroy` stops in virsh: where it could mean more, the verb has a row of its own.
VERBS = {
    "ls": "list", "ps": "list", "list-all": "list", "info": "show", "dominfo": "show", "dumpxml": "show", "get": "show",
    "new": "create", "add": "create", "define": "create", "build": "create", "install": "create", "launch": "create",
    "init": "create", "rm": "delete", "remove": "delete", "del": "delete", "undefine": "delete", "purge": "delete",
    "boot": "start", "run": "start", "destroy": "stop", "halt": "stop", "poweroff": "stop --force",
    "kill": "stop --force",
    "restart": "reboot", "reset": "reboot --force", "pause": "suspend", "freeze": "suspend", "unpause": "resume",
    "continue": "resume", "managedsave": "save", "managedsave-remove": "discard-saved", "domifaddr": "address",
    "ip": "address", "domstats": "stats", "top": "stats", "setmem": "set", "setvcpus": "set", "modify": "set",
    "update": "set", "domrename": "rename", "mv": "rename", "attach-disk": "attach", "attach-interface": "attach",
    "detach-disk": "detach", "detach-interface": "detach", "change-media": "eject", "copy": "clone", "cp": "clone",
    "restore": "revert", "rollback": "revert", "dhcp-leases": "leases", "import": "add", "publish": "add",
    "download": "add", "terminal": "console", "viewer": "vnc", "vncdisplay": "vnc", "shell": "ssh",
    "set-user-password": "passwd", "password": "passwd", "chpasswd": "passwd", "get-user-sshkeys": "ssh-key list",
    "set-user-sshkeys": "ssh-key add", "push": "copy", "pull": "copy", "scp": "copy",
}  # fmt: skip


def ours(group: str, word: str, verbs: Verbs) -> str:
    """What `verbs` has for a `word` that is none of the `group`, "" for the root; "" where that is not known."""
    if not group and word in AT_THE_ROOT:
        return AT_THE_ROOT[word]
    noun = group or "guest"
    begin, _, rest = word.partition("-")
    if not group and rest and begin in NOUNS:
        noun, word = NOUNS[begin], rest.removesuffix("-as")
    meant = (f"{noun} {verb}" for verb in (word, VERBS.get(word, word)))
    return next((one for one in meant if verbs.find(one.partition(" --")[0])), "")
