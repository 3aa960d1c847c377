"""Where the completion of a shell is put, and that nothing of anybody else's is replaced or removed there."""

from __future__ import annotations

from pathlib import Path

import pytest

from vfioctl.errors import Irregular, Refused
from vfioctl.paths import Paths
from vfioctl.setup import completion

SCRIPT = "complete vfioctl\n"
ZSH = "#compdef vfioctl\n\n_vfioctl() {}\n"


@pytest.fixture
def place(root: Path) -> Path:
    return Path(completion.system_file(Paths(str(root)), "bash"))


@pytest.mark.parametrize(("shell", "file"), [
    ("bash", "/usr/local/share/bash-completion/completions/vfioctl"),
    ("zsh", "/usr/local/share/zsh/site-functions/_vfioctl"),
    ("fish", "/etc/fish/completions/vfioctl.fish"),
])  # fmt: skip
def test_for_every_user_it_lies_where_the_shell_looks_and_no_package_does(shell: str, file: str) -> None:
    assert completion.system_file(Paths(), shell) == file


@pytest.mark.parametrize(("environ", "shell", "file"), [
    ({"HOME": "/home/me"}, "bash", "/home/me/.local/share/bash-completion/completions/vfioctl"),
    ({"HOME": "/home/me"}, "zsh", "/home/me/.local/share/zsh/site-functions/_vfioctl"),
    ({"HOME": "/home/me"}, "fish", "/home/me/.config/fish/completions/vfioctl.fish"),
    ({"XDG_DATA_HOME": "/data"}, "bash", "/data/bash-completion/completions/vfioctl"),
    ({"HOME": "/home/me", "XDG_CONFIG_HOME": "/conf"}, "fish", "/conf/fish/completions/vfioctl.fish"),
    ({"HOME": "/home/me", "BASH_COMPLETION_USER_DIR": "/mine"}, "bash", "/mine/completions/vfioctl"),
])  # fmt: skip
def test_for_one_user_it_lies_where_the_environment_says(environ: dict[str, str], shell: str, file: str) -> None:
    assert completion.own_file(environ, shell) == file


@pytest.mark.parametrize("environ", [{}, {"HOME": "relative"}])
def test_a_user_without_a_home_is_told(environ: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        completion.own_file(environ, "fish")
    assert refused.value.code == "completion.no_place"


def test_it_is_written_for_all_to_read_and_a_second_time_not_at_all(place: Path) -> None:
    assert completion.install(str(place), SCRIPT)
    assert place.stat().st_mode & 0o7777 == 0o644
    assert place.read_text().endswith(SCRIPT)
    assert not completion.install(str(place), SCRIPT)


def test_the_first_line_that_zsh_looks_for_stays_the_first() -> None:
    assert completion.signed(ZSH).splitlines()[0] == "#compdef vfioctl"


@pytest.mark.parametrize("text", [SCRIPT, ZSH])
def test_one_of_another_version_of_ours_is_replaced_and_removed(place: Path, text: str) -> None:
    completion.install(str(place), text)
    assert completion.install(str(place), f"{text}# newer\n")
    assert place.read_text() == completion.signed(f"{text}# newer\n")
    assert completion.remove(str(place))
    assert not place.exists()
    assert not completion.remove(str(place))


@pytest.mark.parametrize("text", ["complete -W mine vfioctl\n", "", f"{completion.signed(SCRIPT)}# mine\n"])
@pytest.mark.parametrize("change", [lambda path: completion.install(path, SCRIPT), completion.remove])
def test_what_somebody_else_wrote_or_changed_stays(place: Path, text: str, change) -> None:
    place.parent.mkdir(parents=True)
    place.write_text(text)
    with pytest.raises(Refused) as refused:
        change(str(place))
    assert (refused.value.code, place.read_text()) == ("completion.foreign", text)


def test_a_link_is_not_followed(place: Path, root: Path) -> None:
    place.parent.mkdir(parents=True)
    place.symlink_to(root / "elsewhere")
    with pytest.raises(Irregular):
        completion.install(str(place), SCRIPT)
    assert not (root / "elsewhere").exists()


def test_advice_is_given_where_the_shell_would_not_load_it(root: Path) -> None:
    paths = Paths(str(root))
    assert "bash-completion" in completion.advice(paths, "bash", "/x/vfioctl", own=False)[0]
    (root / "usr/share/bash-completion").mkdir(parents=True)
    (root / "usr/share/bash-completion/bash_completion").touch()
    assert completion.advice(paths, "bash", "/x/vfioctl", own=False) == ("", "")
    assert completion.advice(paths, "zsh", "/x/_vfioctl", own=True)[1].endswith("fpath=(/x $fpath)")
    assert completion.advice(paths, "zsh", "/x/_vfioctl", own=False) == ("", "")
