"""A host of plain files, empty at first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from host_tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def tree_at() -> Callable[[Path], Tree]:
    """Builds a tree elsewhere."""
    return Tree
