"""ipmeprint and hostname: what this machine is called and where it is."""

from __future__ import annotations

import os
from pathlib import Path

from qmail.core import ipme
from tests.support import launchers
from tests.support.launchers import Result


def test_ipmeprint_begins_with_the_address_that_means_us_all() -> None:
    shown = launchers.run(launchers.ours("ipmeprint"))
    lines = shown.out.splitlines()
    assert (shown.code, shown.err, lines[0]) == (0, b"", b"0.0.0.0")
    assert b"127.0.0.1" in lines
    assert set(lines) == ipme.addresses()
    families = [b":" in line for line in lines]
    assert families == sorted(families)


def test_hostname_prints_the_kernels_name() -> None:
    assert launchers.run(launchers.ours("hostname")) == Result(0, os.uname().nodename.encode() + b"\n", b"")


def test_hostname_with_words_is_the_systems_own(tmp_path: Path) -> None:
    other = tmp_path / "hostname"
    other.write_text('#!/bin/sh\necho "other $*"\n')
    other.chmod(0o755)
    path = f"{launchers.directory()}::{tmp_path}:/bin"
    assert launchers.run(launchers.ours("hostname"), "-f", "x", env={"PATH": path}) == Result(0, b"other -f x\n", b"")
