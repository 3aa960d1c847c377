"""Whom a control group names. The paths are those of systemd 252, Docker 24, Podman 4 and elogind 252."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.host.cgroups import Owner, owner

USER = "/user.slice/user-1000.slice"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/system.slice/lightdm.service", Owner(unit="lightdm.service")),
        ("/system.slice/system-getty.slice/getty@tty1.service", Owner(unit="getty@tty1.service")),
        ("/system.slice/ollama.service/worker", Owner(unit="ollama.service")),
        (f"{USER}/session-2.scope", Owner(session="2")),
        ("/user.slice/user-113.slice/session-c1.scope", Owner(session="c1")),
        (
            f"{USER}/user@1000.service/session.slice/pipewire.service",
            Owner(user_unit="pipewire.service", user_manager=1000),
        ),
        (
            f"{USER}/user@1000.service/session.slice/org.gnome.Shell@wayland.service",
            Owner(user_unit="org.gnome.Shell@wayland.service", user_manager=1000),
        ),
        (
            f"{USER}/user@1000.service/app.slice/app-gnome-firefox-4711.scope",
            Owner(user_unit="app-gnome-firefox-4711.scope", user_manager=1000),
        ),
        (f"{USER}/user@1000.service/init.scope", Owner(user_unit="init.scope", user_manager=1000)),
        ("/system.slice/docker-0123abcd.scope", Owner(unit="docker-0123abcd.scope", container="0123abcd")),
        ("/docker/0123abcd", Owner(container="0123abcd")),
        ("/machine.slice/libpod-77aa.scope/container", Owner(unit="libpod-77aa.scope", container="77aa")),
        (
            f"{USER}/user@1000.service/user.slice/libpod-77aa.scope",
            Owner(user_unit="libpod-77aa.scope", user_manager=1000, container="77aa"),
        ),
        ("/lxc.payload/web", Owner(container="web")),
        ("/init.scope", Owner(unit="init.scope")),
        ("/", Owner()),
    ],
)
def test_a_path_of_the_unified_hierarchy_names_its_owner(path: str, expected: Owner) -> None:
    assert owner(f"0::{path}\n") == expected


def test_the_hierarchy_of_systemd_is_preferred_to_controllers() -> None:
    text = "12:devices:/docker/abc\n1:name=systemd:/system.slice/sddm.service\n0::/\n"
    assert owner(text) == Owner(unit="sddm.service")


def test_elogind_has_one_group_a_session() -> None:
    assert owner("9:name=elogind:/c2\n0::/\n") == Owner(session="c2")


def test_a_container_is_found_in_a_controllers_hierarchy_too() -> None:
    assert owner("4:memory:/docker/abc\n0::/\n") == Owner(container="abc")


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    owner(text)
