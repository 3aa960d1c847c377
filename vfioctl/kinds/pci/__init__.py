"""Steps on PCI functions: their drivers, resets, and looks for new ones. Here: which drivers an unbind can hang."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from vfioctl.txn.step import Json

HANGING = frozenset({"nvidia"})  # their remove() waits for every user of the device, without end
ALONE = "unbind_alone"  # of driver.bind: other devices stay on the driver, whose nodes they share
FORMERLY = "allow_nvidia_unbind"  # in the steps of plugin API 1 and in older journals


def is_unbound_alone(params: Json) -> bool:
    """Whether a step with `params` unbinds one device from a driver on which others stay."""
    return bool(params.get(ALONE) or params.get(FORMERLY))
