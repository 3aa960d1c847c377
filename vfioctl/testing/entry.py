"""The kit's own console script, `python -m vfioctl.testing.entry --root ROOT …`, composed of vfioctl's own parts.

It differs from vfioctl/entry.py in the root, in what starts it again, and in the count of journal boundaries.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from vfioctl.checking import TYPE_CHECKING
from vfioctl.entry import INTERRUPTED, dispatch, end, prepare_process

if TYPE_CHECKING:
    from vfioctl.compose import Composition

MODULE = "vfioctl.testing.entry"
UNCOUNTED = ".kit/uncounted"  # where this file is, no boundary is counted and nobody dies: benchmarks make it
USAGE = 2


def composition(root: str) -> Composition:
    """The parts of the simulated host below `root`."""
    from vfioctl.compose import compose  # this import is the hook's, as in vfioctl/entry.py

    plain = compose(root, MODULE)
    if os.path.exists(os.path.join(root, UNCOUNTED)):
        return plain
    from vfioctl.frozen import replace
    from vfioctl.testing.crash import boundary

    return replace(plain, observe=boundary(root))


def main(argv: Sequence[str]) -> int:
    """Run one command line on the simulated host; --root comes first, as in `Composition.self_argv`."""
    if len(argv) < USAGE or argv[0] != "--root":
        sys.stderr.write("Say which machine: python -m vfioctl.testing.entry --root ROOT …\n")
        return USAGE
    prepare_process()
    try:
        return dispatch(composition(os.path.abspath(argv[1])), argv[2:])
    except KeyboardInterrupt:  # as in vfioctl/entry.py
        return INTERRUPTED


if __name__ == "__main__":
    end(sys.argv[3:], main(sys.argv[1:]))
