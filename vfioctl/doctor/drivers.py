"""Whether the kernel has the driver that guests get devices through, and whether cards are bound to it for good."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.modules import listed

VFIO = "vfio-pci"
IDS = ("vfio-pci.ids=", "vfio_pci.ids=")  # the kernel takes both spellings of a module's name


def findings(host: Host) -> Iterator[Finding]:
    """No vfio-pci for the running kernel, cards that it takes at boot, and drivers that were kept from their cards."""
    yield from _modules_gone(host)
    yield from _built_in(host)
    if not host.driver_present(VFIO) and listed(host.paths, host.kernel_release(), VFIO) is False:
        release = host.kernel_release()
        yield Finding(
            "driver.no_vfio", f"The kernel {release} has no {VFIO}, so no device can be given to a guest.",
            hint="Restart, if the kernel was updated since the boot; else install a kernel with CONFIG_VFIO_PCI.",
            evidence=f"/lib/modules/{release}/modules.dep does not list it, and it is not built in",
        )  # fmt: skip
    words = host.kernel_command_line().split()
    for word in (word for word in words if word.startswith(IDS)):
        yield Finding(
            "driver.taken_at_boot", f"{VFIO} takes devices at boot ({word}), so the host never has them.",
            Severity.INFO, "vfioctl needs none of it: without it the host has the card while no guest does.",
            evidence=f"/proc/cmdline: {word}",
        )  # fmt: skip
    if "nomodeset" in words:
        yield Finding(
            "driver.nomodeset", "The kernel runs with nomodeset: the drivers of cards show nothing on the screen.",
            Severity.WARN, "Remove it from the kernel's command line, then restart.",
            evidence="/proc/cmdline: nomodeset",
        )  # fmt: skip


def _modules_gone(host: Host) -> Iterator[Finding]:
    """An update took away what the running kernel could load; a host without modules has no such directory at all."""
    modules, release = host.paths.at("lib/modules"), host.kernel_release()
    if host.driver_present(VFIO) or not os.path.isdir(modules) or os.path.isdir(os.path.join(modules, release)):
        return
    yield Finding(
        "driver.modules_gone", f"There are no modules of the running kernel {release}, so {VFIO} cannot be loaded.",
        hint="Restart, if the kernel was updated since the boot; else install its modules.",
        evidence=f"/lib/modules/{release} is not there",
    )  # fmt: skip


def _built_in(host: Host) -> Iterator[Finding]:
    """A driver that can only be unbound, never unloaded."""
    for card in host.gpus():
        if card.driver and not host.is_vfio_driver(card.driver) and not _is_loaded(host, card.driver):
            yield Finding(
                "driver.built_in",
                f"The driver {card.driver} of {card.address} is a part of the kernel: it can be unbound, not unloaded.",
                Severity.INFO, "Nothing, unless the guest file asks to unload it.",
                evidence=f"no loaded module in /sys/module has the driver {card.driver}",
            )  # fmt: skip


def _is_loaded(host: Host, driver: str) -> bool:
    """Whether a module brought `driver`: one that is built in has no use count, though it may have a directory."""
    name = host.driver_module(driver)
    return name is not None and host.module(name) is not None
