"""Write service directories for a supervisor: qmail, smtpd, pop3d, each with its log.  qmail-services(8).

    qmail-services [-l logs] [-u units] directory

They run unchanged under daemontools' svscan, runit and s6.  With -u, systemd units that run the same scripts are
written as well.  What is there already stays as it is, so an administrator may change every file.

Exits 0, 100 on bad usage, 111 if something cannot be made."""

from __future__ import annotations

import grp
import os
import pwd

from qmail.core import conf, instance
from qmail.install import files, services
from ucspi.core import streams
from ucspi.core.command import Call, Program, Value
from ucspi.core.failure import TemporaryFailure, UsageFailure

PROGRAM = Program(
    "qmail-services",
    __doc__,
    options=(
        Value("l", "LOGS", "Where the logs go, a directory for each service (/var/log/qmail)."),
        Value("u", "UNITS", "Write systemd units into this directory."),
    ),
    usage="qmail-services [ -l logs ] [ -u units ] directory",
    operands="DIRECTORY",
)
LOGGER = "qmaill"
READERS = "adm"  # the group for logs, where there is one: who writes to whom is nobody else's business


def qmail_services(call: Call) -> int:
    """The program."""
    if len(call.operands) != 1:
        raise UsageFailure
    home = instance.of(call.env)
    directory = os.path.abspath(call.operands[0])
    logs = os.path.abspath(call.value("l") or b"/var/log/qmail")
    units = call.value("u")
    try:
        owner = pwd.getpwnam(LOGGER)
    except KeyError:
        raise TemporaryFailure(f"there is no user {LOGGER}: see qmail-setup(8)") from None
    try:
        readers = grp.getgrnam(READERS).gr_gid
    except KeyError:
        readers = -1
    texts = services.Texts(*map(os.fsdecode, (home.home, conf.PREFIX, directory, logs)), default=home.home == conf.HOME)
    os.umask(0o022)
    for path in (directory, logs):
        os.makedirs(path, exist_ok=True)
    for name in services.RUN:
        _service(texts, directory + b"/" + os.fsencode(name), name)
        log = logs + b"/" + os.fsencode(name)
        if not os.path.isdir(log):
            files.directory(log, 0o700)
            os.chown(log, owner.pw_uid, readers)
            os.chmod(log, 0o750 if readers >= 0 else 0o700)
    _rules(call, texts, directory + b"/smtpd")
    if units is not None:
        for name in services.UNITS:
            _write(units + b"/" + os.fsencode(name), texts.unit(name), 0o644)
    return 0


def _service(texts: services.Texts, directory: bytes, name: str) -> None:
    """log/run before run: a supervisor that looks in between starts no service that has no log."""
    files.directory(directory)
    files.directory(directory + b"/log")
    _write(directory + b"/log/run", texts.log(name), 0o755)
    _write(directory + b"/run", texts.run(name), 0o755)


def _rules(call: Call, texts: services.Texts, directory: bytes) -> None:
    _write(directory + b"/tcp.smtp", services.RULES, 0o644)
    _write(directory + b"/rules", texts.rules(), 0o755)
    if not os.path.exists(directory + b"/tcp.smtp.cdb"):
        status = os.waitpid(call.spawn([directory + b"/rules"]), 0)[1]
        if status:
            raise TemporaryFailure(f"{os.fsdecode(directory)}/rules failed")


def _write(path: bytes, text: str, mode: int) -> None:
    if files.create(path, os.fsencode(text), mode):
        streams.write_all(1, b"wrote %b\n" % path)


main = PROGRAM.entry(qmail_services)
