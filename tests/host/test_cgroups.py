"""Whom a control group names. The paths are those of systemd 252, Docker 24, Podman 4, LXC 5 and elogind 252."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.host.cgroups import Owner, owner

USER = "/user.slice/user-1000.slice"
MANAGER = f"{USER}/user@1000.service"
ID = "0123456789abcdef" * 4
BY_NAME = ("session-2.scope", "user.slice/user-1000.slice/session-2.scope", "system.slice/lightdm.service")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/system.slice/lightdm.service", Owner(unit="lightdm.service")),
        ("/system.slice/system-getty.slice/getty@tty1.service", Owner(unit="getty@tty1.service")),
        ("/system.slice/ollama.service/worker", Owner(unit="ollama.service")),
        ("/system.slice/_cpu.service", Owner(unit="cpu.service")),
        ("/system.slice/snap.docker.dockerd.service", Owner(unit="snap.docker.dockerd.service")),
        ("/capsule.slice/capsule@web.service/app.slice/x.service", Owner(unit="capsule@web.service")),
        (f"{USER}/session-2.scope", Owner(session="2", session_uid=1000)),
        (f"{USER}/session-2.scope/child", Owner(session="2", session_uid=1000)),
        ("/user.slice/user-113.slice/session-c1.scope", Owner(session="c1", session_uid=113)),
        (f"{USER}/user-runtime-dir@1000.service", Owner(unit="user-runtime-dir@1000.service")),
        (
            f"{MANAGER}/session.slice/pipewire.service",
            Owner(user_unit="pipewire.service", user_manager=1000),
        ),
        (
            f"{MANAGER}/session.slice/org.gnome.Shell@wayland.service",
            Owner(user_unit="org.gnome.Shell@wayland.service", user_manager=1000),
        ),
        (
            f"{MANAGER}/app.slice/app-gnome-firefox-4711.scope",
            Owner(user_unit="app-gnome-firefox-4711.scope", user_manager=1000),
        ),
        (
            f"{MANAGER}/app.slice/app-flatpak-org.mozilla.firefox-2893.scope",
            Owner(user_unit="app-flatpak-org.mozilla.firefox-2893.scope", user_manager=1000),
        ),
        (
            f"{MANAGER}/app.slice/snap.firefox.firefox-3c0c9e5f.scope",
            Owner(user_unit="snap.firefox.firefox-3c0c9e5f.scope", user_manager=1000),
        ),
        (f"{MANAGER}/init.scope", Owner(user_unit="init.scope", user_manager=1000)),
        (MANAGER, Owner(user_manager=1000)),
        ("/init.scope", Owner(unit="init.scope")),
        ("/system.slice", Owner()),
        ("/", Owner()),
    ],
)
def test_a_path_of_the_unified_hierarchy_names_its_owner(path: str, expected: Owner) -> None:
    assert owner(f"0::{path}\n") == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/system.slice/docker-0123abcd.scope", Owner(unit="docker-0123abcd.scope", container="0123abcd")),
        ("/docker/0123abcd", Owner(container="0123abcd")),
        ("/machine.slice/libpod-77aa.scope/container", Owner(unit="libpod-77aa.scope", container="77aa")),
        (
            "/machine.slice/machine-libpod_pod_12.slice/libpod-77aa.scope",
            Owner(unit="libpod-77aa.scope", container="77aa"),
        ),
        ("/machine.slice/libpod-conmon-77aa.scope", Owner(unit="libpod-conmon-77aa.scope", container="77aa")),
        ("/system.slice/jelly.service/libpod-payload-77aa", Owner(unit="jelly.service", container="77aa")),
        ("/libpod_parent/libpod-77aa", Owner(container="libpod-77aa")),
        (
            f"{MANAGER}/user.slice/libpod-77aa.scope/container",
            Owner(user_unit="libpod-77aa.scope", user_manager=1000, container="77aa"),
        ),
        (
            f"{MANAGER}/app.slice/jelly.service/libpod-payload-77aa",
            Owner(user_unit="jelly.service", user_manager=1000, container="77aa"),
        ),
        ("/lxc/c1", Owner(container="c1")),
        ("/lxc.payload/web", Owner(container="web")),
        ("/lxc.payload.c1", Owner(container="c1")),
        ("/lxc.monitor.c1", Owner(container="c1")),
        ("/machine.slice/machine-foo.scope/payload", Owner(unit="machine-foo.scope", container="foo")),
        (
            "/machine.slice/systemd-nspawn@web.service/payload",
            Owner(unit="systemd-nspawn@web.service", container="web"),
        ),
        (
            r"/machine.slice/machine-qemu\x2d1\x2dwin11.scope/libvirt/emulator",
            Owner(unit=r"machine-qemu\x2d1\x2dwin11.scope", container=r"qemu\x2d1\x2dwin11"),
        ),
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1f.slice/cri-containerd-{ID}.scope",
            Owner(unit=f"cri-containerd-{ID}.scope", container=f"kubepods-{ID}"),
        ),
        (f"/kubepods/besteffort/pod1f/{ID}", Owner(container=f"kubepods-{ID}")),
        (
            f"/kubepods.slice/kubepods-pod1f.slice/docker-{ID}.scope",  # cri-dockerd
            Owner(unit=f"docker-{ID}.scope", container=f"kubepods-{ID}"),
        ),
        (f"/docker/buildkit/{ID[:25]}", Owner()),
        (
            f"/system.slice/containerd.service/kubepods-besteffort-pod1f.slice:cri-containerd:{ID}",
            Owner(unit="containerd.service", container=f"kubepods-{ID}"),
        ),
    ],
)
@pytest.mark.parametrize("below", ["", *BY_NAME, f"user.slice/user-1000.slice/user@1000.service/{BY_NAME[0]}"])
def test_what_lies_below_a_container_is_the_containers_whatever_it_is_called(path: str, expected: Owner, below: str):
    assert owner(f"0::{path}{'/' if below else ''}{below}\n") == expected


@pytest.mark.parametrize("slices", ["", "app.slice/", "app.slice/app-x.slice/"])
@pytest.mark.parametrize("name", [*BY_NAME, "user@0.service", "systemd-logind.service", "docker.service", "x.slice"])
def test_below_a_user_manager_everything_is_that_users_whatever_it_is_called(slices: str, name: str) -> None:
    found = owner(f"0::{MANAGER}/{slices}{name}\n")
    assert (found.user_manager, found.unit, found.session, found.container) == (1000, None, None, None)


PLACES = (MANAGER, f"{USER}/session-2.scope", f"{MANAGER}/app.slice", "/system.slice/x.service/a")


@pytest.mark.parametrize("path", ["docker/77aa", "lxc.payload.c1", f"kubepods/{ID}", "docker-77aa"])
@pytest.mark.parametrize("place", PLACES)
def test_a_group_that_anybody_may_have_made_is_no_container_of_the_system(place: str, path: str) -> None:
    assert owner(f"0::{place}/{path}\n").container is None


@pytest.mark.parametrize(
    "path",
    ["/session-2.scope", "/system.slice/session-2.scope", "/user.slice/session-2.scope", f"/x{USER}/session-2.scope",
     f"/x.slice{USER}/session-2.scope", f"{USER}/x.slice/session-2.scope", f"/..{USER}/session-2.scope",
     f"{USER}/user@1001.service/session-2.scope", "/user.slice/user-01x.slice/session-2.scope"],
)  # fmt: skip
def test_a_session_in_any_other_place_is_none(path: str) -> None:
    assert owner(f"0::{path}\n").session is None


def test_the_hierarchy_of_systemd_is_preferred_to_controllers() -> None:
    text = "12:devices:/docker/abc\n1:name=systemd:/system.slice/sddm.service\n0::/\n"
    assert owner(text) == Owner(unit="sddm.service")
    hybrid = f"4:memory:{USER}/session-9.scope\n1:name=systemd:{MANAGER}/session-2.scope\n0::{USER}/session-3.scope\n"
    assert owner(hybrid) == Owner(user_unit="session-2.scope", user_manager=1000)


def test_elogind_has_one_group_a_session() -> None:
    assert owner("9:name=elogind:/c2\n0::/\n") == Owner(session="c2")
    assert owner("0::/c2\n") == Owner(session="c2")


def test_a_container_is_found_in_a_controllers_hierarchy_too() -> None:
    assert owner("4:memory:/docker/abc\n0::/\n") == Owner(container="abc")
    assert owner("4:memory:/user/ada/0/docker/abc\n0::/\n") == Owner()


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    owner(text)


PARTS = (
    "user.slice", "user-1000.slice", "user@1000.service", "session-2.scope", "docker", "77aa", "lxc.payload.c1",
    "system.slice", "lightdm.service", "machine.slice", "machine-a.scope", "x", "..", "libpod-77aa.scope",
    "libpod-payload-77aa",
)  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=7))
def test_only_a_session_in_its_users_slice_is_one(parts: list[str]) -> None:
    found = owner(f"1:name=systemd:/{'/'.join(parts)}\n")
    is_one = parts[:3] == ["user.slice", "user-1000.slice", "session-2.scope"]
    single = len(parts) == 1 and "." not in parts[0] and parts[0] != ".."
    assert (found.session is not None) == (is_one or single)
    assert (found.user_manager is not None) == (parts[:3] == ["user.slice", "user-1000.slice", "user@1000.service"])
