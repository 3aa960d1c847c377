"""Physical and virtual functions, as their links in sysfs tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host_tree import Tree

PF, ONE, TEN = "0000:03:00.0", "0000:03:10.1", "0000:03:10.2"


def test_each_side_names_the_other(tree: Tree) -> None:
    physical, virtual = tree.device(PF), tree.device(ONE)
    tree.link(f"{physical}/virtfn0", f"../{ONE}")
    tree.link(f"{virtual}/physfn", f"../{PF}")
    host = tree.host()
    assert (host.device(PF).virtual, host.device(PF).physical) == ((ONE,), None)
    assert (host.device(ONE).virtual, host.device(ONE).physical) == ((), PF)


def test_virtual_functions_are_in_the_order_of_their_numbers(tree: Tree) -> None:
    physical = tree.device(PF)
    for name, address in (("virtfn10", TEN), ("virtfn2", ONE)):
        tree.device(address)
        tree.link(f"{physical}/{name}", f"../{address}")
    assert tree.host().device(PF).virtual == (ONE, TEN)


def test_links_that_lead_to_no_function_are_left_out(tree: Tree) -> None:
    physical = tree.device(PF)
    tree.link(f"{physical}/virtfn0", "../elsewhere")
    tree.write(f"{physical}/virtfn_count", "1")
    tree.link(f"{physical}/physfn", "nowhere")
    assert (tree.host().device(PF).virtual, tree.host().device(PF).physical) == ((), None)
