"""The ISO image of a seed, made in memory. Needs pycdlib, which is imported with the first image."""

from __future__ import annotations

import io
from collections.abc import Mapping

LABEL = "CIDATA"  # by which cloud-init finds it, on whatever disk it is
LEVEL, JOLIET, ROCK_RIDGE = 3, 3, "1.09"


def image(files: Mapping[str, bytes]) -> bytes:
    """An ISO 9660 image with `files` in its root, under their own names by Rock Ridge and by Joliet.

    The plain names of ISO 9660 are too short for cloud-init's.
    """
    import pycdlib

    made, written = pycdlib.PyCdlib(), io.BytesIO()
    made.new(interchange_level=LEVEL, joliet=JOLIET, rock_ridge=ROCK_RIDGE, vol_ident=LABEL)
    for number, (name, content) in enumerate(files.items()):
        made.add_fp(io.BytesIO(content), len(content), f"/F{number}.;1", rr_name=name, joliet_path=f"/{name}")
    made.write_fp(written)
    made.close()
    return written.getvalue()
