"""Turn control/morercpthosts into control/morercpthosts.cdb, where qmail-smtpd looks.  qmail-newmrh(8).

The new database takes the old one's place in one step, once it is safely on disk.  Exits 0, or 111 with one line."""

from __future__ import annotations

import errno
import os

from qmail.core import instance
from qmail.core.control import Control
from qmail.core.queuedir import sync_directory
from ucspi.core import errtext
from ucspi.core.command import Call, Program
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAM = Program("qmail-newmrh", __doc__)

SOURCE, TEMPORARY, DATABASE = b"morercpthosts", b"morercpthosts.tmp", b"morercpthosts.cdb"


def newmrh(call: Call) -> int:
    """The program."""
    home = instance.of(call.env)
    try:
        os.stat(home.home + b"/.")
    except OSError as e:
        raise TemporaryFailure(f"unable to chdir to {os.fsdecode(home.home)}: {errtext.text(e)}") from e
    try:
        hosts = Control(home.control).entries(SOURCE)
        if hosts is None:
            raise FileNotFoundError(errno.ENOENT, "")
    except OSError as e:
        raise TemporaryFailure(f"unable to read control/morercpthosts: {errtext.text(e)}") from e
    try:
        _write(home.path(b"control", TEMPORARY), hosts)
    except OSError as e:
        raise TemporaryFailure(f"unable to write to control/morercpthosts.tmp: {errtext.text(e)}") from e
    try:
        os.rename(home.path(b"control", TEMPORARY), home.path(b"control", DATABASE))
        sync_directory(home.control)  # rename promises a name only once the directory is on disk
    except OSError as e:
        what = "unable to move control/morercpthosts.tmp to control/morercpthosts.cdb"
        raise TemporaryFailure(f"{what}: {errtext.text(e)}") from e
    return 0


def _write(path: bytes, hosts: Iterable[bytes]) -> None:
    import cdbx  # loads its own C code: only when there is something to write

    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(fd, 0o644)  # qmail-smtpd reads it, whatever umask the administrator has
        maker = cdbx.CDB.make(fd)
        for host in hosts:
            maker.add(host.lower(), b"")
        maker.commit().close()
        os.fsync(fd)
    except OverflowError as e:  # 4 GB are reached
        raise OSError(errno.EFBIG, str(e)) from e
    finally:
        os.close(fd)


main = PROGRAM.entry(newmrh)
