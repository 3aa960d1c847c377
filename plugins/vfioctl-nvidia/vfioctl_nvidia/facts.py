"""What NVIDIA's driver says about itself and its cards in /proc/driver/nvidia. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from vfioctl.plugin import Host, frozen, read_text

OPEN = "Open Kernel Module"  # "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.64  Release Build"


@frozen
class Driver:
    """The loaded driver. `version` is "" when it does not say."""

    version: str
    is_open: bool


def read_driver(host: Host) -> Driver:
    """Version and flavour of the loaded driver."""
    module = host.module("nvidia")
    said = read_text(host.paths.at("proc/driver/nvidia/version"), follow=True) or ""
    version = module.version if module and module.version else _version_in(said)
    return Driver(version, OPEN in said)


def _version_in(said: str) -> str:
    line = said.partition("\n")[0]
    words = (word for word in line.split() if word[0].isdigit() and "." in word)
    return next(words, "")


def read_card(host: Host, address: str) -> Mapping[str, str]:
    """Model, GPU UUID and more of the card at `address`; empty when the driver does not say."""
    said = read_text(host.paths.at("proc/driver/nvidia/gpus", address, "information"), follow=True) or ""
    pairs = (line.partition(":") for line in said.splitlines())
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def describe(host: Host, address: str) -> str:
    """The card and its driver in one sentence."""
    card, driver = read_card(host, address), read_driver(host)
    flavour = "open kernel module" if driver.is_open else "proprietary kernel module"
    uuid = f" ({card['GPU UUID']})" if card.get("GPU UUID") else ""
    model = card.get("Model", "an NVIDIA card")
    return f"{address} is {model}{uuid} on driver {driver.version or 'of unknown version'}, {flavour}."
