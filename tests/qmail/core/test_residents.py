"""Children that run a main several times: who stays, and who is replaced."""

from __future__ import annotations

import os
import select
import signal

import pytest

from qmail.core.residents import IDLE, LIFE, LOST, Residents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ME = (1, 1)
OTHER = (2, 2)


def program(argv: Sequence[bytes], env: Mapping[bytes, bytes], how: object) -> int:
    """Says its pid and what it reads, then does as its first word says."""
    os.write(1, b"%d " % os.getpid() + os.read(0, 100))
    word = argv[0]
    if word == b"fail":
        return 100
    if word == b"crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == b"quit":
        os._exit(0)
    if word == b"bug":
        raise ValueError
    if word == b"child":
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    if word == b"descriptor":
        os.dup(0)
    if word == b"handler":
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
    if word == b"chdir":
        os.chdir("/")
    return 0


class Crew:
    """Residents and one message."""

    def __init__(self, path: Path) -> None:
        self.message = path / "message"
        self.message.write_bytes(b"hello")
        self.residents = Residents(program, {}, os.fsencode(path))

    def run(self, *argv: bytes, key: tuple[int, int] = ME) -> tuple[int, int, bytes]:
        """Wait status, the pid, and what it read."""
        out, output = os.pipe()
        message = os.open(self.message, os.O_RDONLY)
        child = self.residents.start(key, lambda: None, list(argv), message, output)
        os.close(message)
        os.close(output)
        said = b""
        while data := os.read(out, 4096):
            said += data
        os.close(out)
        while (status := child.status()) is None:
            event = child.event()
            assert select.select([event], [], [], 10)[0]
            os.close(event)
        pid, _, text = said.partition(b" ")
        return status, int(pid), text


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path)
    yield crew
    while crew.residents.rest():
        pass


@pytest.mark.parametrize("word", [b"well", b"chdir"])
def test_who_ran_well_runs_again_and_reads_the_message_anew(crew: Crew, word: bytes) -> None:
    first, second = crew.run(word), crew.run(word, b"second")
    assert first == second == (0, first[1], b"hello")


ENDS = [(b"fail", 100 << 8), (b"child", 0), (b"descriptor", 0), (b"handler", 0)]
ENDS += [(b"crash", signal.SIGKILL), (b"quit", LOST), (b"bug", 126 << 8)]


@pytest.mark.parametrize(("word", "status"), ENDS)
def test_who_failed_or_left_something_behind_is_replaced(crew: Crew, word: bytes, status: int) -> None:
    before = crew.run(b"well")
    there = crew.run(word)
    assert there[:2] == (status, before[1])
    assert there[2].startswith(b"hello")
    assert crew.run(b"well")[1] != before[1]


def test_one_user_never_meets_the_process_of_another(crew: Crew) -> None:
    mine, others = crew.run(b"well"), crew.run(b"well", key=OTHER)
    assert mine[1] != others[1]
    assert (crew.run(b"well")[1], crew.run(b"well", key=OTHER)[1]) == (mine[1], others[1])


def test_nobody_stays_for_ever(crew: Crew) -> None:
    pids = [crew.run(b"well")[1] for _ in range(LIFE + 1)]
    assert len(set(pids[:LIFE])) == 1
    assert pids[LIFE] != pids[0]


def test_who_was_killed_while_waiting_is_replaced(crew: Crew) -> None:
    pid = crew.run(b"well")[1]
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    status, another, _ = crew.run(b"well")
    assert (status, another != pid) == (0, True)


def test_after_a_rest_all_are_gone(crew: Crew) -> None:
    pids = [crew.run(b"well", key=key)[1] for key in (ME, OTHER)]
    while crew.residents.rest():
        pass
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_only_so_many_wait(crew: Crew) -> None:
    first = crew.run(b"well", key=(0, 0))[1]
    for n in range(1, IDLE + 1):
        crew.run(b"well", key=(n, n))
    assert crew.run(b"well", key=(0, 0))[1] != first
