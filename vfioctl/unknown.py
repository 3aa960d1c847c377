"""What is said of a word that names nothing: the nearest of what there is, and the list of it. Looks nothing up."""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.errors import Refused

MOST_NAMES = 20


def suggestion(word: str, known: Iterable[str]) -> str:
    """'; did you mean "X"?' with the nearest of `known`, or nothing."""
    import difflib  # only when something is already wrong

    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1)
    return f'; did you mean "{folded[near[0]]}"?' if near else ""


def no_such(code: str, message: str, word: str, known: Iterable[str], what: str) -> Refused:
    """The refusal of a `word` that names nothing: the nearest of `known`, and the list of them as `what`."""
    names = tuple(known)
    near = suggestion(word, names)
    listed = (f"{what}: {', '.join(names[:MOST_NAMES])}{', …' if names[MOST_NAMES:] else ''}",) if names else ()
    return Refused(code, f"{message}{near}" if near else f"{message}.", state="Nothing was changed.", hints=listed)
