"""The loop of the spawn programs, run in a process of its own; its deliveries are lines for sh."""

from __future__ import annotations

import os
import signal

import pytest

from qmail.core.spawn import TOO_LONG, Delivery, Spawner
from qmail.core.spawnproto import Command, ReportReader, pack_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Shell(Delivery):
    """Runs the sender as a shell command; the report is K, the wait status and the output."""

    def start(self, message: int, output: int) -> int | bytes:
        if self.command.sender == b"nothing to start":
            return b"Kno child"
        if self.command.sender == b"no process":
            raise BlockingIOError
        actions = [
            (os.POSIX_SPAWN_DUP2, message, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ]
        return os.posix_spawn("/bin/sh", ["sh", "-c", self.command.sender], os.environ, file_actions=actions)

    def finish(self, status: int, output: bytes) -> bytes | None:
        return b"K%d " % os.waitstatus_to_exitcode(status) + output


class Twice(Shell):
    """Starts a second time when the first output is `again`."""

    def finish(self, status: int, output: bytes) -> bytes | None:
        if output.startswith(b"again"):
            self.command = Command(self.command.delnum, self.command.messid, b"cat", self.command.recipient)
            return None
        return super().finish(status, output)


@pytest.fixture
def mess(tmp_path: Path) -> Path:
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "28").write_bytes(b"a message\n")
    return tmp_path


def spawner(
    mess: Path,
    commands: bytes,
    make: Callable[[Command], Delivery] = Shell,
    truncate: int | None = None,
    owner: int | None = None,
    read: bool = True,
) -> tuple[bytes, int]:
    """All that a Spawner writes for these commands, and its wait status."""
    command_out, command_in = os.pipe()
    report_out, report_in = os.pipe()
    if not read:
        os.close(report_out)
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(20)
            os.dup2(command_out, 0)
            os.dup2(report_in, 1)
            os.closerange(3, 65536)  # all there may be: the commands end when nobody holds their other end
            os.chdir(mess)
            os._exit(Spawner(os.getuid() if owner is None else owner, make, truncate).run())
        finally:
            os._exit(99)
    os.close(command_out)
    os.close(report_in)
    os.write(command_in, commands)
    os.close(command_in)
    said = b""
    if read:
        while data := os.read(report_out, 65536):
            said += data
        os.close(report_out)
    return said, os.waitpid(pid, 0)[1]


def reports(said: bytes) -> list[tuple[int, bytes]]:
    assert said[:1] == b"x"  # the concurrency limit, 120
    return sorted((delnum, letter + text) for delnum, letter, text in ReportReader().feed(said[1:]))


def ask(sender: bytes, delnum: int = 0, messid: bytes = b"5/28", recipient: bytes = b"r@h") -> bytes:
    return pack_command(delnum, messid, sender, recipient)


def test_at_the_end_of_the_commands_it_exits_0(mess: Path) -> None:
    assert spawner(mess, b"") == (b"x", 0)
    assert spawner(mess, b"\0005/28\0half a comm") == (b"x", 0)


OBJECTIONS = [
    (ask(b"", delnum=120), b"ZInternal error: delnum too big. (#4.3.5)\n"),
    (ask(b"", delnum=255), b"ZInternal error: delnum too big. (#4.3.5)\n"),
    (ask(b"", messid=b"5/2x"), b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
    (ask(b"", messid=b"../mess"), b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
    (ask(b"", messid=b"/5/28"), b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
    (ask(b"", messid=b"5" * 100), b"DInternal error: messid too long. (#5.3.5)\n"),
    (ask(b"", messid=b""), b"DInternal error: messid too short. (#5.3.5)\n"),
    (ask(b"", recipient=b"nohost"), b"DSorry, address must include host name. (#5.1.3)\n"),
    (ask(b"", messid=b"5/29"), b"Zqmail-spawn unable to open message. (#4.3.0)\n"),
    (ask(b"", messid=b"5"), b"ZSorry, message has wrong type. (#4.3.5)\n"),
    (ask(b"no process"), b"Zqmail-spawn unable to fork. (#4.3.0)\n"),
]


@pytest.mark.parametrize(("command", "text"), OBJECTIONS)
def test_a_command_that_cannot_be_obeyed_is_answered_at_once(mess: Path, command: bytes, text: bytes) -> None:
    assert reports(spawner(mess, command)[0]) == [(command[0], text)]


def test_a_message_that_is_not_the_queue_owners_is_refused(mess: Path) -> None:
    said, _ = spawner(mess, ask(b"cat"), owner=os.getuid() + 1)
    assert reports(said) == [(0, b"ZSorry, message has wrong owner. (#4.3.5)\n")]


def test_a_delnum_in_use_is_refused_and_free_again_later(mess: Path) -> None:
    said, _ = spawner(mess, ask(b"sleep 0.1") + ask(b"true"))
    assert said == b"x\0ZInternal error: delnum in use. (#4.3.5)\n\0\0K0 \0"


def test_the_child_reads_the_message_from_its_start_and_both_outputs_are_the_report(mess: Path) -> None:
    said, status = spawner(mess, ask(b"cat; echo e >&2") + ask(b"cat; exit 3", 7) + ask(b"kill -9 $$", 119))
    assert reports(said) == [(0, b"K0 a message\ne\n"), (7, b"K3 a message\n"), (119, b"K-9 ")]
    assert status == 0


def test_a_report_needs_no_child(mess: Path) -> None:
    assert reports(spawner(mess, ask(b"nothing to start", 3) * 2)[0]) == [(3, b"Kno child")] * 2


def test_a_background_process_that_holds_the_pipe_delays_the_report(mess: Path) -> None:
    said, _ = spawner(mess, ask(b"(sleep 0.1; echo late) & echo early; exit 4"))
    assert reports(said) == [(0, b"K4 early\nlate\n")]


def test_a_child_that_closes_its_output_early_is_still_waited_for(mess: Path) -> None:
    said, _ = spawner(mess, ask(b"exec >&- 2>&-; sleep 0.1; exit 5") + ask(b"exit 6", 1))
    assert reports(said) == [(0, b"K5 "), (1, b"K6 ")]


def test_without_pidfd_a_dying_child_is_waited_for_all_the_same(mess: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    said, _ = spawner(mess, ask(b"exec >&- 2>&-; sleep 0.05; exit 5") + ask(b"exit 6", 1))
    assert reports(said) == [(0, b"K5 "), (1, b"K6 ")]


def test_a_delivery_may_have_two_stages_and_each_reads_the_message(mess: Path) -> None:
    said, _ = spawner(mess, ask(b"echo again; cat"), Twice)
    assert reports(said) == [(0, b"K0 a message\n")]


@pytest.mark.parametrize("size", [3001, 6000, 20000])
def test_a_long_output_is_cut_with_an_apology(mess: Path, size: int) -> None:
    said, _ = spawner(mess, ask(b"printf %%0%dd 0" % size), truncate=3000)
    ((_, text),) = reports(said)
    assert text[:2969] == b"K0 " + b"0" * 2966
    assert text[2969:].startswith(TOO_LONG[:31])
    assert len(text) <= 3003


def test_3000_bytes_are_not_cut_and_rspawn_cuts_nothing(mess: Path) -> None:
    assert reports(spawner(mess, ask(b"printf %03000d 0"), truncate=3000)[0]) == [(0, b"K0 " + b"0" * 3000)]
    assert len(spawner(mess, ask(b"printf %09000d 0"))[0]) == 9000 + 1 + 5


def test_120_deliveries_run_at_once(mess: Path) -> None:
    said, _ = spawner(mess, b"".join(ask(b"exit %d" % (i % 100), i) for i in range(120)))
    assert reports(said) == [(i, b"K%d " % (i % 100)) for i in range(120)]


def test_when_nobody_reads_the_reports_deliveries_still_finish(mess: Path) -> None:
    done = mess / "done"
    _, status = spawner(mess, ask(b"sleep 0.05; : >%b" % os.fsencode(done)), read=False)
    assert (done.exists(), status) == (True, 0)
