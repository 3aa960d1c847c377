"""The JSON of `vfioctl setup` has the keys that docs/reference/json has of it."""

from __future__ import annotations

import json
from pathlib import Path

from json_walk import Walk


def test_what_setup_writes_is_what_the_reference_has(tree, setup, request):
    tree.grub()
    walk = Walk(None, Path(__file__).parent / "goldens/json_setup.json")
    for asked in (("--dry-run",), ("--yes",), ("--yes",), ("--undo", "--yes")):
        walk.has_written(json.loads(setup(*asked, "--format", "json").out))
    walk.must_be_recorded(regenerate=request.config.getoption("--regenerate", default=False))
