"""What is given is kept awake while vfio-pci has it, and may sleep afterwards as before, whatever its vendor."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from vfioctl.config.model import GuestConfig
from vfioctl.errors import StepFailed
from vfioctl.events.model import Domain
from vfioctl.handoff.planning import Order, plan
from vfioctl.host.host import Host
from vfioctl.plugin import generic
from vfioctl.plugin.types import Request
from vfioctl.testing import scenarios
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeProcess
from vfioctl.txn.kind import kind
from vfioctl.txn.machine import Machine
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.resources import Ledger

GPU, SOUND = scenarios.GPU, scenarios.SOUND
CARD = (scenarios.bochs_lab, (GPU, SOUND))
NIC = (scenarios.generic_nic, (GPU,))


@pytest.fixture
def boot(tmp_path):
    """The scenario with nobody on it, and its functions set as given; their generic steps, planned."""
    hosts = []

    def start(scenario, addresses, **settings):
        machine = scenario()
        devices = tuple(replace(one, **settings) if one.address in addresses else one for one in machine.devices)
        fake = FakeHost(replace(machine, devices=devices, processes=(), sessions=()), tmp_path)
        fake.start()
        hosts.append(fake)
        return fake, steps(Host(fake.paths, fake.programs), addresses)

    yield start
    for fake in hosts:
        fake.stop()


def steps(host, addresses):
    devices = tuple(map(host.device, addresses))
    asked = Request("win11", "uuid", Domain("win11", "uuid"), GuestConfig("win11"), host, devices)
    claims = [generic.vfioctl_gpu_handoff(device, host, asked) for device in devices]
    proposals = tuple(Proposed("generic", step) for claim in claims for step in claim.steps)
    return plan(Order("win11", "uuid", devices, proposals, lambda: None), host, Ledger(host.paths)).steps


def power(fake, address):
    device = Host(fake.paths, fake.programs).device(address)
    return device.power_state, device.power_control, device.d3cold_allowed


def give(fake, planned):
    machine = Machine(fake.paths, fake.programs)
    for step in planned:
        kind(step.kind).apply(step, machine)


def take(fake, planned):
    machine = Machine(fake.paths, fake.programs)
    for step in reversed(planned):
        kind(step.kind).undo(step, machine)


@pytest.mark.parametrize(("control", "d3cold"), [("auto", "1"), ("auto", "0"), ("on", "1"), ("on", "0")])
def test_every_function_of_a_card_is_awake_on_vfio_pci_and_as_it_was_afterwards(boot, control, d3cold):
    fake, planned = boot(*CARD, power_control=control, d3cold_allowed=d3cold)
    before = power(fake, GPU), power(fake, SOUND)
    give(fake, planned)
    assert [power(fake, address) for address in CARD[1]] == [("D0", "on", "0")] * 2
    take(fake, planned)
    assert (power(fake, GPU), power(fake, SOUND)) == before


def test_it_is_awake_before_its_driver_goes(boot):
    _, planned = boot(*CARD)
    names = [step.id for step in planned]
    last = max(index for index, name in enumerate(names) if name.startswith("sysfs.write"))
    assert last < min(index for index, name in enumerate(names) if name.startswith("driver.bind"))


def test_a_card_that_is_on_vfio_pci_since_boot_is_woken_too(boot):
    fake, _ = boot(*CARD, power_control="auto")
    machine = Machine(fake.paths, fake.programs)
    give(fake, [step for step in steps(machine.host(), CARD[1]) if step.kind.startswith("driver.")])
    for address in CARD[1]:
        Path(machine.paths.pci(address, "power", "control")).write_text("auto")
    assert power(fake, GPU)[0] == "D3cold"
    planned = steps(machine.host(), CARD[1])
    give(fake, planned)
    assert power(fake, GPU) == ("D0", "on", "0")
    take(fake, planned)
    assert power(fake, GPU)[1:] == ("auto", "1")


def test_a_card_that_cannot_leave_vfio_pci_yet_stays_awake_until_it_has(boot):
    fake, planned = boot(*CARD, power_control="auto")
    give(fake, planned)
    pid = fake.kernel.add_process(FakeProcess("vfio-user", opens=("/dev/vfio/6",)))
    for step in reversed(planned):
        with suppress(StepFailed):
            take(fake, [replace(step, deadline=0.1)])
    assert [power(fake, address) for address in CARD[1]] == [("D0", "on", "0")] * 2
    fake.kernel.end_process(pid)
    take(fake, planned)
    assert power(fake, GPU)[1:] == ("auto", "1")


def test_what_is_no_card_may_sleep_again_if_it_might_before(boot):
    fake, planned = boot(*NIC, power_control="auto")
    give(fake, planned)
    take(fake, planned)
    assert power(fake, GPU)[1:] == ("auto", "1")


def test_what_is_no_card_and_never_slept_costs_no_step(boot):
    _, planned = boot(*NIC)
    assert [step.kind for step in planned] == ["driver.override", "driver.bind"]
