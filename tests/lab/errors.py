"""How a run of the lab can end other than by its checks; each message is one sentence for the last line."""

from __future__ import annotations


class CannotRun(Exception):
    """This computer cannot run the lab: exit status 2."""


class LabError(Exception):
    """The machine did not do what it must: it died, hung, or gave no answer."""


class Hung(LabError):
    """Nothing moves in it any more."""
