"""What an editor has made of a guest: judged, compared with what is there, and kept until it is defined."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vfioctl_guest.commands import edit as verb
from vfioctl_guest.drawer import EDITED, FORMER, Drawer
from vfioctl_guest.edited import check_edited, difference, findings_of_devices, is_same, new_disks
from vfioctl_guest.life_views import edited

from vfioctl.plugin import Refused

UUID = "a51f4e2c-0000-4000-8000-000000000001"
XML = f"""<domain type='kvm'>
  <name>web</name>
  <uuid>{UUID}</uuid>
  <memory unit='KiB'>1048576</memory>
  <devices>
    <disk type='file' device='disk'>
      <source file='/images/web.qcow2'/>
    </disk>
    <graphics type='vnc' passwd='sesame'/>
  </devices>
</domain>
"""


@pytest.mark.parametrize(
    ("former", "new", "code", "why"),
    [
        ("</devices>", "", "domain.malformed", "line 11"),
        ("<domain", "<!DOCTYPE a [<!ENTITY b 'c'>]><domain", "domain.entities", "."),
        (">web<", ">shop<", "guest.edit", "'shop'"),
        ("<name>web</name>", "", "guest.edit", "another guest"),
        (UUID, UUID.replace("1", "2"), "guest.edit", "not a51f"),
        (f"<uuid>{UUID}</uuid>", "", "guest.edit", "of nobody"),
        (XML, "<network/>", "guest.edit", "no <domain>"),
        (XML, "", "domain.malformed", "."),
    ],
)
def test_what_is_no_configuration_of_this_guest_is_refused(former: str, new: str, code: str, why: str) -> None:
    check_edited("web", UUID, XML)
    check_edited("web", UUID, XML.replace(UUID, f"\n{UUID.upper()} "))
    with pytest.raises(Refused, match=why) as caught:
        check_edited("web", UUID, XML.replace(former, new))
    assert caught.value.code == code


def test_blanks_quotes_and_order_are_no_change() -> None:
    other = XML.replace("type='file' device='disk'", 'device="disk"\n type="file"').replace("  ", "\t")
    assert is_same(XML, other)
    assert not is_same(XML, other.replace("1048576", "1048577"))


def test_the_difference_has_what_was_changed_and_no_password() -> None:
    shown = difference("web", XML, XML.replace("1048576", "2097152").replace("'sesame'", '"open"'))
    assert "-  <memory unit='KiB'>1048576</memory>\n+  <memory unit='KiB'>2097152</memory>" in shown
    assert "-    <graphics type='vnc' passwd='***'/>\n+    <graphics type='vnc' passwd='***'/>" in shown
    assert "sesame" not in shown
    assert "open" not in shown


def test_a_disk_that_is_new_is_looked_at_and_one_that_is_only_read_may_have_others() -> None:
    more = """<disk type='block'><source dev='/dev/sdb'/></disk><disk><source file='/s'/><shareable/></disk>
      <disk device='cdrom'><source file='/cd.iso'/></disk><disk device='cdrom'/></devices>"""
    found = list(new_disks(XML, XML.replace("</devices>", more)))
    assert [shared for _, shared in found] == [False, True, True]
    assert "/dev/sdb" in found[0][0]


CARD = """<hostdev mode='subsystem' type='pci'><source>
  <address domain='0x0000' bus='0x{}' slot='0x00' function='0x0'/></source></hostdev></devices>"""


def test_a_card_of_another_guest_is_named_and_one_that_was_there_is_not() -> None:
    wanted, other = (XML.replace("</devices>", CARD.format(bus)) for bus in ("01", "1"))
    (found,) = findings_of_devices(XML, wanted, [("win11", other), ("shop", XML)])
    assert (found.code, found.message) == ("guest.in_use", "The device 0000:01:00.0 is one of win11 already.")
    assert list(findings_of_devices(wanted, wanted, [("win11", other)])) == []


def test_what_was_typed_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    paths, caller = SimpleNamespace(state=str(tmp_path / "root")), SimpleNamespace(state=str(tmp_path / "own"))
    for administers, place in ((True, "root"), (False, "own")):
        call: Any = SimpleNamespace(paths=paths, caller=caller, administers=administers)
        drawer = Drawer(call, "web")
        path = Path(drawer.keep(EDITED, "first"))
        assert drawer.keep(EDITED, "second ü") == str(path) == str(tmp_path / place / "edits/web.edited.xml")
        assert path.read_text() == "second ü"
        assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)] == [0o600, 0o700]
        drawer.keep(FORMER, "other")
        drawer.drop(EDITED)
        assert [one.name for one in path.parent.iterdir()] == ["web.former.xml"]
        assert Path(Drawer(call, "web", "b").keep(FORMER, "there")) == path.parent / "b/web.former.xml"


def test_who_has_no_place_of_their_own_keeps_nothing_where_they_happen_to_be() -> None:
    def need_root() -> None:
        raise Refused("not_root", "It needs root.")

    call: Any = SimpleNamespace(administers=False, caller=SimpleNamespace(state=""), need_root=need_root)
    with pytest.raises(Refused, match="needs root"):
        Drawer(call, "web")


def test_an_editor_that_saves_nothing_or_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "true")
    assert verb._edited(XML) == ""
    monkeypatch.setenv("EDITOR", "sed -i s/1048576/2097152/")
    assert verb._edited(XML) == XML.replace("1048576", "2097152")
    monkeypatch.setenv("VISUAL", "false")
    with pytest.raises(Refused, match="The editor did not do its work") as caught:
        verb._edited(XML)
    assert "$EDITOR" in caught.value.hints[0]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe4")
    for name, why in (("none", "No such file"), ("latin", "no text in UTF-8"), (".", "it is a directory")):
        with pytest.raises(Refused, match=why):
            verb._content(str(tmp_path / name))


def test_a_dry_run_shows_the_difference() -> None:
    data = {"dry_run": True, "diff": "-one\n+two", "steps": [], "operation": None, "guest": "web"}
    assert list(edited(data))[:2] == ["-one", "+two"]
