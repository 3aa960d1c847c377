"""Who comes into a guest of a private libvirtd by ssh: with a key, or with a password that nobody types."""

from __future__ import annotations

import shlex
from typing import Any

OPTIONS = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "ConnectTimeout=30")
BY_KEY = ("PasswordAuthentication=no",)
BY_PASSWORD = ("PubkeyAuthentication=no", "NumberOfPasswordPrompts=1")


def comes_in(host: Any, who: str, *, key: str = "", password: str = "") -> bool:
    """Whether `who` (USER@ADDRESS) can run a program there: with the private file `key`, else with the `password`."""
    ask = host.place / "ask"
    ask.write_text(f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(password)}\n")
    ask.chmod(0o700)
    said = [f"-o{option}" for option in (*OPTIONS, *(BY_KEY if key else BY_PASSWORD))] + (["-i", key] if key else [])
    ended = host.run("env", f"SSH_ASKPASS={ask}", "SSH_ASKPASS_REQUIRE=force", "ssh", *said, who, "echo", "in")
    assert ended.returncode in (0, 255), ended.stderr
    return bool(ended.stdout == "in\n")
