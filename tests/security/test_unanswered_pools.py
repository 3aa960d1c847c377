"""A pool on a share whose server is gone holds none of the verbs that look at its files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from pool_looks import LOOKS, Call
from silent import needs_fuse, silent

from vfioctl.errors import Refused

pytestmark = [needs_fuse, pytest.mark.usefixtures("alone")]
LIMIT = 25.0  # seconds: a look has 10


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_at_a_share_that_is_silent_ends_and_names_it(place: Path, look: str) -> None:
    os.mkdir(place / "share")
    with silent(place / "share") as share:
        began = time.monotonic()
        with pytest.raises(Refused, match=share) as caught:
            LOOKS[look](Call(), f"{share}/link/fast")
        assert caught.value.code == "path.unanswered"
        assert time.monotonic() - began < LIMIT
