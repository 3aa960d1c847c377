"""EVERYTHING THAT IS SHOWN: the only place that prints. Views are made from a result's data alone."""

from __future__ import annotations

VIEWS = {
    "version": "general:version",
    "completion": "general:script",
    "list": "guests:view",
    "plan": "plan:view",
    "status": "status:view",
    "gpu list": "cards:tree",
    "gpu holders": "cards:holders",
    "history": "history:view",
    "config show": "settings:show",
    "config get": "settings:one",
    "config validate": "settings:validated",
    "plugins list": "plugins:view",
    "plugins refresh": "plugins:view",
    "enable": "managed:view",
    "disable": "managed:view",
    "recover": "recovery:view",
    "rescue": "recovery:rescued",
    "hook verify": "hook:view",
    "hook install": "hook:view",
    "hook uninstall": "hook:removed",
    "demo": "demo:view",
}
