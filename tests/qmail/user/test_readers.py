"""elq, pinq, qail: elm, pine and Mail on a maildir."""

from __future__ import annotations

import os

import pytest

from tests.support import launchers
from tests.support.dotcommand import Delivery, delivery
from tests.support.launchers import Result

__all__ = ["delivery"]

READERS = [("elq", "elm"), ("pinq", "pine"), ("qail", "Mail")]


def prepare(delivery: Delivery, reader: str) -> None:
    for part in ("tmp", "new", "cur"):
        (delivery.path / "M" / part).mkdir(parents=True)
    (delivery.path / "M" / "new" / "1").write_bytes(b"Subject: x\n\nbody\n")
    os.utime(delivery.path / "M" / "new" / "1", (1, 1))
    (delivery.path / reader).write_text('#!/bin/sh\necho "$@"\ncat "$MAIL"\nexit 3\n')
    (delivery.path / reader).chmod(0o755)
    place = str(delivery.path)
    delivery.env.update(MAILDIR=place + "/M", MAIL=place + "/mbox", MAILTMP=place + "/mboxtmp")
    delivery.env["PATH"] = f"{place}:{delivery.env['PATH']}"


@pytest.mark.parametrize(("program", "reader"), READERS)
def test_the_reader_finds_the_mail_in_the_mbox(delivery: Delivery, program: str, reader: str) -> None:
    prepare(delivery, reader)
    text = b"-f x\nFrom XXX Thu Jan 01 00:00:01 1970\nSubject: x\n\nbody\n\n"
    assert delivery.run(program, "-f", "x") == Result(3, text, b"")


@pytest.mark.parametrize(("program", "reader"), READERS)
def test_without_the_mbox_there_is_no_reading(delivery: Delivery, program: str, reader: str) -> None:
    prepare(delivery, reader)
    del delivery.env["MAILTMP"]
    assert delivery.run(program) == Result(111, b"", b"maildir2mbox: fatal: MAILTMP not set\n")


@pytest.mark.parametrize(("program", "reader"), READERS)
def test_a_reader_that_is_not_installed_is_named(delivery: Delivery, program: str, reader: str) -> None:
    prepare(delivery, reader)
    (delivery.path / reader).unlink()
    delivery.env["PATH"] = f"{delivery.path}:{launchers.directory()}"  # this machine may have one
    text = f"{program}: fatal: unable to run {reader}: file does not exist\n"
    assert delivery.run(program) == Result(111, b"", text.encode())
