"""Steps that follow the start: best effort, and taken back with everything else. What is told after a return."""

from __future__ import annotations

import json
from pathlib import Path

from hand_offs import BY_NAME, stage
from txn_builders import OTHER, UUID

from vfioctl.compose import Composition
from vfioctl.frozen import replace
from vfioctl.handoff import markers, release
from vfioctl.handoff.notes import parameters
from vfioctl.handoff.operation import as_shown
from vfioctl.log import Log
from vfioctl.plugin import manifest
from vfioctl.plugin.types import PluginInfo
from vfioctl.txn.journal import Journal, Standing, read_both
from vfioctl.txn.resources import Ledger

OBSERVER = """
from vfioctl.plugin.markers import hookimpl

@hookimpl
def vfioctl_finished(outcome):
    with open({seen!r}, "w", encoding="utf-8") as file:
        file.write(f"{{outcome.guest}} {{outcome.event}} {{outcome.ok}} {{[item['id'] for item in outcome.steps]}}")
    raise RuntimeError("an observer's own trouble")
"""


def governor(here: Composition) -> str:
    return Path(here.paths.at("sys/governor")).read_text().strip()


def come_home(here: Composition) -> str:
    """The second part of the return; gives the log."""
    with Journal(here.paths, UUID) as journal:
        journal.reopen()
        journal.standing(Standing.RETURNING)
    release.finish(here, UUID, Log(here.paths, stderr=None))
    return Path(here.paths.log, "vfioctl.log").read_text()


def test_what_a_step_changed_after_the_start_goes_back_to_its_baseline(given):
    release.started(given, "win11", Log(given.paths, stderr=None))
    assert governor(given) == "1"
    come_home(given)
    assert governor(given) == "0"
    assert read_both(given.paths, UUID) is None


def test_what_it_changes_is_held_as_long_as_the_guest_runs(given):
    assert [entry.holders for entry in Ledger(given.paths).entries()] == [{UUID: "win11"}]


def test_observers_are_told_and_their_troubles_are_only_logged(given, tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    (tmp_path / "an_observer.py").write_text(OBSERVER.format(seen=str(seen)))
    monkeypatch.syspath_prepend(str(tmp_path))
    built = manifest.build()
    manifest.write(given.paths, replace(built, plugins=(*built.plugins, PluginInfo("watcher", "1", 1, "an_observer"))))
    assert "an observer's own trouble" in come_home(given)
    assert seen.read_text() == "win11 release True ['governor']"
    assert read_both(given.paths, UUID) is None


def test_a_driver_that_was_updated_while_the_guest_ran_is_told(given, tmp_path):
    module = tmp_path / "sys" / "module" / "nvidia"
    module.mkdir(parents=True)
    (module / "refcnt").write_text("0\n")
    (module / "version").write_text("550.2\n")
    assert "nvidia was updated while the guest ran: 535.1, now 550.2" in come_home(given)


def test_a_module_that_came_back_with_another_parameter_is_told_with_both_values(tmp_path):
    with stage(BY_NAME["nvidia-greeter"], tmp_path) as on:
        on.start()
        assert parameters(on.story().plan) == {"nvidia_drm": {"modeset": "Y", "fbdev": "N"}}
        on.host.kernel.set_options("nvidia_drm", modeset="N")
        on.stop()
        log = Path(on.host.paths.log, "vfioctl.log").read_text()
    assert "the module nvidia_drm has another modeset than before the guest ran: Y, now N" in log
    assert "another fbdev" not in log


def test_a_journal_of_a_version_that_kept_no_parameters_comes_home_in_silence(given, tmp_path):
    (tmp_path / "sys" / "module" / "nvidia" / "parameters").mkdir(parents=True)
    (tmp_path / "sys" / "module" / "nvidia" / "parameters" / "open").write_text("1\n")
    story = read_both(given.paths, UUID)
    assert story
    former = as_shown(story.plan)  # as schema 2 had it
    del former["parameters"]
    for path in (given.paths.boot_journal(UUID), given.paths.disk_journal(UUID)):
        head, *lines = Path(path).read_text().split("\n")
        older = {**json.loads(head), "plan": former}
        Path(path).write_text("\n".join((json.dumps(older), *lines)))
    assert "another" not in come_home(given)


def test_what_it_shared_with_a_guest_that_undo_sh_brought_home_comes_back_with_the_last_one(given, give):
    give("other", OTHER)
    release.started(given, "win11", Log(given.paths, stderr=None))
    markers.set_mark(given.paths, "other", markers.UNDONE_BY_SH)
    come_home(given)
    assert governor(given) == "0"
    assert Ledger(given.paths).entries() == ()
