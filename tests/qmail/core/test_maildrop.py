"""A maildir as POP3 shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmail.core.maildrop import DEAD, Maildrop, NoMaildir

NOW = 1795420714


def make_maildir(base: Path, files: dict[str, tuple[bytes, float]]) -> Path:
    for part in ("new", "cur", "tmp"):
        (base / part).mkdir(parents=True)
    for name, (content, when) in files.items():
        (base / name).write_bytes(content)
        os.utime(base / name, (when, when))
    return base


def names(maildrop: Maildrop) -> list[bytes]:
    return [maildrop.unique(i) for i in range(len(maildrop.sizes))]


def files(base: Path) -> set[str]:
    return {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}


PROBE_61 = {
    "new/1000.1.host": (b"x" * 36, NOW - 300),
    "new/1100.3.host,S=5": (b"x" * 16, NOW - 200),
    "cur/0900.2.host:2,S": (b"x" * 36, NOW - 100),
    "new/1200.4.host": (b"later", NOW + 100),
}


def test_new_and_cur_are_one_list_by_time_and_what_comes_now_waits(tmp_path: Path) -> None:
    base = make_maildir(tmp_path / "M", PROBE_61)
    maildrop = Maildrop(bytes(base), NOW)
    assert names(maildrop) == [b"1000.1.host", b"1100.3.host,S=5", b"0900.2.host"]
    assert maildrop.sizes == [36, 16, 36]
    assert maildrop.update(set()) == 0
    assert files(base) == {
        "cur/1000.1.host:2,",
        "cur/1100.3.host,S=5:2,",
        "cur/0900.2.host:2,S",
        "new/1200.4.host",
    }


@pytest.mark.parametrize(("when", "listed"), [(NOW - 0.001, True), (NOW, False), (NOW + 0.5, False)])
def test_a_message_of_this_second_is_not_listed(tmp_path: Path, when: float, listed: bool) -> None:
    base = make_maildir(tmp_path / "M", {"new/1": (b"", when)})
    assert bool(names(Maildrop(bytes(base), NOW))) is listed


def test_dot_files_and_broken_links_are_no_messages(tmp_path: Path) -> None:
    base = make_maildir(tmp_path / "M", {"new/.hidden": (b"", 1), "cur/a": (b"", 1)})
    (base / "new/broken").symlink_to("nowhere")
    assert names(Maildrop(bytes(base), NOW)) == [b"a"]


def test_deleted_messages_go_and_those_already_gone_are_counted(tmp_path: Path) -> None:
    base = make_maildir(tmp_path / "M", {"new/a": (b"", 1), "new/b": (b"", 2), "cur/c": (b"", 3), "new/d": (b"", 4)})
    maildrop = Maildrop(bytes(base), NOW)
    (base / "new/b").unlink()
    (base / "new/d").unlink()
    assert maildrop.update({0, 1, 2}) == 1
    assert files(base) == set()


def test_an_opened_message_can_be_read_and_a_vanished_one_cannot_be_opened(tmp_path: Path) -> None:
    base = make_maildir(tmp_path / "M", {"new/a": (b"text", 1), "new/b": (b"", 2)})
    maildrop = Maildrop(bytes(base), NOW)
    fd = maildrop.open(0)
    assert os.read(fd, 100) == b"text"
    os.close(fd)
    (base / "new/b").unlink()
    with pytest.raises(FileNotFoundError):
        maildrop.open(1)


def test_dead_deliveries_are_swept_from_tmp(tmp_path: Path) -> None:
    old, young = (b"", NOW - DEAD - 1), (b"", NOW - DEAD)
    base = make_maildir(tmp_path / "M", {"tmp/old": old, "tmp/young": young, "tmp/.old": old})
    Maildrop(bytes(base), NOW)
    assert files(base) == {"tmp/young", "tmp/.old"}


def test_a_missing_directory_is_no_maildir(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(NoMaildir):
            Maildrop(bytes(tmp_path / name), NOW)


def test_a_maildir_without_cur_cannot_be_scanned_and_tmp_may_lack(tmp_path: Path) -> None:
    base = make_maildir(tmp_path / "M", {})
    (base / "tmp").rmdir()
    assert names(Maildrop(bytes(base), NOW)) == []
    (base / "cur").rmdir()
    with pytest.raises(FileNotFoundError):
        Maildrop(bytes(base), NOW)
