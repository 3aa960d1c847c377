"""Which words stand where: a step kind is named in kinds/ alone, and the engine knows neither guests nor devices."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from reference import ROOT

from vfioctl.kinds import MODULES

PACKAGE = ROOT / "vfioctl"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if not {"kinds", "testing", "codes"} & set(path.parts))
HANDOFF = re.compile(r"guest|pci|device|hand-?off", re.IGNORECASE)
# Lines of files of txn/ with a word of the hand-off: a key of a record that was public before.
LEFT = {"history": 1}


def _kinds_named(tree: ast.AST) -> Iterator[str]:
    """Step kinds as text, but where a step is asked for."""
    asked = {
        id(value) for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "StepProposal"
        for given in (*node.args, *(word.value for word in node.keywords)) for value in ast.walk(given)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in MODULES and id(node) not in asked:
            yield f"{node.value} in line {node.lineno}"


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_kind_is_named_outside_the_vocabulary_but_to_ask_for_a_step(path: Path) -> None:
    assert list(_kinds_named(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "txn").glob("*.py")), ids=lambda path: path.stem)
def test_the_engine_does_not_speak_of_the_hand_off(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if HANDOFF.search(line)]
    assert len(lines) == LEFT.get(path.stem, 0), "that belongs into handoff/ or kinds/"
