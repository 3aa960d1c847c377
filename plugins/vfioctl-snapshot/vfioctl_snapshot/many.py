"""Looks at many paths of the host: those of one file system in few children, where that may hang. Chooses no path."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vfioctl.plugin import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeVar

    from vfioctl.plugin import Host

    T = TypeVar("T")

AT_ONCE = 64  # paths that one child looks at: a disk that sleeps answers for so many within the deadline


def each(host: Host, paths: Iterable[str], look: Callable[[str], T | None]) -> dict[str, T]:
    """What `look` says, as JSON keeps it, of each of `paths` that it says something of, in their order.

    A child for each would take milliseconds. Raises Refused("path.unanswered") for one that hangs.
    """
    places = {path: host.paths.at(path) for path in paths if path}
    found = {}
    for group in host.reach.together(dict.fromkeys(places.values())):
        for first in range(0, len(group), AT_ONCE):
            found.update(_some(host, group[first : first + AT_ONCE], look))
    return {path: found[place] for path, place in places.items() if place in found}


def _some(host: Host, places: list[str], look: Callable[[str], T | None]) -> dict[str, T]:
    said = host.ask(places[0], lambda: [look(place) for place in places])
    return {place: one for place, one in zip(places, said, strict=True) if one is not None}
