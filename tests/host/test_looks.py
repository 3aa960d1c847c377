"""Looks at files that may not answer: one child, one deadline, and the path that hangs is named."""

from __future__ import annotations

import os
import time

import pytest

from vfioctl.host import images, looks
from vfioctl.host.looks import ABSENT, THERE, TOO_LONG, UNKNOWN, UNSTATED, Answer, Question, look
from vfioctl.paths import Paths


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "here").touch()
    return Paths(str(tmp_path))


def test_what_is_there_and_what_is_not(paths):
    found = look(paths, (Question("/here"), Question("/gone"), Question("/here/below")))
    assert found == (Answer("/here", THERE), Answer("/gone", ABSENT), Answer("/here/below", ABSENT))


def test_the_device_of_a_node_is_said(paths):
    os.symlink("/dev/null", paths.at("/null"))
    assert look(paths, (Question("/null"),)) == (Answer("/null", THERE, node="char/1:3"),)


def test_a_name_that_no_file_can_have_is_not_decided(paths):
    assert look(paths, (Question("/" + "x" * 300),))[0].state == UNKNOWN


def test_with_nothing_to_ask_no_child_is_forked(paths, monkeypatch):
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a child was forked"))
    assert look(paths, ()) == ()


def test_the_path_that_hangs_is_named_and_what_was_found_before_is_kept(paths, monkeypatch):
    real = os.stat

    def stat(path, *rest, **more):
        return time.sleep(60) if str(path).endswith("/nfs") else real(path, *rest, **more)

    monkeypatch.setattr(looks.os, "stat", stat)
    found = look(paths, (Question("/gone"), Question("/nfs"), Question("/here")), deadline=0.3)
    assert found == (Answer("/gone", ABSENT), Answer("/nfs", UNKNOWN, hung=True), Answer("/here", UNKNOWN))


def test_what_is_missing_below_an_image_is_named_with_the_image(paths, monkeypatch):
    monkeypatch.setattr(images, "follow", lambda *_: images.Chain(missing="/base", above="/here"))
    assert look(paths, (Question("/here", "qcow2"),)) == (Answer("/base", ABSENT, "/here"),)


def test_an_image_whose_format_is_not_stated_is_named_with_the_one_above(paths, monkeypatch):
    monkeypatch.setattr(images, "follow", lambda *_: images.Chain(unstated="/base", above="/here"))
    assert look(paths, (Question("/here", "qcow2"),)) == (Answer("/base", UNSTATED, "/here"),)


def test_a_chain_that_is_too_long(paths, monkeypatch):
    monkeypatch.setattr(images, "follow", lambda *_: images.Chain(too_long=True))
    assert look(paths, (Question("/here", "qcow2"),)) == (Answer("/here", TOO_LONG),)


def test_an_image_whose_header_cannot_be_read_is_there(paths, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(images, "follow", refuse)
    assert look(paths, (Question("/here", "qcow2"),)) == (Answer("/here", THERE),)
