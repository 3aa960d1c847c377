"""The built-in plugin: hands over any PCI device between its host driver and vfio-pci, and checks what all need.

Registers through the same hooks as every other plugin, with the lowest rank.
"""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.checking import TYPE_CHECKING
from vfioctl.kinds.pci import HANGING
from vfioctl.plugin import acceptance
from vfioctl.plugin.markers import hookimpl
from vfioctl.plugin.power import is_of_card, keep_awake, put_back
from vfioctl.plugin.proposals import (
    bind,
    bind_id,
    framebuffer_steps,
    given_functions,
    home_conditions,
    last_console_steps,
    override,
    override_id,
    target_driver,
)
from vfioctl.plugin.types import (
    GENERIC_RANK,
    Finding,
    GpuHandoff,
    Phase,
    Request,
    Severity,
    StepProposal,
)

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.host.model import PciDevice

NAME = "generic"
UNFREED = "generic.nvidia"


@hookimpl
def vfioctl_gpu_handoff(gpu: PciDevice, host: Host, request: Request | None) -> GpuHandoff:
    """Aim and bind: enough for every driver that lets go of its device when the kernel asks."""
    if gpu.driver in HANGING:
        return GpuHandoff(NAME, gpu.address, GENERIC_RANK, (), findings=(_only_its_plugin(gpu, request),))
    driver = target_driver(gpu.address, request)
    # All aims come before the first bind: a sibling that is still free could else be taken by its host driver.
    binds = tuple(bind_id(function.address) for function in given_functions(gpu, host, request))
    own = (override_id(gpu.address), bind_id(gpu.address))
    card = is_of_card(gpu, request)
    steps = (
        *last_console_steps(gpu, host, own),
        *(keep_awake((gpu,), before=own) if card else put_back(gpu, before=own)),
        override(gpu, driver, before=binds),
        *framebuffer_steps(gpu, host),
        bind(gpu, driver, awake=card),
    )
    return GpuHandoff(NAME, gpu.address, GENERIC_RANK, steps, back=home_conditions((gpu,), host))


def _only_its_plugin(gpu: PciDevice, request: Request | None) -> Finding:
    """The plugin for a driver has the driver's name."""
    said = f"{gpu.address} is on the driver {gpu.driver}, whose unbind can hang for ever;"
    if request and gpu.driver in request.config.disabled_plugins:
        where = request.config.origins.get("disabled_plugins", "the configuration")
        hint = f"Take {gpu.driver} out of disabled_plugins in {where}"
        return Finding(UNFREED, f"{said} the plugin that can free it, {gpu.driver}, is disabled.", hint=hint)
    return Finding(
        UNFREED, f"{said} no plugin knows how to free it.",
        hint=f"Install the plugin vfioctl-{gpu.driver}, then run: vfioctl plugins refresh",
    )  # fmt: skip


@hookimpl
def vfioctl_pre_start(request: Request) -> Iterable[StepProposal]:
    """Keep the host awake: it would take the guest's device into a sleep that the guest knows nothing of."""
    if request.devices and request.config.inhibit_sleep and request.host.booted_with_systemd():
        yield StepProposal(
            id="inhibit.sleep", kind="inhibit.sleep",
            params={"who": "vfioctl", "why": "A guest uses a device of this host"},  # alike for all: they share it
            reason="the host must not sleep while the guest has its device", phase=Phase.BEFORE,
        )  # fmt: skip


@hookimpl
def vfioctl_preflight(request: Request) -> Iterable[Finding]:
    """What is wrong with the devices, whichever plugin hands them over."""
    if not request.devices:
        return
    yield from _iommu(request)
    given, allowed = tuple(device.address for device in request.devices), request.config.allow_in_use
    for device in request.devices:
        yield from acceptance.findings(device, request.host, given, allowed)


def _iommu(request: Request) -> Iterable[Finding]:
    if not request.host.iommu_on():
        yield Finding(
            "iommu.off",
            "The IOMMU is off, so no device can be given to a guest.",
            hint="Turn on VT-d or AMD-Vi in the firmware; Intel also needs intel_iommu=on on the kernel command line.",
        )
        return
    yield from (_no_group(device) for device in request.devices if device.iommu_group is None)
    if "pcie_acs_override" in request.host.kernel_command_line():
        yield Finding(
            "iommu.acs_override",
            "The kernel runs with pcie_acs_override: the IOMMU groups it shows do not isolate the guest from the host.",
            Severity.WARN,
        )


def _no_group(device: PciDevice) -> Finding:
    return Finding(
        "group.none", f"{device.address} is in no IOMMU group, so no guest can use it.",
        hint="See the groups with: vfioctl gpu list",
    )  # fmt: skip
