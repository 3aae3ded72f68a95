"""qmail-qread, qmail-qstat, qmail-tcpto, qmail-tcpok: what they print; expected text observed on the originals."""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path

import pytest

from tests.support import instance, launchers

BIRTH = 1795499350  # 24 Nov 2026 05:49:10 GMT


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return instance.make_instance(tmp_path)


def run(home: Path, *argv: str) -> launchers.Result:
    return launchers.run(launchers.ours(argv[0]), *argv[1:], env={"QMAILHOME": str(home)})


def fill(home: Path) -> None:
    queue = home / "queue"
    (queue / "mess/1/24").write_bytes(b"hi\n")
    (queue / "info/1/24").write_bytes(b"Fa@b c\0")
    os.utime(queue / "info/1/24", (BIRTH, BIRTH))
    (queue / "local/1/24").write_bytes(b"Tx@y\0Dz@w\0")
    (queue / "remote/1/24").write_bytes(b"Dq\x01@y\0")
    for channel in ("local", "remote"):
        os.utime(queue / channel / "1/24", (BIRTH + 400, BIRTH + 400))
    (queue / "bounce/24").touch()
    (queue / "info/2/25").write_bytes(b"Fz\0")  # no mess/2/25


def test_qread_lists_messages_with_their_recipients_as_the_original(home: Path) -> None:
    fill(home)
    assert run(home, "qmail-qread") == launchers.Result(
        0,
        b"24 Nov 2026 05:49:10 GMT  #24  3  <a@b c>  bouncing\n"
        b"\tlocal\tx@y\n  done\tlocal\tz@w\n  done\tremote\tq_@y\n"
        b"warning: trouble with #25: file does not exist\n",
        b"",
    )


def test_qread_as_json_tells_the_same_and_new_messages_too(home: Path) -> None:
    fill(home)
    number = instance.queue_message(home, b"s@s", [b"r@r", b"\xff@r"])
    listed = json.loads(run(home, "qmail-qread", "--json").out)
    assert [(one["number"], one["state"]) for one in listed] == [(24, "queued"), (number, "todo")]
    assert listed[0] == {
        "number": 24, "size": 3, "birth": BIRTH, "sender": "a@b c", "state": "queued", "bouncing": True, "held": False,
        "next_attempt": {"local": BIRTH + 400, "remote": BIRTH + 400},
        "recipients": [
            {"channel": "local", "address": "x@y", "done": False, "held": False},
            {"channel": "local", "address": "z@w", "done": True, "held": False},
            {"channel": "remote", "address": "q\x01@y", "done": True, "held": False},
        ],
    }  # fmt: skip
    assert [each["address"] for each in listed[1]["recipients"]] == ["r@r", "\udcff@r"]


def test_an_empty_queue_is_an_empty_list(home: Path) -> None:
    assert run(home, "qmail-qread") == launchers.Result(0, b"", b"")
    assert json.loads(run(home, "qmail-qread", "--json").out) == []


def test_qread_without_a_queue_says_so_on_its_standard_output(home: Path) -> None:
    (home / "queue").rename(home / "elsewhere")
    assert run(home, "qmail-qread") == launchers.Result(111, b"fatal: unable to chdir: file does not exist\n", b"")


def test_qstat_counts(home: Path) -> None:
    fill(home)
    instance.queue_message(home, b"s@s", [b"r@r"])
    text = b"messages in queue: 2\nmessages in queue but not yet preprocessed: 1\n"
    assert run(home, "qmail-qstat") == launchers.Result(0, text, b"")
    assert json.loads(run(home, "qmail-qstat", "--json").out) == {"messages": 2, "todo": 1}


def test_qstat_without_a_queue_counts_nothing_and_complains(home: Path) -> None:
    (home / "queue").rename(home / "elsewhere")
    done = run(home, "qmail-qstat")
    assert (done.code, done.out) == (0, b"messages in queue: 0\nmessages in queue but not yet preprocessed: 0\n")
    assert done.err.count(b"file does not exist") == 2


def test_tcpto_lists_time_outs_and_tcpok_forgets_them(home: Path) -> None:
    table = home / "queue/lock/tcpto"
    when = int(time.time()) - 30
    record = struct.pack("<4BB3xI4x", 10, 0, 0, 1, 1, when) + struct.pack("<4BB3xI4x", 10, 0, 0, 2, 0, when)
    table.write_bytes(record + bytes(1024 - len(record)))
    shown = run(home, "qmail-tcpto")
    assert shown.out in [b"10.0.0.1 timed out %d seconds ago; # recent timeouts: 1\n" % n for n in range(30, 40)]
    assert run(home, "qmail-tcpok") == launchers.Result(0, b"", b"")
    assert table.read_bytes() == bytes(1024)
    assert run(home, "qmail-tcpto") == launchers.Result(0, b"", b"")


def test_without_the_table_tcpto_and_tcpok_fail_each_on_its_own_descriptor(home: Path) -> None:
    table = home / "queue/lock/tcpto"
    table.unlink()
    assert run(home, "qmail-tcpto") == launchers.Result(111, b"fatal: unable to open tcpto: file does not exist\n", b"")
    complaint = f"qmail-tcpok: fatal: unable to write {table}: file does not exist\n"
    assert run(home, "qmail-tcpok") == launchers.Result(111, b"", complaint.encode())
