"""Which command mends a finding: one that a plugin names, or `vfioctl doctor --fix` where a fixer has a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vfioctl import guard
from vfioctl.actions.facts import plugin_infos
from vfioctl.doctor.fixers import fixers
from vfioctl.frozen import frozen
from vfioctl.plugin.manager import Plugins

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.doctor.fixers import Fixer
    from vfioctl.findings import Finding
    from vfioctl.guard import Called


@frozen
class Offers:
    """What there is for the findings of this host, by their codes: fixers, and commands of plugins."""

    call: Call
    fixers: Mapping[str, Fixer]
    commands: Mapping[str, str]

    def change(self, finding: Finding) -> Called:
        """What its fixer says, on the facts of now. What goes wrong in it costs only this one."""
        return guard.call(lambda: self.fixers[finding.code](self.call.host(), finding))

    def command(self, finding: Finding) -> str:
        """What mends it, as it is typed; "" where that is for a person.

        A fixer that has no change speaks for the command as well; one that may not see it without root does not.
        """
        code = finding.code
        if code not in self.fixers:
            return self.commands.get(code, "")
        called = self.change(finding)
        return self.commands.get(code, f"vfioctl doctor --fix {code}") if called.value or called.problem else ""


def offers(call: Call) -> Offers:
    """Those of plugins; of one code the core's own fixer is taken."""
    plugins = Plugins(info for info in plugin_infos(call).values() if info.status == "ok")
    checks = [check for _, check in plugins.doctor_checks()]
    theirs = {code: one for check in checks for code, one in check.fixers.items()}
    commands = {code: command for check in checks for code, command in check.commands.items()}
    return Offers(call, {**theirs, **fixers(call.composition)}, commands)
