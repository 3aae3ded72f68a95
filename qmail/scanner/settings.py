"""How the administrator wants mail to be scanned: control/scanner, one `name: value` a line.  qmail-scanner-queue(8).

qmail-scanner-configure(8) writes the file; each name is that of its option.  A setting that is not there has the
default below.  What cannot be understood is an error, never a default: mail waits until it is put right."""

from __future__ import annotations

import os

from qmail.core.control import Control
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from qmail.core.instance import Instance

FILE = b"scanner"  # below control/
QUARANTINE, REJECT, DROP, TAG = "quarantine", "reject", "drop", "tag"
ACTIONS = frozenset((QUARANTINE, REJECT, DROP, TAG))
DEFER, PASS = "defer", "pass"
VERBOSE = "verbose_spamassassin"
YES, NO = ("yes", "1", "on"), ("no", "0", "off", "")
WORDS_OF_NOTIFY = frozenset(
    ("none", "sender", "recips", "admin", "all", "psender", "precips", "nmladm", "nmlvadm"),
)

# name: (default, what it is)
TABLE = {
    "spooldir": ("/var/spool/qscan", "where the scanner keeps its files"),
    "qmail-queue-binary": ("", "the queue program that clean mail is handed to; qmail-queue"),
    "scanners": (
        "",
        "the engines, comma-separated: clamdscan, fast_spamassassin[=SUBJECT] or verbose_spamassassin, rspamd",
    ),
    "clamd": ("/run/clamav/clamd.ctl", "clamd's socket, or ADDRESS:PORT"),
    "spamd": ("127.0.0.1:783", "spamd's socket, or ADDRESS:PORT"),
    "rspamd": ("127.0.0.1:11333", "rspamd's ADDRESS:PORT"),
    "clamd-timeout": ("120", "seconds that clamd may take"),
    "sa-timeout": ("30", "seconds that spamd may take"),
    "rspamd-timeout": ("30", "seconds that rspamd may take"),
    "clamd-failure": (DEFER, "what becomes of mail while clamd fails: defer or pass"),
    "spamd-failure": (DEFER, "what becomes of mail while spamd fails: defer or pass"),
    "rspamd-failure": (DEFER, "what becomes of mail while rspamd fails: defer or pass"),
    "virus": (QUARANTINE, "what becomes of a virus: quarantine, reject, drop, tag, or several"),
    "policy": (QUARANTINE, "the same of mail that the rules do not allow"),
    "spam": (TAG, "the same of spam"),
    "sa-quarantine": ("0", "score from which spam is quarantined as well; 0: never"),
    "sa-reject": ("0", "score from which spam is rejected as well"),
    "sa-delete": ("0", "score from which spam is dropped"),
    "sa-maxsize": ("500000", "bytes of a message above which the spam engines are not asked"),
    "max-scan-size": ("100000000", "bytes of a message above which no engine is asked"),
    "max-zip-size": ("1000000000", "bytes above which what a zip would unpack to is a policy event"),
    "block-password-protected": ("no", "make a zip archive with a password a policy event"),
    "ignore-eol-check": ("no", "let NUL and carriage returns in headers pass"),
    "admin": ("root", "who is told, before the @"),
    "domain": ("", "and behind it; control/me"),
    "admin-description": ("System Anti-Virus Administrator", "the name beside that address"),
    "notify": ("admin", "who is told of a quarantined message"),
    "local-domains": ("", "recipients are told in these only; the domain"),
    "log-details": ("syslog", "where each message has its line: syslog, stderr, yes (mailstats.csv), no"),
    "log-crypto": ("no", "add to that line how the message is signed or encrypted"),
    "debug": ("no", "write qmail-queue.log"),
    "debug-size": ("10000000", "bytes after which that file begins anew"),
    "header": ("Received", "name of the field that says what was found: Received or X-Qmail-Scanner-Diagnostics"),
    "add-dscr-hdrs": ("no", "add the X-Qmail-Scanner fields of old: no, yes, all"),
    "archive": ("no", "keep copies of what is passed on: no, yes, or a regular expression for the addresses"),
    "error-fd": ("6", "descriptor on which a refusal is explained to the program that calls; no"),
}

CHOICES = {
    **dict.fromkeys(("clamd-failure", "spamd-failure", "rspamd-failure"), (DEFER, PASS)),
    "log-details": ("syslog", "stderr", "yes", "no"),
    "header": ("Received", "X-Qmail-Scanner-Diagnostics"),
    "add-dscr-hdrs": ("no", "yes", "all"),
}
_SWITCHED = ("block-password-protected", "ignore-eol-check", "log-crypto", "debug")
SWITCHES = {**dict.fromkeys(_SWITCHED, YES + NO), "error-fd": NO}  # or a number


class BadSettings(TemporaryFailure):
    """control/scanner says something that cannot be understood."""


class Settings:
    """One reading of control/scanner."""

    __slots__ = ("_given", "_me")

    def __init__(self, given: dict[str, str], me: str) -> None:
        """`me` stands in for a domain.  Raises BadSettings."""
        self._given = given
        self._me = me
        for name in given:
            if name not in TABLE:
                raise BadSettings(f"control/scanner: there is no setting {name}")
        for kind in ("virus", "policy", "spam"):
            self.actions(kind)
        for name, allowed in CHOICES.items():
            if self.text(name) not in allowed:
                raise BadSettings(f"control/scanner: {name}: not one of {', '.join(allowed)}: {self.text(name)}")
        for name, words in SWITCHES.items():
            word = self.text(name).lower()
            if word not in words and not word.isdigit():
                raise BadSettings(f"control/scanner: {name}: neither yes or no nor a number: {word}")
        for name, (default, _) in TABLE.items():
            if default.isdigit() and name != "error-fd":
                self.number(name)
        if not self.text("spooldir").startswith("/"):
            raise BadSettings(f"control/scanner: spooldir: does not begin with a slash: {self.text('spooldir')}")
        for name, value in (("admin", self.text("admin")), ("domain", self.domain)):
            if not value or any(character in ' \t@<>,"' for character in value):
                raise BadSettings(f"control/scanner: {name}: makes no address: {value}")
        self.words("notify", WORDS_OF_NOTIFY)
        self.engines()
        self.archives([])

    def text(self, name: str) -> str:
        """A setting as it stands."""
        return self._given.get(name, TABLE[name][0])

    def raw(self, name: str) -> bytes:
        """The same, for file names and the like."""
        return os.fsencode(self.text(name))

    def is_on(self, name: str) -> bool:
        """A setting that is yes or no, or a number as --debug may have."""
        word = self.text(name).lower()
        return word in YES or (word.isdigit() and int(word[:20]) > 0)

    def number(self, name: str) -> float:
        """A setting that is a number."""
        try:
            value = float(self.text(name))
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e12:
            raise BadSettings(f"control/scanner: {name}: not a number: {self.text(name)}")
        return value

    def words(self, name: str, allowed: frozenset[str]) -> frozenset[str]:
        """A setting that is a list of words."""
        found = frozenset(word.strip() for word in self.text(name).split(",") if word.strip())
        for word in sorted(found - allowed):
            raise BadSettings(f"control/scanner: {name}: what is {word}?")
        return found

    def actions(self, kind: str) -> frozenset[str]:
        """What is to be done with a hit of this kind: virus, policy, spam."""
        return self.words(kind, ACTIONS)

    def engines(self) -> list[tuple[str, bytes, str]]:
        """(kind, name in the logs, what follows the "=") of each engine; kind is clamd, spamd or rspamd."""
        found = []
        for word in self.text("scanners").split(","):
            name, _, value = word.strip().partition("=")
            if name:
                if name not in ENGINES:
                    raise BadSettings(f"control/scanner: scanners: what is {name}?")
                if name == VERBOSE and value:
                    raise BadSettings(f"control/scanner: scanners: {name} has no text: spamd itself marks the Subject")
                found.append((ENGINES[name][0], ENGINES[name][1], value))
        if len([kind for kind, _, _ in found if kind == "spamd"]) > 1:
            raise BadSettings("control/scanner: scanners: spamd is asked once, and either fast or verbose")
        return found

    @property
    def is_verbose(self) -> bool:
        """Is what spamd makes of a message to be passed on in its place?"""
        return VERBOSE in [word.strip() for word in self.text("scanners").split(",")]

    @property
    def is_configured(self) -> bool:
        """Does the file say anything?"""
        return bool(self._given)

    @property
    def spool(self) -> bytes:
        return self.raw("spooldir")

    @property
    def domain(self) -> str:
        return self.text("domain") or self._me

    @property
    def admin(self) -> bytes:
        """The administrator's address."""
        return os.fsencode(f"{self.text('admin')}@{self.domain}")

    def archives(self, addresses: Sequence[bytes]) -> bool:
        """Is a copy to be kept of a message with these addresses?  Large and small letters are the same."""
        pattern = self.text("archive")
        if pattern.lower() in YES + NO:
            return self.is_on("archive")
        return any(map(_compiled(pattern).search, addresses))


def _compiled(pattern: str) -> re.Pattern[bytes]:
    import re  # costs more than the rest of a start

    try:
        return re.compile(os.fsencode(pattern), re.IGNORECASE)
    except re.error as error:
        raise BadSettings(f"control/scanner: archive: {pattern}: {error}") from error


# The names that --scanners has always had: (engine, name in the logs)
ENGINES = {
    "clamdscan": ("clamd", b"clamdscan"),
    "clamscan": ("clamd", b"clamscan"),
    "fast_spamassassin": ("spamd", b"spamassassin"),
    VERBOSE: ("spamd", b"spamassassin"),
    "rspamd": ("rspamd", b"rspamd"),
}


def read(control: Control) -> dict[str, str]:
    """What control/scanner says, name by name.  Raises OSError."""
    pairs = (os.fsdecode(line).partition(":") for line in control.entries(FILE) or [])
    return {name.strip(): value.strip() for name, _, value in pairs}


_settings: dict[bytes, tuple[object, Settings]] = {}  # a cache: what a version of a file says does not change


def load(instance: Instance) -> Settings:
    """The settings of an instance.  Raises OSError or BadSettings."""
    control = Control(instance.control)
    version = [_version(instance.control + b"/" + name) for name in (FILE, b"me")]
    cached = _settings.get(instance.control)
    if cached is not None and cached[0] == version:
        return cached[1]
    me = control.line(b"me") or os.fsencode(os.uname().nodename)
    settings = Settings(read(control), os.fsdecode(me))
    _settings.clear()
    _settings[instance.control] = (version, settings)
    return settings


def _version(path: bytes) -> tuple[int, int, int] | None:
    try:
        about = os.stat(path)
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size
