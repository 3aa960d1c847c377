"""How a card leaves NVIDIA's driver: the module is unloaded, since its unbind can hang the kernel for ever.

Only with another NVIDIA card on the module is one card unbound, and only where that is known to be safe.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from vfioctl.plugin import (
    Condition,
    DoctorCheck,
    Finding,
    GpuHandoff,
    GuestConfig,
    Host,
    PciDevice,
    Request,
    Severity,
    StepProposal,
    bind,
    bind_id,
    framebuffer_steps,
    given_functions,
    home_conditions,
    hookimpl,
    keep_awake,
    last_console_steps,
    override,
    override_id,
    staying,
    target_driver,
    unit_stop,
    vendor_claim,
)
from vfioctl_nvidia.facts import describe, read_driver

NAME = "nvidia"
VENDOR = 0x10DE
DRIVER = "nvidia"
UNITS = ("nvidia-persistenced.service", "nvidia-powerd.service")
# From the top of the stack down; only what is loaded is unloaded. nvidia_peermem, nvidia_fs, gdrdrv and
# nvidia_wmi_ec_backlight each need only nvidia itself.
STACK = (
    "nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia_peermem", "nvidia_fs", "gdrdrv", "nvidia_wmi_ec_backlight",
    "i2c_nvidia_gpu", "nvidia",
)  # fmt: skip
ALWAYS = ("nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia")
UNLOAD = "module.unload:nvidia"
UNLOAD_DEADLINE = 20.0  # taking a display down and saving the state of a large card takes seconds


@hookimpl
def vfioctl_gpu_handoff(
    gpu: PciDevice, host: Host, config: GuestConfig, request: Request | None
) -> GpuHandoff | None:
    """Claim every card on the driver nvidia; a card on nouveau or on none is the generic plugin's."""
    if gpu.vendor != VENDOR or gpu.driver != DRIVER:
        return None

    functions = given_functions(gpu, host, request)
    others = staying(functions, DRIVER, host, request)
    identity = Finding("nvidia.identity", describe(host, gpu.address), Severity.INFO)
    findings = (identity, _unbound_alone(gpu, others, host, config)) if others else (identity,)
    return vendor_claim(
        NAME, functions, findings, lambda: _steps(gpu, functions, host, request, alone=not others),
        _back(functions, host),
    )  # fmt: skip


@hookimpl
def vfioctl_doctor_checks() -> Iterable[DoctorCheck]:
    """Whether the driver lets a card go."""
    from vfioctl_nvidia.doctor import checks  # never on the hook path

    return checks()


def _unbound_alone(gpu: PciDevice, staying: tuple[str, ...], host: Host, config: GuestConfig) -> Finding:
    """Why this card must not be unbound alone, else what remains to be known. That nobody holds it, the core checks."""
    from vfioctl_nvidia.known_bad import known_bad

    shared = f"{gpu.address} shares the driver nvidia with {', '.join(staying)}, so the module cannot be unloaded"
    if config.table(NAME).get("unbind") == "never":
        return Finding(
            "nvidia.unbind_never", f"{shared}, and the setting nvidia.unbind forbids to unbind one card.",
            hint="Give the other card to the guest too, or bind it to another driver at boot.",
        )  # fmt: skip
    version = read_driver(host).version
    row = known_bad(version)
    if row:
        return Finding(
            "nvidia.known_bad",
            f"{shared}; with driver {version} {row.what} ({row.source}).",
            hint="Install another driver version, or bind the other card to another driver at boot.",
        )
    if not version:
        return Finding(
            "nvidia.unknown_version",
            f"{shared}, and the driver does not tell its version, so nobody knows whether an unbind is safe.",
            hint="See the driver with: cat /proc/driver/nvidia/version",
        )
    return Finding(
        "nvidia.unbind_alone",
        f"{shared}: the one card is unbound, with nobody on it or on what the cards share (/dev/nvidia-modeset, say).",
        Severity.WARN,
    )


def _steps(
    gpu: PciDevice, functions: tuple[PciDevice, ...], host: Host, request: Request | None, *, alone: bool
) -> tuple[StepProposal, ...]:

    targets = {function.address: target_driver(function.address, request) for function in functions}
    binds = tuple(bind_id(function.address) for function in functions)
    aims = tuple(override_id(function.address) for function in functions)
    # The aims come before the modules go: a driver that something reloads meanwhile finds no card to take.
    overrides = (override(fn, targets[fn.address], before=(UNLOAD, *binds)) for fn in functions)
    freeing = (_unload(host, aims, binds),) if alone else ()
    moves = (
        bind(
            fn, targets[fn.address], after=(UNLOAD,), awake=True, unloaded=alone and fn.driver == DRIVER,
            shared_module=DRIVER if not alone and fn.driver == DRIVER else None,
            unbind_alone=not alone and fn.driver == DRIVER,
        )
        for fn in functions
    )  # fmt: skip
    return (
        *_unit_stops(host),
        *last_console_steps(gpu, host, (*aims, UNLOAD, *binds)),
        *keep_awake(functions, before=(*aims, UNLOAD, *binds)),
        *overrides,
        *freeing,
        *framebuffer_steps(gpu, host),
        *moves,
    )


def _unit_stops(host: Host) -> tuple[StepProposal, ...]:

    active = (unit.name for unit in host.units(UNITS) if unit.is_active)
    return tuple(unit_stop(name, "it keeps the card's driver in use") for name in active)


def _unload(host: Host, after: tuple[str, ...], before: tuple[str, ...]) -> StepProposal:
    modules = loaded_stack(host)
    return StepProposal(
        id=UNLOAD, kind="module.unload",
        params={"modules": list(modules), "devices": list(host.devices_on_module(DRIVER)), "program": "modprobe"},
        reason="an unbind of a card in use never returns; an unload fails cleanly",
        after=after, before=before, deadline=UNLOAD_DEADLINE,
    )  # fmt: skip


def loaded_stack(host: Host) -> tuple[str, ...]:
    """The modules to unload, in order: those of the driver, and known others only while they hold one of them."""
    held_by = {holder for name in ALWAYS if (module := host.module(name)) for holder in module.holders}
    return tuple(name for name in STACK if host.module(name) and (name in ALWAYS or name in held_by))


def _back(functions: tuple[PciDevice, ...], host: Host) -> tuple[Condition, ...]:
    """Each function on its driver, the DRM device, and the driver's own word that it runs the card.

    Not its node: cards that come home in another order get each other's number.
    """

    told = f"/proc/driver/nvidia/gpus/{functions[0].address}"
    known = (Condition("path.exists", {"path": told}),) if os.path.exists(host.paths.at(told)) else ()
    return (*home_conditions(functions, host), *known)
