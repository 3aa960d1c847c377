"""Many questions at once, to one daemon or to several: over a network each waits for its way there and back."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

AT_ONCE = 5  # a daemon works on that many of one client (max_client_requests in libvirtd.conf)
A = TypeVar("A")
T = TypeVar("T")


def together(work: Callable[[A], T], items: Iterable[A], *, at_once: int = AT_ONCE) -> list[T]:
    """What `work` gives for each of `items`, in their order. Raises what the first that fails raises.

    Nobody waits for the threads of a daemon that hangs when the process ends, as for those of `concurrent.futures`.
    """
    left = deque(enumerate(items))
    given: dict[int, T] = {}
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            while not raised and (next_one := _taken(left)):
                number, item = next_one
                given[number] = work(item)
        except BaseException as error:  # noqa: BLE001 -- raised below, where it is waited for
            raised.append(error)

    threads = [threading.Thread(target=ask, daemon=True, name="libvirt") for _ in range(min(at_once, len(left)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
    return [given[number] for number in sorted(given)]


def _taken(left: deque[T]) -> T | None:
    """The first of `left`, which other threads take from too."""
    try:
        return left.popleft()
    except IndexError:
        return None
