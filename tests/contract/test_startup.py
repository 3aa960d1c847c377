"""What the hook path and --help import: budgets that are lowered, never raised, and what must not be there at all."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from vfioctl.verbs.table import BUILT_IN

HEAVY = {
    "pluggy", "inspect", "click", "sh", "tomlkit", "rich", "libvirt", "asyncio", "logging", "importlib.metadata",
    "email", "pathlib", "typing",
}  # fmt: skip
PATHS = {
    "acting prepare": ("vfioctl.hook", "vfioctl.handoff.prepare", "vfioctl.events.domain"),
    "release": ("vfioctl.hook", "vfioctl.handoff.release"),
    "dead-man": ("vfioctl.handoff.helper", "vfioctl.handoff.deadman"),
}
BUDGETS = {"acting prepare": 128, "release": 97, "dead-man": 60}


def modules_after(*names: str) -> set[str]:
    """What these names import, beyond what Python's own start does: that differs between its versions."""
    code = (
        f"import sys\nbefore = set(sys.modules)\nfor name in {names!r}: __import__(name)\n"
        "added = sorted(set(sys.modules) - before)\nimport json\nprint(json.dumps(added))"
    )
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ended.stdout))


@pytest.mark.parametrize("path", PATHS)
def test_nothing_heavy_is_imported_on(path):
    seen = modules_after(*PATHS[path])
    assert {name for name in seen if name in HEAVY or name.startswith("vfioctl.virt")} == set()


@pytest.mark.parametrize("module", sorted(entry.value for entry in entry_points(group="vfioctl")))
def test_a_hook_gets_nothing_heavy_with_the_plugin(module):
    """A hook loads every plugin that is installed, also those that have nothing to do in it."""
    assert modules_after(*PATHS["acting prepare"], module).isdisjoint(HEAVY)


@pytest.mark.parametrize("path", PATHS)
def test_the_number_of_modules_stays_in_its_budget_on(path):
    assert len(modules_after(*PATHS[path])) <= BUDGETS[path]


def test_nobody_looks_for_garbage_while_what_is_needed_is_imported():
    """Nothing big is imported before. What runs for long still looks for some."""
    code = "import gc\nfrom vfioctl.entry import prepare_process\nprepare_process()\n"
    code += "assert gc.isenabled()\nassert gc.get_threshold()[0] > 10_000\n"
    code += "import sys\nassert 'json' not in sys.modules and 'vfioctl.compose' not in sys.modules"
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


@pytest.mark.parametrize("path", ["release", "dead-man"])
def test_no_plugin_is_needed_on(path):
    seen = modules_after(*PATHS[path])
    assert not {name for name in seen if name == "pluggy" or name.startswith("vfioctl.plugin.manager")}


def test_a_verb_imports_what_it_does_only_when_it_is_run():
    """A shell that completes a word after it waits for these imports, and needs no engine."""
    seen = modules_after(*{row.target.partition(":")[0] for row in BUILT_IN.rows})
    heavy = ("vfioctl.handoff", "vfioctl.txn.engine", "vfioctl.plugin.manager", "vfioctl.doctor", "vfioctl.kinds")
    assert {name for name in seen if name.startswith(heavy)} == set()
