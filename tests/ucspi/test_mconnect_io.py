"""mconnect-io: descriptor 0 to 7 with CR LF, 6 to 1, until 6 is at its end."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.support import launchers


@pytest.mark.parametrize("whose", [launchers.ours, launchers.original])
def test_lines_go_out_with_carriage_returns_and_come_in_as_they_are(whose: object) -> None:
    program = whose("mconnect-io")  # type: ignore[operator]
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(10)
        code = f"import os, sys; [os.dup2({there.fileno()}, n) for n in (6, 7)]; os.execv(sys.argv[1], sys.argv[1:])"
        argv = [sys.executable, "-IS", "-c", code, program]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[there.fileno()]) as child:
            there.close()
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(b"one\ntwo\r\nthree")
            child.stdin.close()
            told = b""
            while len(told) < len(b"one\r\ntwo\r\r\nthree"):
                told += here.recv(100)
            assert told == b"one\r\ntwo\r\r\nthree"
            here.sendall(b"220 hello\r\n")  # the end of descriptor 0 has ended nothing
            here.close()
            assert child.stdout.read() == b"220 hello\r\n"
            assert child.wait(10) == 0
