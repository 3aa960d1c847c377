"""The committed figures of tests/bench are within their goals. Nothing is timed here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reference import ROOT

FIGURES = json.loads((ROOT / "tests/bench/figures.json").read_text())
PAGE = (ROOT / "docs/reference/performance.md").read_text()
GOALS = {
    "shim-prepare": 1.5, "shim-release": 1.5, "prepare": 8, "memory": 40, "engine": 35, "programs": 1.5, "help": 1.2,
    "looks": 3, "devices": 5, "home-4": 5, "home-16": 10, "together": 2, "snapshots": 1,
    "overlay": 1.2, "create": 120, "sparse": 1.2, "inside": 1, "list": 1, "help-plugins": 1.1, "guest-list": 50,
    "completion": 1.5, "doctor": 1, "guest-create": 350, "clone": 1.1, "upload": 1.1, "copy-memory": 2,
}  # fmt: skip


def test_every_goal_has_a_figure_and_every_figure_its_goal():
    assert {name: figure["goal"] for name, figure in FIGURES["figures"].items()} == GOALS


@pytest.mark.parametrize("name", GOALS)
def test_the_figure_is_within_its_goal(name: str):
    assert FIGURES["figures"][name]["measured"] <= GOALS[name]


def test_prepare_stays_below_its_ratchet():
    assert FIGURES["figures"]["prepare"]["measured"] <= FIGURES["ratchet"] <= GOALS["prepare"]


def figures() -> list[dict[str, Any]]:
    return list(FIGURES["figures"].values())


@pytest.mark.parametrize("figure", figures(), ids=lambda figure: figure["name"])
def test_the_page_quotes_the_figure(figure: dict[str, Any]):
    assert f"| ≤ {figure['goal']:g} {figure['unit']} | {figure['measured']:.2f} {figure['unit']} |" in PAGE
