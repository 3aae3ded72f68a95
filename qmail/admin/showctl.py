"""Show how the mail system is configured: what is compiled in, and every control file.  qmail-showctl(8).

Exits 0; 1 if --check finds something; 111 if control/ cannot be read."""

from __future__ import annotations

import os

from qmail.core import dotqmail, instance
from qmail.core.control import Control
from qmail.core.queuedir import SPLIT
from ucspi.core import scan, streams
from ucspi.core.command import Call, Long, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Program(
    "qmail-showctl",
    __doc__,
    options=(Long("check", "Print only what is wrong with the control files, and how to mend it."),),
    usage="qmail-showctl [ --check ]",
)

ACCOUNTS = ("alias", "qmaild", "qmaill", "root", "qmailp", "qmailq", "qmailr", "qmails")
GROUPS = ("nofiles", "qmail")
LIMIT = 120  # deliveries that a spawn program of the original takes at once; conf-spawn

LINE, ME, NUMBER, LIST, MORE, DATABASE = range(6)  # ME: a line whose default is control/me
# name, kind, default, text before the value, text after it
FILES: tuple[tuple[bytes, int, bytes, bytes, bytes], ...] = (
    (b"badmailfrom", LIST, b"Any MAIL FROM is allowed.", b"", b" not accepted in MAIL FROM."),
    (b"bouncefrom", LINE, b"MAILER-DAEMON", b"Bounce user name is ", b""),
    (b"bouncehost", ME, b"bouncehost", b"Bounce host name is ", b""),
    (b"concurrencylocal", NUMBER, b"10", b"Local concurrency is ", b""),
    (b"concurrencyremote", NUMBER, b"20", b"Remote concurrency is ", b""),
    (b"databytes", NUMBER, b"0", b"SMTP DATA limit is ", b" bytes"),
    (b"defaultdomain", ME, b"defaultdomain", b"Default domain name is ", b""),
    (b"defaulthost", ME, b"defaulthost", b"Default host name is ", b""),
    (b"doublebouncehost", ME, b"doublebouncehost", b"2B recipient host: ", b""),
    (b"doublebounceto", LINE, b"postmaster", b"2B recipient user: ", b""),
    (b"envnoathost", ME, b"envnoathost", b"Presumed domain name is ", b""),
    (b"helohost", ME, b"helohost", b"SMTP client HELO host name is ", b""),
    (b"idhost", ME, b"idhost", b"Message-ID host name is ", b""),
    (b"localiphost", ME, b"localiphost", b"Local IP address becomes ", b""),
    (b"locals", LIST, b"Messages for me are delivered locally.", b"Messages for ", b" are delivered locally."),
    (b"me", LINE, b"undefined! Uh-oh", b"My name is ", b""),
    (b"percenthack", LIST, b"The percent hack is not allowed.", b"The percent hack is allowed for user%host@", b"."),
    (b"plusdomain", ME, b"plusdomain", b"Plus domain name is ", b""),
    (b"qmqpservers", LIST, b"No QMQP servers.", b"QMQP server: ", b"."),
    (b"queuelifetime", NUMBER, b"604800", b"Message lifetime in the queue is ", b" seconds"),
    (
        b"rcpthosts",
        LIST,
        b"SMTP clients may send messages to any recipient.",
        b"SMTP clients may send messages to recipients at ",
        b".",
    ),
    (b"morercpthosts", MORE, b"No effect.", b"SMTP clients may send messages to recipients at ", b"."),
    (b"morercpthosts.cdb", DATABASE, b"", b"", b""),
    (b"smtpgreeting", ME, b"smtpgreeting", b"SMTP greeting: 220 ", b""),
    (b"smtproutes", LIST, b"No artificial SMTP routes.", b"SMTP route: ", b""),
    (b"timeoutconnect", NUMBER, b"60", b"SMTP client connection timeout is ", b" seconds"),
    (b"timeoutremote", NUMBER, b"1200", b"SMTP client data timeout is ", b" seconds"),
    (b"timeoutsmtpd", NUMBER, b"1200", b"SMTP server data timeout is ", b" seconds"),
    (b"virtualdomains", LIST, b"No virtual domains.", b"Virtual domain: ", b""),
)
TROUBLE = b"Oops! Trouble reading this file.\n"
PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))


def showctl(call: Call) -> int:
    """The program."""
    home = instance.of(call.env)
    if call.given("check"):
        return _check(home)
    streams.write_all(1, b"".join(_fixed(home)))
    report = Report(Control(home.control))
    for path, what in ((home.home, home.home), (home.control, b"control")):
        try:
            os.stat(path + b"/.")
        except OSError:
            return _oops(b"Unable to chdir to %b.\n" % what)
    try:
        names = sorted(os.listdir(home.control))
    except OSError:
        return _oops(b"Unable to open current directory.\n")
    try:
        report.me = report.control.line(b"me")
    except OSError:
        return _oops(b"Trouble reading control/me.")
    streams.write_all(1, b"".join(report.lines(names)))
    return 0


def _check(home: instance.Instance) -> int:
    from qmail.core import controlcheck

    files, found = {}, []
    for name in sorted(os.listdir(home.control)):
        path = home.control + b"/" + name
        if not os.path.isfile(path):
            found.append(b"%b: is no file" % name)
            continue
        with open(path, "rb") as file:
            files[name] = file.read()
        if not home.single and not os.stat(path).st_mode & 0o004:
            found.append(b"%b: is closed to the programs that need it; chmod 644" % name)
    found += controlcheck.complaints(files)
    streams.write_all(1, b"".join([b"control/%b\n" % line.translate(PRINTABLE) for line in found]))
    return 1 if found else 0


def _oops(text: bytes) -> int:
    streams.write_all(1, b"Oops! " + text)
    return 111


def _fixed(home: instance.Instance) -> Iterator[bytes]:
    uids = b", ".join([b"%d" % home.uid(name) for name in ACCOUNTS])
    gids = b", ".join([b"%d" % home.gid(name) for name in GROUPS])
    yield b"qmail home directory: %b.\nuser-ext delimiter: -.\n" % home.home
    yield b"paternalism (in decimal): %d.\n" % dotqmail.FORBIDDEN
    yield b"silent concurrency limit: %d.\nsubdirectory split: %d.\n" % (LIMIT, SPLIT)
    yield b"user ids: %b.\ngroup ids: %b.\n" % (uids, gids)


class Report:
    """The control files."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.me: bytes | None = None

    def lines(self, names: list[bytes]) -> Iterator[bytes]:
        """What to print about every file that is known, and then about those in `names` that are not."""
        for name, kind, default, before, after in FILES:
            yield b"\n%b: " % name
            try:
                yield self._file(name, kind, default, before, after)
            except OSError:
                yield TROUBLE
        known = {name for name, *_ in FILES}
        for name in names:
            if name not in known:
                yield b"\n%b: I have no idea what this file does.\n" % name

    def _file(self, name: bytes, kind: int, default: bytes, before: bytes, after: bytes) -> bytes:
        if kind == LIST:
            return self._list(name, default, before, after)
        if kind == MORE:
            return self._more(default, before, after)
        if kind == DATABASE:
            return self._database(name)
        value = self.control.line(name)
        if kind == NUMBER:
            value = _number(value)
        given = value is not None
        if value is None:
            value = self.me if kind == ME and self.me is not None else default
        return b"%b%b%b%b.\n" % (b"" if given else b"(Default.) ", before, value.translate(PRINTABLE), after)

    def _list(self, name: bytes, default: bytes, before: bytes, after: bytes) -> bytes:
        entries = self.control.entries(name)
        if entries is None:
            return b"(Default.) %b\n" % default
        return b"\n" + b"".join([b"%b%b%b\n" % (before, entry.translate(PRINTABLE), after) for entry in entries])

    def _more(self, default: bytes, before: bytes, after: bytes) -> bytes:
        """morercpthosts, which means nothing where there is no rcpthosts."""
        try:
            first = self.control.entries(b"rcpthosts") is not None
        except OSError:
            first = True
        if not first:
            default = b"No rcpthosts; morercpthosts is irrelevant."
            before = b"No rcpthosts; doesn't matter that morercpthosts has "
        return self._list(b"morercpthosts", default, before, after)

    def _database(self, name: bytes) -> bytes:
        source, database = self._changed(b"morercpthosts"), self._changed(name)
        if source is None:
            if database is None:
                return b"(Default.) No effect.\n"
            return b"Oops! morercpthosts.cdb exists but morercpthosts doesn't.\n"
        if database is None:
            return b"Oops! morercpthosts exists but morercpthosts.cdb doesn't.\n"
        if source > database:
            return b"Oops! morercpthosts.cdb is older than morercpthosts.\n"
        return b"Modified recently enough; hopefully up to date.\n"

    def _changed(self, name: bytes) -> int | None:
        try:
            return int(os.stat(self.control.directory + b"/" + name).st_mtime)
        except OSError:
            return None


def _number(line: bytes | None) -> bytes | None:
    """A number as the original has it, in 32 bits with a sign; None where the line starts with none."""
    if line is None or not line[:1].isdigit():
        return None
    number = scan.number(line) & 0xFFFFFFFF
    return b"%d" % (0 if number & 0x80000000 else number)


main = PROGRAM.entry(showctl)
