"""queue-fix: every way in which a queue may be wrong, what is said of it, and what a repair makes of it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from qmail.core import hold
from tests.support import launchers, sender
from tests.support.instance import SPLIT, make_instance, queue_message

MESSAGE = b"Subject: x\n\nbody\n"
BIRTH = 1795421158


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    """A queue in order: modes and all."""
    home = make_instance(tmp_path)
    found = home / "queue"
    fix(found, "-r")
    assert fix(found) == launchers.Result(0, b"", b"")
    return found


def fix(queue: Path, *options: str) -> launchers.Result:
    return launchers.run(launchers.ours("queue-fix"), *options, str(queue))


def write(file: Path, data: bytes, mode: int = 0o600) -> Path:
    file.write_bytes(data)
    file.chmod(mode)
    return file


def at(queue: Path, kind: str, n: int) -> Path:
    return queue / kind / str(n % SPLIT) / str(n)


def message(queue: Path, **files: bytes) -> int:
    """A message with its right number, and these files beside its mess."""
    new = write(queue / "pid/new", MESSAGE, 0o644)
    n = new.stat().st_ino
    new.rename(at(queue, "mess", n))
    for kind, data in files.items():
        if kind in ("info", "local", "remote"):
            write(at(queue, kind, n), data)
        else:
            write(queue / kind / str(n), data, 0o644 if kind in ("todo", "intd") else 0o600)
    return n


def tree(queue: Path) -> dict[str, bytes]:
    """Every message file, by name."""
    found = (file for file in queue.rglob("*") if file.is_file() and file.relative_to(queue).parts[0] != "lock")
    return {str(file.relative_to(queue)): file.read_bytes() for file in found}


def aside(queue: Path) -> dict[str, bytes]:
    """What has been put aside, by the name it had."""
    found = (file for file in (queue / "aside").rglob("*") if file.is_file())
    return {"/".join(file.relative_to(queue).parts[2:]): file.read_bytes() for file in found}


def normal(queue: Path) -> tuple[int, int, int]:
    """Three messages: new, waiting, bounced."""
    envelope = b"u0\0p1\0Fa@b\0Tc@d\0"
    new = message(queue, todo=envelope)
    os.link(queue / f"todo/{new}", queue / f"intd/{new}")
    waiting = message(queue, info=b"Fa@b\0", local=b"Dx@y\0Tz@w\0", remote=b"Tr@s\0")
    failed = message(queue, info=b"F\0", bounce=b"<x@y>:\nno\n\n")
    return new, waiting, failed


def test_all_that_the_states_allow_is_in_order(queue: Path) -> None:
    normal(queue)
    message(queue)  # S2
    message(queue, intd=b"u0\0")  # S3
    message(queue, todo=b"Fa@b\0", info=b"Fa", local=b"junk", remote=b"", bounce=b"old")  # S4: to be made anew
    held = message(queue, info=b"Fa@b\0", remote=b"Tx@y\0")
    birth = int(at(queue, "info", held).stat().st_mtime)
    write(queue / f"hold/{held}", hold.pack(birth, hold.ALL))
    write(queue / "pid/123.456.1", b"")
    assert fix(queue) == launchers.Result(0, b"", b"")
    before = tree(queue)
    assert fix(queue, "-r") == launchers.Result(0, b"", b"")
    assert tree(queue) == before


def empty(queue: Path) -> int:
    """A directory of mess/ in which there happens to be no message."""
    return next(i for i in range(SPLIT) if not any((queue / f"mess/{i}").iterdir()))


Damage = Callable[[Path, int], object]


def unreadable_by_qmail_send(queue: Path, n: int) -> None:
    at(queue, "info", n).chmod(0o644)


@pytest.mark.parametrize(
    ("damage", "kind", "name", "remedy"),
    [
        (lambda q, n: shutil.rmtree(q / "bounce"), "missing", "bounce", "make it"),
        (lambda q, n: (q / f"mess/{empty(q)}").rmdir(), "missing", "mess/E", "make it"),
        (lambda q, n: (q / "lock/trigger").unlink(), "missing", "lock/trigger", "make it"),
        (lambda q, n: (q / "lock/sendmutex").unlink(), "missing", "lock/sendmutex", "make it"),
        (lambda q, n: (q / "hold").rmdir(), "missing", "hold", "make it"),
        (lambda q, n: (q / "lock/tcpto").write_bytes(b"x"), "wrong-size", "lock/tcpto", "keep the good records"),
        (lambda q, n: (q / "todo").chmod(0o777), "wrong-owner", "todo", "set owner and mode"),
        (lambda q, n: (q / "lock/trigger").chmod(0o600), "wrong-owner", "lock/trigger", "set owner and mode"),
        (unreadable_by_qmail_send, "wrong-owner", "info/S/N", "set owner and mode"),
        (lambda q, n: at(q, "mess", n).chmod(0o600), "wrong-owner", "mess/S/N", "set owner and mode"),
        (lambda q, n: (q / "todo/core").touch(), "stray", "todo/core", "move aside"),
        (lambda q, n: (q / "mess/3/0003").touch(), "stray", "mess/3/0003", "move aside"),
        (lambda q, n: (q / "info/7/30").symlink_to("/etc/passwd"), "stray", "info/7/30", "move aside"),
        (lambda q, n: (q / "local/2/x y").mkdir(), "stray", "local/2/x_y", "move aside"),
        (lambda q, n: write(q / "bounce/7", b"x"), "no-message", "bounce/7", "move aside"),
        (lambda q, n: write(q / "intd/7", b"x", 0o644), "no-message", "intd/7", "move aside"),
        (lambda q, n: write(q / "todo/7", b"Fa\0Tb\0", 0o644), "no-message", "todo/7", "move aside"),
        (lambda q, n: write(q / "info/7/7", b"Fa\0"), "no-message", "info/7/7", "move aside"),
        (lambda q, n: write(q / "local/7/7", b"Ta\0"), "no-message", "local/7/7", "move aside"),
        (lambda q, n: write(q / "remote/7/7", b"Ta\0"), "no-message", "remote/7/7", "move aside"),
        (lambda q, n: write(q / "hold/7", b"b1\0A\0"), "no-message", "hold/7", "move aside"),
        (lambda q, n: write(q / f"hold/{n}", b"b1\0A\0"), "bad-hold", "hold/N", "move aside"),
        (lambda q, n: write(q / f"intd/{n}", b"x", 0o644), "no-todo", "intd/N", "move aside"),
    ],
)  # fmt: skip
def test_one_thing_that_is_wrong_is_found_alone_and_repaired_without_touching_the_mail(
    queue: Path, damage: Damage, kind: str, name: str, remedy: str
) -> None:
    normal(queue)
    n = message(queue, info=b"Fa@b\0", remote=b"Tc@d\0")
    before = tree(queue)
    name = name.replace("E", str(empty(queue)))
    damage(queue, n)
    name = name.replace("S", str(n % SPLIT)).replace("N", str(n))
    found = json.loads(fix(queue, "--json").out)["problems"]
    assert [(p["kind"], p["name"].replace(" ", "_"), p["remedy"]) for p in found] == [(kind, name, remedy)]
    checked = fix(queue)
    assert checked.code == 100 and checked.out.startswith(f"{name}: ".encode()) and checked.out.count(b"\n") == 1
    repaired = fix(queue, "-r")
    assert (repaired.code, repaired.err) == (0, b"")
    assert repaired.out == checked.out.removesuffix(b"\n") + f": {remedy}\n".encode()
    assert fix(queue) == launchers.Result(0, b"", b"")
    survived = {name: data for name, data in tree(queue).items() if not name.startswith("aside")}
    taken = f"{name}/" if kind == "missing" else "\0"
    assert survived == {key: data for key, data in before.items() if not key.startswith(taken)}


def test_a_fixed_file_of_the_wrong_type_is_put_aside_and_made(queue: Path) -> None:
    (queue / "lock/trigger").unlink()
    write(queue / "lock/trigger", b"I was a FIFO")
    assert fix(queue, "-r").out == b"lock/trigger: of the wrong type: move aside\n"
    assert stat.S_ISFIFO((queue / "lock/trigger").stat().st_mode)
    assert aside(queue) == {"lock/trigger": b"I was a FIFO"}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"local": b"Tx@y\0"}, "no-sender"),
        ({"todo": b"Fa@b\0Tc@d\0Qx\0"}, "bad-envelope"),
        ({"todo": b"Tc@d\0"}, "bad-envelope"),
        ({"todo": b"Fa@b\0Tc@"}, "bad-envelope"),
        ({"todo": bytes(50)}, "bad-envelope"),
        ({"info": b"junk\0", "local": b"Tx@y\0"}, "bad-info"),
        ({"info": b"Fa@b", "remote": b"Tx@y\0", "bounce": b"x"}, "bad-info"),
        ({"info": b"", "remote": b"Tx@y\0"}, "bad-info"),
    ],
)
def test_a_message_that_nobody_can_understand_is_put_aside_whole(
    queue: Path, files: dict[str, bytes], kind: str
) -> None:
    others = normal(queue)
    before = tree(queue)
    n = message(queue, **files)
    whole = {name: data for name, data in tree(queue).items() if name not in before}
    found = json.loads(fix(queue, "--json", "-r").out)
    assert {p["kind"] for p in found["problems"]} == {kind} and all(p["repaired"] for p in found["problems"])
    assert found["messages"] == len(others)
    assert aside(queue) == whole and len(whole) == len(files) + 1
    assert n not in others and {k: v for k, v in tree(queue).items() if not k.startswith("aside")} == before


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (b"Dx@y\0" + bytes(8) + b"Tz@w\0", b"Dx@y\0Tz@w\0"),
        (b"Tx@y\0Tz@", b"Tx@y\0"),
        (b"Qx@y\0Tz@w\0", b"Tz@w\0"),
        (b"", b""),
    ],
)
def test_of_a_bad_list_of_recipients_the_good_ones_stay_and_a_copy_of_all_is_put_aside(
    queue: Path, data: bytes, good: bytes
) -> None:
    n = message(queue, info=b"Fa@b\0", remote=data)
    os.utime(at(queue, "remote", n), (BIRTH, BIRTH))
    assert fix(queue).out.startswith(f"remote/{n % SPLIT}/{n}: ".encode())
    assert fix(queue, "-r").code == 0
    assert at(queue, "remote", n).read_bytes() == good
    assert at(queue, "remote", n).stat().st_mtime == BIRTH  # the next attempt
    s = n % SPLIT
    assert aside(queue) == {f"remote/{s}/{n}": data, f"info/{s}/{n}": b"Fa@b\0", f"mess/{s}/{n}": MESSAGE}


def by_message(queue: Path) -> list[list[tuple[str, bytes, int]]]:
    """What each message consists of, whatever its number: kind, content, mtime of each file."""
    found: dict[str, list[tuple[str, bytes, int]]] = {}
    for name, data in tree(queue).items():
        parts = name.split("/")
        if parts[0] != "aside":
            found.setdefault(parts[-1], []).append((parts[0], data, int((queue / name).stat().st_mtime)))
    return sorted(sorted(files) for files in found.values())


def filled(queue: Path, count: int = 12) -> None:
    for i in range(count):
        info = b"F%d@s\0" % i
        n = message(queue, info=info, remote=b"T%d@r\0" % i, bounce=b"%d" % i)
        at(queue, "mess", n).write_bytes(b"message %d\n" % i)
        os.utime(at(queue, "info", n), (BIRTH + i, BIRTH + i))
        write(queue / f"hold/{n}", hold.pack(BIRTH + i, hold.ALL))
        message(queue, todo=b"Fnew%d@s\0Tx@y\0" % i)


def right_numbers(queue: Path) -> bool:
    return all(int(file.name) == file.stat().st_ino for file in (queue / "mess").rglob("*") if file.is_file())


def test_a_copied_queue_is_renumbered(queue: Path, tmp_path: Path) -> None:
    filled(queue)
    copy = tmp_path / "copy"
    shutil.copytree(queue, copy, ignore=shutil.ignore_patterns("lock"))
    assert not right_numbers(copy)
    assert fix(copy).out.count(b"must have the number of its inode") == 24
    assert fix(copy, "-r").code == 0
    assert right_numbers(copy) and fix(copy) == launchers.Result(0, b"", b"")
    assert by_message(copy) == by_message(queue)
    assert aside(copy) == {}


def test_numbers_that_have_changed_places_change_back(queue: Path) -> None:
    filled(queue, 3)
    wanted = by_message(queue)
    numbers = [int(file.name) for file in (queue / "mess").rglob("*") if file.is_file()]
    rotated = dict(zip(numbers, [*numbers[1:], numbers[0]], strict=True))
    for path in [file for file in queue.rglob("*") if file.is_file() and file.name.isdigit()]:
        n = rotated[int(path.name)]
        above = path.parent.parent / str(n % SPLIT) if path.parent.name.isdigit() else path.parent
        path.rename(above / f"{n}.tmp")
    for path in list(queue.rglob("*.tmp")):
        path.rename(path.with_suffix(""))
    assert not right_numbers(queue)
    assert fix(queue, "-r").code == 0
    assert right_numbers(queue) and by_message(queue) == wanted and aside(queue) == {}


def test_a_new_number_that_orphans_have_is_freed(queue: Path) -> None:
    n = message(queue, info=b"Fa@b\0", remote=b"Tc@d\0")
    for kind in ("mess", "info", "remote"):
        at(queue, kind, n).rename(at(queue, kind, n + 1))
    write(at(queue, "info", n), b"Fold@s\0")
    assert fix(queue, "-r").code == 0
    assert at(queue, "info", n).read_bytes() == b"Fa@b\0"
    assert aside(queue) == {f"info/{n % SPLIT}/{n}": b"Fold@s\0"}


class Died(Exception):
    """In place of a crash."""


def dies(queue: Path, calls: int) -> bool:
    """Renumber the messages of a queue, unless that takes more than `calls` calls of link and unlink: then die."""
    from qmail.core import queuecheck, queuescan
    from qmail.core.queuedir import Queue
    from qmail.core.queuerepair import Repair

    left = calls

    def counted(real: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object, **words: object) -> None:
            nonlocal left
            if not left:
                raise Died
            left -= 1
            real(*args, **words)

        return call

    scan = queuescan.Scan(Queue(bytes(queue)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", counted(os.link))
        patch.setattr(os, "unlink", counted(os.unlink))
        try:
            Repair(scan, b"x").renumber(list(queuecheck.numbers(scan)))
        except Died:
            return True
    return False


def test_a_repair_that_dies_at_any_call_is_completed_by_the_next_and_mail_keeps_a_name_throughout(
    queue: Path, tmp_path: Path
) -> None:
    filled(queue, 2)
    wanted = [sorted((kind, data) for kind, data, _ in files) for files in by_message(queue)]
    calls, died = 0, True
    while died:
        copy = tmp_path / f"copy{calls}"
        shutil.copytree(queue, copy, ignore=shutil.ignore_patterns("lock"))
        died = dies(copy, calls)
        contents = list(tree(copy).values())
        assert all(data in contents for files in wanted for _, data in files)
        assert fix(copy, "-r").code == 0
        assert right_numbers(copy) and aside(copy) == {}
        assert [sorted((kind, data) for kind, data, _ in files) for files in by_message(copy)] == wanted
        shutil.rmtree(copy)
        calls += 1
    assert calls > 31


def test_a_queue_of_another_split_or_with_split_todo_becomes_one_of_ours(queue: Path) -> None:
    new, waiting, _ = normal(queue)
    wanted = by_message(queue)
    for kind in ("mess", "info", "local", "remote"):
        for split in range(SPLIT, 101):
            (queue / kind / str(split)).mkdir()
        for path in [file for file in (queue / kind).rglob("*") if file.is_file()]:
            path.rename(queue / kind / str(int(path.name) % 101) / path.name)
    for kind in ("todo", "intd"):
        for split in range(SPLIT):
            (queue / kind / str(split)).mkdir()
        (queue / kind / str(new)).rename(queue / kind / str(new % SPLIT) / str(new))
    kinds = {p["kind"] for p in json.loads(fix(queue, "--json").out)["problems"]}
    assert kinds == {"wrong-directory", "extra-directory"}
    assert fix(queue, "-r").code == 0
    assert fix(queue) == launchers.Result(0, b"", b"")
    assert by_message(queue) == wanted and at(queue, "info", waiting).exists()
    assert not (queue / "mess/100").exists() and not (queue / "todo/1").exists()


def test_two_messages_with_one_number_both_survive(queue: Path) -> None:
    n = message(queue, info=b"Fa@b\0", remote=b"Tc@d\0")
    other = at(queue, "mess", n + 1).with_name(str(n))
    write(other, b"another\n", 0o644)
    assert fix(queue, "-r").code == 0
    assert at(queue, "mess", n).read_bytes() == MESSAGE
    assert aside(queue) == {str(other.relative_to(queue)): b"another\n"}


def test_no_repair_while_qmail_send_runs_but_a_check(queue: Path) -> None:
    (queue / "todo/core").touch()
    with open(queue / "lock/sendmutex", "wb") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        assert fix(queue, "-r") == launchers.Result(
            111, b"", b"queue-fix: fatal: qmail-send is running; stop it before a repair\n"
        )
        checked = json.loads(fix(queue, "--json").out)
    assert checked["qmail-send"] == "running" and [p["name"] for p in checked["problems"]] == ["todo/core"]
    assert (queue / "todo/core").exists()


def test_what_is_no_part_of_a_queue_is_mentioned_and_left_alone(queue: Path) -> None:
    (queue / "README").touch()
    assert fix(queue, "-r") == launchers.Result(0, b"README: not part of a queue\n", b"")
    assert (queue / "README").exists()


def test_a_queue_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = fix(tmp_path / "none")
    assert (done.code, done.out) == (111, b"")
    assert fix(tmp_path, "x").code == 100


start = sender.start


def test_what_is_repaired_is_delivered(start: sender.Start, tmp_path: Path) -> None:
    home = make_instance(tmp_path)
    queue_message(home, b"a@b", [b"x@remote.example"])
    original = home / "queue"
    shutil.copytree(original, tmp_path / "copy", ignore=shutil.ignore_patterns("lock"))
    shutil.rmtree(original)
    shutil.copytree(tmp_path / "copy", original)
    assert fix(original, "-r").code == 0
    running = start()
    command = running.deliver(sender.REMOTE, b"K")
    assert command.recipient == b"x@remote.example"
    n = int(command.messid.partition(b"/")[2])
    running.until(b"end msg %d" % n)
    assert fix(original).code == 0
