"""The hooks of a module are found as pluggy finds them, without pluggy."""

from __future__ import annotations

import functools
import importlib
import types

import pluggy
import pytest

from vfioctl.plugin.implementations import HOOKS, SignatureError, find
from vfioctl.plugin.markers import NAME, hookimpl
from vfioctl.plugin.registration import problem, registered
from vfioctl.plugin.types import PluginInfo

OURS = (
    "vfioctl.plugin.generic", "vfioctl_nvidia.plugin", "vfioctl_amdgpu.plugin", "vfioctl_display_manager.plugin",
    "vfioctl_snapshot.plugin",
)  # fmt: skip


def module_of(**members: object) -> types.ModuleType:
    module = types.ModuleType("odd")
    vars(module).update(members)
    return module


def found(module: types.ModuleType) -> dict[str, tuple[str, ...]]:
    return {impl.hook: impl.arguments for impl in find(module)}


@pytest.mark.parametrize("name", OURS)
def test_of_our_plugins_as_pluggy_does(name):
    module = importlib.import_module(name)
    assert found(module)
    assert found(module) == registered(module)


@hookimpl
def plain(request):
    return request


@hookimpl
def with_default(request, more=1):
    return request, more


@hookimpl
def keyword_only(request, *, more=1):
    return request, more


@hookimpl(tryfirst=True)
def with_an_order(request):
    return request


@hookimpl(specname="vfioctl_preflight")
def under_another_name(request):
    return request


@pluggy.HookimplMarker(NAME)
def with_pluggys_mark(request):
    return request


@pluggy.HookimplMarker(NAME)(tryfirst=True)
def with_pluggys_options(request):
    return request


@hookimpl
@functools.wraps(plain)
def wrapped(*args, **kwargs):
    return plain(*args, **kwargs)


class Checker:
    @hookimpl
    def check(self, request):
        return self, request


def unmarked(request):
    return request


FORMS = (
    plain,
    with_an_order,
    with_default,
    keyword_only,
    with_pluggys_mark,
    with_pluggys_options,
    wrapped,
    Checker().check,
    unmarked,
)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_of_every_form_as_pluggy_does(form):
    module = module_of(vfioctl_preflight=form)
    assert found(module) == registered(module)


def test_under_the_name_that_the_mark_gives():
    module = module_of(anything=under_another_name)
    assert found(module) == registered(module) == {"vfioctl_preflight": ("request",)}


def test_a_marked_function_of_an_unknown_name_is_none():
    module = module_of(vfioctl_sing=plain)
    assert found(module) == registered(module) == {}


def test_an_argument_that_the_hook_has_not_is_refused_by_both():
    module = module_of(vfioctl_doctor_checks=plain)
    with pytest.raises(SignatureError, match="vfioctl_doctor_checks takes request; it is called with nothing"):
        find(module)
    with pytest.raises(pluggy.PluginValidationError):
        registered(module)


def test_the_specification_is_pluggys_too():
    manager = pluggy.PluginManager(NAME)
    manager.add_hookspecs(importlib.import_module("vfioctl.plugin.spec"))
    known = {name: getattr(manager.hook, name).spec.argnames for name in HOOKS}
    assert known == HOOKS


def test_what_pluggy_does_not_take_is_said_by_refresh(make_plugin):
    info = make_plugin("bad", "@hookimpl\ndef vfioctl_doctor_checks(card): return ()")
    assert "card" in problem(info)
    assert problem(make_plugin("good", "@hookimpl\ndef vfioctl_doctor_checks(): return ()")) == ""
    assert "ModuleNotFoundError" in problem(PluginInfo("gone", "1", 1, "no_such_module"))
