"""What of `vfioctl snapshot` was proven, by which test, on which libvirt: the table of docs/reference/snapshots.md.

`proven.json` beside the tests of ring 2 has what passed where; those tests write it when they run with --regenerate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests/libvirt/proven.json"
VERSIONS = {"9.0": "9.0 (Debian 12)", "11.3": "11.3 (Debian 13)"}
HEAD = ("operation", "guest", "firmware", "result", *VERSIONS.values())
NOT_VERIFIED = "not verified"
VERBS, CRASHES, BAD = "test_snapshot_verbs", "test_snapshot_crashes", "test_snapshot_bad_input"
KILLED = "test_nothing_is_lost_but_what_was_agreed_to_and_nothing_is_left"
INSIDE = "test_snapshots_inside_the_images_are_gone_back_to_and_pruned"
BRACKETS = str.maketrans("[]", "<>")  # fnmatch takes them for a set of letters
REACH = {"of another node": "of another node", "by a member of libvirt's group": "by a member of the group"}
STEPS = {"bios-1": {"create": 4, "revert": 3, "discard": 3, "delete": 4},
         "uefi-3": {"create": 7, "revert": 6, "discard": 9, "delete": 9},
         "tpm-1": {"create": 5, "revert": 5, "discard": 4, "delete": 5}}  # fmt: skip
FIRMWARE = {"bios-1": "BIOS, one disk", "uefi-3": "UEFI with NVRAM, three disks"}
KILLED_WITH = {**FIRMWARE, "tpm-1": "BIOS, one disk, TPM"}


@dataclass(frozen=True, slots=True)
class Row:
    """A claim and the tests that prove it, as FILE::FUNCTION or FILE::FUNCTION[CASE]; a CASE may have `*` in it.

    `count`: how many cases of them must have passed.
    """

    operation: str
    guest: str
    firmware: str
    result: str
    tests: tuple[str, ...]
    count: int = 1

    def proven(self, passed: Iterable[str]) -> bool:
        """Whether each of `tests` is among `passed`, and `count` of their cases are."""
        found = [[one for one in passed if _is_case(one, test)] for test in self.tests]
        return all(found) and sum(map(len, found)) >= self.count


def _is_case(node: str, test: str) -> bool:
    node, test = node.translate(BRACKETS), test.translate(BRACKETS)
    return fnmatchcase(node, test) or fnmatchcase(node, f"{test}<*>")


def _verbs(*names: str) -> tuple[str, ...]:
    return tuple(f"{VERBS}::test_{name}" for name in names)


def _bad(name: str) -> tuple[str, ...]:
    return (f"{BAD}::test_{name}",)


def _running(name: str) -> tuple[str, ...]:
    return (f"test_snapshot_running::test_{name}",)


def _between(name: str) -> tuple[str, ...]:
    return (f"test_snapshot_between::test_{name}",)


def _agent(name: str) -> tuple[str, ...]:
    return (f"test_snapshot_agent::test_{name}",)


def _reach(name: str, where: str) -> tuple[str, ...]:
    return (f"test_snapshot_reach::test_{name}[{REACH[where]}]",)


def _firmware(name: str) -> tuple[str, ...]:
    return (f"test_snapshot_firmware::test_{name}",)


def _card(name: str) -> tuple[str, ...]:
    return (f"test_snapshot_card::test_{name}",)


def _shapes() -> Iterable[Row]:
    back = "a_guest_comes_back_as_it_was_and_what_came_between_is_kept"
    middle = "one_in_the_middle_goes_and_nobody_else"
    for shape, firmware in FIRMWARE.items():
        yield Row("create; revert, present state kept", "off", firmware, "works", _verbs(f"{back}[{shape}]"))
        yield Row("delete, also in the middle", "off", firmware, "works", _verbs(f"{middle}_notices[{shape}]"))
        yield Row("prune", "off", firmware, "works",
                  _verbs(f"all_of_ours_goes_with_the_snapshots_and_the_guest_keeps_what_it_has[{shape}]"))  # fmt: skip


def _killed() -> Iterable[Row]:
    """Killed at the two boundaries of each step, and recovered."""
    for shape, firmware in KILLED_WITH.items():
        for how in ("at once", "after a power cut", "without plugins"):
            tests = tuple(f"{CRASHES}::{KILLED}[{verb}-{shape}-*-{how}]" for verb in STEPS[shape])
            what = f"create, revert, revert --discard, delete: killed at each boundary, `recover` {how}"
            done = "the first two undone, the others finished"
            yield Row(what, "off", firmware, done, tests, 2 * sum(STEPS[shape].values()))


ROWS = (
    *_shapes(),
    Row("revert --discard", "off", "UEFI", "works", _verbs("discard_loses_the_present_state_and_nothing_else")),
    Row("create, revert, delete of a raw disk", "off", "BIOS", "works", _verbs("a_raw_disk_is_kept_too")),
    Row("create, revert, revert --discard, prune", "off, with the state of a TPM", "UEFI", "works",
        _verbs("the_state_of_a_tpm_is_kept_and_goes_back_with_the_disks")),
    Row("revert to a snapshot without the state of the TPM", "off, with the state of a TPM", "BIOS",
        "refused: `snapshot.without_tpm`; disks alone with `--disks-only`",
        _verbs("the_state_of_a_tpm_stays_with_disks_only")),
    Row("revert, the copy of the TPM's state gone", "off, with the state of a TPM", "BIOS",
        "refused: `snapshot.incomplete`", _verbs("a_snapshot_whose_copy_of_the_tpm_is_gone_is_not_gone_back_to")),
    Row("create, revert, revert --discard; both start with what came back", "off, swtpm", "OVMF", "works",
        _firmware("what_ovmf_and_swtpm_wrote_goes_back_and_both_start_with_it")),
    *_killed(),
    *(Row("revert, delete, prune of the hook's snapshots inside images", "off", firmware, "works",
          (f"{VERBS}::{INSIDE}[{name}]",)) for name, firmware in (("bios", "BIOS"), ("uefi", "UEFI, TPM"))),
    Row("list, show", "off", "UEFI", "works", _bad("a_snapshot_is_listed_and_shown")),
    *(Row("create; revert and delete once it is off", kind, "BIOS", "works",
          _running(f"what_a_running_guest_wrote_before_comes_back_and_what_it_wrote_after_is_kept[*{kind}*]"))
      for kind in ("running", "paused")),
    Row("delete in the middle, prune, of those made while it ran", "off", "BIOS", "works",
        _running("once_it_is_off_one_in_the_middle_goes_and_all_of_ours_with_the_last")),
    Row("create", "running", "with NVRAM", "works", _running("the_nvram_of_a_running_guest_is_kept_and_goes_back")),
    Row("create; revert once it is off", "running", "OVMF", "works",
        _firmware("the_nvram_that_ovmf_wrote_is_kept_while_the_guest_runs")),
    Row("create", "running, swtpm", "OVMF", "refused: `snapshot.vtpm_state`; disks with `--disks-only`",
        _firmware("a_tpm_that_is_at_work_is_not_copied")),
    Row("create --quiesce", "running, without an agent", "BIOS", "refused: `guest.no_agent`",
        _running("a_standstill_without_an_agent_is_refused_before_anything_is_made")),
    Row("create --quiesce; revert once it is off", "running Linux, qemu-ga", "BIOS", "works",
        _agent("what_was_not_yet_on_its_disk_is_in_a_snapshot_at_a_standstill_and_comes_back")),
    Row("create --quiesce that fails at the standstill", "running Linux, qemu-ga", "BIOS", "undone, the guest goes on",
        _agent("a_snapshot_that_fails_while_it_stands_still_lets_it_go_on")),
    Row("create --quiesce that comes to the standstill too late", "running Linux, qemu-ga", "BIOS",
        "undone (`guest.not_frozen`), the guest goes on", _agent("one_that_comes_to_it_too_late_goes_on_at_once")),
    Row("create --quiesce, killed at the standstill", "running Linux, qemu-ga", "BIOS",
        "`recover` undoes it, the guest goes on",
        _agent("one_that_was_killed_while_it_stands_still_goes_on_with_recover")),
    Row("create", "running on a disk that its configuration has elsewhere", "BIOS", "refused: `snapshot.strayed`",
        _running("a_disk_that_the_configuration_has_elsewhere_is_refused_by_name")),
    Row("revert", "running", "BIOS", "refused: `snapshot.running`", _verbs("the_guest_starts_on_what_was_made")),
    *(Row("delete of the newest, prune --keep 0", kind, "BIOS", "works",
          _running(f"the_newest_goes_while_the_guest_runs_and_then_all_of_them[*{kind}*]"), 2)
      for kind in ("running", "paused")),
    Row("delete of the newest, killed at the boundaries of its first steps", "running; at `recover` running or off",
        "BIOS", "finished", _running("a_delete_that_was_killed_is_finished_and_the_guest_keeps_what_it_has"), 8),
    Row("delete of the newest, made while it was off", "running", "BIOS", "works",
        _running("one_that_was_made_before_the_start_goes_while_the_guest_runs")),
    *(Row("delete of the first, of one in the middle", f"{kind}, {shape}", "BIOS", "works",
          _between(f"one_goes_while_the_guest_runs_and_each_of_the_others_holds_what_it_held[{shape}-{kind}-*]"), 2)
      for kind in ("running", "paused") for shape in ("1 disk", "3 disks")),
    Row("prune that keeps some", "running", "BIOS", "works",
        _between("all_but_the_newest_go_in_one_job_of_each_disk"), 2),
    Row("delete of each, in any order", "running", "BIOS", "works",
        _between("one_goes_after_the_other_and_the_last_of_them_too")),
    Row("delete of the first, its image raw", "running", "BIOS", "works", _between("the_first_goes_into_a_raw_image")),
    Row("delete of one below two branches", "running", "BIOS", "works",
        _between("what_was_gone_back_to_and_what_was_before_both_hold_what_they_held")),
    *(Row("delete of the first", f"paused, {shape}", "with NVRAM", "works",
          _between(f"the_copy_of_the_nvram_goes_with_it_and_the_others_go_back[{shape}]"))
      for shape in ("1 disk", "3 disks")),
    Row("delete of the first, killed at each boundary", "running; at `recover` running or off", "BIOS, one disk",
        "finished", _between("a_deletion_that_was_killed_is_finished_while_the_guest_runs_or_is_off_by_then"), 16),
    Row("delete of the first, killed between its disks", "running", "BIOS, three disks", "finished",
        _between("a_deletion_that_was_killed_between_its_disks_is_finished"), 4),
    Row("delete of the first, killed in libvirt's job", "running; libvirtd or QEMU killed too, or off", "BIOS",
        "finished", _between("a_job_that_is_half_way_is_waited_for_or_finished"), 5),
    Row("delete of the first, fails at its second disk", "running", "BIOS, three disks",
        "half deleted: `revert` is refused, `delete` does the rest",
        _between("one_that_fails_at_its_second_disk_is_half_deleted_and_deleted_by_the_next_try")),
    Row("delete of one under what a clone needs", "running", "BIOS", "refused: `snapshot.between`",
        _between("what_a_clone_needs_is_not_written_down_while_the_guest_runs")),
    Row("delete of what a clone needs", "running", "BIOS", "refused: `snapshot.needed`",
        _running("what_of_a_running_guest_goes_must_not_be_needed_by_a_clone")),
    Row("delete while another job runs on the disk", "running", "BIOS", "refused: `disk.busy`",
        _running("a_delete_while_another_job_runs_on_the_disk_is_refused")),
    Row("create", "off, with snapshots of the hook inside images", "BIOS, UEFI", "refused: `snapshot.mixed`",
        (f"{VERBS}::{INSIDE}",), 2),
    Row("create, revert, delete", "saved", "BIOS", "refused: `snapshot.saved`",
        _verbs("a_saved_guest_is_refused_by_every_verb")),
    *(Row("create; revert there", f"running, {where}", "BIOS", "works",
          _reach("what_it_wrote_before_comes_back_on_its_node", where)) for where in REACH),
    *(Row("delete, prune, of one made from elsewhere", f"running then, {where}", "BIOS", "works",
          _reach("on_its_node_it_is_one_of_ours_and_goes_with_all_that_was_made", where)) for where in REACH),
    *(Row("create", f"running, {where}", "with NVRAM", "refused: `snapshot.out_of_reach`; disks with `--disks-only`",
          _reach("the_nvram_is_out_of_reach_so_only_the_disks_are_taken_and_that_on_request", where))
      for where in REACH),
    Row("create, revert, delete", "off, of another node", "BIOS", "refused: `snapshot.elsewhere`",
        _bad("a_guest_of_another_node_is_refused")),
    Row("revert of libvirt's external snapshot", "off", "UEFI",
        "refused: `snapshot.without_nvram`; disks alone with `--disks-only`",
        _bad("a_snapshot_of_libvirt_has_no_nvram_so_only_its_disks_are_put_back")),
    Row("delete of a snapshot that others made", "off", "UEFI", "refused: `snapshot.not_ours`",
        _bad("a_snapshot_of_libvirt_has_no_nvram_so_only_its_disks_are_put_back")),
    Row("a second operation while one is at work", "off", "BIOS", "refused, naming the first",
        _bad("of_two_at_once_the_second_is_told_who_is_first")),
    Row("create, the guest edited meanwhile", "off", "UEFI", "undone, the edit stays",
        _bad("a_guest_that_was_edited_between_plan_and_change_keeps_what_was_edited")),
    Row("create without room", "off", "BIOS", "refused: `disk.no_room`",
        _bad("without_room_for_the_new_image_nothing_is_left")),
    Row("list, show; every other verb", "off, by a member of libvirt's group", "UEFI", "works; refused: needs root",
        _bad("a_member_of_the_group_sees_what_libvirt_knows_and_changes_nothing")),
    Row("revert while the hook starts the guest", "with a card", "BIOS", "refused: `libvirt.busy`",
        _card("a_revert_while_the_hook_starts_the_guest_is_refused_and_changes_nothing")),
    Row("a start during revert", "with a card", "BIOS", "refused: `guest.in_operation`; works after it",
        _card("a_start_during_a_revert_is_refused_by_its_name_and_comes_up_on_the_snapshot_after_it")),
    Row("a start after a revert that was killed", "with a card", "BIOS", "refused until `recover`",
        _card("a_start_after_a_revert_that_was_killed_is_refused_until_that_is_recovered")),
)  # fmt: skip


def recorded() -> dict[str, list[str]]:
    """What passed, by version of libvirt."""
    found: dict[str, list[str]] = json.loads(RECORD.read_text())
    return found


def record(version: str, passed: Iterable[str], failed: Iterable[str]) -> None:
    """Add what `passed`, and take away what `failed`."""
    known = recorded()
    now = (set(known.get(version, ())) | set(passed)) - set(failed)
    RECORD.write_text(json.dumps({**known, version: sorted(now)}, indent=1) + "\n")


def table() -> str:
    """The table, as Markdown."""
    known = recorded()
    rows = [HEAD, ["---"] * len(HEAD)]
    rows += [(row.operation, row.guest, row.firmware, row.result, *_cells(row, known)) for row in ROWS]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(row: Row, known: dict[str, list[str]]) -> Iterable[str]:
    return ("proven" if row.proven(known.get(version, ())) else NOT_VERIFIED for version in VERSIONS)
