"""Where commands of plugins for API 1 import their `Result` from; everything else takes it from vfioctl.result."""

from __future__ import annotations

from vfioctl.result import Error, Message, Result

__all__ = ["Error", "Message", "Result"]
