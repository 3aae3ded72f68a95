"""qmail-newmrh: control/morercpthosts as a constant database."""

from __future__ import annotations

from pathlib import Path

import cdbx

from tests.support import instance, launchers


def test_the_database_has_every_host_in_lower_case(tmp_path: Path) -> None:
    home = instance.make_instance(tmp_path, morercpthosts="Foo.Example \n#c\n\n.bar\t\nlast")
    done = launchers.run(launchers.ours("qmail-newmrh"), env={"QMAILHOME": str(home)})
    assert done == launchers.Result(0, b"", b"")
    database = home / "control/morercpthosts.cdb"
    cdb = cdbx.CDB(str(database))
    assert {key: cdb.get(key) for key in cdb.keys()} == {b"foo.example": b"", b".bar": b"", b"last": b""}  # noqa: SIM118
    assert database.stat().st_mode & 0o777 == 0o644
    assert not (home / "control/morercpthosts.tmp").exists()


def test_without_the_file_the_old_database_stays(tmp_path: Path) -> None:
    home = instance.make_instance(tmp_path)
    (home / "control/morercpthosts.cdb").write_bytes(b"old")
    done = launchers.run(launchers.ours("qmail-newmrh"), env={"QMAILHOME": str(home)})
    complaint = b"qmail-newmrh: fatal: unable to read control/morercpthosts: file does not exist\n"
    assert done == launchers.Result(111, b"", complaint)
    assert (home / "control/morercpthosts.cdb").read_bytes() == b"old"
