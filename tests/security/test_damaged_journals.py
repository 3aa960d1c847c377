"""A journal that cannot be read, or is not to be obeyed, stops what it holds and nobody else. None is a bug of ours."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from damage import BIND, CARD, EACH_TIME, HURT, HURT_UUID, KINDS, journal_of, mutated
from hand_offs import GPU, GUEST, Stage
from turns import in_turn
from txn_builders import step

from vfioctl.compose import compose
from vfioctl.entry import dispatch
from vfioctl.errors import VfioctlError
from vfioctl.events.libvirt import name_problem
from vfioctl.handoff import damaged, undo_sh
from vfioctl.kinds.common import driver_of
from vfioctl.paths import Paths
from vfioctl.testing import snapshot
from vfioctl.testing.domains import UUID
from vfioctl.txn.journal import read, read_both
from vfioctl.txn.kind import kind
from vfioctl.txn.resources import Ledger

each_kind = pytest.mark.parametrize("kind", KINDS)
# How each kind is read is proven in this process; whole calls of the hook over it take turns.
kinds_in_turn = pytest.mark.parametrize("kind", in_turn(KINDS, always=EACH_TIME))
RECORDED = Path(__file__).parent.parent / "data" / "journals"
BUG = ("internal error", "Traceback")
READERS: tuple[tuple[str, ...], ...] = (
    ("status",), ("status", "--format", "json"), ("list",), ("history",), ("gpu", "list"), ("gpu", "holders"),
    ("recover",), ("recover", HURT), ("recover", HURT_UUID), ("hook", "verify"), ("recover", "--abort", HURT_UUID),
    ("finish", HURT_UUID), ("deadman", HURT_UUID, HURT, "1", "1", "1"),
)  # fmt: skip


@pytest.fixture
def hurt(stage: Stage, kind: str) -> Stage:
    """The machine with a journal of another guest that is damaged so."""
    KINDS[kind](journal_of(stage.host.paths))
    return stage


@kinds_in_turn
def test_another_guest_starts_as_ever(hurt: Stage, kind: str):
    call = hurt.prepare()
    assert (call.status, driver_of(hurt.host.paths, GPU)) == (0, "vfio-pci"), call.stderr
    assert f"recover --discard {HURT_UUID}" in call.stderr
    assert not any(bug in call.stderr for bug in BUG)


@pytest.mark.parametrize("kind", ["empty", "pipe", "sysfs.write elsewhere"])
def test_another_guest_gives_its_card_back_as_ever(hurt: Stage, kind: str):
    assert hurt.start().status == 0
    hurt.stop()
    assert driver_of(hurt.host.paths, GPU) == "igb"
    assert hurt.differences("run/vfioctl/journal*") == ()


@each_kind
def test_no_reader_fails_with_a_bug_and_the_way_out_is_named(hurt: Stage, kind: str, capfd):
    """Each in this process: what is raised would be raised here."""
    here = compose(hurt.root)
    for words in READERS:
        capfd.readouterr()
        dispatch(here, words)
        said = "".join(capfd.readouterr())
        assert not any(bug in said for bug in BUG), said
        if words in (("status",), ("list",), ("recover",)):
            assert f"{HURT_UUID}.jsonl" in said, words
            assert f"recover --discard {HURT_UUID}" in " ".join(said.split()), words


@kinds_in_turn
def test_its_own_hook_ends_in_words(hurt: Stage, kind: str):
    marks = Path(hurt.host.paths.guest_markers(HURT))
    marks.mkdir(parents=True)
    for name, text in (("uuid", HURT_UUID), ("release", ""), ("started", ""), ("reconnect", "")):
        (marks / name).write_text(text)
    xml = hurt.scenario.xml(HURT, HURT_UUID)
    hurt.libvirt.manage(HURT)
    calls = {op: hurt.libvirt.call(HURT, op, "begin", xml) for op in ("prepare", "started", "reconnect", "release")}
    assert {op: call.status for op, call in calls.items()} == {"prepare": 3, "started": 0, "reconnect": 0, "release": 0}
    assert f"recover --discard {HURT_UUID}" in calls["prepare"].stderr
    assert [call.stderr for call in calls.values() if any(bug in call.stderr for bug in BUG)] == []


def test_a_guest_that_needs_what_it_holds_is_refused_by_its_name(stage: Stage):
    path = journal_of(stage.host.paths)
    Ledger(stage.host.paths).join(step("bind", **{**BIND, "resource": f"pci:{GPU}"}), HURT_UUID, HURT)
    path.write_bytes(b"")
    call = stage.prepare()
    assert call.status == 3
    assert HURT in call.stderr
    assert f"recover --discard {HURT_UUID}" in call.stderr
    assert driver_of(stage.host.paths, GPU) == "igb"


def test_what_can_be_read_of_a_damaged_journal_counts_as_held(stage: Stage):
    """Also where the ledger is lost, while the card is away."""
    assert stage.start().status == 0
    stage.guest_ends()
    paths = stage.host.paths
    text = Path(paths.boot_journal(UUID)).read_text()
    for place in (paths.ledger, paths.guest_markers(GUEST), os.path.dirname(paths.boot_journal(UUID))):
        shutil.rmtree(place)
    os.unlink(paths.disk_journal(UUID))
    path = journal_of(paths)
    path.write_text(text.replace(GUEST, HURT).replace("driver.bind", "no.kind"))
    call = stage.prepare()
    assert call.status == 3
    assert f"{GPU} is held by a hand-off of {HURT} whose journal is damaged" in call.stderr


BLOB = f"{'0' * 64}.{'1' * 16}"
NEW = {"former": None, "operation": "x"}
FORMER = {"blob": BLOB, "mode": 0o644, "uid": 0, "gid": 0, "mtime_ns": 0, "author": ""}
ATTACKS = {
    "guest that is a path": {"subject": "../../../../victim"},
    "copy to another place": ("file.copy", {"source": "/nvram/a", "dest": "/etc/victim"}, {"exists": False}),
    "copy upwards": ("file.copy", {"source": "/nvram/a", "dest": "/nvram/../etc/victim"}, {"exists": False}),
    "copy onto its source": ("file.copy", {"source": "/etc/victim", "dest": "/etc/victim"}, {"exists": False}),
    "relative copy": ("file.copy", {"source": "etc/a", "dest": "etc/victim"}, {"exists": False}),
    "file upwards": ("file.write", {"path": "/srv/../etc/victim", "blob": BLOB, "size": 1}, NEW),
    "content of another place": ("file.write", {"path": "/etc/victim", "blob": "../../etc/x", "size": 1}, NEW),
    "former of another place": ("file.write", {"path": "/etc/victim", "blob": BLOB, "size": 1, "replace": True},
                                {"former": {**FORMER, "blob": "../../../etc/shadow"}, "operation": "x"}),
    "temporary name upwards": ("file.write", {"path": "/etc/victim", "blob": BLOB, "size": 1},
                               {"former": None, "operation": "../../x"}),
    "program for everybody": ("file.write", {"path": "/etc/victim", "blob": BLOB, "size": 1, "mode": "4755"}, NEW),
    "download of a file": ("file.fetch", {"url": "file:///etc/shadow", "path": "/srv/x"}, {"operation": "x"}),
    "unchecked download": ("file.fetch", {"url": "http://host/x", "path": "/srv/x"}, {"operation": "x"}),
    "attribute of another place": ("sysfs.write", {"path": "/etc/victim", "value": "1"}, {"value": "0"}),
    "attribute upwards": ("sysfs.write", {"path": "/sys/../etc/victim", "value": "1"}, {"value": "0"}),
    "driver upwards": ("driver.bind", {"address": GPU, "driver": "../../../etc"}, {"driver": "igb"}),
    "address upwards": ("driver.override", {"address": "../../x", "value": "vfio-pci"}, {"value": None}),
    "module that is an option": ("module.load", {"module": "-C/tmp"}, {"loaded": False}),
    "program from here": ("command.run", {"argv": ["true"], "undo_argv": ["tmp/evil"]}, {}),
    "program upwards": ("command.run", {"argv": ["true"], "undo_argv": ["/usr/../tmp/evil"]}, {}),
    "undo that is a text": ("command.run", {"argv": ["true"], "undo_argv": "rm -rf /"}, {}),
    "process group": ("process.stop", {"pid": 0, "start_time": 1, "comm": "x"}, {}),
    "framebuffer upwards": ("framebuffer.unbind", {"device": "../x", "driver": "y"}, {"driver": "z"}),
    "container tool": ("container.stop", {"tool": "/tmp/evil", "name": "x"}, {"active": True}),
    "disk that is relative": ("disk.snapshot", {"backend": "qcow2", "path": "x", "name": "y"}, {"exists": False}),
    "unit that is a path": ("unit.stop", {"unit": "../evil.service"}, {"active": True}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_journal_that_asks_for_more_than_its_kinds_do_is_not_obeyed(stage: Stage, attack: str):
    paths, how = stage.host.paths, ATTACKS[attack]
    victim = Path(stage.root, "etc/victim")
    victim.write_text("precious")
    path = journal_of(paths)
    head = json.loads(path.read_text().partition("\n")[0])
    if isinstance(how, dict):
        head["plan"].update(how)
    else:
        kind, params, baseline = how
        head["plan"]["steps"][0].update(kind=kind, params=params, baseline=baseline)
    path.write_text(json.dumps(head) + "\n" + json.dumps({"what": "intent", "action": "apply", "step": "a", "at": 1.0}))
    with pytest.raises(VfioctlError) as caught:
        read(str(path))
    assert caught.value.code == "journal.corrupt"
    before = stage.look()
    assert stage.command("recover").returncode == 1
    assert victim.read_text() == "precious"
    assert snapshot.difference(before, stage.look(), allowed=("var/log/vfioctl*", "run/vfioctl/locks*")) == ()
    assert stage.start().status == 0


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b'{"holders": 1}', b"[" * 50_000])
def test_a_damaged_entry_of_the_ledger_stops_who_needs_it_in_words(stage: Stage, data: bytes, capfd):
    ledger = Ledger(stage.host.paths)
    for address in (GPU, CARD):
        ledger.join(step("bind", **{**BIND, "resource": f"pci:{address}"}), HURT_UUID, HURT)
        Path(ledger._path("driver.bind", f"pci:{address}")).write_bytes(data)
    needs = stage.prepare()
    assert (needs.status, f"rm -- {ledger._path('driver.bind', f'pci:{GPU}')}" in needs.stderr) == (3, True)
    here = compose(stage.root)
    for words in (*READERS, ("plan", GUEST), ("rescue", "--yes")):
        capfd.readouterr()
        dispatch(here, words)
        assert not any(bug in "".join(capfd.readouterr()) for bug in BUG), words
    os.unlink(ledger._path("driver.bind", f"pci:{GPU}"))
    assert stage.prepare().status == 0


def test_a_guest_whose_journal_is_damaged_is_listed_as_unfinished(stage: Stage):
    assert stage.start().status == 0
    stage.guest_ends()
    Path(stage.host.paths.boot_journal(UUID)).write_bytes(b"")
    listed = json.loads(stage.command("list", "--format", "json").stdout)
    (row,) = listed["data"]["guests"]
    assert (row["guest"], row["state"], row["has"]) == (GUEST, "unfinished", [GPU])
    assert [error["code"] for error in listed["errors"]] == ["journal.corrupt"]


@pytest.mark.parametrize("seed", range(10))
def test_whatever_a_journal_says_it_is_read_or_refused_in_words(tmp_path, seed: int):
    """100 of each seed; one that is taken can be rendered, shown and walked through as every other."""
    paths, luck = Paths(str(tmp_path)), random.Random(seed)
    path = Path(paths.boot_journal(UUID))
    path.parent.mkdir(parents=True)
    codes = set()
    texts = [recorded.read_text() for recorded in sorted(RECORDED.rglob("boot.jsonl"))]
    for _ in range(100):
        path.write_bytes(mutated(luck.choice(texts), luck))
        try:
            story = read_both(paths, UUID)
        except VfioctlError as error:
            codes.add(error.code)
            damaged.way_out(paths, UUID)
            damaged.last_words(str(path), 5)
            continue
        made = story.plan
        assert (made.key, name_problem(made.subject)) == (UUID, "")
        assert undo_sh.render(made.subject, made.key, made.undo_order(), paths, back=made.proof)
        assert all(kind(one.kind).unfit(one.params) == "" for one in made.all_steps())
    assert codes <= {"journal.corrupt", "journal.schema"}
