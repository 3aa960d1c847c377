"""The README's own commands, with a package index that serves a hostile vfioctl: it is neither installed nor asked for.

The index is this computer's: the packages of this environment, put back into wheels, and the hostile ones.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import subprocess
import threading
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("vfioctl", *(path.name for path in sorted((ROOT / "plugins").glob("vfioctl-*"))), "vfioctl-governor")
TRAP = "0.1.999"  # of the series that every plugin asks for, and newer than ours
MADE_BY_PIP = ("RECORD", "INSTALLER", "REQUESTED")
REQUIREMENT = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)


def wheel(name: str, version: str, files: dict[str, bytes]) -> bytes:
    """A wheel of these files, for every Python; its RECORD is made here."""
    own = (path.partition("/")[0] for path in files if ".dist-info/" in path)
    info = next(own, f"{name.replace('-', '_')}-{version}.dist-info")
    said = {
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
    } | files
    record = "".join(f"{path},sha256={digest(content)},{len(content)}\n" for path, content in said.items())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in {**said, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def rebuilt(known: Distribution) -> bytes:
    """The wheel of what is installed here, without its programs and compiled files."""
    paths = (path for path in known.files or () if not str(path).startswith("..") and path.suffix != ".pyc")
    files = {str(path): path.read_binary() for path in paths if path.name not in MADE_BY_PIP}
    return wheel(known.metadata["Name"], known.version, files)


class Index:
    """Serves a directory as pip wants it, on this computer alone; `asked` is what was asked of it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.asked: list[str] = []
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, *_: object) -> None:
                asked.append(self.path)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(place)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/"

    def add(self, name: str, version: str, content: bytes) -> str:
        """Put a wheel there; return its hash. No hash is on the page: what pip compares is the file."""
        directory = self.place / re.sub(r"[-_.]+", "-", name).lower()
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        file.write_bytes(content)
        links = "".join(f'<a href="{one.name}">{one.name}</a>' for one in sorted(directory.glob("*.whl")))
        (directory / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
        return hashlib.sha256(content).hexdigest()

    def asked_for_ours(self) -> list[str]:
        return [path for path in self.asked if path.startswith("/vfioctl")]


class Computer:
    """A checkout whose hashes are those of the index, an environment without anything, and that index."""

    def __init__(self, place: Path) -> None:
        self.index = Index(place / "index")
        self.checkout = place / "checkout"
        self.home = place / "opt"
        for name in ("vfioctl", "plugins", "contrib", "docs/man"):
            shutil.copytree(ROOT / name, self.checkout / name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, self.checkout)
        self._fill()
        venv.create(self.home, with_pip=True)
        shutil.copytree(self.home, place / "pristine", symlinks=True)

    def _fill(self) -> None:
        for name in OURS:
            self.index.add(name, TRAP, wheel(name, TRAP, {f"{name.replace('-', '_')}_trap.py": b""}))
        for path in sorted((self.checkout / "contrib/requirements").glob("*.txt")):
            if path.stem in ("run", "build"):
                lines = [self._requirement(name) for name, _ in REQUIREMENT.findall(path.read_text())]
                path.write_text("--only-binary :all:\n" + "".join(lines))

    def _requirement(self, name: str) -> str:
        """The version of this environment, which need not be that of constraints.txt, with its hash on this index."""
        known = distribution(name)
        self.index.add(name, "9999", wheel(name, "9999", {}))  # a newer one that nobody has looked at
        return f"{name}=={known.version} --hash=sha256:{self.index.add(name, known.version, rebuilt(known))}\n"

    def fresh(self) -> None:
        """The environment as it was made, under the path that its programs know."""
        shutil.rmtree(self.home)
        shutil.copytree(self.home.with_name("pristine"), self.home, symlinks=True)
        self.index.asked.clear()

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command as the README has it, but for the place of the environment."""
        words = command.removeprefix("sudo ").replace("/opt/vfioctl/", f"{self.home}/")
        environment = {
            "PATH": f"{self.home}/bin:/usr/bin:/bin", "HOME": str(self.home), "PIP_INDEX_URL": self.index.address,
            "PIP_CONFIG_FILE": "/dev/null", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_RETRIES": "0",
            "PIP_NO_CACHE_DIR": "1",
        }  # fmt: skip
        return subprocess.run(
            words, shell=True, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False
        )

    def installed(self) -> dict[str, str]:
        said = self.run("/opt/vfioctl/bin/pip list --format=freeze").stdout
        return dict(line.split("==") for line in said.split())


@pytest.fixture(scope="module")
def computer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Computer]:
    one = Computer(tmp_path_factory.mktemp("computer"))
    yield one
    one.index.server.shutdown()
    one.index.server.server_close()


@pytest.fixture
def fresh(computer: Computer) -> Computer:
    computer.fresh()
    return computer


def readme() -> list[list[str]]:
    """The lines with pip of each block of the README: the installation and the update."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text().replace("\\\n", " "), re.DOTALL)
    found = [[line for line in block.splitlines() if "/pip " in line] for block in blocks]
    return [lines for lines in found if lines]


def is_ours_alone(computer: Computer) -> bool:
    """Whether everything of vfioctl there is from the checkout, and nobody asked the index for it."""
    versions = {version for name, version in computer.installed().items() if name.startswith("vfioctl")}
    return TRAP not in versions and "9999" not in computer.installed().values() and not computer.index.asked_for_ours()


def test_nothing_of_a_hostile_index_is_installed(fresh: Computer) -> None:
    (first, ours, *binding), update = readme()
    assert (len(binding), len(update)) == (2, 2)
    assert all("--require-hashes" in line for line in binding)  # to build libvirt-python takes more than is here
    for command in (first, ours, *update):
        ended = fresh.run(command)
        assert ended.returncode == 0, ended.stderr
    assert {*OURS} - {"vfioctl-governor"} <= {*fresh.installed()}
    assert is_ours_alone(fresh)
    assert fresh.index.asked  # for what has a hash
    assert fresh.run("/opt/vfioctl/bin/vfioctl --version").stdout == "vfioctl 0.1.0\n"
    governor = "/opt/vfioctl/bin/pip install --no-index --no-deps --no-build-isolation ./contrib/example-plugin"
    assert governor in (ROOT / "docs/plugins/writing.md").read_text()
    assert fresh.run(governor).returncode == 0
    assert is_ours_alone(fresh)


def test_the_trap_is_one(fresh: Computer) -> None:
    """What the README once said of a plugin, and any extra by its name, would have brought it."""
    assert fresh.run("/opt/vfioctl/bin/pip install vfioctl").returncode == 0
    assert fresh.installed()["vfioctl"] == TRAP
    assert fresh.index.asked_for_ours()


PLUGIN = "/opt/vfioctl/bin/pip install --no-index --no-deps --no-build-isolation ./plugins/vfioctl-snapshot"


def test_a_plugin_alone_brings_no_vfioctl_with_it(fresh: Computer) -> None:
    """Not even from a directory that pip's configuration names."""
    assert PLUGIN in (ROOT / "docs/how-to/install.md").read_text()
    assert fresh.run(readme()[0][0]).returncode == 0
    assert fresh.run(f"PIP_FIND_LINKS={fresh.index.place / 'vfioctl'} {PLUGIN}").returncode == 0
    assert [name for name in fresh.installed() if name.startswith("vfioctl")] == ["vfioctl-snapshot"]
    assert is_ours_alone(fresh)


def test_a_file_that_was_exchanged_on_the_index_is_refused(fresh: Computer) -> None:
    known = distribution("click")
    real = rebuilt(known)
    fresh.index.add("click", known.version, wheel("click", known.version, {"click_trap.py": b""}))
    try:
        ended = fresh.run(readme()[0][0])
    finally:
        fresh.index.add("click", known.version, real)
    assert ended.returncode != 0
    assert "DO NOT MATCH THE HASHES" in ended.stderr
    assert "click" not in fresh.installed()
