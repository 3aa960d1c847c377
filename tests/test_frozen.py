"""`@frozen` behaves as an immutable dataclass."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields, replace

import pytest

from vfioctl import frozen as ours
from vfioctl.frozen import field, frozen


@frozen
class Card:
    address: str
    driver: str | None = None
    links: dict[str, str] = field(default_factory=dict)


def test_fields_come_by_position_by_name_and_by_default():
    assert Card("0000:01:00.0", driver="nvidia") == Card(address="0000:01:00.0", driver="nvidia", links={})


def test_a_default_factory_makes_a_new_value_each_time():
    assert Card("a").links is not Card("a").links


@pytest.mark.parametrize(
    ("args", "values"), [((), {}), (("a", "b", {}, 4), {}), (("a",), {"address": "b"}), (("a",), {"colour": 1})]
)
def test_wrong_fields_are_a_type_error(args, values):
    with pytest.raises(TypeError):
        Card(*args, **values)


def test_nothing_can_be_changed_or_removed():
    card = Card("a")
    with pytest.raises(FrozenInstanceError):
        card.driver = "x"
    with pytest.raises(FrozenInstanceError):
        del card.driver
    assert card.driver is None


def test_the_standard_librarys_helpers_work():
    assert replace(Card("a"), driver="x") == Card("a", "x")
    assert asdict(Card("a")) == {"address": "a", "driver": None, "links": {}}
    assert [item.name for item in fields(Card)] == ["address", "driver", "links"]


def test_a_copy_has_the_fields_of_its_class_and_no_others():
    card = Card("a", "x")
    assert ours.replace(card, driver=None) == Card("a") != card
    with pytest.raises(TypeError, match="Card has no field colour"):
        ours.replace(card, colour="red")


def test_equal_values_of_two_classes_differ():
    @frozen
    class Other:
        address: str

    assert Other("a") != Card("a")


def test_instances_without_mutable_values_can_be_hashed():
    @frozen
    class Address:
        text: str

    assert {Address("a"), Address("a")} == {Address("a")}


def test_it_is_shown_by_its_fields():
    assert repr(Card("a")) == "Card(address='a', driver=None, links={})"
