"""A share that never answers is named by what the verbs of pools, volumes and templates look at; none waits for it.

What does not answer was silent a moment ago: nobody asks it again (tests/security has a share that really is).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pool_looks import LOOKS, Call

from vfioctl.plugin import Refused


def beside_silence(share: Path) -> Call:
    """A caller on a host whose directory `share` has just been silent."""
    call = Call()
    call.host().reach.silence(str(share / "any"))
    call.host().reach._doubtful = {str(share): "nfs4"}
    return call


@pytest.mark.parametrize("look", LOOKS)
def test_what_does_not_answer_is_named(tmp_path: Path, look: str) -> None:
    with pytest.raises(Refused, match=str(tmp_path)) as caught:
        LOOKS[look](beside_silence(tmp_path), str(tmp_path / "fast"))
    assert caught.value.code == "path.unanswered"
