"""The step kinds that start and stop guests, and snap their disks while they run, on a real libvirtd and QEMU."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from disk_images import content, create, fill
from domain_steps import do, state, undo
from forwarding import forwarded
from libvirt_machine import DISK, Guest
from step_builders import planned

from vfioctl.errors import StepFailed, StepRefused, VfioctlError
from vfioctl.txn.kind import kind
from vfioctl.txn.step import State, Step
from vfioctl.wait import until

pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")


@pytest.fixture
def guest(lab: Any, machine: Any, request: pytest.FixtureRequest) -> Iterator[Guest]:
    second = create(machine.paths.at("srv/second.qcow2"))
    made = Guest(lab, machine, f"r{abs(hash(request.node.name))}", devices=DISK.format(path=second, target="vdb"))
    yield made
    made.remove()


def step_of(guest: Guest, sort: str, *, operation: str = "", **params: Any) -> Step:
    step = planned(guest.machine, sort, {**guest.about, **params}, deadline=30.0)
    return planned(
        guest.machine, sort, step.params, deadline=30.0, baseline={"operation": operation}
    ) if operation else step  # fmt: skip


def is_on(guest: Guest) -> bool:
    return bool(guest.handle.isActive())


# domain.start


def test_a_guest_is_started_and_switched_off_again_and_its_configuration_is_as_before(guest: Guest) -> None:
    from vfioctl.kinds.libvirt.documents import canonical

    before, step = canonical(guest.xml), step_of(guest, "domain.start")
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert is_on(guest)
    assert guest.handle.state()[0] == 1, "it is running"
    assert state(step, guest) is State.AFTER
    assert canonical(guest.xml) == before
    assert do(step, guest) == "it is running already"
    assert undo(step, guest) is None
    assert not is_on(guest)
    assert state(step, guest) is State.BEFORE
    assert "is off" in (undo(step, guest) or "")
    assert canonical(guest.xml) == before


def test_a_guest_that_somebody_else_has_started_runs_on(guest: Guest) -> None:
    step = step_of(guest, "domain.start")
    guest.start()
    assert state(step, guest) is State.FOREIGN
    with pytest.raises(StepRefused) as caught:
        do(step, guest)
    assert caught.value.code == "domain.running"
    assert "not started by this" in (undo(step, guest) or "")
    assert is_on(guest)


def test_one_that_another_operation_has_started_runs_on(guest: Guest) -> None:
    do(step_of(guest, "domain.start", operation="0ther000"), guest)
    assert state(step_of(guest, "domain.start"), guest) is State.FOREIGN


class KilledError(BaseException):
    """Nothing handles it, and nothing is tidied up."""


@pytest.mark.parametrize("moment", ["before the start", "before it runs", "before the mark is gone"])
def test_what_a_kill_leaves_of_a_start_is_known_and_taken_back_or_finished(guest: Guest, moment: str) -> None:
    from vfioctl.kinds.libvirt import marks
    from vfioctl.kinds.libvirt.documents import canonical

    before, step = canonical(guest.xml), step_of(guest, "domain.start")
    marks.configure(guest.handle, marks.STARTED, step.baseline["operation"])
    if moment != "before the start":
        guest.handle.createWithFlags(1)  # VIR_DOMAIN_START_PAUSED
    if moment == "before it runs":
        marks.configure(guest.handle, marks.STARTED, "")
    assert state(step, guest) is State.BETWEEN
    undo(step, guest)
    assert not is_on(guest)
    assert canonical(guest.xml) == before
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER


def test_a_start_by_somebody_after_the_kill_is_not_taken_for_ours(guest: Guest) -> None:
    from vfioctl.kinds.libvirt import marks

    step = step_of(guest, "domain.start")
    marks.configure(guest.handle, marks.STARTED, step.baseline["operation"])
    guest.start()
    assert state(step, guest) is State.FOREIGN


def test_a_start_that_a_hook_refuses_leaves_nothing(lab: Any, guest: Guest) -> None:
    from vfioctl.kinds.libvirt.documents import canonical

    before, step = canonical(guest.xml), step_of(guest, "domain.start")
    lab.hook("00-present", "[ $2 != prepare ] || { echo no card >&2; exit 1; }\n")
    try:
        with pytest.raises(VfioctlError, match="no card"):
            do(step, guest)
    finally:
        lab.hook("00-present", "exit 0\n")
    assert state(step, guest) is State.BEFORE
    assert canonical(guest.xml) == before


def test_a_start_whose_hook_does_not_end_is_given_up_in_time(lab: Any, guest: Guest, tmp_path: Path) -> None:
    step = planned(guest.machine, "domain.start", guest.about, deadline=1.0)
    lab.hook("00-present", f"[ $2 != prepare ] || while [ ! -e {tmp_path}/go ]; do sleep 0.1; done\n")
    began = time.monotonic()
    with pytest.raises(VfioctlError) as caught:
        do(step, guest)
    assert time.monotonic() - began < 4
    assert caught.value.code == "libvirt.unanswered"
    (tmp_path / "go").touch()
    lab.hook("00-present", "exit 0\n")
    assert until(lambda: is_on(guest), 20), "it came true all the same"
    later = step_of(guest, "domain.start")
    assert until(lambda: state(later, guest) in (State.BETWEEN, State.AFTER), 10)
    undo(later, guest)
    assert not is_on(guest)


# domain.stop


def test_a_guest_is_switched_off_for_good(guest: Guest) -> None:
    step = step_of(guest, "domain.stop", how="destroy", seconds=5)
    guest.start()
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert state(step, guest) is State.AFTER
    assert do(step, guest) == "it is off already"
    assert undo(step, guest) == "it is not started again"
    assert not is_on(guest)


def test_a_guest_that_does_not_listen_is_named_and_runs_on(guest: Guest) -> None:
    step = step_of(guest, "domain.stop", how="shutdown", seconds=1)
    guest.start()
    with pytest.raises(StepFailed) as caught:
        do(step, guest)
    assert caught.value.code == "guest.deaf"
    assert is_on(guest)


def test_a_shutdown_is_waited_for(guest: Guest) -> None:
    """Nothing in this guest hears the power button, so somebody else ends it."""
    step = step_of(guest, "domain.stop", how="shutdown", seconds=20)
    guest.start()
    ended = threading.Timer(1.0, guest.destroy)
    ended.start()
    assert do(step, guest) is None
    ended.join()
    assert not is_on(guest)


def test_waiting_for_a_shutdown_can_be_cancelled(guest: Guest) -> None:
    step = step_of(guest, "domain.stop", how="shutdown", seconds=20)
    guest.start()

    def stop() -> None:
        raise StepFailed("engine.interrupted", "It was asked to stop.")

    with pytest.raises(StepFailed, match="asked to stop"):
        kind(step.kind).apply(step, guest.machine.watched(lambda *_: None, stop))


# disk.live


def live(guest: Guest, name: str = "now", **more: Any) -> Step:
    disks = "".join(
        f"<disk name='{target}' snapshot='external' type='file'><driver type='qcow2'/><source file='{path}'/></disk>"
        for target, path in files(guest).items()
    )
    asked = f"<domainsnapshot><name>{name}</name><disks>{disks}</disks></domainsnapshot>"
    return step_of(guest, "disk.live", name=name, blob=guest.blob(asked), **more)


def files(guest: Guest) -> dict[str, str]:
    """The new image of each disk."""
    return {target: guest.machine.paths.at(f"srv/{target}.now.qcow2") for target in ("vda", "vdb")}


def present(guest: Guest) -> dict[str, str]:
    from vfioctl.kinds.libvirt.documents import drives

    return drives(guest.handle.XMLDesc(0))


def write(guest: Guest, target: str, pattern: int) -> None:
    """As the guest does: QEMU itself writes to its disk."""
    import libvirt_qemu

    device = f"/machine/peripheral/virtio-disk{['vda', 'vdb'].index(target)}/virtio-backend"
    line = f'qemu-io -d {device} "write -P {pattern} 0 64k"'
    said = libvirt_qemu.qemuMonitorCommand(guest.handle, line, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
    assert "wrote" in said or not said.strip(), said


@pytest.mark.parametrize("reuse", [False, True], ids=["by libvirt", "by us"])
def test_the_disks_of_a_running_guest_are_snapped_at_once_and_merged_again_with_what_it_wrote(
    guest: Guest, *, reuse: bool
) -> None:
    former = present_off(guest)
    fill(guest.disk, 3, 1)
    guest.start()
    if reuse:
        for target, path in files(guest).items():
            create(path, backing=former[target])
    step = live(guest, reuse=reuse)
    assert state(step, guest) is State.BEFORE
    assert do(step, guest) is None
    assert present(guest) == files(guest)
    assert state(step, guest) is State.AFTER
    assert "already" in (do(step, guest) or "")
    write(guest, "vda", 9)
    assert undo(step, guest) is None
    assert present(guest) == former
    assert state(step, guest) is State.BEFORE
    assert guest.handle.listAllSnapshots() == []
    assert not any(os.path.exists(path) for path in files(guest).values())
    guest.destroy()
    for section, pattern in ((0, 9), (1 << 20, 3)):
        argv = ["qemu-io", "-c", f"read -P {pattern} {section} 64k", guest.disk]
        assert "verification failed" not in subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def present_off(guest: Guest) -> dict[str, str]:
    from vfioctl.kinds.libvirt.documents import drives

    return drives(guest.xml)


def test_one_disk_that_cannot_be_snapped_keeps_all_of_them_as_they_are(guest: Guest) -> None:

    step, former = live(guest), present_off(guest)
    guest.start()
    Path(files(guest)["vdb"]).mkdir()
    with pytest.raises(VfioctlError):
        do(step, guest)
    assert present(guest) == former
    assert state(step, guest) is State.BEFORE
    assert guest.handle.listAllSnapshots() == []


def test_a_guest_that_is_off_is_refused(guest: Guest) -> None:
    with pytest.raises(StepRefused) as caught:
        do(live(guest), guest)
    assert caught.value.code == "domain.off"


def test_a_name_that_a_snapshot_has_is_refused(guest: Guest) -> None:
    guest.start()
    do(live(guest), guest)
    another = guest.blob("<domainsnapshot><name>now</name><disks/></domainsnapshot>")
    other = step_of(guest, "disk.live", name="now", blob=another)
    with pytest.raises(StepRefused) as caught:
        do(other, guest)
    assert caught.value.code == "snapshot.exists"
    assert state(other, guest) is State.FOREIGN


@pytest.mark.parametrize("pooled", [True, False], ids=["in a pool", "in none"])
def test_the_images_of_another_node_go_by_their_pool_or_are_said_to_stay(
    guest: Guest, lab: Any, *, pooled: bool
) -> None:
    directory = guest.machine.paths.at("srv")
    if pooled:
        pool = guest.connection.storagePoolDefineXML(
            f"<pool type='dir'><name>{guest.name}</name><target><path>{directory}</path></target></pool>"
        )
        pool.create()
    guest.start()
    with forwarded(lab) as node:
        guest.uri = node
        step = live(guest)
        do(step, guest)
        said = undo(step, guest)
    assert present(guest) == present_off(guest)
    assert [os.path.exists(path) for path in files(guest).values()] == [not pooled] * 2
    assert (said is None) is pooled
    assert said is None or "could not be removed; nothing uses it any more" in said
    if pooled:
        pool.destroy()
        pool.undefine()


def test_without_an_agent_nothing_can_stand_still_and_nothing_is_done(guest: Guest) -> None:
    guest.start()
    with pytest.raises(StepRefused) as caught:
        do(live(guest, quiesce=True), guest)
    assert caught.value.code == "guest.no_agent"
    assert present(guest) == present_off(guest)


def test_a_paused_guest_needs_no_agent(guest: Guest) -> None:
    guest.start()
    guest.handle.suspend()
    assert do(live(guest, quiesce=True), guest) is None
    assert present(guest) == files(guest)


def test_a_guest_that_a_killed_operation_has_frozen_is_let_go_by_the_undo(guest: Guest) -> None:
    """Its agent is gone here: then there is nothing to ask, and the mark goes."""
    from vfioctl.kinds.libvirt import marks

    step = live(guest)
    guest.start()
    marks.tell(guest.handle, marks.FROZEN, step.baseline["operation"])
    assert state(step, guest) is State.BETWEEN
    undo(step, guest)
    assert state(step, guest) is State.BEFORE


def test_what_the_guest_wrote_is_not_taken_away_once_it_is_off(guest: Guest) -> None:
    step = live(guest)
    guest.start()
    do(step, guest)
    write(guest, "vda", 9)
    guest.destroy()
    seen = content(files(guest)["vda"])
    assert state(step, guest) is State.FOREIGN
    assert "It stays" in kind(step.kind).foreign(step, guest.machine)
    assert content(files(guest)["vda"]) == seen


# disk.pull


@pytest.fixture
def stacked(guest: Guest) -> Guest:
    """It runs on an image over another one, over its first disk; each has bytes of its own."""
    below, top = (guest.machine.paths.at(f"srv/{name}.qcow2") for name in ("middle", "top"))
    fill(guest.disk, 3, 1)
    fill(create(below, backing=guest.disk), 5, 2)
    create(top, backing=below)
    guest.handle.connect().defineXML(guest.xml.replace(str(guest.disk), top))
    guest.start()
    return guest


def pull(guest: Guest, *, to_base: bool = True, **more: Any) -> Step:
    params = {
        "path": "/srv/top.qcow2", "backing": "/srv/middle.qcow2", "backing_format": "qcow2",
        "to": f"/srv/{os.path.basename(guest.disk)}" if to_base else "", "to_format": "qcow2" if to_base else "",
        "domain": guest.about["uuid"], "uri": guest.about["uri"], "target": "vda", **more,
    }  # fmt: skip
    return planned(guest.machine, "disk.pull", params, deadline=30.0)


@pytest.mark.parametrize("to_base", [True, False], ids=["to the base", "to nothing"])
def test_what_a_running_guest_writes_to_takes_in_what_it_needs(stacked: Guest, *, to_base: bool) -> None:
    step, heard = pull(stacked, to_base=to_base), []
    assert state(step, stacked) is State.BEFORE
    kind(step.kind).guard(step, stacked.machine)
    watched = stacked.machine.watched(lambda *said: heard.append(said), lambda: None)
    assert kind(step.kind).apply(step, watched) is None
    assert state(step, stacked) is State.AFTER
    assert "does not lie over" in (do(step, stacked) or "")
    write(stacked, "vda", 9)
    stacked.destroy()
    os.unlink(stacked.machine.paths.at("srv/middle.qcow2"))
    for section, pattern in ((0, 9), (1 << 20, 3), (2 << 20, 5)):
        argv = ["qemu-io", "-c", f"read -P {pattern} {section} 64k", stacked.machine.paths.at("srv/top.qcow2")]
        assert "verification failed" not in subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_its_undo_while_the_guest_runs_leaves_it_as_it_is(stacked: Guest) -> None:
    step = pull(stacked)
    do(step, stacked)
    assert "says the same" in (undo(step, stacked) or "")
    assert state(step, stacked) is State.AFTER
    stacked.destroy()
    assert undo(step, stacked) is None
    assert state(step, stacked) is State.BEFORE


def test_of_a_guest_that_is_off_by_then_qemu_img_does_it(stacked: Guest) -> None:
    step = pull(stacked)
    stacked.destroy()
    below = stacked.machine.paths.at("srv/middle.qcow2")
    chain = f"<backingStore type='file'><format type='qcow2'/><source file='{below}'/>"
    target = "<target dev='vda'"
    stacked.handle.connect().defineXML(stacked.xml.replace(target, f"{chain}<backingStore/></backingStore>{target}"))
    assert "middle.qcow2" in stacked.xml
    seen = content(stacked.machine.paths.at("srv/top.qcow2"))
    assert do(step, stacked) is None
    assert state(step, stacked) is State.AFTER
    assert content(stacked.machine.paths.at("srv/top.qcow2")) == seen
    assert "middle.qcow2" not in stacked.xml
    stacked.start()


def test_a_disk_that_has_been_changed_over_meanwhile_is_refused(stacked: Guest) -> None:
    step = pull(stacked, target="vdb")
    with pytest.raises(StepRefused) as caught:
        do(step, stacked)
    assert caught.value.code == "disk.changed"
    assert state(step, stacked) is State.BEFORE
