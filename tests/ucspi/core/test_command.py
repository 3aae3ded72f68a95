"""The shell around every program: options as djb's getopt reads them, messages, exit codes."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ucspi.core import chain
from ucspi.core.command import Attached, Call, Flag, Program, Value
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure

PROGRAM = Program(
    "prog",
    "Do it.  prog(1).\n\n    prog [-qv] word\n\nExits 0.",
    options=(
        Flag("q", "Quiet."),
        Flag("v", "Verbose."),
        Value("c", "LIMIT", "A limit."),
        Attached("a", "WORD", "Or none."),
    ),
    usage="prog [ -qv ] [ -c limit ] word",
    operands="WORD",
)
USAGE = b"prog: usage: prog [ -qv ] [ -c limit ] word\n"
PLAIN = Program("plain", "No options.", operands="WORD")


def run(body: Callable[[Call], int], *words: bytes, program: Program = PROGRAM, argv0: bytes = b"/usr/bin/prog") -> int:
    return program.entry(body)([argv0, *words], {b"PATH": b"/bin"}, chain.Process())


@pytest.mark.parametrize(
    ("words", "options", "operands"),
    [
        ("", [], ""),
        ("word -q", [], "word -q"),
        ("-q word", [("q", None)], "word"),
        ("-qv word", [("q", None), ("v", None)], "word"),
        ("-c5 word", [("c", b"5")], "word"),
        ("-c 5 word", [("c", b"5")], "word"),
        ("-qc5 word", [("q", None), ("c", b"5")], "word"),
        ("-qc -v word", [("q", None), ("c", b"-v")], "word"),
        ("-c -- word", [("c", b"--")], "word"),
        ("-q -- -v", [("q", None)], "-v"),
        ("-- -- x", [], "-- x"),
        ("- -q", [], "- -q"),
        ("-q - -v", [("q", None)], "- -v"),
        ("-v -q -v", [("v", None), ("q", None), ("v", None)], ""),
        ("-aword x", [("a", b"word")], "x"),
        ("-a word", [("a", b"")], "word"),
        ("-c5 -c6", [("c", b"5"), ("c", b"6")], ""),
    ],
)
def test_options_end_at_the_first_word_that_is_none(
    words: str, options: list[tuple[str, bytes | None]], operands: str
) -> None:
    found = PROGRAM.parse([b"prog", *words.encode().split()])
    assert found == (options, operands.encode().split())


def test_the_empty_word_is_a_value_and_an_operand() -> None:
    assert PROGRAM.parse([b"prog", b"-c", b"", b"", b"-q"]) == ([("c", b"")], [b"", b"-q"])


def test_a_program_without_options_takes_every_word() -> None:
    assert PLAIN.parse([b"plain", b"-q", b"--", b"-"]) == ([], [b"-q", b"--", b"-"])


def test_the_last_of_several_flags_and_values_counts() -> None:
    seen = []

    def body(call: Call) -> int:
        seen.append((call.last("qv"), call.last("x", "none"), call.value("c"), call.value("a", b"default")))
        return 0

    run(body, b"-vq", b"-c5", b"-v", b"-c6")
    assert seen == [("v", "none", b"6", b"default")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([b"-x"], b"myname: illegal option -- x\n" + USAGE),
        ([b"-qx"], b"myname: illegal option -- x\n" + USAGE),
        ([b"-\xff"], b"myname: illegal option -- \xff\n" + USAGE),
        ([b"-c"], b"myname: option requires an argument -- c\n" + USAGE),
    ],
)
def test_a_bad_option_is_told_with_the_name_it_was_called_by(
    words: list[bytes], message: bytes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(lambda call: 9, *words, argv0=b"/some/where/myname") == 100
    assert capfdbinary.readouterr() == (b"", message)


def fail(error: BaseException) -> Callable[[Call], int]:
    def body(call: Call) -> int:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (TemporaryFailure("unable to go on"), 111, b"prog: fatal: unable to go on\n"),
        (PermanentFailure("never"), 100, b"prog: fatal: never\n"),
        (UsageFailure(), 100, USAGE),
        (UsageFailure("prog: no such limit"), 100, b"prog: no such limit\n" + USAGE),
        (FileNotFoundError(errno.ENOENT, "x", "file"), 111, b"prog: fatal: file: file does not exist\n"),
        (PermissionError(errno.EACCES, "x", b"\xff"), 111, b"prog: fatal: \xff: access denied\n"),
        (OSError(errno.ENOSPC, "x"), 111, b"prog: fatal: system call failed: out of disk space\n"),
        (MemoryError(), 111, b"prog: fatal: out of memory\n"),
    ],
)
def test_every_failure_is_a_line_and_an_exit_code(
    error: BaseException, code: int, message: bytes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(fail(error)) == code
    assert capfdbinary.readouterr() == (b"", message)


def test_a_bug_is_one_line_and_temporary(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(fail(KeyError("two\nlines"))) == 111
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert err.startswith(b"prog: fatal: internal error: test_command.py:")
    assert err.count(b"\n") == 1


def test_the_usage_code_is_the_programs_own() -> None:
    program = Program("prog", "", usage_exit=2)
    assert run(fail(UsageFailure()), program=program) == 2


def test_a_warning_is_one_write(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    def body(call: Call) -> int:
        call.warn("text")
        call.warn(b"\xffbytes")
        return 3

    assert run(body) == 3
    assert capfdbinary.readouterr().err == b"prog: text\nprog: \xffbytes\n"


def test_the_environment_is_a_private_copy_and_the_search_keeps_to_the_path_that_was() -> None:
    env = {b"PATH": b"/bin", b"A": b"1"}

    def body(call: Call) -> int:
        call.env[b"PATH"] = b"/nowhere"
        call.env[b"B"] = b"2"
        pid = call.spawn([b"sh", b"-c", b'test "$PATH$A$B" = /nowhere12'])
        return os.waitpid(pid, 0)[1] >> 8

    assert PROGRAM.entry(body)([b"prog"], env, chain.Process()) == 0
    assert env == {b"PATH": b"/bin", b"A": b"1"}


def test_a_childs_end_is_heard_of_though_sigchld_came_ignored() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        call = Call(PROGRAM, [b"prog"], {b"PATH": b"/bin:/usr/bin"}, chain.Process())
        assert os.waitstatus_to_exitcode(os.waitpid(call.spawn([b"sh", b"-c", b"exit 7"]), 0)[1]) == 7
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_what_cannot_be_found_is_an_error_of_the_system(tmp_path: Path) -> None:
    def body(call: Call) -> int:
        for start in (call.spawn, call.execute):
            with pytest.raises(FileNotFoundError):
                start([b"no-such-program"])
            with pytest.raises(PermissionError):
                start([os.fsencode(tmp_path)])
        return 0

    assert run(body) == 0


def test_help_and_version_stand_alone_and_are_words_elsewhere(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(lambda call: 9, b"--version") == 0
    assert capfdbinary.readouterr().out.startswith(b"prog ")
    assert run(lambda call: 9, b"--help") == 0
    text = capfdbinary.readouterr().out
    for word in (b"prog [OPTIONS] WORD", b"Do it.", b"-c LIMIT", b"A limit.", b"Exits 0."):
        assert word in text
    assert run(lambda call: len(call.operands), b"--help", b"x", program=PLAIN) == 2
