"""Next steps that name virsh, in our own words where a plugin has brought the verb. Imports no command.

What finds a thing says the word that every host has; which verbs there are is known only where a result is given back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vfioctl.frozen import replace

if TYPE_CHECKING:
    from vfioctl.result import Result
    from vfioctl.verbs.row import Verbs

# What stands behind `virsh `, and the verb with its options; {} is the name that follows, with a blank before it.
OURS = (
    ("list --all", "guest list"), ("list", "guest list"), ("start", "guest start{}"), ("shutdown", "guest stop{}"),
    ("destroy", "guest stop{} --force"), ("reset", "guest reboot{} --force"), ("edit", "guest edit{}"),
    ("managedsave-remove", "guest discard-saved{}"), ("autostart --disable", "guest set{} --no-autostart"),
    ("domblklist --inactive", "guest show{}"),
    ("net-list --all", "network list"), ("net-start", "network start{}"),
)  # fmt: skip
NAME = r"(?P<name>(?: --domain)? (?:'[^']*'|[^\s`';,.)]+(?:\.[^\s`';,.)]+)*))?(?=$|[\s`;,.)])"


def in_our_words(result: Result, root: str, verbs: Callable[[], Verbs]) -> Result:
    """The same `result`, of the host below `root`; `verbs` is asked only where a hint names virsh."""
    hints = [*(one.hint for one in result.messages), *(hint for one in result.errors for hint in one.hints)]
    if not any("virsh " in hint for hint in hints) or not _can_ask(root):
        return result
    known = verbs()
    return replace(
        result, messages=tuple(replace(one, hint=said(one.hint, known)) for one in result.messages),
        errors=tuple(replace(one, hints=tuple(said(hint, known) for hint in one.hints)) for one in result.errors),
    )  # fmt: skip


def said(hint: str, verbs: Verbs) -> str:
    """`hint` with our verb for each command of virsh for which `verbs` has one."""
    import re  # what names virsh is rare

    for theirs, ours in OURS:
        verb, _, options = ours.partition("{}")
        if not verbs.find(verb):
            continue
        named = NAME if "{}" in ours else r"(?P<name>)(?=$|[\s`;,.)])(?! --)"
        hint = re.sub(rf"\bvirsh {theirs}{named}", lambda found: _typed(verb, found["name"] or "", options), hint)  # noqa: B023
    return hint


def _typed(verb: str, name: str, options: str) -> str:
    return f"vfioctl {verb}{name.removeprefix(' --domain')}{options}"


def _can_ask(root: str) -> bool:
    """Our verbs about guests need libvirt-python, and ask no daemon for another root: virsh, run below it, does."""
    from vfioctl.virt.connection import is_installed

    return root == "/" and is_installed()
