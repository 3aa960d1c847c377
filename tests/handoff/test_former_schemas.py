"""Journals that earlier versions left, of each schema and at each standing, are finished by this one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hand_offs import BY_NAME, stage
from recoveries import as_before, recover, recover_uninstalled, run_undo_sh

from vfioctl.handoff import markers
from vfioctl.testing.domains import UUID
from vfioctl.txn.journal import Standing, read_both
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.plan import Action
from vfioctl.txn.resources import Ledger

RECORDED = Path(__file__).parent.parent / "data" / "journals"
SNAPSHOT = BY_NAME["snapshot"]
UNMARKED = 1  # nothing that was made under it bears a mark
NEVER_GIVEN = (Standing.APPLYING, Standing.UNDOING)

each_standing = pytest.mark.parametrize("standing", [one for one in Standing if one is not Standing.QUEUED])
each_schema = pytest.mark.parametrize("schema", [1, 2])


@pytest.fixture
def on(tmp_path, schema, standing):
    """The machine as that version left it when it was killed; what it had only intended is done as well."""
    with stage(SNAPSHOT, tmp_path) as one:
        paths = one.host.paths
        put_journals(one, schema, standing)
        story = read_both(paths, UUID)
        assert (story.standing, story.version, bool(story.plan.id)) == (standing, "0.1.0", schema > UNMARKED)
        machine = Machine(paths, one.host.programs)
        for record in story.records:
            form, step = kind(story.plan.step(record.step).kind), story.plan.step(record.step)
            if record.what == "intent":
                (form.apply if record.action is Action.APPLY else form.undo)(step, machine)
        for step in story.plan.changes:
            Ledger(paths).join(step, UUID, story.plan.subject)
        markers.write(paths, story.plan, armed="")
        yield one


def put_journals(on, schema, standing) -> None:
    boot_id = Path(on.host.paths.proc, "sys/kernel/random/boot_id").read_text().strip()
    for name, path in (("boot", on.host.paths.boot_journal(UUID)), ("disk", on.host.paths.disk_journal(UUID))):
        text = (RECORDED / f"schema-{schema}" / standing / f"{name}.jsonl").read_text()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_text(text.replace("@ROOT@", on.root).replace("@BOOT@", boot_id))


def kept(standing) -> tuple[str, ...]:
    return () if standing in NEVER_GIVEN else SNAPSHOT.kept


@each_schema
@each_standing
@pytest.mark.parametrize("who", [recover, recover_uninstalled], ids=lambda who: who.__name__)
def test_it_is_finished_and_finishing_it_twice_does_no_harm(on, standing, who):
    who(on)
    assert on.story() is None
    recover(on)
    as_before(on, *kept(standing))


@each_schema
@each_standing
def test_it_is_finished_after_a_restart_as_well(on, standing):
    on.host.reboot()
    recover(on)
    assert on.story() is None
    as_before(on, *kept(standing))


@each_schema
@each_standing
def test_its_undo_sh_can_be_left_again_and_works(on, standing):
    run_undo_sh(on)
    recover(on)
    as_before(on, *kept(standing))


@pytest.mark.parametrize("schema", [UNMARKED])
@pytest.mark.parametrize("standing", [Standing.APPLYING])
def test_a_file_with_other_bytes_than_the_source_stays(on, standing):
    copy = next(step for step in on.story().plan.steps if step.kind == "file.copy").params["dest"]
    Path(on.host.paths.at(copy)).write_text("precious")
    ended = on.command("recover")
    assert f"rm -- {on.host.paths.at(copy)}" in ended.stdout.replace("\n", " ")
    assert on.look()[f"file {copy.lstrip('/')}"] == "precious"
    as_before(on, f"file {copy.lstrip('/')}")
