"""Containers by their control group: runtime, name from the runtime's own files, and what stops them."""

from __future__ import annotations

import json
import os

import pytest

from vfioctl.host.containers import live_restore, named, runtime
from vfioctl.host.model import Holder

ID = "3f2a9c1d5e6b" + "0" * 52
STORE = f"var/lib/docker/containers/{ID}/config.v2.json"
PODMAN = "var/lib/containers/storage/overlay-containers/containers.json"
PASSWD = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n"


def holder(container: str = ID, unit: str | None = None, **fields) -> Holder:
    scope = unit or f"docker-{container}.scope"
    place = {"user_unit": scope} if fields.get("uid") else {"unit": scope}
    return Holder(500, 7, "ffmpeg", ("/dev/nvidia0",), ("0000:01:00.0",), container=container, **place, **fields)


def docker_file(name: str = "/jellyfin", **labels: str) -> str:
    return json.dumps({"ID": ID, "Name": name, "Config": {"Labels": labels}})


@pytest.mark.parametrize(
    ("unit", "container", "expected"),
    [
        (f"docker-{ID}.scope", ID, "docker"), (f"libpod-{ID}.scope", ID, "podman"), ("jelly.service", ID, "podman"),
        (f"cri-containerd-{ID}.scope", ID, "kubernetes"), ("machine-web.scope", "web", "machine"),
        (f"nerdctl-{ID}.scope", ID, "nerdctl"), ("docker-k3x9.scope", "k3x9", "docker build"),
        (f"docker-{ID}.scope", f"kubepods-{ID}", "kubernetes"), ("containerd.service", f"kubepods-{ID}", "kubernetes"),
        ("lxc@web.service", "web", "lxc"),
    ],
)  # fmt: skip
def test_the_scope_tells_the_runtime(unit: str, container: str, expected: str) -> None:
    assert runtime(holder(container, unit)) == expected


def test_without_a_scope_the_id_tells_it() -> None:
    bare = Holder(500, 7, "x", (), (), container=ID)
    assert runtime(bare) == "docker"
    assert runtime(Holder(500, 7, "x", (), (), container="web")) == "lxc"
    assert runtime(Holder(500, 7, "x", (), (), container=f"libpod-{ID}")) == "podman"
    assert runtime(Holder(500, 7, "x", (), ())) == ""


def test_docker_names_a_container_and_its_compose_project(tree) -> None:
    tree.write(STORE, docker_file(**{"com.docker.compose.project": "media"}))
    one = named(tree.paths, (holder(),))[ID]
    assert one.title == "jellyfin (docker, compose project media)"
    assert one.stop == "docker stop jellyfin"
    assert one.setting == 'containers = ["docker:jellyfin"]'


def test_the_store_is_found_where_the_daemon_was_told_to_keep_it(tree) -> None:
    tree.write("etc/docker/daemon.json", '{"data-root": "/srv/docker", "live-restore": true}')
    tree.write(f"srv/docker/containers/{ID}/config.v2.json", docker_file())
    assert named(tree.paths, (holder(),))[ID].name == "jellyfin"
    assert live_restore(tree.paths)


def test_podman_names_a_container_and_whose_it_is(tree) -> None:
    tree.write("etc/passwd", PASSWD)
    rows = json.dumps([{"id": "ff", "names": ["other"]}, {"id": ID, "names": ["jelly"]}])
    tree.write(PODMAN, rows)
    tree.write(f"home/ada/.local/share/{PODMAN.removeprefix('var/lib/')}", rows.replace("jelly", "hers"))
    ours = named(tree.paths, (holder(unit=f"libpod-{ID}.scope"),))[ID]
    hers = named(tree.paths, (holder(unit=f"libpod-{ID}.scope", uid=1000),))[ID]
    assert (ours.stop, ours.setting) == ("podman stop jelly", 'containers = ["podman:jelly"]')
    assert hers.stop == "sudo -u ada XDG_RUNTIME_DIR=/run/user/1000 podman stop hers"
    assert hers.setting == 'containers = ["podman:ada/hers"]'


def test_a_quadlet_is_stopped_by_its_unit(tree) -> None:
    one = named(tree.paths, (holder(unit="jelly.service"),))[ID]
    assert one.stop == "systemctl stop jelly.service"
    assert one.setting == 'units = ["jelly.service"]'
    mine = named(tree.paths, (holder(unit="jelly.service", uid=1000),))[ID]
    assert mine.stop == "systemctl --user --machine=1000@.host stop jelly.service"


def test_what_no_file_names_is_called_by_the_short_id_that_both_tools_take(tree) -> None:
    one = named(tree.paths, (holder(),))[ID]
    assert one.title == "3f2a9c1d5e6b (docker)"
    assert one.stop == "docker stop 3f2a9c1d5e6b"
    assert one.setting == ""


def test_machines_and_guests_are_named_by_their_own_tools(tree) -> None:
    found = named(tree.paths, (
        holder("web", "machine-web.scope"), holder(r"qemu\x2d3\x2dwin10", r"machine-qemu\x2d3\x2dwin10.scope"),
        Holder(501, 7, "x", (), (), container="lxd-1"),
    ))  # fmt: skip
    assert [one.stop for one in found.values()] == ["machinectl stop web", "virsh shutdown win10", "lxc-stop -n lxd-1"]


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("var/lib/incus/containers/web", "incus stop web"), ("var/lib/lxd/containers/web", "lxc stop web"),
        ("var/snap/lxd/common/lxd/containers/web", "lxc stop web"), ("var/lib/lxc/web", "lxc-stop -n web"),
        ("var/lib/incus/containers/shop_web", "incus stop --project shop web"),
    ],
)  # fmt: skip
def test_a_container_of_liblxc_is_stopped_by_what_keeps_its_directory(tree, place: str, command: str) -> None:
    tree.write(f"{place}/backup.yaml")
    name = os.path.basename(place)
    assert named(tree.paths, (Holder(501, 7, "x", (), (), container=name),))[name].stop == command


def test_one_of_containerd_alone_is_stopped_by_nerdctl(tree) -> None:
    one = named(tree.paths, (holder(unit=f"nerdctl-{ID}.scope"),))[ID]
    assert (one.way_out, one.setting) == ("Stop it with: nerdctl stop 3f2a9c1d5e6b", "")


def test_one_of_kubernetes_is_not_ended_by_hand_since_its_kubelet_starts_it_again(tree) -> None:
    one = named(tree.paths, (holder(f"kubepods-{ID}", f"cri-containerd-{ID}.scope"),))[f"kubepods-{ID}"]
    assert one.stop == ""
    assert one.way_out.startswith("Its kubelet would start it again")
    assert one.way_out.endswith("crictl inspect 3f2a9c1d5e6b")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("dockerd -H fd://", False), ("dockerd --live-restore -H fd://", True), ("dockerd --live-restore=true", True),
        ("dockerd --live-restore=false", False), ("dockerd --config-file=/etc/other.json", True),
        ("dockerd --config-file /etc/other.json", True), ("dockerd --config-file", False),
    ],
)  # fmt: skip
def test_live_restore_is_also_an_option_of_dockerd_and_may_stand_in_another_file(tree, argv: str, expected) -> None:
    tree.write("etc/other.json", '{"live-restore": true}')
    assert live_restore(tree.paths, argv.split()) is expected


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", '{"Name": 5}', '{"Name": "/; rm -rf /"}', '{"Name": "/a", "Config": []}x', "[" * 100_000,
     '{"Name": "/\\u001b[2J"}', json.dumps({"Name": "/" + "n" * 500})],
)  # fmt: skip
def test_a_file_that_is_not_what_it_should_be_names_nothing(tree, text: str) -> None:
    tree.write(STORE, text)
    assert named(tree.paths, (holder(),))[ID].name == ""


def test_a_pipe_a_link_and_a_huge_file_are_not_read(tree) -> None:
    real = tree.write("elsewhere.json", docker_file())
    place = tree.write(STORE)
    place.unlink()
    os.mkfifo(place)
    assert named(tree.paths, (holder(),))[ID].name == ""
    place.unlink()
    place.symlink_to(real)
    assert named(tree.paths, (holder(),))[ID].name == ""
    place.unlink()
    tree.write(STORE, docker_file() + " " * (5 << 20))
    assert named(tree.paths, (holder(),))[ID].name == ""


def test_an_id_is_never_a_way_to_another_directory(tree) -> None:
    tree.write("var/lib/docker/config.v2.json", docker_file())
    assert named(tree.paths, (holder("..", "docker-...scope"),))[".."].name == ""
