"""Steps that follow the start: best effort, and taken back with everything else. What is told after a return."""

from __future__ import annotations

from pathlib import Path

from txn_builders import OTHER, UUID

from vfioctl.compose import Composition
from vfioctl.frozen import replace
from vfioctl.handoff import markers, release
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


def test_what_it_shared_with_a_guest_that_undo_sh_brought_home_comes_back_with_the_last_one(given, give):
    give("other", OTHER)
    release.started(given, "win11", Log(given.paths, stderr=None))
    markers.set_mark(given.paths, "other", markers.UNDONE_BY_SH)
    come_home(given)
    assert governor(given) == "0"
    assert Ledger(given.paths).entries() == ()
