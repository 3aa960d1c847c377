"""A machine of plain files for the steps that need no kernel."""

from __future__ import annotations

import pytest
from step_builders import plain_machine


@pytest.fixture
def plain(tmp_path):
    """Plain files, the real /proc, and kill and qemu-img among the programs."""
    return plain_machine(str(tmp_path))
