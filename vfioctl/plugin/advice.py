"""Ends an interrupted operation of a plugin as that advises. Without the plugin, or where it fails, by its plan."""

from __future__ import annotations

import importlib
import os

from vfioctl import guard
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.package import writable
from vfioctl.plugin import manifest
from vfioctl.plugin.operations import Advice, Interrupted
from vfioctl.plugin.results import shown
from vfioctl.txn.plan import Action, Unfinished
from vfioctl.txn.settling import Settling

if TYPE_CHECKING:
    from vfioctl.plugin.types import PluginInfo
    from vfioctl.txn.settling import Case


def settling(case: Case) -> Settling:
    """How the operation of `case` is ended. Nobody is asked while libvirt waits. Writes no manifest."""
    plan = case.story.plan
    info = None if case.hurried or not plan.steps else _info(case, plan.steps[0].plugin)
    target = info.operations.get(plan.operation, "") if info and info.status == "ok" else ""
    return Advised(case, target) if target else Settling(case)


def _info(case: Case, plugin: str) -> PluginInfo | None:
    """The plugin as it is installed now: after an upgrade the manifest is an old one until somebody asks for it."""
    if not plugin:
        return None
    node = case.node
    try:
        return (manifest.known(node.paths) or manifest.isolated(node.programs, node.self_argv[:2])).plugin(plugin)
    except VfioctlError as error:
        plan = case.story.plan
        case.log.warning(f"{plan.operation} is ended as its plan says: {error.message}", code=error.code)
        return None


class Advised(Settling):
    """One whose plugin has a function, `target` ("module:function"), that is asked what becomes of it."""

    def __init__(self, case: Case, target: str) -> None:
        super().__init__(case)
        self.target = target
        self.advice: Advice | None = None

    def verdict(self) -> Unfinished:
        self.advice = self._asked()
        return super().verdict()

    @property
    def unfinished(self) -> Unfinished:
        return self.advice.unfinished if self.advice else super().unfinished

    def sentence(self, verdict: Unfinished) -> str:
        """The plugin's own where that was done; who has given it up, or was undoing it, does not finish it."""
        ours = super().sentence(verdict)
        if not self.advice or (verdict is Unfinished.FINISH) != (self.advice.unfinished is Unfinished.FINISH):
            return ours
        return self.advice.said or ours

    def _asked(self) -> Advice | None:
        """What the plugin answers; None where it leaves that to the plan, or is not to be used: that is logged."""
        module = self.target.partition(":")[0]
        if os.geteuid() == 0 and (why := writable(module)):
            return self._ignored("plugin.broken", f"is not run as root: {why}")
        called = guard.call(self._answer)
        if called.error:
            hung = isinstance(called.error, guard.Hung)
            return self._ignored("plugin.hung" if hung else "plugin.failed", called.problem)
        if called.value is None or _is_advice(called.value):
            advice: Advice | None = called.value
            return advice
        return self._ignored("plugin.bad_result", f"answered {shown(called.value)}")

    def _answer(self) -> object:
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)(self._interrupted(), self.node.machine().host())

    def _interrupted(self) -> Interrupted:
        plan, story = self.plan, self.story
        done = story.finished(Action.APPLY)
        return Interrupted(
            operation=plan.operation, subject=plan.subject, key=plan.key, id=plan.id, notes=plan.notes,
            begun=story.begun(Action.APPLY), done=tuple(step.id for step in plan.steps if step.id in done),
            restarted=self.is_rebooted,
        )  # fmt: skip

    def _ignored(self, code: str, why: str) -> Advice | None:
        self.log.warning(f"{self.plan.operation} is ended as its plan says: {self.target} {why}.", code=code)
        return None


def _is_advice(value: object) -> bool:
    return isinstance(value, Advice) and isinstance(value.unfinished, Unfinished) and isinstance(value.said, str)
