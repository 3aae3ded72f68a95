"""checkpassword, as a program in front of another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmail.core.passwords import crypt, pack
from tests.support import launchers

SHOW = 'pwd; echo "$USER $HOME $LOGNAME $SHELL"; [ -e /proc/self/fd/3 ] && echo 3 is open'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path)


def make_home(tmp_path: Path) -> Path:
    """A single-user instance with demo (password secret) and lost, who has no home."""
    for directory in ("queue", "users", "demo"):
        (tmp_path / directory).mkdir()
    stored = crypt(b"secret", b"$6$rounds=1000$salt") or b""
    (tmp_path / "users/passwd").write_bytes(pack(b"demo", stored, b"demo") + pack(b"lost", stored, b"lost"))
    (tmp_path / "users/passwd").chmod(0o600)
    return tmp_path


def check(
    home: Path, data: bytes | None, *words: str, env: dict[str, str] | None = None, exec_: str = ""
) -> launchers.Result:
    """Run checkpassword with `data` on descriptor 3, or with that one closed."""
    script = (
        'cat "$DATA" | { exec 3<&0 0</dev/null; exec checkpassword "$@"; }'
        if data is not None
        else ('exec 3<&- checkpassword "$@"')
    )
    file = home / "data"
    file.write_bytes(data or b"")
    environment = {"QMAILHOME": str(home), "DATA": str(file), "LOGNAME": "caller", "UCSPI_EXEC": exec_, **(env or {})}
    return launchers.run("/bin/sh", "-c", script, "sh", *words, env=environment)


@pytest.mark.parametrize("exec_", ["", "1"])
def test_a_good_login_becomes_the_program_in_its_home_and_environment(home: Path, exec_: str) -> None:
    done = check(home, b"demo\0secret\0ts\0", "sh", "-c", SHOW, exec_=exec_)
    where = bytes(home) + b"/demo"
    lines = done.out.split(b"\n")
    assert (done.err, lines[0], lines[2:]) == (b"", where, [b""])
    assert lines[1].startswith(b"demo %b caller /" % where)


GOOD = b"demo\0secret\0"
STATUSES = [
    (GOOD + b"ts\0", 0),
    (GOOD, 0),
    (GOOD + b"ts\0more\0data", 0),
    (GOOD + b"x" * (512 - len(GOOD)), 0),
    (GOOD + b"x" * (513 - len(GOOD)), 1),
    (GOOD + b"x" * 100000, 1),
    (b"", 2),
    (b"demo", 2),
    (b"demo\0", 2),
    (b"demo\0secret", 2),
    (b"demo\0wrong\0ts\0", 1),
    (b"demo\0\0ts\0", 1),
    (b"\0\0\0", 1),
    (b"nosuch\0x\0\0", 1),
    (b"de\xffmo\0x\xe1\0\0", 1),
    (b"lost\0secret\0\0", 111),
]


@pytest.mark.parametrize(("data", "code"), STATUSES)
def test_the_status_tells_and_nothing_is_printed(home: Path, data: bytes, code: int) -> None:
    assert check(home, data, "true") == launchers.Result(code, b"", b"")


@pytest.mark.parametrize(
    ("words", "code"), [([], 2), (["./nope"], 111), (["nope"], 111), (["sh", "-c", "exit 9"], 9), (["/"], 111)]
)
@pytest.mark.parametrize("exec_", ["", "1"])
def test_the_program_has_the_last_word(home: Path, words: list[str], code: int, exec_: str) -> None:
    assert check(home, GOOD, *words, exec_=exec_) == launchers.Result(code, b"", b"")


def test_without_descriptor_3_nothing_is_known(home: Path) -> None:
    assert check(home, None, "true") == launchers.Result(111, b"", b"")


def test_a_password_file_open_to_others_or_missing_is_a_temporary_failure(home: Path) -> None:
    (home / "users/passwd").chmod(0o644)
    assert check(home, GOOD, "true") == launchers.Result(111, b"", b"")
    (home / "users/passwd").unlink()
    assert check(home, GOOD, "true") == launchers.Result(111, b"", b"")


def test_where_there_is_no_instance_the_system_is_asked(home: Path) -> None:
    elsewhere = {"QMAILHOME": str(home / "nowhere")}
    assert check(home, GOOD, "true", env=elsewhere) == launchers.Result(1, b"", b"")
    assert check(home, b"nobody\0*\0", "true", env=elsewhere) == launchers.Result(1, b"", b"")


@pytest.fixture
def own_directory() -> Iterator[Path]:
    """A directory that others can get into, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")
def test_root_becomes_the_owner_of_the_instance(own_directory: Path) -> None:
    home = make_home(own_directory)
    for path in (home, home / "queue", home / "demo", home / "users/passwd"):
        os.chown(path, 65533, 65532)
    done = check(home, GOOD, "sh", "-c", "id -u; id -g; id -G")
    assert done == launchers.Result(0, b"65533\n65532\n65532\n", b"")
