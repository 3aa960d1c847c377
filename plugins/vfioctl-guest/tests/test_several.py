"""Several guests by one command: each an operation of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from vfioctl_guest.several import numbered, several
from vfioctl_guest.views import created

from vfioctl.errors import Refused
from vfioctl.result import Result

NAMES = ("web-1", "web-2", "web-3")
GOOD = Result(data={
    "dry_run": False, "operation": {"ok": True},
    "guest": {"name": "web", "node": "local", "cpus": 1, "memory": 1 << 30, "disks": [], "networks": [], "devices": []},
})  # fmt: skip


def making(**ends: Result | BaseException) -> Callable[[str], Result]:
    """Makes each guest as `ends` says by its number; good where it says nothing."""

    def make(name: str) -> Result:
        end = ends.get(f"n{name[-1]}", GOOD)
        if isinstance(end, BaseException):
            raise end
        return end

    return make


def made(result: Result) -> list[bool]:
    return [one["made"] for one in result.data["guests"]]


def test_they_are_numbered_from_one() -> None:
    assert numbered("web", 3, ()) == NAMES


def test_a_volume_is_no_disk_of_several() -> None:
    with pytest.raises(Refused) as caught:
        numbered("web", 2, ("--volume",))
    assert caught.value.code == "guest.count"


def test_a_name_that_gets_too_long_by_its_number_is_refused_before_any_is_made() -> None:
    with pytest.raises(Refused) as caught:
        numbered("w" * 59, 10, ())
    assert caught.value.code == "guest.bad_name"


def test_the_others_stay_where_one_fails_and_that_is_said() -> None:
    result = several(NAMES, making(n2=Refused("volume.exists", "It is there.")))
    assert (made(result), result.exit_status) == ([True, False, True], 1)
    assert [error.code for error in result.errors] == ["volume.exists"]
    assert "Guest web-2 is not made." in list(created(result.data))


def test_the_exit_status_is_that_of_all_where_they_agree() -> None:
    assert several(NAMES, making()).exit_status == 0
    refused = Refused("template.unknown", "There is none.")
    assert several(NAMES, making(n1=refused, n2=refused, n3=refused)).exit_status == Refused.exit_status


@pytest.mark.parametrize("how", [KeyboardInterrupt(), Result(exit_status=130)])
def test_after_an_interruption_no_further_one_is_made(how: Result | BaseException) -> None:
    result = several(NAMES, making(n2=how))
    assert (made(result), result.exit_status) == ([True, False, False], 130)
