"""Who has each card open now, and what would make them let go. Reads only; what a start does about it `plan` says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen
from vfioctl.host.containers import Container, named
from vfioctl.host.host import Host
from vfioctl.host.model import Holder

PLAN = "What becomes of it at a start says: vfioctl plan GUEST"


@frozen
class Sort:
    """A sort of holders: by its nodes or by the name that the kernel shows, of which it keeps 15 characters."""

    code: str
    what: str
    hint: str
    names: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()  # all that it has open begin with one of these


GUEST = Sort("holder.guest", "a guest", "It lets go when that guest stops.", names=("qemu-system-", "qemu-kvm"))
CONTAINER = Sort("holder.container", "a container", "End that process.")
OTHER = Sort("holder.process", "a process", "End it before a guest with the card starts.")
SORTS = (
    Sort("holder.model", "a model runner", "List its unit in the guest file under units; or stop it before.",
         ("ollama", "llama", "vllm", "koboldcpp", "lmstudio", "lm-studio", "localai", "local-ai", "text-generation",
          "comfyui", "tritonserver", "whisper")),
    Sort("holder.daemon", "a daemon that watches or lights the card", "List its unit in the guest file under units.",
         ("openrgb", "ckb-next", "polychromatic", "coolercontrol", "liquidctl", "lact", "corectrl", "fancontrol",
          "nvidia-persiste", "nvidia-powerd", "nv-hostengine", "dcgm", "nvidia-smi", "nvtop", "btop", "amdgpu_top",
          "radeontop", "sensors", "telegraf", "node_exporter")),
    Sort("holder.bus", "a process on the card's i2c bus", "It sets a screen or lights; end it before.",
         nodes=("/dev/i2c-", "/dev/drm_dp_aux")),
    Sort("holder.sound", "the sound of the card", "PipeWire and PulseAudio are stopped and started again; others not.",
         nodes=("/dev/snd/",)),
    Sort("holder.display", "the desktop", "It ends, or lets go of the card, as the guest file says (session).",
         ("Xorg", "Xwayland", "gnome-shell", "kwin_", "plasmashell", "sway", "Hyprland", "niri", "wayfire", "labwc",
          "river", "cage", "weston", "mutter", "cosmic-comp", "gamescope", "sddm", "gdm", "lightdm", "greetd")),
)  # fmt: skip


def findings(host: Host) -> Iterator[Finding]:
    """A note for each program that holds a card or what goes along with it; and for those that nobody may look into."""
    cards = [card for card in host.gpus() if not card.stuck]
    held = tuple(host.holders(_with_companions(host, [card.address for card in cards])))
    inside = named(host.paths, held)
    seen: dict[tuple[str, str, tuple[str, ...]], list[Holder]] = {}
    for holder in held:
        if not (holder.is_untouchable or holder.is_stale):
            key = (sort(holder).code, _title(holder, inside), holder.addresses)
            seen.setdefault(key, []).append(holder)
    for (_, title, _), alike in seen.items():
        yield _finding(title, alike, inside)
    if unreadable := host.unreadable():
        yield _unreadable(unreadable)


def _with_companions(host: Host, addresses: Iterable[str]) -> tuple[str, ...]:
    every = (one for address in addresses for one in (address, *(each.address for each in host.companions(address))))
    return tuple(dict.fromkeys(every))


def sort(holder: Holder) -> Sort:
    """What `holder` is, as far as its container, its nodes and its name tell. A guest is in a machine of its own."""
    if holder.comm.startswith(GUEST.names):
        return GUEST
    if holder.container:
        return CONTAINER
    for one in SORTS:
        if one.nodes and all(node.startswith(one.nodes) for node in holder.nodes):
            return one
        if one.names and holder.comm.startswith(one.names):
            return one
    return OTHER


def _title(holder: Holder, inside: Mapping[str, Container]) -> str:
    """What the process is known by: its container, its unit, or its name."""
    if box := inside.get(holder.container or ""):
        return box.title
    unit = holder.user_unit or holder.unit
    return f"{holder.comm} ({unit})" if unit else holder.comm


def _finding(title: str, alike: list[Holder], inside: Mapping[str, Container]) -> Finding:
    first = alike[0]
    is_a, box = sort(first), inside.get(first.container or "")
    hint = f"{box.way_out} ({PLAN})" if box and box.way_out else f"{is_a.hint} {PLAN}"
    pids = ", ".join(str(one.pid) for one in alike)
    where = ", ".join(first.addresses) or "the driver of a card"
    return Finding(
        is_a.code, f"{title} has {where} open; it is {is_a.what}.", Severity.INFO, hint,
        evidence=f"/proc/PID/fd of process {pids}: {', '.join(dict.fromkeys(n for one in alike for n in one.nodes))}",
    )  # fmt: skip


def _unreadable(count: int) -> Finding:
    whose = "one process" if count == 1 else f"{count} processes"
    return Finding(
        "host.unreadable", f"The open files of {whose} could not be read: there may be more holders.", Severity.INFO,
        "Run it as root." if os.geteuid() else "Nothing: a security module guards them, even from root.",
        evidence="/proc/PID/fd",
    )  # fmt: skip
