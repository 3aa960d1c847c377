"""The kernel modules that a function's own driver needs: which they are, and loading those that are missing."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds.common import load_module, module_loaded

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.clock import Deadline
    from vfioctl.txn.machine import Machine


def own_modules(driver: str | None, host: Host) -> list[str]:
    """The module of `driver`, then those that build on it, in the order in which they are loaded.

    nvidia alone gives a card no screen: nvidia_drm does, and nothing loads it with nvidia. Empty for a driver that is
    built in.
    """
    first = host.driver_module(driver) if driver else None
    found: dict[str, None] = {}
    level: tuple[str, ...] = (first,) if first else ()
    while level:
        loaded = [module for name in level if name not in found and (module := host.module(name))]
        found.update(dict.fromkeys(module.name for module in loaded))
        level = tuple(holder for module in loaded for holder in module.holders)
    return list(found)


def missing(modules: Iterable[str], paths: Paths) -> tuple[str, ...]:
    """Those of `modules` that are not loaded now."""
    return tuple(module for module in modules if not module_loaded(paths, module))


def load_missing(machine: Machine, modules: Iterable[str], address: str, deadline: Deadline) -> None:
    """Load what is not there of `modules`, for the sake of `address`, which has no driver by now.

    Only then: NVIDIA's module refuses to be loaded when it finds no card to drive. A card of another guest is not
    disturbed: it has a driver, or its driver_override names one. Raises StepFailed.
    """
    for module in missing(modules, machine.paths):
        load_module(machine, module, devices=(address,), deadline=deadline.left)
