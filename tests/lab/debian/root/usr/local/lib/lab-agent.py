"""Waits on the virtio-serial port for an order of the outside, unpacks /dev/vdb into /lab, and runs it there.

The only part of the lab's own code that is in the image, so it must know nothing of scenarios. Each order runs in a
fork: this process is saved with the machine and must not keep old modules.
"""

import io
import json
import os
import subprocess
import sys
import time

PORT = "/dev/virtio-ports/lab.0"
DEADLINE = 600


def port() -> io.FileIO:
    """The port, as soon as udev has made it."""
    end = time.monotonic() + DEADLINE
    while not os.path.exists(PORT):
        if time.monotonic() > end:
            sys.exit(f"There is no {PORT}.")
        time.sleep(0.1)
    return io.FileIO(PORT, "r+")


def unpack() -> None:
    """/dev/vdb is a tar file; what the page cache holds of it may be from before the machine was saved."""
    subprocess.run(["find", "/lab", "-mindepth", "1", "-delete"], check=True)
    subprocess.run(["blockdev", "--flushbufs", "/dev/vdb"], check=True)
    subprocess.run(["tar", "-xf", "/dev/vdb", "-C", "/lab", "--no-same-owner"], check=True)


def obey(order: dict[str, object], line: io.FileIO) -> None:
    unpack()
    sys.path.insert(0, "/lab")
    from tests.lab.inside import main

    main.run(order, line)


def main() -> None:
    line = port()
    rest = b""
    line.write(b'{"event": "booted"}\n')
    while True:
        while b"\n" not in rest:
            rest += line.read(65536) or b""
        text, _, rest = rest.partition(b"\n")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                obey(json.loads(text), line)
                status = 0
            finally:
                sys.stdout.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        line.write(json.dumps({"event": "done", "status": status}).encode() + b"\n")


main()
