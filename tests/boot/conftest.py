"""The Debian package of this checkout, for all machines that boot by a loader of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from debian_package import build
from wheel_set import wheels

from tests.lab import loaders


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.geteuid() != 0:
        pytest.skip("a tree of Debian needs root")
    if why := loaders.missing():
        pytest.skip(why)
    place = tmp_path_factory.mktemp("package")
    return build(wheels(place / "wheels"), place)
