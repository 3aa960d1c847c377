"""Next steps name our verbs in place of virsh's, where a plugin has brought them."""

from __future__ import annotations

import pytest
from hints import VERBS

from vfioctl.result import Error, Message, Result
from vfioctl.verbs import hints
from vfioctl.verbs.table import BUILT_IN


@pytest.mark.parametrize(("hint", "ours"), [
    ("Start it with `virsh start web`, or discard that state with `virsh managedsave-remove web`.",
     "Start it with `vfioctl guest start web`, or discard that state with `vfioctl guest discard-saved web`."),
    ("Shut it down first: virsh shutdown 'a b'", "Shut it down first: vfioctl guest stop 'a b'"),
    ("Look at its console, or: virsh destroy --domain 6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506",
     "Look at its console, or: vfioctl guest stop 6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506 --force"),
    ("See what it does with: virsh list --all", "See what it does with: vfioctl guest list"),
    ("Make the change with `virsh edit`.", "Make the change with `vfioctl guest edit`."),
    ("virsh autostart --disable web.two", "vfioctl guest set web.two --no-autostart"),
    ("Start it with: virsh net-start lan", "Start it with: vfioctl network start lan"),
    ("Define it first: virsh define FILE", "Define it first: virsh define FILE"),
    ("Try: virsh -c qemu:///system list", "Try: virsh -c qemu:///system list"),
    ("virsh net-destroy lan; virsh net-start lan", "virsh net-destroy lan; vfioctl network start lan"),
])  # fmt: skip
def test_a_command_of_virsh_has_one_of_ours(hint: str, ours: str) -> None:
    assert hints.said(hint, VERBS) == ours


def test_without_the_plugin_it_stays_virsh() -> None:
    assert hints.said("Start it with: virsh start web", BUILT_IN) == "Start it with: virsh start web"


@pytest.mark.parametrize(("binding", "root"), [(True, "/"), (False, "/"), (True, "/tmp/machine")])
def test_every_hint_of_a_result_is_said_in_our_words_where_they_can_be_used(
    monkeypatch: pytest.MonkeyPatch, root: str, *, binding: bool
) -> None:
    monkeypatch.setattr("vfioctl.virt.connection.is_installed", lambda: binding)
    can_be_used = binding and root == "/"  # no daemon is asked for another root
    hint, ours = "virsh start web", "vfioctl guest start web" if can_be_used else "virsh start web"
    result = Result(errors=(Error("a.b", "It is off.", hints=(hint,)),), messages=(Message("It is off.", hint=hint),))
    found = hints.in_our_words(result, root, lambda: VERBS)
    assert (found.errors[0].hints, found.messages[0].hint) == ((ours,), ours)
