"""The one name of the hooks, and the decorators that plugins import. Imports pluggy and nothing of ours."""

from __future__ import annotations

import pluggy

NAME = "vfioctl"

hookspec = pluggy.HookspecMarker(NAME)
hookimpl = pluggy.HookimplMarker(NAME)
