"""Snapshots of real images: made before the start, undone when it fails, pruned after the stop."""

from __future__ import annotations

import json
import os

import pytest
from vfioctl_snapshot.plugin import vfioctl_post_stop, vfioctl_pre_start, vfioctl_preflight, vfioctl_snapshot

from vfioctl.handoff.holders import Policy
from vfioctl.handoff.planning import Order, plan
from vfioctl.txn.kind import kind
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.resources import Ledger
from vfioctl.txn.step import Lifetime, Phase, Scope, Undo

DAY = 86400
STATE = "/var/lib/libvirt/swtpm/9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11/tpm2/tpm2-00.permall"


def test_the_state_before_the_start_can_be_read_again_after_it(bench):
    disk = bench.disk("vda")
    bench.fill(disk.source, "0x41")
    claim = vfioctl_snapshot(disk, bench.request(disk))
    bench.carry_out(*claim.create)
    bench.fill(disk.source, "0x42")
    assert bench.snapshots(disk.source) == ["vfioctl-20261121-101530"]
    bench.qemu_img("snapshot", "-a", "vfioctl-20261121-101530", bench.paths.at(disk.source))
    assert bench.content(disk.source) == "41"


def test_a_failed_start_leaves_no_snapshot(bench):
    disk = bench.disk("vda")
    (step,) = bench.carry_out(*vfioctl_snapshot(disk, bench.request(disk)).create)
    kind(step.kind).undo(step, bench.machine)
    assert bench.snapshots(disk.source) == []


def test_the_proposal_is_a_snapshot_before_the_hand_off_that_a_success_keeps(bench):
    disk = bench.disk("vda")
    (proposal,) = vfioctl_snapshot(disk, bench.request(disk)).create
    step = bench.step(proposal)
    assert (step.kind, step.phase) == ("disk.snapshot", Phase.BEFORE)
    assert (step.undo, step.scope, step.lifetime) == (Undo.EXACT, Scope.TRANSACTION, Lifetime.DISK)
    assert json.loads(json.dumps(dict(proposal.params))) == proposal.params


def test_off_by_default_nothing_is_looked_at(bench):
    disk = bench.disk("vda", source="/images/absent.qcow2")
    request = bench.request(disk, settings={"enabled": False}, nvram="/images/absent.fd", has_vtpm=True)
    assert vfioctl_snapshot(disk, request) is None
    assert list(vfioctl_pre_start(request)) == []
    assert list(vfioctl_post_stop(request)) == []
    assert list(vfioctl_preflight(request)) == []


def test_only_the_newest_are_kept_and_the_others_go_after_the_stop(bench):
    disk = bench.disk("vda")
    for day in range(4):
        request = bench.request(disk, now=1795256130.0 + day * DAY, settings={"keep": 2})
        claim = vfioctl_snapshot(disk, request)
        assert all(step.phase is Phase.AFTER and step.best_effort for step in claim.delete)
        bench.carry_out(*claim.create)
        bench.carry_out(*claim.delete)
    assert bench.snapshots(disk.source) == ["vfioctl-20261123-101530", "vfioctl-20261124-101530"]


def test_a_smaller_number_to_keep_deletes_several_in_one_plan(bench):
    disk = bench.disk("vda")
    for day in range(4):
        bench.carry_out(*vfioctl_snapshot(disk, bench.request(disk, now=1795256130.0 + day * DAY)).create)
    request = bench.request(disk, now=1795256130.0 + 4 * DAY, settings={"keep": 1})
    claim = vfioctl_snapshot(disk, request)
    proposals = tuple(Proposed("snapshot", step) for step in (*claim.create, *claim.delete))
    made = plan(Order("win11", request.uuid, (), proposals, Policy), request.host, Ledger(bench.paths))
    assert [step.kind for step in made.steps] == ["disk.snapshot"]
    assert [step.params["name"] for step in made.returns] == [f"vfioctl-2026112{day}-101530" for day in (1, 2, 3, 4)]
    assert made.findings == ()


def test_snapshots_of_the_user_and_of_libvirt_are_never_deleted(bench):
    disk = bench.disk("vda")
    for name in ("before-update", "vfioctl-by-hand", "20200101"):
        bench.qemu_img("snapshot", "-c", name, bench.paths.at(disk.source))
    claim = vfioctl_snapshot(disk, bench.request(disk, settings={"keep": 1}))
    assert claim.delete == ()


def test_with_keep_0_everything_stays(bench):
    disk = bench.disk("vda")
    bench.qemu_img("snapshot", "-c", "vfioctl-20200101-000000", bench.paths.at(disk.source))
    assert vfioctl_snapshot(disk, bench.request(disk, settings={"keep": 0})).delete == ()


def test_a_name_of_ones_own_is_used_and_recognised(bench):
    disk = bench.disk("vda")
    settings = {"name": "at.{time}.on.{date}", "keep": 1}
    bench.carry_out(*vfioctl_snapshot(disk, bench.request(disk, settings=settings)).create)
    claim = vfioctl_snapshot(disk, bench.request(disk, now=1795256130.0 + 60, settings=settings))
    assert claim.create[0].params["name"] == "at.101630.on.20261121"
    assert [step.params["name"] for step in claim.delete] == ["at.101530.on.20261121"]


@pytest.fixture
def firmware(bench):
    """A guest with NVRAM in /nvram."""
    os.makedirs(bench.paths.at("nvram"))
    with open(bench.paths.at("nvram/win11.fd"), "wb") as file:
        file.write(b"variables")
    return bench


def test_the_nvram_is_copied_beside_itself_under_the_name_of_the_snapshot(firmware):
    disk = firmware.disk("vda")
    request = firmware.request(disk, nvram="/nvram/win11.fd")
    firmware.carry_out(*vfioctl_pre_start(request))
    with open(firmware.paths.at("nvram/win11.fd.vfioctl-20261121-101530"), "rb") as file:
        assert file.read() == b"variables"


def test_without_a_snapshot_there_is_no_copy_of_the_nvram(firmware):
    raw = firmware.disk("vda", format="raw")
    assert list(vfioctl_pre_start(firmware.request(raw, nvram="/nvram/win11.fd"))) == []


def test_a_guest_without_nvram_yet_starts_and_is_told(bench, codes):
    disk = bench.disk("vda")
    request = bench.request(disk, nvram="/nvram/win11.fd")
    assert list(vfioctl_pre_start(request)) == []
    assert codes(vfioctl_preflight(request)) == [("snapshot.no_nvram", "info")]


def test_old_copies_of_the_nvram_go_and_other_files_stay(firmware):
    names = (
        "win11.fd.vfioctl-20260101-000000",
        "win11.fd.vfioctl-20260102-000000",
        "win11.fd.bak",
        "other.fd.vfioctl-20250101-000000",
    )
    for name in names:
        with open(firmware.paths.at("nvram", name), "w"):
            pass
    request = firmware.request(firmware.disk("vda"), nvram="/nvram/win11.fd", settings={"keep": 2})
    steps = tuple(vfioctl_post_stop(request))
    assert all(step.phase is Phase.AFTER for step in steps)
    firmware.carry_out(*steps)
    assert sorted(os.listdir(firmware.paths.at("nvram"))) == [
        "other.fd.vfioctl-20250101-000000", "win11.fd", "win11.fd.bak", "win11.fd.vfioctl-20260102-000000",
    ]  # fmt: skip


@pytest.fixture
def sealed(bench):
    """A guest whose TPM has a state."""
    os.makedirs(os.path.dirname(bench.paths.at(STATE)))
    with open(bench.paths.at(STATE), "wb") as file:
        file.write(b"sealed")
    return bench


def test_the_state_of_a_virtual_tpm_is_copied_beside_itself_and_old_copies_go(sealed, codes):
    disk = sealed.disk("vda")
    for day in range(3):
        request = sealed.request(disk, now=1795256130.0 + day * DAY, has_vtpm=True, settings={"keep": 2})
        assert codes(vfioctl_preflight(request)) == []
        sealed.carry_out(*vfioctl_pre_start(request))
        sealed.carry_out(*vfioctl_post_stop(request))
    kept = sorted(os.listdir(os.path.dirname(sealed.paths.at(STATE))))
    assert kept == ["tpm2-00.permall", *(f"tpm2-00.permall.vfioctl-202611{day}-101530" for day in (22, 23))]
    with open(sealed.paths.at(f"{STATE}.vfioctl-20261123-101530"), "rb") as file:
        assert file.read() == b"sealed"


def test_the_state_of_a_tpm_that_the_guest_has_no_more_is_left_alone(sealed):
    assert list(vfioctl_pre_start(sealed.request(sealed.disk("vda")))) == []


def test_a_virtual_tpm_without_a_state_is_said_to_be_left_out(bench, codes):
    assert codes(vfioctl_preflight(bench.request(bench.disk("vda"), has_vtpm=True))) == [("snapshot.vtpm", "info")]


@pytest.mark.parametrize(
    "name", ["daily", "{date}", "{date}{time}/x", "-{date}{time}", "{date}{time}{date}", "a b{date}{time}"]
)
def test_a_template_that_cannot_name_snapshots_blocks_and_proposes_nothing(bench, codes, name):
    disk = bench.disk("vda")
    request = bench.request(disk, settings={"name": name})
    assert codes(vfioctl_preflight(request)) == [("snapshot.name", "block")]
    assert vfioctl_snapshot(disk, request) is None


def test_a_negative_number_to_keep_blocks(bench, codes):
    request = bench.request(bench.disk("vda"), settings={"keep": -1})
    assert codes(vfioctl_preflight(request)) == [("snapshot.keep", "block")]


def test_a_required_disk_that_the_guest_lacks_blocks_and_names_those_it_has(bench):
    request = bench.request(bench.disk("vda"), settings={"disks": {"vdz": "require", "vdy": "skip"}})
    (found,) = vfioctl_preflight(request)
    assert (found.code, found.hint) == ("snapshot.no_disk", "Its disks are: vda")
