"""The plan of a new guest: what speaks against it, and the steps. Pure: UUID and addresses were chosen before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vfioctl.plugin import Finding, Severity, StepProposal, argument, content_name, field, frozen, replace
from vfioctl_guest import limits, pages
from vfioctl_guest.life import START
from vfioctl_guest.machine import BIOS, SATA, Card, Drive, Machine, board
from vfioctl_guest.machine_xml import document, targets
from vfioctl_guest.sources import ISO
from vfioctl_guest.volumes import SHORT, volume_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vfioctl.plugin import ChosenCard, Enabling
    from vfioctl_guest.site import Image, Site

STARTING = 120.0  # seconds
DEFINE = "guest:define"  # the id of a step


@frozen
class Wish:
    """What was asked for. `memory` in bytes, `page` the size of huge ones, 0 for none; `macs` are of its cards."""

    name: str
    uuid: str
    memory: int
    cpus: int
    firmware: str = BIOS
    tpm: bool = False
    autostart: bool = False
    start: bool = False
    page: int = 0
    network_boot: bool = False
    windows: bool = False
    hostdevs: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()


@frozen
class Draft:
    """Steps, the contents that they name, what speaks against it, and the machine as it will be."""

    machine: Machine
    xml: str
    steps: tuple[StepProposal, ...]
    contents: Mapping[str, bytes]
    findings: tuple[Finding, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def after(self, steps: tuple[StepProposal, ...], findings: tuple[Finding, ...]) -> Draft:
        """The same after the `steps` that start what the guest needs of its node."""
        before = tuple(one.id for one in steps)
        own = tuple(replace(one, after=(*one.after, *before)) for one in self.steps)
        return replace(self, steps=(*steps, *own), findings=(*self.findings, *findings))


def machine_of(
    wish: Wish, site: Site, disks: tuple[Image, ...], isos: tuple[Image, ...], seed: Image | None = None
) -> Machine:
    """The machine: disks first, so that an empty one lets the CD boot.

    The seed is a disk: the kernels of cloud images have virtio, and not all of them a driver for CDs (AHCI).
    """
    names = targets("vd")
    drives = [Drive(one.path, one.format, name, block=one.block) for one, name in zip(disks, names, strict=False)]
    drives += [
        Drive(one.path, one.format, name, SATA, cdrom=True, readonly=True)
        for one, name in zip(isos, targets("sd"), strict=False)
    ]
    if seed:
        drives.append(Drive(seed.path, seed.format, next(names, ""), readonly=True, boots=False))
    return Machine(
        name=wish.name, uuid=wish.uuid, memory=wish.memory, cpus=wish.cpus, board=board(site.machines),
        firmware=wish.firmware, tpm=wish.tpm, drives=tuple(drives),
        cards=tuple(Card(one.name, mac) for one, mac in zip(site.networks, wish.macs, strict=True)),
        hostdevs=wish.hostdevs, seed=seed.path if seed else "", runs=wish.start, page=wish.page,
        network_boot=wish.network_boot, windows=wish.windows,
    )  # fmt: skip


def draft(
    wish: Wish, site: Site, disks: tuple[Image, ...], isos: tuple[Image, ...], seed: Image | None = None
) -> Draft:
    """The plan of the new guest."""
    machine = machine_of(wish, site, disks, isos, seed)
    xml = document(machine)
    content = xml.encode()
    name = content_name(content)
    made = (*disks, *((seed,) if seed else ()))
    volumes, contents = volume_steps(site.uri, made)
    return Draft(
        machine, xml, (*volumes, *_steps(wish, site, tuple(one.id for one in volumes), name)),
        {name: content, **contents}, (*_findings(wish, site, disks, isos), *_of_names(len(made), len(isos))),
        {"expects": [f"domain:{wish.uuid}"]} if wish.start else {},
    )  # fmt: skip


def _steps(wish: Wish, site: Site, volumes: tuple[str, ...], blob: str) -> Iterator[StepProposal]:
    about = {"uri": site.uri, "uuid": wish.uuid}
    yield StepProposal(
        id=DEFINE, kind="domain.define", params={**about, "blob": blob, "former": ""},
        reason=f"libvirt gets to know the guest {wish.name}", deadline=SHORT, after=volumes,
    )  # fmt: skip
    after: tuple[str, ...] = (DEFINE,)
    if wish.autostart:
        yield StepProposal(
            id="guest:autostart", kind="domain.autostart", params={**about, "on": True, "former": False},
            reason="it is to start with its host", deadline=SHORT, after=after,
        )  # fmt: skip
        after = (*after, "guest:autostart")
    if wish.start:
        yield StepProposal(
            id="guest:start", kind="domain.start", params=about, reason="it is to run", after=after,
            deadline=START if wish.hostdevs else STARTING,
        )  # fmt: skip


def handed_over(made: Draft, card: ChosenCard, enabling: Enabling) -> Draft:
    """`made`, with what lets vfioctl manage its guest: after its definition, and before its start calls the hook."""
    first, *more = enabling.steps
    enabled = (replace(first, after=(DEFINE,)), *more)
    own = tuple(
        replace(one, after=(*one.after, enabled[-1].id)) if one.kind == "domain.start" else one for one in made.steps
    )
    return replace(
        made, steps=(*own, *enabled), contents={**made.contents, **enabling.contents},
        findings=(*made.findings, *card.findings, *enabling.findings),
    )  # fmt: skip


def _findings(wish: Wish, site: Site, disks: tuple[Image, ...], isos: tuple[Image, ...]) -> Iterator[Finding]:
    yield from _of_node(wish, site)
    yield from pages.findings(wish.memory, wish.page, site)
    if wish.network_boot and not site.networks:
        said = f"The guest {wish.name} is to boot from a network and is on none."
        yield _finding("guest.no_boot_network", said, "Give it one with --network.")
    if wish.windows and not board(site.machines).hyperv:
        said = f"{site.node} offers none of Hyper-V's interfaces: Windows will run in {wish.name}, and more slowly."
        yield Finding("guest.no_hyperv", said, Severity.WARN, hint="Is KVM on there? vfioctl node show", source="guest")
    for one in site.networks:
        if not (one.active or wish.start):
            said = f"The network {one.name} is not active, so that the guest {wish.name} could not start."
            start = f"vfioctl network start {argument(one.name)}{site.node.there}"
            yield _finding("guest.network_off", said, f"Start it with: {start}")
    for disk in disks:
        yield from _of_disk(disk)
    if not (disks or isos or site.networks):
        said = f"The guest {wish.name} would have nothing to boot from."
        hint = "Give it one of --template, --volume, --disk, --iso and --network."
        yield _finding("guest.nothing_to_boot", said, hint)


def _of_names(disks: int, isos: int) -> Iterator[Finding]:
    """A disk without a name would be left out of the guest."""
    for count, prefix, what in ((disks, "vd", "disks"), (isos, "sd", "CDs")):
        if count > (most := len(tuple(targets(prefix)))):
            said = f"{count} {what} are more than the {most} that there are names for."
            yield _finding("guest.full", said, "Attach further disks to it later, with --bus scsi.")


def _of_node(wish: Wish, site: Site) -> Iterator[Finding]:
    node = site.machines
    yield from limits.findings(wish.name, site.node, node, memory=wish.memory, cpus=wish.cpus)
    if wish.firmware != BIOS and "efi" not in node.firmwares:
        said = f"{site.node} has no UEFI firmware for guests."
        yield _finding("guest.no_firmware", said, "Install it there (Debian: ovmf), or take --firmware bios.")
    if wish.tpm and not board(node).tpm:
        said = f"{site.node} cannot emulate a TPM."
        yield _finding("guest.no_tpm", said, "Install swtpm there (Debian: swtpm-tools).")


def _of_disk(disk: Image) -> Iterator[Finding]:
    if disk.users:
        said = f"{disk.path} is used by {', '.join(disk.users)}: two guests that write to one disk destroy it."
        yield _finding("guest.disk_in_use", said, "Take another volume, or detach it there.")
    if disk.format == ISO:
        said = f"{disk.path} is the image of a CD, not of a disk."
        yield _finding("guest.iso_as_disk", said, f"Give it with: --iso {argument(disk.path)}")


def _finding(code: str, message: str, hint: str) -> Finding:
    return Finding(code, message, hint=hint, source="guest")
