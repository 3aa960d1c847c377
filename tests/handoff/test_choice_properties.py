"""What holds for every topology: who is given, who never is, and that advice leads somewhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from topologies import Topology, ask, follow, numbers, some, topologies

from vfioctl.config.model import GuestConfig
from vfioctl.host.companions import tied

MOST_TURNS = 4


NAMED, INCLUDE, EXCLUDE = numbers(1, 2), numbers(0, 1), numbers(0, 2)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Topology, tuple[str, ...], GuestConfig]:
    """A topology, what a domain names of it, and what its guest file says."""
    topology = draw(topologies())
    named, include, exclude = (some(topology, draw(which)) for which in (NAMED, INCLUDE, EXCLUDE))
    return topology, named, GuestConfig("win11", include=include, exclude=exclude)


@given(topologies())
def test_a_virtual_function_goes_alone(topology):
    for device in topology.devices:
        if device.physical:
            assert ask(topology, (device.address,), GuestConfig("win11")).addresses == {device.address}


@given(cases())
def test_of_virtual_functions_only_those_are_given_that_are_named(case):
    topology, named, config = case
    said = ask(topology, named, config)
    virtual = {device.address for device in topology.devices if device.physical}
    assert said.addresses & virtual <= {*named, *config.include}


@given(cases())
def test_nothing_goes_along_that_shares_neither_group_nor_link(case):
    topology, named, config = case
    said = ask(topology, named, config)
    groups = {device.iommu_group for device in said.chosen.devices}
    for device in said.chosen.devices:
        if device.address in {*named, *config.include}:
            continue
        others = [one for one in said.chosen.devices if one is not device and one.slot == device.slot]
        linked = any(device.address in one.links or one.address in device.links for one in others if one.is_card)
        assert linked or (device.iommu_group in groups and any(one.iommu_group == device.iommu_group for one in others))


@given(cases())
def test_what_is_included_shares_a_group_a_slot_or_a_link_with_what_else_is_given(case):
    topology, named, config = case
    given_devices = ask(topology, named, config).chosen.devices
    for device in given_devices:
        if device.address not in named and device.address in config.include:
            others = [other for other in given_devices if other is not device]
            assert any(device.slot == other.slot or tied(device, other) for other in others)


@given(cases())
def test_a_function_that_is_left_out_is_never_given(case):
    topology, named, config = case
    said = ask(topology, named, config)
    assert not said.addresses & set(config.exclude)
    assert {*named, *config.include} & set(config.exclude) <= {
        item.message.split()[0] for item in said.blocks if item.code == "exclude.named"
    }


@given(cases())
def test_what_is_taken_along_is_never_refused_for_itself(case):
    topology, named, config = case
    said = ask(topology, named, config)
    along = said.addresses - {*named, *config.include}
    assert not [item for item in said.blocks if item.code != "group.unviable" and item.message.split()[0] in along]


@given(cases())
def test_hints_that_are_followed_to_the_letter_lead_to_a_start_or_say_that_there_is_none(case):
    topology, named, config = case
    said = ask(topology, named, config)
    first = said.others
    for _ in range(MOST_TURNS):
        now, settings = follow(said, topology, config)
        if (now, settings) == (topology, config):
            break
        topology, config, said = now, settings, ask(now, named, settings)
        assert said.others <= first, "what a hint asked for is refused"
        assert not any("cannot be given" in item.hint for item in said.unviable), "the hint could have known"
    hopeless = any("cannot be given" in item.hint for item in said.unviable)
    assert hopeless or not said.unviable
