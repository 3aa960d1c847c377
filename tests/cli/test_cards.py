"""Which devices the commands about cards show: what drives a screen or computes, and what goes along with it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vfioctl.cli.app import main
from vfioctl.compose import compose
from vfioctl.testing import parts
from vfioctl.testing.model import FakeProcess

ACCELERATOR, PORT = "0000:65:00.0", "0000:0e:00.3"
BASE = parts.headless()


@pytest.fixture
def shown(start_host, capfd):
    """The data of `vfioctl ARGUMENTS` on a machine."""

    def call(machine, *arguments):
        fake = start_host(machine)
        capfd.readouterr()
        assert main(compose(fake.root), [*arguments, "--format", "json"], {}) == 0
        return json.loads(capfd.readouterr().out)["data"]

    return call


def accelerator():
    """A server with a card that computes and has no screen; somebody computes on it."""
    card = replace(
        parts.amdgpu_card(ACCELERATOR, group=65, boot_vga=None, device=0x74A1)[0], class_code=0x120000, connectors=(),
        consumers=(), i2c=(),
    )  # fmt: skip
    trainer = FakeProcess("python3", pid=5_000_300, uid=1000, opens=("/dev/dri/renderD128",))
    return replace(
        BASE, devices=(card, *parts.chipset()), modules=(*parts.amdgpu_modules(), *parts.common_modules()),
        processes=(*BASE.processes, trainer),
    )  # fmt: skip


def processor():
    """A processor's graphics with sound that is tied to them, and a USB controller in the same slot."""
    screen, sound, usb, _ = parts.amdgpu_card("0000:0e:00.0", group=30, bridge="0000:00:08.1", device=0x164E)
    apart = (screen, replace(sound, group=31), replace(usb, address=PORT, group=33))
    modules = (*parts.amdgpu_modules(), *parts.common_modules())
    return replace(BASE, devices=(*apart, *parts.chipset()), modules=modules)


def addresses(data):
    return [device["address"] for group in data["groups"] for device in group["devices"]]


def test_an_accelerator_is_listed(shown):
    data = shown(accelerator(), "gpu", "list")
    assert addresses(data) == [ACCELERATOR]
    assert data["groups"][0]["devices"][0]["kind"] == "accelerator"


def test_who_computes_on_an_accelerator_holds_it(shown):
    data = shown(accelerator(), "gpu", "holders")
    assert [holder["process"] for holder in data["holders"]] == ["python3"]


def test_status_shows_an_accelerator(shown):
    assert [card["address"] for card in shown(accelerator(), "status")["cards"]] == [ACCELERATOR]


def test_what_shares_only_the_slot_is_not_listed_with_the_card(shown):
    assert addresses(shown(processor(), "gpu", "list")) == ["0000:0e:00.0", "0000:0e:00.1"]


def test_the_holders_of_one_function_are_those_of_what_goes_along_with_it(shown):
    assert shown(processor(), "gpu", "holders", PORT)["devices"] == [PORT]


def test_the_holders_of_a_card_are_those_of_its_tied_functions_too(shown):
    assert shown(processor(), "gpu", "holders", "0000:0e:00.0")["devices"] == ["0000:0e:00.0", "0000:0e:00.1"]
