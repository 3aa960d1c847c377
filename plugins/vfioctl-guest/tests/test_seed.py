"""The seed of a new guest: what is in its image, and what is refused before there is one."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import pytest
from vfioctl_guest.life import Subject
from vfioctl_guest.seed import mark
from vfioctl_guest.seed.content import Person, Place, Seed, files
from vfioctl_guest.seed.ending import has_shut_down
from vfioctl_guest.seed.given import Given, read
from vfioctl_guest.seed.iso import image
from vfioctl_guest.seed.password import hashed, is_hash

from vfioctl.errors import Refused
from vfioctl.paths import Paths
from vfioctl.plugin import Guest

UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"
MACS = ("52:54:00:00:00:01", "52:54:00:00:00:02")
PARTS = (b"ssh-ed25519", bytes(32))
DATA = base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in PARTS)).decode()
KEY = f"ssh-ed25519 {DATA} ada@laptop"
HASH = "$6$salt$" + "a" * 86


class Host:
    def ask(self, path: str, work: Any) -> Any:
        return work()


class Call:
    def host(self) -> Host:
        return Host()


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def made(text: str | bytes, name: str = "given") -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return made


def seed(cards: int = 1, guest: str = "web", **given: Any) -> Seed | None:
    return read(Call(), Given(**given), guest, cards=cards)  # type: ignore[arg-type]


def refused(cards: int = 1, guest: str = "web", **given: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        seed(cards, guest, **given)
    return caught.value.code, caught.value.message


def text(wanted: Seed, name: str) -> str:
    return files(wanted, UUID, MACS)[name].decode()


# The image


def test_the_image_has_the_files_under_the_names_that_cloud_init_looks_for() -> None:
    import pycdlib

    wanted = {"meta-data": b"a: 1\n", "user-data": b"#cloud-config\n" + b"x" * 5000, "network-config": b"version: 2\n"}
    found = pycdlib.PyCdlib()
    found.open_fp(io.BytesIO(image(wanted)))
    assert found.pvd.volume_identifier.decode().strip() == "CIDATA"
    for kind in ("rr_path", "joliet_path"):
        for name, content in wanted.items():
            read_back = io.BytesIO()
            found.get_file_from_iso_fp(read_back, **{kind: f"/{name}"})
            assert read_back.getvalue() == content
    found.close()


def test_an_image_is_whole_sectors_of_a_disk() -> None:
    assert len(image({"user-data": b"x"})) % 2048 == 0


# What is in the files


def test_a_person_comes_with_keys_and_password() -> None:
    assert text(Seed("web", Person("ada", (KEY,), HASH)), "user-data").splitlines() == [
        "#cloud-config", "users:", '  - name: "ada"', '    sudo: "ALL=(ALL) NOPASSWD:ALL"', "    lock_passwd: false",
        f'    passwd: "{HASH}"', "    ssh_authorized_keys:", f'      - "{KEY}"',
    ]  # fmt: skip


def test_without_a_password_it_is_locked() -> None:
    assert "lock_passwd: true" in text(Seed("web", Person("ada", (KEY,))), "user-data")


def test_without_a_person_the_image_has_its_own_way() -> None:
    assert text(Seed("web"), "user-data") == "#cloud-config\n"


@pytest.mark.parametrize(("name", "line"), [("web-1.lan", "web-1.lan"), ("7", '"7"'), ("on", '"on"'), ("1e3", '"1e3"')])
def test_the_name_of_the_host_is_text_to_every_reader(name: str, line: str) -> None:
    assert text(Seed(name), "meta-data") == f"instance-id: {UUID}\nlocal-hostname: {line}\n"


def test_dhcp_is_left_to_cloud_init() -> None:
    assert "network-config" not in files(Seed("web"), UUID, MACS)


def test_a_fixed_address_is_that_of_the_first_card_and_the_others_ask() -> None:
    place = Place("192.168.1.7/24", "192.168.1.1", ("9.9.9.9", "2620:fe::fe"))
    assert text(Seed("web", place=place), "network-config").splitlines() == [
        "version: 2", "ethernets:",
        "  eth0:", f'    match: {{macaddress: "{MACS[0]}"}}', "    set-name: eth0",
        '    addresses: ["192.168.1.7/24"]', '    routes: [{to: "0.0.0.0/0", via: "192.168.1.1"}]',
        '    nameservers: {addresses: ["9.9.9.9", "2620:fe::fe"]}',
        "  eth1:", f'    match: {{macaddress: "{MACS[1]}"}}', "    set-name: eth1", "    dhcp4: true",
    ]  # fmt: skip


# What is given


def test_nothing_is_made_where_nothing_is_asked_for() -> None:
    assert seed() is None


def test_a_host_is_called_as_its_guest() -> None:
    assert seed(guest="my_web-", address="10.0.0.7/8") == Seed("my-web", place=Place("10.0.0.7/8"))


def test_a_link_local_router_is_beside_each_address_of_its_family() -> None:
    made = seed(address="2001:db8::5/64", gateway="fe80::1")
    assert made is not None
    assert made.place == Place("2001:db8::5/64", "fe80::1")
    assert "not in 10.0.0.0/24" in refused(address="10.0.0.7/24", gateway="fe80::1")[1]


def test_several_keys_come_once_each(file: Any) -> None:
    both = file(f"# mine\n{KEY}\n\n{KEY}\n")
    made = seed(user="ada", keys=(both, both))
    assert made == Seed("web", Person("ada", (KEY,)))


def test_a_password_is_hashed_and_a_hash_is_taken(file: Any) -> None:
    made = seed(user="ada", password=file("käse 1\n"))
    assert made is not None
    assert made.person is not None
    assert made.person.secret.startswith("$6$")
    assert is_hash(made.person.secret)
    assert seed(user="ada", secret=file(f"{HASH}\n")) == Seed("web", Person("ada", (), HASH))


def test_a_hash_is_the_one_that_others_make() -> None:
    """That of the password is a vector of the specification of SHA-crypt; here with a salt of its own."""
    import ctypes

    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    made = hashed("Hello world!")
    assert library.crypt(b"Hello world!", made.encode()) == made.encode()
    assert library.crypt(b"Hello world?", made.encode()) != made.encode()
    assert hashed("Hello world!") != made


def test_own_files_are_handed_on_as_they_are(file: Any) -> None:
    user, network = file("#!/bin/sh\ntrue\n", "user"), file("network:\n  version: 2\n", "network")
    assert seed(user_data=user, network_config=network) == Seed(
        "web", user=b"#!/bin/sh\ntrue\n", network=b"network:\n  version: 2\n"
    )


@pytest.mark.parametrize(("given", "said"), [
    ({"user": "ada"}, "could not log in"), ({"keys": ("k",)}, "--user"), ({"password": "p"}, "--user"),
    ({"user": "ada", "password": "p", "secret": "h"}, "give one of them"),
    ({"user_data": "f", "user": "ada"}, "leave out --user"), ({"user_data": "f", "keys": ("k",)}, "leave out --user"),
    ({"network_config": "f", "address": "10.0.0.7/8"}, "leave out --address"),
    ({"gateway": "10.0.0.1"}, "give --address"), ({"dns": ("10.0.0.1",)}, "give --address"),
    ({"address": "10.0.0.7/8", "cards": 0}, "give --network"),
    ({"address": "10.0.0.7"}, "10.0.0.7/24"), ({"address": "10.0.0.300/8"}, "cannot be read"),
    ({"address": "10.0.0.7/24", "gateway": "10.0.1.1"}, "not in 10.0.0.0/24"),
    ({"address": "2001:db8::5/64", "gateway": "2001:db9::1"}, "not in 2001:db8::/64"),
    ({"hostname": "a b"}, "cannot name a host"), ({"hostname": "-a"}, "cannot name a host"),
    ({"hostname": "a" * 64}, "cannot name a host"), ({"guest": "a..b", "address": "10.0.0.7/8"}, "--hostname"),
])  # fmt: skip
def test_what_cannot_be_together_is_said_in_a_sentence(given: dict[str, Any], said: str) -> None:
    code, message = refused(**given)
    assert code == "guest.seed"
    assert said in message


@pytest.mark.parametrize("name", ["Ada", "7ada", "-x", "a" * 33, "ada lovelace", "root", "a:b", "a\nb"])
def test_a_name_that_no_user_can_have_is_refused(file: Any, name: str) -> None:
    assert refused(user=name, keys=(file(KEY),))[0] == "guest.seed"


def test_a_private_key_is_refused_by_name(file: Any) -> None:
    path = file("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n-----END OPENSSH PRIVATE KEY-----\n", "id_ed25519")
    code, message = refused(user="ada", keys=(path,))
    assert code == "guest.ssh_key"
    assert f"{path} is a private key" in message
    assert "b3Blbn" not in message


@pytest.mark.parametrize("line", [
    "", "ssh-ed25519", "ssh-ed25519 AAAA", f"ssh-rsa {DATA}", f'command="true" {KEY}', "hello",
    KEY.replace("AAAA", "AA!A"),
    f"ssh-ed25519 {DATA} a\u2028b",
])  # fmt: skip
def test_what_is_no_public_key_is_refused(file: Any, line: str) -> None:
    assert refused(user="ada", keys=(file(line),))[0] == "guest.ssh_key"


@pytest.mark.parametrize("content", ["", "\n", "one\ntwo\n", "a\tb", b"\xff\xfe", "x" * ((1 << 20) + 1)])
def test_a_password_is_one_line(file: Any, content: Any) -> None:
    code, message = refused(user="ada", password=file(content, "secret"))
    assert code == "guest.seed"
    assert "secret" in message


@pytest.mark.parametrize("content", ["geheim", "$6$salt", "$1x$aaaaaaaa", "ab01FAX.bQRSU", "$6$salt$hash with a blank"])
def test_what_is_no_hash_is_refused_and_not_shown(file: Any, content: str) -> None:
    code, message = refused(user="ada", secret=file(content))
    assert code == "guest.seed"
    assert content not in message


@pytest.mark.parametrize(("option", "content"), [
    ("user_data", "password: x\n"), ("user_data", ""), ("user_data", b"\x1f\x8b\x08"), ("network_config", "- a\n- b\n"),
    ("network_config", ""),
])  # fmt: skip
def test_a_file_that_is_nothing_for_cloud_init_is_refused(file: Any, option: str, content: Any) -> None:
    code, message = refused(**{option: file(content)})
    assert code == "guest.seed"
    assert f"--{option.replace('_', '-')}" in message


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(user="ada", keys=(str(tmp_path / "none"),))[1]
    assert "is a directory" in refused(user="ada", keys=(str(tmp_path),))[1]


# The mark in the guest's configuration

XML = """<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>web</name>
<metadata><m:seed xmlns:m='urn:vfioctl:seed' file='/p/web-seed.iso' run='no'/><x:y xmlns:x='urn:x'>z</x:y></metadata>
<devices><disk><source file='/p/web.qcow2'/><target dev='vda'/></disk>
<disk><source file='/p/web-seed.iso'/><target dev='vdb'/></disk></devices>
<qemu:commandline><qemu:arg value='-x'/></qemu:commandline></domain>"""


def test_the_mark_says_which_disk_it_is_and_whether_it_has_run() -> None:
    assert mark.marked(XML) == mark.Marked("/p/web-seed.iso", "vdb", run=False)
    assert mark.marked(mark.with_run(XML)) == mark.Marked("/p/web-seed.iso", "vdb", run=True)


def test_a_seed_that_was_detached_by_hand_is_none_any_more() -> None:
    assert mark.marked(re.sub(r"<disk><source file='/p/web-seed.*?</disk>", "", XML)) is None


def test_without_it_the_rest_stays_as_it_is() -> None:
    left = mark.without(XML)
    assert mark.marked(left) is None
    assert "seed" not in left
    assert "/p/web.qcow2" in left
    assert 'qemu:arg value="-x"' in left
    assert "x:y" in left


# How its guest has ended

BEGUN = "2026-01-02 03:04:05.678+0000: starting up libvirt version: 11.3.0\nLC_ALL=C \\\n/usr/bin/qemu-system-x86_64\n"
ENDED = "2026-01-02 04:04:05.678+0000: shutting down, reason={}\n"


@pytest.mark.parametrize(("log", "clean"), [
    ("", False), (BEGUN, False), (BEGUN + ENDED.format("shutdown"), True), (BEGUN + ENDED.format("crashed"), False),
    (BEGUN + ENDED.format("shutdown") + BEGUN, False), ("x\n" * 99999 + ENDED.format("shutdown"), True),
])  # fmt: skip
def test_libvirts_log_says_how_the_last_run_ended(tmp_path: Path, log: str, clean: bool) -> None:  # noqa: FBT001
    file = tmp_path / "var/log/libvirt/qemu/web.log"
    file.parent.mkdir(parents=True)
    file.write_text(log)
    assert ended(tmp_path) is clean


def test_what_libvirt_knows_itself_counts_before_its_log_and_without_either_nobody_knows(tmp_path: Path) -> None:
    assert ended(tmp_path, "shutdown")
    for word in ("", "destroyed", "crashed", "saved", "failed"):
        assert not ended(tmp_path, word)


def ended(root: Path, word: str = "") -> bool:
    """Whether the guest web, of which libvirt says `word`, has shut down."""
    call = Call()
    call.paths = Paths(str(root))  # type: ignore[attr-defined]
    guest = Guest(UUID, "web", "off", persistent=True, saved=False, xml="", ended=word)
    about = Subject(guest, "local", "qemu:///system", local=True, managed=False)
    return has_shut_down(call, about)  # type: ignore[arg-type]
