"""Who holds a device: on a simulated host, whose /proc answers as the kernel does."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vfioctl.host.holders import scan
from vfioctl.host.host import Host
from vfioctl.host.model import DeviceNode, Holder
from vfioctl.proc import in_child
from vfioctl.testing import scenarios
from vfioctl.testing.model import FakeProcess, MachineSpec
from vfioctl.testing.scenarios import GPU, SOUND

if TYPE_CHECKING:
    from host_tree import Tree

    from vfioctl.testing.host import FakeHost

StartHost = Callable[[MachineSpec], "FakeHost"]
PID = 5_000_900
NOBODY = 65534


def facts(host: FakeHost) -> Host:
    return Host(host.paths, host.programs)


def with_process(machine: MachineSpec, process: FakeProcess) -> MachineSpec:
    """`machine` with nobody but `process` on its devices."""
    idle = tuple(replace(other, opens=(), maps=()) for other in machine.processes)
    return replace(machine, processes=(*idle, replace(process, pid=PID)))


def only_holder(start_host: StartHost, process: FakeProcess) -> Holder:
    host = start_host(with_process(scenarios.single_gpu_nvidia_desktop(), process))
    (holder,) = facts(host).holders((GPU, SOUND))
    assert holder.pid == PID
    return holder


def test_the_holders_of_a_desktop_are_named_with_all_that_is_known(start_host: StartHost) -> None:
    host = facts(start_host(scenarios.single_gpu_nvidia_desktop()))
    xorg, firefox, pipewire, persistenced = host.holders((GPU, SOUND))
    assert (xorg.comm, xorg.unit, xorg.session, xorg.uid, xorg.start_time) == ("Xorg", "lightdm.service", None, 0, 4200)
    assert xorg.nodes == (
        "/dev/dri/card0", "/dev/dri/renderD128", "/dev/nvidia-modeset", "/dev/nvidia0", "/dev/nvidiactl",
    )  # fmt: skip
    assert xorg.addresses == (GPU,)
    assert (firefox.session, firefox.uid, firefox.unit) == ("2", 1000, None)
    assert (pipewire.user_unit, pipewire.addresses) == ("pipewire.service", (SOUND,))
    assert persistenced.unit == "nvidia-persistenced.service"
    assert host.unreadable() == 0


def test_a_container_with_nodes_of_its_own_is_found_by_number(start_host: StartHost) -> None:
    inside = (("/dev/nvidia0", "/dev/gpu/first"),)
    process = FakeProcess("dcgm", container="77aa", opens=("/dev/nvidia0",), shown_as=inside)
    holder = only_holder(start_host, process)
    assert (holder.container, holder.nodes) == ("77aa", ("/dev/nvidia0",))


def test_a_mapping_counts_when_the_file_is_closed(start_host: StartHost) -> None:
    holder = only_holder(start_host, FakeProcess("game", session="2", uid=1000, maps=("/dev/dri/card0",)))
    assert (holder.nodes, holder.session) == (("/dev/dri/card0",), "2")


def test_a_unit_of_a_user_manager_is_named_with_its_user(start_host: StartHost) -> None:
    process = FakeProcess("ollama", user_unit="ollama.service", uid=1000, opens=("/dev/nvidia0",))
    holder = only_holder(start_host, process)
    assert (holder.user_unit, holder.uid, holder.unit, holder.session) == ("ollama.service", 1000, None, None)


def test_the_sound_function_is_held_through_its_own_nodes(start_host: StartHost) -> None:
    process = FakeProcess("x", opens=("/dev/snd/*",), user_unit="x.service")
    host = start_host(with_process(scenarios.bochs_lab(), process))
    (holder,) = facts(host).holders((SOUND,))
    assert holder.addresses == (SOUND,)
    assert len({node for node in holder.nodes if node.startswith("/dev/snd/control")}) == 1


def test_nobody_holds_a_device_that_nobody_opened(start_host: StartHost) -> None:
    host = start_host(with_process(scenarios.generic_nic(), FakeProcess("x", opens=("/dev/null", "/dev/tty0"))))
    assert facts(host).holders((GPU,)) == ()


def test_a_device_that_is_not_there_has_no_holders(start_host: StartHost) -> None:
    assert facts(start_host(scenarios.generic_nic())).holders(("0000:77:00.0",)) == ()


def test_nodes_of_the_whole_driver_do_not_tie_a_process_to_one_of_two_cards(start_host: StartHost) -> None:
    process = FakeProcess("Xorg", unit="lightdm.service", opens=("/dev/nvidia1", "/dev/nvidiactl"))
    host = facts(start_host(with_process(scenarios.two_nvidia(), process)))
    assert host.holders((GPU,)) == ()
    assert [holder.pid for holder in host.holders(("0000:02:00.0",))] == [PID]
    (both,) = host.holders((GPU, "0000:02:00.0"))
    assert both.nodes == ("/dev/nvidia1", "/dev/nvidiactl")


def test_on_demand_whoever_has_a_node_of_the_whole_driver_counts_for_each_of_its_cards(start_host: StartHost) -> None:
    process = FakeProcess("kwin_wayland", opens=("/dev/nvidia-modeset",))
    host = facts(start_host(with_process(scenarios.two_nvidia(), process)))
    (holder,) = host.holders((GPU,), shared=(GPU,))
    assert (holder.pid, holder.nodes, holder.addresses) == (PID, ("/dev/nvidia-modeset",), ())
    assert host.holders((GPU,)) == ()


def test_the_control_node_alone_holds_an_only_card(start_host: StartHost) -> None:
    holder = only_holder(start_host, FakeProcess("smi", unit="smi.service", opens=("/dev/nvidiactl",)))
    assert (holder.nodes, holder.addresses) == (("/dev/nvidiactl",), ())


def test_a_node_that_vanished_with_its_driver_is_still_held(start_host: StartHost) -> None:
    """Seen on Linux 6.1: unbinding bochs-drm under an X server succeeds, the link reads "(deleted)"."""
    host = start_host(with_process(scenarios.bochs_lab(), FakeProcess("Xorg", opens=("/dev/dri/card0",))))
    with open(host.paths.at("sys/bus/pci/drivers/bochs-drm/unbind"), "w", encoding="ascii") as file:
        file.write(GPU)
    (holder,) = facts(host).holders((GPU,))
    assert (holder.nodes, holder.is_stale) == (("/dev/dri/card0 (deleted)",), True)
    assert facts(host).holders((SOUND,)) == ()


def test_a_holder_of_living_nodes_is_not_stale(start_host: StartHost) -> None:
    assert not only_holder(start_host, FakeProcess("Xorg", opens=("/dev/dri/card0",))).is_stale


def test_vfio_open_names_who_has_the_group(start_host: StartHost) -> None:
    machine = scenarios.generic_nic()
    device = replace(machine.devices[-1], driver="vfio-pci")
    modules = tuple(replace(module, loaded=module.loaded or "vfio" in module.name) for module in machine.modules)
    machine = replace(machine, devices=(*machine.devices[:-1], device), modules=modules)
    host = start_host(with_process(machine, FakeProcess("qemu", opens=("/dev/vfio/14",))))
    assert facts(host).vfio_open((GPU,)) == (PID,)
    assert facts(host).vfio_open(("0000:00:1f.6", "0000:77:00.0")) == ()


def test_one_pass_serves_every_later_question(start_host: StartHost) -> None:
    host = facts(start_host(scenarios.single_gpu_nvidia_desktop()))
    assert host.holders((GPU, SOUND)) is host.holders((SOUND, GPU, GPU))


# Races, on plain files


def node(path: str = "/dev/dri/card0") -> DeviceNode:
    return DeviceNode(path, (1, 7), "vfio" if "vfio" in path else "dri", GPU)


def process(tree: Tree, pid: int, link: str = "/dev/full", *, maps: str = "/dev/dri/card0") -> None:
    """A process that has `link` open and `maps` mapped; a real character device stands for the card's node."""
    tree.write(f"proc/{pid}/stat", f"{pid} (x) S {'1 ' * 18}77 0\n")
    tree.write(f"proc/{pid}/maps", f"7f00-7f01 rw-s 00000000 00:06 300    {tree.root}{maps}\n")
    tree.link(f"proc/{pid}/fd/3", link)


def test_a_process_that_vanishes_is_no_holder(tree: Tree) -> None:
    process(tree, 812)
    (tree.root / "proc/812/stat").unlink()
    (tree.root / "proc/813").mkdir()
    assert scan(tree.paths, (node(),)).holders == ()


def test_a_descriptor_that_was_closed_meanwhile_is_passed_over(tree: Tree) -> None:
    process(tree, 812, link="/nowhere")
    (holder,) = scan(tree.paths, (node(),)).holders
    assert (holder.pid, holder.start_time, holder.comm, holder.uid) == (812, 77, "?", 0)


def test_a_process_without_maps_is_judged_by_its_files(tree: Tree) -> None:
    process(tree, 812)
    (tree.root / "proc/812/maps").unlink()
    assert scan(tree.paths, (node(),)).holders == ()


def test_a_mapped_vfio_device_is_held_when_its_file_is_closed(tree: Tree) -> None:
    process(tree, 812, link="/nowhere", maps="/dev/vfio/devices/vfio0")
    (holder,) = scan(tree.paths, (node("/dev/vfio/14"), node("/dev/vfio/devices/vfio0"))).holders
    assert holder.nodes == ("/dev/vfio/devices/vfio0",)


def test_for_a_vfio_group_which_cannot_be_mapped_no_mapping_is_read(tree: Tree) -> None:
    process(tree, 812, link="/nowhere", maps="/dev/vfio/14")
    assert scan(tree.paths, (node("/dev/vfio/14"),)).holders == ()


def test_our_own_process_is_no_holder(tree: Tree) -> None:
    process(tree, os.getpid())
    assert scan(tree.paths, (node(),)).holders == ()


def test_garbled_maps_and_ids_hold_nothing(tree: Tree) -> None:
    process(tree, 812, link="/nowhere")
    (tree.root / "proc/812/maps").write_bytes(b"\xff\xfe /dev/\n/dev/\n\n")
    assert scan(tree.paths, (node(),)).holders == ()
    process(tree, 813)
    tree.write("proc/813/status", "Uid:\n")
    (holder,) = scan(tree.paths, (node(),)).holders
    assert holder.uid == 0


def test_a_process_that_we_may_not_look_into_is_counted(tree_at: Callable[[Path], Tree]) -> None:
    """In a child that gives root away, since root may look into every process."""
    with tempfile.TemporaryDirectory(prefix="vfioctl-") as root:
        tree = tree_at(Path(root))
        process(tree, 812)
        (tree.root / "proc/812/fd").chmod(0)
        for directory, _, _ in os.walk(root):
            os.chmod(directory, 0o755 if not directory.endswith("812/fd") else 0)

        def work() -> bytes:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            return str(scan(tree.paths, (node(),)).unreadable).encode()

        report = in_child(work, deadline=10)
        (tree.root / "proc/812/fd").chmod(0o755)
    assert report.data.decode() == "1"


def test_a_proc_without_processes_has_no_holders(tree: Tree) -> None:
    shutil.rmtree(tree.root / "proc")
    (tree.root / "proc").mkdir()
    assert scan(tree.paths, (node(),)) == scan(tree.paths, ())
