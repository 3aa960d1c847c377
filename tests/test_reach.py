"""Which paths may hang: told by the mount table and the links on the way, before anything is followed."""

from __future__ import annotations

import pytest

from vfioctl.reach import Reach


@pytest.fixture
def host(tmp_path):
    """A share that is mounted at `share`, a plain directory, and links that lead from one to the other."""
    for name in ("share/deep", "plain", "plain/mounted"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "plain/leads").symlink_to("../share/x")
    (tmp_path / "plain/harmless").symlink_to("x")
    (tmp_path / "here").symlink_to("plain")
    (tmp_path / "there").symlink_to("share/deep")
    reach = Reach({})
    reach._doubtful = {str(tmp_path / "share"): "nfs4", str(tmp_path / "plain/mounted"): "nfs4"}
    return reach, str(tmp_path)


SURE = ("plain/x", "plain/y", "plain/harmless", "here/x", "gone/x", "plain/share")
DOUBTFUL = ("share", "share/x", "there/x", "plain/leads", "here/leads", "plain/mounted", "here/mounted", "there")


@pytest.mark.parametrize("path", SURE + DOUBTFUL)
def test_a_path_is_doubtful_by_where_it_leads(host, path):
    reach, root = host
    assert reach.is_doubtful(f"{root}/{path}") is (path in DOUBTFUL)


@pytest.mark.parametrize("path", DOUBTFUL)
def test_the_worst_of_many_is_the_first_that_is_doubtful(host, path):
    reach, root = host
    every = [f"{root}/{one}" for one in (*SURE, path, "share/later")]
    assert reach.worst(*every) == f"{root}/{path}"
    assert reach.worst(*every[: len(SURE)]) == f"{root}/{SURE[-1]}"


def test_a_share_is_worse_than_a_further_disk_of_this_host(host):
    reach, root = host
    reach._doubtful = {f"{root}/plain": "ext4", f"{root}/share": "fuse.sshfs"}
    assert reach.worst(f"{root}/plain/x", f"{root}/share/x", f"{root}/y") == f"{root}/share/x"
    assert reach.worst(f"{root}/y", f"{root}/plain/x", f"{root}/z") == f"{root}/plain/x"


def test_of_what_is_mounted_over_something_else_the_last_is_seen(tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_text("".join(
        f"1 1 0:1 / {point} rw shared:1 - {kind} x rw\n"
        for point, kind in (("/", "nfs4"), ("/a", "nfs4"), ("/b", "ext4"), ("/b", "nfs4"), ("/a", "tmpfs"),
                            (r"/with\040blank", "cifs"), ("/run", "tmpfs"))
    ))  # fmt: skip
    monkeypatch.setattr("vfioctl.reach.TABLE", str(table))
    assert Reach({}).doubtful == {"/b": "nfs4", "/with blank": "cifs"}


def test_what_hangs_together_is_looked_at_together(host):
    reach, root = host
    groups = reach.together(f"{root}/{path}" for path in (*SURE, *DOUBTFUL))
    mounted = [path for path in DOUBTFUL if path.endswith("mounted")]
    shared = [path for path in DOUBTFUL if path not in mounted]
    assert sorted(groups) == sorted([f"{root}/{path}" for path in some] for some in (SURE, shared, mounted))
    assert reach.together(()) == ()


def test_where_nothing_hangs_all_are_looked_at_together(host):
    reach, root = host
    reach._doubtful = {}
    every = [f"{root}/{path}" for path in (*SURE, *DOUBTFUL)]
    assert reach.together(every) == (every,)
