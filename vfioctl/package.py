"""Where a module's code lies, and whether somebody else could change it. Looks as an import would; runs nothing."""

from __future__ import annotations

import os
import sys

from vfioctl import ownership


def places(module: str) -> tuple[str, ...]:
    """What the import of `module` would read: the directories of its top package, or its one file and what it caches.

    Empty when there is no such module, or when it is a part of the interpreter.
    """
    top = module.partition(".")[0]
    found = (finder.find_spec(top, None) for finder in sys.meta_path) if top else iter(())
    spec = next(filter(None, found), None)
    if spec is None:
        return ()
    if spec.submodule_search_locations:
        return tuple(spec.submodule_search_locations)
    return tuple(filter(None, (spec.origin, spec.cached))) if spec.has_location else ()


def writable(module: str) -> str | None:
    """Why somebody else could change the code of `module`, in words; None when nobody can."""
    found = culprit(module)
    return found[1] if found else None


def culprit(module: str) -> tuple[str, str] | None:
    """The first file that the import of `module` may read and that somebody else can change, and why, in words.

    Every file of its package counts, also one that is not imported today, and so does the whole way there: 0.2 ms.
    """
    return next(filter(None, map(_first, places(module))), None)


def _first(place: str) -> tuple[str, str] | None:
    try:
        return ownership.culprit(place, "/") or (ownership.culprit_below(place) if os.path.isdir(place) else None)
    except OSError as error:
        return place, f"{place} cannot be looked through ({error.strerror})"
