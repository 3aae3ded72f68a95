"""Programs started through their launchers, in a worker and by exec: both must find and leave the same."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.server import WAYS, Server, normal


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LC_CTYPE": "C.UTF-8"}, {"LANG": "C", "LC_CTYPE": "POSIX"}])
@pytest.mark.parametrize("way", WAYS)
def test_the_environment_arrives_exactly(way: str, locale: dict[str, str]) -> None:
    given = {**locale, **WAYS[way], "EMPTY": "", "BYTES": b"\xff\n="}
    done = launchers.run(launchers.ours("argv0"), "argv0", "x", "env", "x", "-0", env=given)
    expected = {"PATH": f"{launchers.directory()}:/bin:/usr/bin", **given}
    pairs = (os.fsencode(name) + b"=" + os.fsencode(value) for name, value in expected.items())
    assert sorted(done.out.rstrip(b"\0").split(b"\0")) == sorted(pairs)


@pytest.mark.parametrize("way", WAYS)
def test_signals_ignored_by_the_starter_stay_ignored_and_pythons_own_do_not(way: str) -> None:
    script = "trap '' HUP INT; exec argv0 argv0 x grep x SigIgn /proc/self/status"
    done = launchers.run("/bin/sh", "-c", script, env=WAYS[way])
    assert launchers.ignored(done.out.split()[1]) == 1 << signal.SIGHUP - 1 | 1 << signal.SIGINT - 1


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("i") / "q"
    options = ("-s", "127.0.0.1:1", "-p", "127.0.0.1:1")
    assert launchers.run(launchers.ours("qmail-instance"), *options, str(home)).code == 0
    (home / "env").mkdir()
    (home / "env/ADDED").write_text("from envdir\n")
    (home / "env/GONE").write_text("")
    return home


SEEN = "env | sort; pwd; umask; ulimit -n; ulimit -f; ls /proc/self/fd | wc -l; id; grep SigIgn /proc/self/status; cat /proc/$$/cmdline"
CHAINS: list[tuple[str, bytes]] = [
    ("qmail-smtpd", b"HELO x\r\nMAIL FROM:<a@b>\r\nQUIT\r\n"),
    ("rblsmtpd qmail-smtpd", b"NOOP\r\n"),
    ("softlimit -m 20000000 rblsmtpd qmail-smtpd", b"EHLO x\r\nRCPT TO:<x>\r\nQUIT\r\n"),
    ("softlimit -m 20000000 -o 40 -f 100000 recordio qmail-smtpd", b"QUIT\r\n"),
    ("qmail-popup host checkpassword qmail-pop3d Maildir", b"QUIT\r\n"),
    ("qmail-popup host checkpassword qmail-pop3d Maildir", b"USER demo\r\nPASS {}\r\nUIDL\r\nQUIT\r\n"),
    ("qmail-popup host checkpassword qmail-pop3d Maildir", b"USER demo\r\nPASS wrong\r\n"),
    ("qmail-popup host checkpassword sh -c 'echo $USER; pwd'", b"USER demo\r\nPASS {}\r\n"),
    ("envdir env rblsmtpd sh -c SEEN", b""),
    ("softlimit -o 40 -f 1000 envuidgid root argv0 sh name -c SEEN", b""),
    ("softlimit -m 20000000 softlimit -o 30 sh -c SEEN", b""),
    ("setlock lock setlock other sh -c SEEN", b""),
    ("fixcrio tr a-z A-Z", b"a\r\nb\n"),
    ("recordio fixcrio cat", b"x\n"),
    ("rblsmtpd ./nowhere", b""),
    ("softlimit -z true", b""),
    ("envdir nowhere true", b""),
    ("rblsmtpd sh -c 'kill -15 $$'", b""),
    ("addcr", b"a\nb"),
    ("cat", bytes(range(256)) * 1000),
]


def _words(text: str) -> list[str]:
    import shlex

    return [SEEN if word == "SEEN" else word for word in shlex.split(text)]


def _ran(way: str, home: Path, words: list[str], said: bytes) -> tuple[bytes, bytes]:
    """The client's and the log's view, without what differs from run to run."""
    env = {"QMAILHOME": str(home), "NOAPOP": "1", "GONE": "x", **WAYS[way]}
    with Server(words, env=env, cwd=home) as server:
        answer = server.talk(said)
        server.wait_for(rb"end \d+ status \d+\ntcpserver: status: 0/40\n")
        log = normal(server.log, server.port)
    answer = re.sub(rb"(?m)^(UCSPI_EXEC=.*|_=.*)\n", b"", answer)
    answer = re.sub(rb"SigIgn:\t(\w+)", lambda found: b"SigIgn: %x" % launchers.ignored(found[1]), answer)
    answer = re.sub(rb"(TCP(?:REMOTE|LOCAL)PORT)=\d+", rb"\1=N", answer)
    log = re.sub(rb"(?m)^\d+ ([<>])", rb"PID \1", log)  # recordio
    recorded = sorted(line for line in log.split(b"\n") if line.startswith(b"PID "))
    rest = [line for line in log.split(b"\n") if not line.startswith(b"PID ")]
    return answer, b"\n".join(rest + recorded)


@pytest.mark.parametrize(
    ("words", "said"), CHAINS, ids=[f"{words.split()[0]}-{i}" for i, (words, _) in enumerate(CHAINS)]
)
def test_a_chain_is_the_same_in_process_and_by_exec(instance: Path, words: str, said: bytes) -> None:
    password = (instance / "password").read_bytes().split()[1]
    in_process, by_exec = (_ran(way, instance, _words(words), said.replace(b"{}", password)) for way in WAYS)
    assert in_process == by_exec
    assert b"Traceback" not in in_process[1]
