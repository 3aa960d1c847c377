"""docs/reference/nodes.md says of each verb that takes --node whether it works on every node."""

from __future__ import annotations

import re
from pathlib import Path

from nodes_page import ELSEWHERE, HERE_ALONE, PARTLY

CLI = Path(__file__).parents[2] / "docs/reference/cli.md"
NOTHING = {"guest destroy"}  # runs nowhere: it says which verb is meant
ABOUT = ("guest", "network", "pool", "snapshot", "template", "volume")


def test_each_verb_that_takes_a_node_stands_in_the_table_once():
    sections = re.split(r"^## vfioctl ", CLI.read_text(), flags=re.MULTILINE)[1:]
    takes = {name for name, _, text in (one.partition("\n") for one in sections) if "`--node TEXT`" in text}
    assert {name for name in takes if name.split()[0] in ABOUT} - NOTHING == ELSEWHERE | HERE_ALONE | PARTLY
    assert not ELSEWHERE & HERE_ALONE
