"""The step kinds that change what libvirt keeps, on a real libvirtd: what it makes of XML, and whose is what."""

from __future__ import annotations

import os
import stat
import uuid as uuids
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from disk_images import create, fill
from domain_steps import codes, do, refused, state, step_of, undo
from libvirt_machine import SCREEN, Guest
from step_builders import planned

from vfioctl.errors import StepFailed, StepRefused
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")


@pytest.fixture
def guest(lab: Any, machine: Any, request: pytest.FixtureRequest) -> Iterator[Guest]:
    made = Guest(lab, machine, f"g{abs(hash(request.node.name))}", devices=SCREEN)
    yield made
    made.remove()


# domain.define


def defined(guest: Guest, asked: str | None = None, **more: Any) -> Step:
    """The step that moves the guest's disk to an overlay."""
    former = guest.xml
    asked = asked or former.replace(guest.disk, overlay(guest))
    return step_of(guest, "domain.define", blob=guest.blob(asked), former=guest.blob(former), **more)


def overlay(guest: Guest) -> str:
    return guest.disk.replace(".qcow2", ".s1.qcow2")


def test_a_guest_gets_another_disk_and_the_former_one_back(guest: Guest) -> None:
    former = guest.xml
    create(overlay(guest), backing=guest.disk)
    step = defined(guest)
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    assert overlay(guest) in guest.xml
    assert "hunter2" in guest.xml
    assert do(step, guest) == "it has that configuration already"
    assert undo(step, guest) is None
    assert guest.xml == former
    assert state(step, guest) is State.BEFORE


def test_its_secrets_lie_in_private_files_and_never_in_the_plan(guest: Guest) -> None:
    step = defined(guest)
    assert "hunter2" not in repr(step)
    for name in (step.params["blob"], step.params["former"]):
        assert stat.S_IMODE(os.stat(os.path.join(guest.machine.paths.blobs, name)).st_mode) == 0o600


@pytest.mark.parametrize("asked", [
    ("</devices>", "<controller type='scsi' model='virtio-scsi'/></devices>"),
    ("</devices>", "<interface type='user'/></devices>"),
    ("<memory unit='KiB'>32768<", "<memory unit='KiB'>65536<"),
    ("<on_crash>destroy<", "<on_crash>restart<"),
], ids=["a controller", "an interface", "memory", "an event"])  # fmt: skip
def test_what_libvirt_makes_of_it_is_known_as_its_own(guest: Guest, asked: tuple[str, str]) -> None:
    """libvirt gives addresses, aliases and models to what is new."""
    former = guest.xml
    step = defined(guest, former.replace(*asked))
    if "interface" in asked[1]:  # libvirt makes up its address, so that nobody could tell whose it is
        with pytest.raises(StepFailed) as caught:
            do(step, guest)
        assert caught.value.code == "libvirt.define"
    else:
        assert do(step, guest) is None
        assert state(step, guest) is State.AFTER
        undo(step, guest)
    assert guest.xml == former


@pytest.mark.parametrize("edit", [
    ("<vcpu placement='static'>1<", "<vcpu placement='static'>2<"),
    ("passwd='hunter2'", "passwd='changed'"),
    ("</devices>", "<serial type='null'/></devices>"),
    ("<on_crash>destroy</on_crash>", ""),
], ids=["a value", "an attribute", "a new device", "something less"])  # fmt: skip
def test_what_somebody_else_changed_after_us_stays(guest: Guest, edit: tuple[str, str]) -> None:
    step = defined(guest)
    do(step, guest)
    if edit[1]:
        guest.define(guest.xml.replace(*edit))
    else:
        guest.define(guest.xml.replace("<on_crash>destroy<", "<on_crash>preserve<"))
    assert state(step, guest) is State.FOREIGN
    assert "somebody else" in kind(step.kind).foreign(step, guest.machine)


def test_a_guest_that_was_changed_since_the_plan_is_refused(guest: Guest) -> None:
    step = defined(guest)
    guest.define(guest.xml.replace("<on_crash>destroy<", "<on_crash>restart<"))
    assert codes(step, guest.machine) == ["domain.changed"]
    assert refused(step, guest) == "domain.changed"
    with pytest.raises(StepRefused):
        kind("domain.define").apply(step, guest.machine)


def test_a_running_guest_is_refused_unless_it_is_meant(guest: Guest) -> None:
    step = defined(guest)
    guest.start()
    assert refused(step, guest) == "domain.running"
    live = defined(guest, live=True)
    assert do(live, guest) is None
    undo(live, guest)


def test_a_guest_with_a_saved_state_is_refused(guest: Guest) -> None:
    step = defined(guest)
    guest.start()
    guest.handle.managedSave(0)
    assert refused(step, guest) == "domain.saved"


def test_a_guest_that_is_gone_is_not_made_again(guest: Guest) -> None:
    step = defined(guest)
    guest.handle.undefine()
    assert codes(step, guest.machine) == ["domain.changed"]
    assert state(step, guest) is State.FOREIGN


def test_what_a_guest_wrote_to_its_new_disk_keeps_its_configuration(guest: Guest) -> None:
    made = planned(guest.machine, "disk.overlay", {
        "path": overlay(guest).removeprefix(guest.machine.paths.root), "backing":
        guest.disk.removeprefix(guest.machine.paths.root), "backing_format": "qcow2", "mode": "0600", "owner": 0,
        "group": 0,
    })  # fmt: skip
    do(made, guest)
    step = defined(guest)
    do(step, guest)
    assert state(step, guest) is State.AFTER
    guest.start()
    assert state(step, guest) is State.FOREIGN
    assert state(made, guest) is State.FOREIGN
    guest.destroy()
    fill(overlay(guest), 7, 1)
    assert state(step, guest) is State.FOREIGN
    assert overlay(guest) in kind(step.kind).foreign(step, guest.machine)


def new(guest: Guest, name: str = "young", **more: Any) -> tuple[str, Step]:
    """A guest that is not there yet; its UUID and the step that makes it."""
    chosen = str(uuids.uuid4())
    asked = f"""<domain type='qemu'><name>{name}</name><uuid>{chosen}</uuid><memory unit='MiB'>32</memory>
      <os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"""
    params = {"uri": guest.uri, "uuid": chosen, "blob": guest.blob(asked), "former": "", **more}
    return chosen, planned(guest.machine, "domain.define", params, deadline=30.0)


def test_a_new_guest_is_known_by_its_uuid_and_forgotten_by_the_undo(guest: Guest) -> None:
    _, step = new(guest)
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    do(step, guest)
    assert state(step, guest) is State.AFTER
    assert "already" in (do(step, guest) or "")
    undo(step, guest)
    assert state(step, guest) is State.BEFORE
    assert undo(step, guest) is None


def test_a_name_that_is_taken_is_refused(guest: Guest) -> None:
    _, step = new(guest, guest.name)
    assert codes(step, guest.machine) == ["domain.exists"]
    assert refused(step, guest) == "domain.exists"


def test_a_new_guest_that_somebody_has_started_is_not_forgotten(guest: Guest) -> None:
    chosen, step = new(guest)
    do(step, guest)
    handle = guest.connection.lookupByUUIDString(chosen)
    handle.create()
    with pytest.raises(StepFailed) as caught:
        undo(step, guest)
    assert caught.value.code == "domain.running"
    handle.destroy()
    undo(step, guest)


# file.delete


def delete(guest: Guest, path: str, **more: Any) -> Step:
    found, short = os.stat(path), path.removeprefix(guest.machine.paths.root)
    params = {"path": short, "device": found.st_dev, "inode": found.st_ino, "uri": guest.uri, **more}
    return planned(guest.machine, "file.delete", params, deadline=30.0)


def needed(step: Step, guest: Guest) -> str:
    """Why the file is not removed; "" where it is."""
    try:
        kind(step.kind).guard(step, guest.machine)
    except StepRefused as error:
        return f"{error.code}: {error.message}"
    return ""


def test_a_file_that_a_guest_is_configured_with_is_not_removed_by_whichever_name(guest: Guest) -> None:
    other = guest.disk.replace(".qcow2", ".too")
    os.link(guest.disk, other)
    assert needed(delete(guest, guest.disk), guest).startswith("file.needed: ")
    assert f"by {guest.disk}" in needed(delete(guest, other), guest)
    assert needed(delete(guest, guest.disk, domain=guest.uuid), guest), "its own configuration counts"


def test_an_image_below_that_of_a_guest_is_not_removed(guest: Guest) -> None:
    base = create(guest.disk.replace(".qcow2", ".base"))
    middle = create(guest.disk.replace(".qcow2", ".middle"), backing=base)
    os.unlink(guest.disk)
    create(guest.disk, backing=middle)
    assert f"by {guest.disk}" in needed(delete(guest, base), guest)
    guest.handle.undefine()
    assert needed(delete(guest, base), guest) == ""


def test_an_image_of_a_saved_guest_is_not_removed_though_its_configuration_has_another(guest: Guest) -> None:
    guest.start()
    guest.handle.managedSave(0)
    guest.define(guest.xml.replace(guest.disk, create(overlay(guest), backing="")))
    assert guest.disk in needed(delete(guest, guest.disk), guest)


def test_what_only_a_snapshot_names_counts_for_others_and_not_for_who_plans_to_change_it(guest: Guest) -> None:
    create(overlay(guest), backing=guest.disk)
    do(recorded(guest, "one"), guest)
    assert needed(delete(guest, overlay(guest)), guest)
    assert needed(delete(guest, overlay(guest), domain=guest.uuid), guest) == ""


# snapshot.record, snapshot.forget


def document(guest: Guest, name: str, *, parent: str = "", created: int = 1_700_000_000) -> str:
    above = f"<parent><name>{parent}</name></parent>" if parent else ""
    return f"""<domainsnapshot><name>{name}</name><state>shutoff</state>{above}<creationTime>{created}</creationTime>
      <memory snapshot='no'/><disks><disk name='vda' snapshot='external' type='file'><driver type='qcow2'/>
      <source file='{overlay(guest)}'/></disk></disks>{guest.xml}</domainsnapshot>"""


def recorded(guest: Guest, name: str, **more: Any) -> Step:
    return step_of(guest, "snapshot.record", name=name, blob=guest.blob(document(guest, name, **more)))


def tree(guest: Guest) -> dict[str, str]:
    """Each snapshot with the one above it, the current one with a star."""
    import libvirt

    found = {}
    for one in guest.handle.listAllSnapshots():
        try:
            above = one.getParent(0).getName()
        except libvirt.libvirtError:
            above = ""
        found[one.getName() + "*" * one.isCurrent(0)] = above
    return found


def test_libvirt_gets_to_know_of_a_snapshot_and_forgets_it(guest: Guest) -> None:
    step = recorded(guest, "before")
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    assert tree(guest) == {"before*": ""}
    assert "already" in (do(step, guest) or "")
    assert undo(step, guest) is None
    assert tree(guest) == {}
    assert "no snapshot" in (undo(step, guest) or "")


def test_the_undo_of_a_record_makes_the_one_above_the_current_one_again(guest: Guest) -> None:
    do(recorded(guest, "one"), guest)
    step = recorded(guest, "two", parent="one")
    do(step, guest)
    assert tree(guest) == {"one": "", "two*": "one"}
    undo(step, guest)
    assert tree(guest) == {"one*": ""}


def test_a_name_that_a_snapshot_has_is_refused_and_the_other_one_stays(guest: Guest) -> None:
    do(recorded(guest, "one"), guest)
    step = recorded(guest, "one", created=1_800_000_000)
    assert codes(step, guest.machine) == ["snapshot.exists"]
    assert refused(step, guest) == "snapshot.exists"
    assert state(step, guest) is State.FOREIGN
    assert f"virsh snapshot-delete --domain {guest.uuid}" in kind(step.kind).foreign(step, guest.machine)


def test_a_guest_that_is_not_there_is_named(guest: Guest) -> None:
    step = recorded(guest, "one")
    guest.handle.undefine()
    assert codes(step, guest.machine) == ["guest.unknown"]
    assert state(step, guest) is State.BEFORE


def forgotten(guest: Guest, name: str, **more: Any) -> Step:
    import libvirt

    kept = guest.handle.snapshotLookupByName(name).getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE)
    return step_of(guest, "snapshot.forget", name=name, blob=guest.blob(kept), **more)


@pytest.mark.parametrize(("name", "children", "left"), [
    ("one", ["two"], {"two": "", "three*": "two"}),
    ("two", ["three"], {"one": "", "three*": "one"}),
    ("three", [], {"one": "", "two*": "one"}),
])  # fmt: skip
def test_a_snapshot_is_forgotten_and_comes_back_with_what_was_below_it(
    guest: Guest, name: str, children: list[str], left: dict[str, str]
) -> None:
    whole = {"one": "", "two": "one", "three*": "two"}
    for number, (one, above) in enumerate((("one", ""), ("two", "one"), ("three", "two"))):
        do(recorded(guest, one, parent=above, created=1_700_000_000 + number), guest)
    assert tree(guest) == whole
    step = forgotten(guest, name, children=children, current=name == "three")
    assert codes(step, guest.machine) == []
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    assert tree(guest) == left
    assert "no snapshot" in (do(step, guest) or "")
    assert undo(step, guest) is None
    assert state(step, guest) is State.BEFORE
    assert tree(guest) == whole
    assert undo(step, guest) is None


def test_what_is_below_a_forgotten_snapshot_keeps_the_disks_that_it_had(guest: Guest) -> None:
    """libvirt itself would let them be those of the forgotten one, whose image may be gone by then."""
    do(recorded(guest, "one"), guest)
    do(recorded(guest, "two", parent="one"), guest)
    kept = guest.handle.snapshotLookupByName("two")
    overlay = guest.disk.replace(".qcow2", ".one.qcow2")
    document = kept.getXMLDesc().replace(f"<source file='{guest.disk}'", f"<source file='{overlay}'")
    guest.handle.snapshotCreateXML(document, 1 | 2)  # redefined, and the current one
    do(forgotten(guest, "one", children=["two"]), guest)
    assert tree(guest) == {"two*": ""}
    assert overlay in guest.handle.snapshotLookupByName("two").getXMLDesc()


def test_another_snapshot_of_that_name_is_not_forgotten(guest: Guest) -> None:
    first = recorded(guest, "one")
    do(first, guest)
    step = forgotten(guest, "one")
    undo(first, guest)
    do(recorded(guest, "one", created=1_800_000_000), guest)
    assert codes(step, guest.machine) == ["snapshot.changed"]
    assert refused(step, guest) == "snapshot.changed"
    assert state(step, guest) is State.FOREIGN
    assert tree(guest) == {"one*": ""}


def test_none_of_it_called_a_hook_or_started_anything(lab: Any, guest: Guest, tmp_path: Path) -> None:
    called = tmp_path / "called"
    lab.hook("00-present", f"echo $* >>{called}\n")
    first = recorded(guest, "one")
    for step in (defined(guest), first):
        do(step, guest)
    gone = forgotten(guest, "one")
    do(gone, guest)
    undo(gone, guest)
    undo(first, guest)
    lab.hook("00-present", "exit 0\n")
    assert not called.exists()
