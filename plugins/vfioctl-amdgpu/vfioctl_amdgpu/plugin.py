"""How a card leaves amdgpu: text console off, kept awake, unbound alone; the module is unloaded only on request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfioctl.plugin import (
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
    console_steps,
    drives_console,
    framebuffer_steps,
    given_functions,
    home_conditions,
    hookimpl,
    keep_awake,
    override,
    override_id,
    replace,
    staying,
    target_driver,
    vendor_claim,
    word,
    write_attribute,
)
from vfioctl_amdgpu.family import Family, family, has_vendor_reset
from vfioctl_amdgpu.known_bad import BY_UNBIND, BY_UNLOAD, known_bad

NAME = "amdgpu"
VENDOR = 0x1002
DRIVER = "amdgpu"
UNLOAD = "module.unload:amdgpu"
UNLOAD_DEADLINE = 20.0
UNBIND_DEADLINE = 15.0  # amdgpu waits for its firmware and clears memory on the way out
DEVICE_SPECIFIC = "device_specific"


@hookimpl
def vfioctl_gpu_handoff(
    gpu: PciDevice, host: Host, config: GuestConfig, request: Request | None
) -> GpuHandoff | None:
    """Claim every card on amdgpu, with a screen or without; one on radeon or on no driver is the generic plugin's."""
    if gpu.vendor != VENDOR or gpu.driver != DRIVER:
        return None

    functions = given_functions(gpu, host, request)
    kin = family(gpu, host.functions(gpu.address))
    unload = bool(config.table(NAME).get("unload"))
    others = staying(functions, DRIVER, host, request)
    return vendor_claim(
        NAME, functions, _findings(gpu, others, kin, host, config, unload=unload),
        lambda: _steps(gpu, functions, host, config, request, unload=unload), home_conditions(functions, host),
    )  # fmt: skip


@hookimpl
def vfioctl_doctor_checks() -> Iterable[DoctorCheck]:
    """Whether the kernel lets a card go, and the card can be reset."""
    from vfioctl_amdgpu.doctor import checks  # never on the hook path

    return checks()


def _findings(
    gpu: PciDevice, others: tuple[str, ...], kin: Family, host: Host, config: GuestConfig, *, unload: bool
) -> Iterator[Finding]:

    allowed = kin is not Family.APU or bool(config.table(NAME).get("allow_apu"))
    if not allowed:
        yield Finding(
            "amdgpu.apu", f"{gpu.address} is part of the processor; a hand-off hangs many hosts or powers them off.",
            hint=f"Take the risk with: vfioctl config set amdgpu.allow_apu true --guest {word(config.guest)}",
        )  # fmt: skip
        return
    setting = f"vfioctl config set amdgpu.unload false --guest {word(config.guest)}"
    if unload and others:
        yield Finding(
            "amdgpu.shared", f"amdgpu cannot be unloaded for {gpu.address}: it also drives {', '.join(others)}.",
            hint=f"Unbind the one card instead: {setting}",
        )  # fmt: skip
    row = known_bad(host.kernel_release(), kin, BY_UNLOAD if unload else BY_UNBIND)
    if row:
        # Who allows an APU has been told; an unload is a choice that can be taken back.
        severity = Severity.WARN if kin is Family.APU else Severity.BLOCK
        yield Finding(
            "amdgpu.known_bad", f"On kernel {host.kernel_release()} {row.what} ({row.family}; {row.source}).", severity,
            hint=f"Unbind instead: {setting}" if unload else "",
        )  # fmt: skip


def _steps(
    gpu: PciDevice,
    functions: tuple[PciDevice, ...],
    host: Host,
    config: GuestConfig,
    request: Request | None,
    *,
    unload: bool,
) -> Iterator[StepProposal]:
    targets = {function.address: target_driver(function.address, request) for function in functions}
    binds = tuple(bind_id(function.address) for function in functions)
    aims = tuple(override_id(function.address) for function in functions)
    if config.table(NAME).get("fbcon", True) and drives_console(gpu, host):
        yield from console_steps(gpu, host, (*aims, UNLOAD, *binds))
    yield from keep_awake(functions, before=(*aims, UNLOAD, *binds))
    yield from _reset_method(gpu, host, (UNLOAD, *binds))
    for function in functions:
        yield override(function, targets[function.address], before=(UNLOAD, *binds))
    yield from framebuffer_steps(gpu, host)
    yield from _moves(gpu, functions, targets, unload=unload)
    if unload:
        yield _unload(gpu, host, after=binds[1:])
    if config.table(NAME).get("reset") and gpu.reset_methods:
        yield _reset(gpu, after=binds)


def _reset_method(gpu: PciDevice, host: Host, before: tuple[str, ...]) -> Iterator[StepProposal]:
    """Since Linux 5.15 vendor-reset works only when this attribute says so (vendor-reset#46).

    What it says at boot may be refused later: Linux finds "bus" before it knows of the card's other functions, and
    with them there it refuses "bus" (pci_parent_bus_reset).
    """

    if not host.module("vendor_reset") or not has_vendor_reset(gpu):
        return
    if gpu.reset_methods and gpu.reset_methods != (DEVICE_SPECIFIC,):
        reason = "vendor-reset resets this card, the bus does not"
        yield write_attribute(gpu, "reset_method", DEVICE_SPECIFIC, reason, before, may_stay=True)


def _moves(
    gpu: PciDevice, functions: tuple[PciDevice, ...], targets: dict[str, str], *, unload: bool
) -> Iterator[StepProposal]:
    """The sound and USB-C functions first: they are clients of the card (device links)."""

    others = tuple(bind_id(function.address) for function in functions[1:])
    for function in functions[1:]:
        yield bind(function, targets[function.address], awake=True)
    after = (*others, UNLOAD) if unload else others
    shared = None if unload else DRIVER
    moved = bind(gpu, targets[gpu.address], after=after, unloaded=unload, awake=True, shared_module=shared)
    yield replace(moved, deadline=UNBIND_DEADLINE)


def _unload(gpu: PciDevice, host: Host, after: tuple[str, ...]) -> StepProposal:
    return StepProposal(
        id=UNLOAD, kind="module.unload",
        params={"modules": [DRIVER], "devices": list(host.devices_on_module(DRIVER)), "program": "modprobe"},
        reason="the setting amdgpu.unload asks for it", before=(bind_id(gpu.address),),
        after=(override_id(gpu.address), *after), deadline=UNLOAD_DEADLINE,
    )  # fmt: skip


def _reset(gpu: PciDevice, after: tuple[str, ...]) -> StepProposal:
    return StepProposal(
        id=f"device.reset:{gpu.address}", kind="device.reset", params={"address": gpu.address},
        reason="the setting amdgpu.reset asks for it", after=after,
    )  # fmt: skip
