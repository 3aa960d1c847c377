"""What hands type by habit, from virsh, kcli, incus and qm, and our words for it. Imports no command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

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
    "detach-disk": "detach", "detach-interface": "detach", "change-media": "eject", "copy": "clone", "cp": "copy",
    "restore": "revert", "rollback": "revert", "dhcp-leases": "leases", "import": "add", "publish": "add",
    "download": "add", "terminal": "console", "viewer": "vnc", "vncdisplay": "vnc", "shell": "ssh",
    "set-user-password": "passwd", "password": "passwd", "chpasswd": "passwd", "get-user-sshkeys": "ssh-key list",
    "set-user-sshkeys": "ssh-key add", "push": "copy", "pull": "copy", "scp": "copy",
}  # fmt: skip

# What no verb does in one word, or none does yet, after a noun that may be left out; the verbs in it must be there.
ABSENT = {
    "migrate": ("guest", "; no verb moves a guest to another node yet.", ()),
    "resize": ("guest", '; a disk grows with "volume resize", CPUs and memory are changed with "guest set".',
               ("volume resize", "guest set")),
}  # fmt: skip
# Options of virsh and virt-install, and ours where a verb has it.
OPTIONS = {
    "--ram": "--memory", "--mem": "--memory", "-r": "--memory", "--vcpus": "--cpus", "--cdrom": "--iso", "-l": "--iso",
    "--location": "--iso", "-c": "--node", "--connect": "--node", "-w": "--network", "--net": "--network",
    "-y": "--yes", "-f": "--force", "--json": "--format json", "-o": "--format json", "--config": "--next-start",
}  # fmt: skip
NAMED = "Type the name as it is, without an option."
WHOLE = "Leave it out: a guest goes with all that it has, and --keep-disks leaves its disks."
LISTS = ("guest list", "network list", "pool list")
# What is said of one where a verb has none for it; the ends of the names of these verbs, "" for any.
LEFT_OUT: dict[str, tuple[str | tuple[str, ...], str]] = {
    "-n": ("", NAMED), "--name": ("", NAMED), "--domain": ("", NAMED), "-d": ("", NAMED),
    "--import": ("create", "Leave it out: a disk with a system in it is given with --volume."),
    "--os-variant": ("create", "Leave it out; for Windows there is --windows."),
    "--osinfo": ("create", "Leave it out; for Windows there is --windows."),
    "--all": (LISTS, "Leave it out: what does not run is listed, too."),
    "--inactive": (LISTS, "Leave it out: what does not run is listed, too."),
    "--nvram": ("delete", WHOLE), "--remove-all-storage": ("delete", WHOLE), "--managed-save": ("delete", WHOLE),
    "--snapshots-metadata": ("delete", WHOLE), "--tpm": ("delete", WHOLE),
    "-c": ("", "Say the node behind the verb, with --node."),
    "--connect": ("", "Say the node behind the verb, with --node."),
}  # fmt: skip
LISTED = {
    "vm": "guest", "vms": "guest", "domain": "guest", "domains": "guest", "disk": "volume", "disks": "volume",
    "image": "template", "images": "template", "net": "network", "nets": "network", "vol": "volume", "host": "node",
}  # fmt: skip


def absent(group: str, word: str, verbs: Verbs) -> str:
    """What is said of a `word` for which there is no verb yet, or several; "" for any other."""
    noun, said, needed = ABSENT.get(word, ("", "", ()))
    fits = group in ("", noun) and any(row.name.startswith(f"{noun} ") for row in verbs.rows)
    return said if fits and all(map(verbs.find, needed)) else ""


def option(verb: str, word: str, known: Container[str]) -> tuple[str, str]:
    """Our option for `word`, where `verb` has it among its `known` ones; else what is said of it. "" for neither."""
    meant = OPTIONS.get(word, "")
    if meant and meant.partition(" ")[0] in known:
        return meant, ""
    end, said = LEFT_OUT.get(word, ("", ""))
    return "", said if verb.endswith(end) else ""


def listed(word: str, verbs: Verbs) -> str:
    """The verb that lists what `word` names behind `list`, as kcli and incus have it; "" for none."""
    noun = LISTED.get(word, word.removesuffix("s"))
    return f"{noun} list" if verbs.find(f"{noun} list") else ""


def ours(group: str, word: str, verbs: Verbs) -> str:
    """What `verbs` has for a `word` that is none of the `group`, "" for the root; "" where that is not known."""
    if not group and word in AT_THE_ROOT:
        return AT_THE_ROOT[word]
    noun = group or "guest"
    begin, _, rest = word.partition("-")
    if not group and rest and begin in NOUNS:
        noun, word = NOUNS[begin], rest.removesuffix("-as")
    verb = VERBS.get(word, word)
    meant = (f"{noun} {verb}" for verb in (word, verb, VERBS.get(verb, verb)))
    return next((one for one in meant if verbs.find(one.partition(" --")[0])), "")
