"""exec and its equivalents: the search, whose program a file is, what the next program and a child find; both ways."""

from __future__ import annotations

import errno
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import launchers
from ucspi.core import chain

ENV = {b"PATH": b"/bin:/usr/bin"}
Body = Callable[[Sequence[bytes], dict[bytes, bytes], chain.Chain], int]


# --- the search: spec ucspi-tcp 1.5


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Directories with a file `prog` in every state."""
    for name in ("good", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "prog").write_text("#!/bin/sh\n")
        (tmp_path / name / "prog").chmod(0o755)
    (tmp_path / "empty").mkdir()
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/prog").write_text("")
    (tmp_path / "directory/prog").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("good", "good"),
        ("empty:good:other", "good"),
        ("none:good", "good"),
        ("plain:good", "good"),  # EACCES is remembered, and forgotten
        ("directory:good", "good"),
        ("other:good", "other"),
        ("plain", errno.EACCES),
        ("plain:empty:none", errno.EACCES),  # the remembered error wins over ENOENT
        ("empty:none", errno.ENOENT),
        ("file:good", errno.ENOTDIR),  # any other error ends the search
        ("loop:good", errno.ELOOP),
        ("empty:file:good", errno.ENOTDIR),
    ],
)
def test_the_search_goes_on_after_some_errors_only(places: Path, path: str, found: str | int) -> None:
    search = ":".join(str(places / part) for part in path.split(":")).encode()
    if isinstance(found, str):
        assert chain.search(b"prog", search) == os.fsencode(places / found / "prog")
    else:
        with pytest.raises(OSError) as error:
            chain.search(b"prog", search)
        assert error.value.errno == found


def test_an_empty_element_is_the_current_directory(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(places / "good")
    for path in (b"", b":/none", b"/none:", b"/none::/nowhere"):
        assert chain.search(b"prog", path) == b"./prog"


def test_a_name_with_a_slash_is_not_searched(places: Path) -> None:
    file = os.fsencode(places / "good/prog")
    assert chain.search(file, b"/none") == file
    with pytest.raises(FileNotFoundError):
        chain.search(b"./prog", os.fsencode(places / "good"))
    with pytest.raises(PermissionError):
        chain.search(os.fsencode(places / "plain/prog"), None)


def test_without_a_path_it_is_bin_and_usr_bin() -> None:
    assert chain.search(b"sh", None) == b"/bin/sh"
    with pytest.raises(PermissionError):
        chain.search(b"", None)  # the directories themselves, as the originals find


# --- whose program is it?

PYTHON = sys.executable
PIP = "# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom qmail.smtpd import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


@pytest.mark.parametrize(
    ("text", "module"),
    [
        (
            f"#!{PYTHON} -IS\nimport sys\nsys.path += ['/x']\nfrom qmail.smtpd import main\nsys.exit(main())\n",
            "qmail.smtpd",
        ),
        (f"#!{PYTHON}\n{PIP}", "qmail.smtpd"),
        (f"#!/bin/sh\n'''exec' \"{PYTHON}\" \"$0\" \"$@\"\n' '''\n{PIP}", "qmail.smtpd"),  # pip, where #! is too long
        (f"#!{PYTHON}\nfrom ucspi.core.other import main\n", "ucspi.core.other"),
        (f"#!{PYTHON}\nfrom qmailx.smtpd import main\nfrom qmail.smtpd import main\n", None),
        (f"#!{PYTHON}\nfrom qmail.smtpd import Main\n", None),
        (f"#!{PYTHON}\nimport qmail.smtpd\n", None),
        (f"#!/somewhere/else/bin/python3\n{PIP}", None),  # another installation: not what we have loaded
        (PIP, None),
        ("#!/bin/sh\nexec qmail-smtpd\n", None),
        ("\x7fELF\0\0\0", None),
        ("", None),
    ],
)
def test_a_launcher_says_which_module_it_starts(tmp_path: Path, text: str, module: str | None) -> None:
    file = tmp_path / "launcher"
    file.write_text(text)
    assert chain.module_of(os.fsencode(file)) == module


def test_what_is_no_file_is_nobodys(tmp_path: Path) -> None:
    assert chain.module_of(os.fsencode(tmp_path)) is None
    assert chain.module_of(os.fsencode(tmp_path / "none")) is None


def test_a_file_that_is_replaced_is_read_again(tmp_path: Path) -> None:
    file, new = tmp_path / "prog", tmp_path / "new"
    file.write_text(f"#!{PYTHON}\nfrom qmail.smtpd import main\n")
    assert chain.module_of(os.fsencode(file)) == "qmail.smtpd"
    new.write_text("#!/bin/sh\n")
    new.rename(file)
    assert chain.module_of(os.fsencode(file)) is None


# --- programs of ours, made for the test


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[Body], bytes]]:
    """Makes a file that starts a function, as a launcher starts a program of ours."""
    names = []

    def make(body: Body) -> bytes:
        name = f"ucspi.made_for_test_{len(names)}"
        names.append(name)
        module = types.ModuleType(name)
        module.main = body  # type: ignore[attr-defined]
        sys.modules[name] = module
        file = tmp_path / name
        file.write_text(f"#!{PYTHON}\nfrom {name} import main\n")
        file.chmod(0o755)
        return os.fsencode(file)

    yield make
    for name in names:
        del sys.modules[name]


def output(run: Callable[[int], int]) -> tuple[bytes, int]:
    """What the child that `run` starts writes to the descriptor it is given, and its wait status."""
    reader, writer = os.pipe()
    pid = run(writer)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read()
    return text, os.waitpid(pid, 0)[1]


def test_two_thousand_programs_in_a_row_need_no_more_stack_than_one(program: Callable[[Body], bytes]) -> None:
    depths = set()

    def step(argv: Sequence[bytes], env: dict[bytes, bytes], how: chain.Chain) -> int:
        frame, depth = sys._getframe(), 0
        while frame := frame.f_back:  # type: ignore[assignment]
            depth += 1
        depths.add(depth)
        left = int(argv[1])
        if left:
            how.become(file, [b"step", b"%d" % (left - 1)], env)
        return 7

    file = program(step)
    assert chain.Process().run(step, [b"step", b"2000"], ENV) == 7
    assert len(depths) == 1


def test_no_handler_of_exceptions_stops_a_program_from_becoming_another(program: Callable[[Body], bytes]) -> None:
    def first(argv: Sequence[bytes], env: dict[bytes, bytes], how: chain.Chain) -> int:
        try:
            how.become(second_file, [b"other", b"x"], {b"A": b"1"})
        except Exception:
            return 1

    def second(argv: Sequence[bytes], env: dict[bytes, bytes], how: chain.Chain) -> int:
        assert (argv, env) == ([b"other", b"x"], {b"A": b"1"})
        return 5

    second_file = program(second)
    assert chain.Process().run(first, [b"first"], ENV) == 5
    assert chain.Worker().status(first, [b"first"], ENV) == 5 << 8


@pytest.mark.parametrize(("command", "status"), [(b"exit 3", 768), (b"kill -9 $$", 9), (b"true", 0)])
def test_a_worker_outlives_the_foreign_program_it_becomes(command: bytes, status: int) -> None:
    def main(argv: Sequence[bytes], env: dict[bytes, bytes], how: chain.Chain) -> int:
        how.become(b"/bin/sh", [b"sh", b"-c", command], env)

    assert chain.Worker().status(main, [b"main"], ENV) == status


def test_a_worker_hears_that_a_foreign_program_cannot_be_run(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"no program")
    bad.chmod(0o755)

    def main(argv: Sequence[bytes], env: dict[bytes, bytes], how: chain.Chain) -> int:
        with pytest.raises(OSError) as error:
            how.become(os.fsencode(bad), [b"bad"], env)
        assert error.value.errno == errno.ENOEXEC
        return 42

    for how in (chain.Worker(), chain.Process()):
        assert how.run(main, [b"main"], ENV) == 42


def test_a_module_that_cannot_be_imported_is_an_error_of_the_system(tmp_path: Path) -> None:
    file = tmp_path / "broken"
    file.write_text(f"#!{PYTHON}\nfrom qmail.no_such_module import main\n")
    file.chmod(0o755)
    for how in (chain.Worker(), chain.Process()):
        with pytest.raises(OSError) as error:
            how.become(os.fsencode(file), [b"broken"], dict(ENV))
        assert error.value.errno == errno.EIO


# --- children


def report(argv: Sequence[bytes], env: dict[bytes, bytes], how: chain.Chain) -> int:
    """A program that writes the targets of its descriptors, and whatever else it is asked for."""
    names = sorted((int(name) for name in os.listdir("/proc/self/fd")), key=int)
    lines = []
    for fd in names:
        try:
            lines.append(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}\n")
        except OSError:
            continue
    os.write(1, "".join(lines).encode())
    return 3


SCRIPT = b'for i in $(ls /proc/$$/fd); do echo "$i $(readlink /proc/$$/fd/$i)"; done; exit 3'
KINDS = ["ours", "foreign", "foreign with a set-up"]


@pytest.fixture(params=KINDS)
def start(
    request: pytest.FixtureRequest, program: Callable[[Body], bytes]
) -> Callable[[Mapping[int, int]], dict[int, str]]:
    """Starts a child that tells its descriptors."""

    def run(fds: Mapping[int, int]) -> dict[int, str]:
        if request.param == "ours":
            file, argv, setup = program(report), [b"report"], None
        else:
            file, argv = b"/bin/sh", [b"sh", b"-c", SCRIPT]
            setup = (lambda: None) if request.param == "foreign with a set-up" else None
        text, status = output(lambda out: chain.Process().spawn(file, argv, dict(ENV), {**fds, 1: out}, setup))
        assert status == 3 << 8
        found = (line.split(" ", 1) for line in text.decode().splitlines())
        return {int(fd): target for fd, target in found}

    return run


def test_a_child_gets_the_descriptors_it_is_given_and_the_inheritable_ones(
    start: Callable[[Mapping[int, int]], dict[int, str]],
) -> None:
    ends = [*os.pipe(), *os.pipe()]
    os.set_inheritable(ends[3], True)
    try:
        found = start({0: ends[0], 7: ends[2]})
        assert found[0] == f"pipe:[{os.stat(ends[0]).st_ino}]"
        assert found[7] == f"pipe:[{os.stat(ends[2]).st_ino}]"
        assert found[ends[3]] == f"pipe:[{os.stat(ends[3]).st_ino}]"
        assert not set(ends[:3]) - {7} & set(found)
        assert found[2] == os.readlink("/proc/self/fd/2")
    finally:
        for fd in ends:
            os.close(fd)


def test_descriptors_can_change_places(start: Callable[[Mapping[int, int]], dict[int, str]]) -> None:
    a, b = os.pipe(), os.pipe()
    one, two = a[0], b[0]
    try:
        found = start({one: two, two: one, 0: one})
        assert found[one] == f"pipe:[{os.stat(two).st_ino}]"
        assert found[two] == found[0] == f"pipe:[{os.stat(one).st_ino}]"
        assert start({one: one})[one] == f"pipe:[{os.stat(one).st_ino}]"  # stays open, though closed on exec
    finally:
        for fd in (*a, *b):
            os.close(fd)


def test_the_parents_descriptors_stay_as_they_are(start: Callable[[Mapping[int, int]], dict[int, str]]) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    start({0: 2, 5: 1})
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_the_set_up_runs_first_in_the_child_and_its_failure_is_the_childs(tmp_path: Path) -> None:
    def there() -> None:
        os.chdir(tmp_path)

    def fail() -> None:
        raise PermissionError(errno.EPERM, "no")

    how = chain.Process()
    assert output(lambda out: how.spawn(b"/bin/pwd", [b"pwd"], {}, {1: out}, there)) == (
        os.fsencode(tmp_path) + b"\n",
        0,
    )
    assert output(lambda out: how.spawn(b"/bin/pwd", [b"pwd"], {}, {1: out, 2: out}, fail))[1] == 126 << 8


@pytest.mark.parametrize("setup", [None, lambda: None])
def test_what_cannot_be_executed_is_told_to_the_parent(tmp_path: Path, setup: Callable[[], None] | None) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"no program")
    bad.chmod(0o755)
    before = children()
    with pytest.raises(OSError) as error:
        chain.Process().spawn(os.fsencode(bad), [b"bad"], {}, {}, setup)
    assert error.value.errno == errno.ENOEXEC
    assert children() == before


def children() -> set[str]:
    """Our child processes, zombies too."""
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


def test_a_child_has_default_signals_and_nothing_blocked() -> None:
    script = [b"sh", b"-c", b"grep -E 'Sig(Blk|Ign)' /proc/self/status"]
    handler = signal.signal(signal.SIGHUP, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        for setup in (None, lambda: None):
            text, _ = output(lambda out: chain.Process().spawn(b"/bin/sh", script, dict(ENV), {1: out}, setup))  # noqa: B023
            assert [launchers.ignored(word) for word in text.split()[1::2]] == [0, 0]
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        signal.signal(signal.SIGHUP, handler)
