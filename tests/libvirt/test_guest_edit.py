"""`guest edit` on a real libvirtd: by an editor and by a file, what is refused, and that nothing typed is lost."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from living import Living

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

KEPT = "/var/lib/vfioctl/edits"
CARD = ("<hostdev mode=\"subsystem\" type=\"pci\" managed=\"no\"><source>"
        "<address domain=\"0\" bus=\"9\" slot=\"0\" function=\"0\"/></source></hostdev>")  # fmt: skip


class Edited:
    """A guest, and what an editor makes of it: a sed script, which is run in the editor's place."""

    def __init__(self, guest: Living) -> None:
        self.guest, self.host, self.name = guest, guest.host, guest.name
        self.before = self.xml

    @property
    def xml(self) -> str:
        return f"{self.host.lab.virsh('dumpxml', '--inactive', '--security-info', self.name).stdout.rstrip()}\n"

    def editor(self, script: str) -> None:
        place: Path = self.host.place / "editor"
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)

    def edit(self, *argv: str, sed: str = "", status: int = 0) -> str:
        if sed:
            self.editor(f"exec sed -i '{sed}' \"$1\"")
        return str(self.host.said("guest", "edit", self.name, *argv, status=status))

    def kept(self, what: str) -> str:
        return str(self.host.must("cat", f"{KEPT}/{self.name}.{what}.xml"))

    def is_kept(self, what: str) -> bool:
        return self.host.run("test", "-e", f"{KEPT}/{self.name}.{what}.xml").returncode == 0


@pytest.fixture
def edited(guest: Living, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edited]:
    made = Edited(guest)
    environment = guest.host.lab.environment
    environment["VISUAL"] = str(guest.host.place / "editor")
    yield made
    del environment["VISUAL"]
    assert guest.host.left_open() == []


MORE = "s|<memory .*|<memory unit=\"MiB\">48</memory>|; /<currentMemory/d"


def test_what_the_editor_has_saved_is_shown_asked_about_and_defined_in_libvirts_words(edited: Edited) -> None:
    said = edited.edit("--yes", sed=MORE)
    assert "Guest" in said
    assert "<memory unit='KiB'>49152</memory>" in edited.xml
    assert edited.kept("former") == edited.before
    assert f"Put it back with: vfioctl guest edit {edited.name} --file {KEPT}" in said
    assert not edited.is_kept("edited")
    back = ("--file", f"{KEPT}/{edited.name}.former.xml")
    edited.edit(*back, status=3)
    assert edited.kept("former") == edited.before
    edited.edit(*back, "--yes")
    assert edited.xml == edited.before
    assert not edited.is_kept("present")


def test_devices_that_libvirt_completes_are_taken(edited: Edited) -> None:
    network = "<interface type=\"user\"/><graphics type=\"vnc\" passwd=\"sesame\"/><video/>"
    said = edited.edit("--dry-run", sed=f"s|</devices>|{network}</devices>|")
    assert "passwd='***'" in said
    assert "sesame" not in said
    assert edited.xml == edited.before
    edited.edit("--file", f"{KEPT}/{edited.name}.edited.xml", "--yes")
    assert "<mac address=" in edited.xml
    assert "passwd='sesame'" in edited.xml


def test_without_an_answer_nothing_is_defined_and_what_was_typed_is_kept(edited: Edited) -> None:
    said = edited.edit(sed=MORE, status=3)
    assert "[guest.unconfirmed_edit]" in said
    assert "+  <memory unit=" in said
    assert edited.xml == edited.before
    assert '<memory unit="MiB">48</memory>' in edited.kept("edited")
    again = re.search(r"define it with: vfioctl (guest edit \S+ --file \S+)", said)
    assert again is not None
    edited.host.said(*again[1].split(), "--yes")
    assert "49152" in edited.xml


@pytest.mark.parametrize(("sed", "code"), [
    ("s|</devices>||", "domain.malformed"), ("s|<name>.*|<name>other</name>|", "guest.edit"),
    ("s|<uuid>.*||", "guest.edit"), ("s|</devices>|<sofa/></devices>|", "domain.invalid"),
    ("s|<vcpu.*|<vcpu>0</vcpu>|", "domain.invalid"),
])  # fmt: skip
def test_what_is_wrong_changes_nothing_and_is_kept(edited: Edited, sed: str, code: str) -> None:
    edited.editor(f"exec sed -i '{sed}' \"$1\"")
    ended = edited.host.cli("guest", "edit", edited.name, "--yes")
    assert ended.returncode in (1, 3), ended.stdout + ended.stderr
    assert f"[{code}]" in ended.stderr
    assert f"kept in {KEPT}/{edited.name}.edited.xml" in ended.stdout + ended.stderr
    assert edited.is_kept("edited")
    assert edited.xml == edited.before


def test_a_disk_of_another_guest_and_a_card_are_refused(edited: Edited) -> None:
    other = Living(edited.host, devices=CARD)
    try:
        disk = f"<disk type=\"file\"><source file=\"{other.disk}\"/><target dev=\"vdz\" bus=\"virtio\"/></disk>"
        for device in (disk, CARD):
            said = edited.edit("--yes", sed=f"s|</devices>|{device}</devices>|", status=3)
            assert "[guest.in_use]" in said
            assert other.name in said
    finally:
        other.remove()
    assert edited.xml == edited.before


def test_what_somebody_else_has_changed_meanwhile_stays(edited: Edited) -> None:
    theirs = edited.host.place / "theirs.xml"
    theirs.write_text(edited.before.replace("<vcpu placement='static'>1<", "<vcpu placement='static'>2<"))
    ready, go_on = edited.host.place / "ready", edited.host.place / "go"
    edited.editor(f"sed -i '{MORE}' \"$1\"; touch {ready}; while [ ! -e {go_on} ]; do sleep 0.1; done")
    with (edited.host.place / "said").open("w") as out:
        process = edited.host.started("guest", "edit", edited.name, "--yes", out=out.fileno())
        try:
            while not ready.exists():
                assert process.poll() is None
            edited.host.lab.virsh("define", str(theirs))
        finally:
            go_on.touch()
        assert process.wait(30) == 3
    said = (edited.host.place / "said").read_text()
    assert "was changed while you edited it. [domain.changed]" in said
    assert "<vcpu placement='static'>2<" in edited.xml
    assert '<memory unit="MiB">48</memory>' in edited.kept("edited")


def test_a_running_guest_has_it_from_its_next_start_and_a_saved_one_refuses(edited: Edited) -> None:
    edited.host.lab.virsh("start", edited.name)
    data = json.loads(edited.edit("--yes", "--format", "json", sed=MORE))["data"]
    assert data["operation"]["ok"]
    assert "+  <memory" in data["diff"]
    assert "49152" in edited.xml
    assert "49152" not in edited.host.lab.virsh("dumpxml", edited.name).stdout
    edited.host.lab.virsh("managedsave", edited.name)
    assert "[guest.saved]" in edited.edit("--yes", sed=MORE, status=3)


def test_an_editor_that_changes_nothing_is_answered_so(edited: Edited) -> None:
    edited.editor("exit 0")
    assert "is unchanged" in edited.edit()
    edited.editor('sed -i "s/$/ /" "$1"')
    assert "is unchanged" in edited.edit()
    assert edited.xml == edited.before


def test_killed_at_each_boundary_it_has_the_former_or_the_new_one_whole(edited: Edited) -> None:
    """What libvirt has put into other words by then need not be ours, so it is left; the former one is kept."""
    edited.editor(f"exec sed -i '{MORE}' \"$1\"")
    for number, is_new in ((1, False), (2, True)):
        edited.host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
        assert edited.host.cli("guest", "edit", edited.name, "--yes").returncode == -signal.SIGKILL
        edited.host.must("sh", "-c", "rm -f /.kit/*")
        assert ("is another one, new or somebody else's; it stays so" in edited.host.recover()) == is_new
        assert ("49152" in edited.xml) == is_new
        assert is_new or edited.xml == edited.before
        assert edited.is_kept("edited")
        assert edited.kept("present") == edited.before
