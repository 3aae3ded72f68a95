"""The own list of what may not pass: quarantine-events.txt in the spool.  qmail-scanner-queue(8).

    OBJECT <TAB> SIZE=n <TAB> DESCRIPTION                    a file name, or an extension with its dot; -1: any size
    OBJECT <TAB> n <TAB> DESCRIPTION                         the same, as 1.x had it; 0: any size
    PATTERN <TAB> Policy-FIELD: <TAB> DESCRIPTION            a regular expression that a header field matches as a whole
    PATTERN <TAB> Virus-FIELD: <TAB> DESCRIPTION

Large and small letters are the same everywhere.  Fields whose name begins with Content- are looked at in every part,
others in the message's own header.  Some names stand for what is in no header: see FACTS."""

from __future__ import annotations

import os

from qmail.scanner import crypto
from qmail.scanner.mimefields import words
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from qmail.scanner.mime import Part, Walker
    from qmail.scanner.settings import Settings

FILE = b"quarantine-events.txt"
VIRUS, POLICY = "virus", "policy"
FACTS = (
    b"mailfrom",
    b"rcptto",
    b"remoteipaddr",
    b"zippasswordprotected",
    b"filelengthtoolong",
    b"filedoublebarreled",
    b"fileclsid",
    b"cryptodetails",
    b"issensitiveandnocrypto",
)
SENSITIVE = (b"personal", b"private", b"company-confidential")  # Sensitivity: RFC 2156 2.2.1
LONGEST_NAME = 256  # characters of a file name that are not too many
VALUE = 4096  # bytes of a field that a pattern sees
_DOUBLE = (b".exe", b".pif", b".scr", b".com", b".bat", b".cmd", b".vbs", b".js", b".lnk", b".cpl", b".hta", b".msi")


class Event:
    """A rule that matched."""

    __slots__ = ("kind", "name")

    def __init__(self, kind: str, name: bytes) -> None:
        self.kind = kind
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and (self.kind, self.name) == (other.kind, other.name)

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    def __repr__(self) -> str:
        return f"Event({self.kind!r}, {self.name!r})"


class BadRule(TemporaryFailure):
    """A line that is no rule."""


class NoSpool(TemporaryFailure):
    """It is not there, not mounted, say: nobody knows what its rules are."""


class Rules:
    """All rules of a list."""

    __slots__ = ("_fields", "_files", "lines")

    def __init__(self, text: bytes) -> None:
        """Raises BadRule."""
        self._files: dict[bytes, list[tuple[int, Event]]] = {}
        self._fields: list[tuple[bytes, re.Pattern[bytes], Event]] = []
        self.lines: list[tuple[bytes, bytes, bytes]] = []
        for number, line in enumerate(text.split(b"\n"), 1):
            if line.strip() and not line.startswith(b"#"):
                try:
                    self._add(*[column.strip() for column in line.split(b"\t") if column])
                except (TypeError, ValueError) as error:
                    raise BadRule(f"{os.fsdecode(FILE)}: line {number} is no rule") from error

    def _add(self, subject: bytes, kind: bytes, name: bytes) -> None:
        self.lines.append((subject, kind, name))
        if kind.isdigit():
            kind = b"SIZE=%d" % (int(kind) or -1)
        if kind.upper().startswith(b"SIZE="):
            size = int(kind[5:])
            event = Event(POLICY if size < 0 else VIRUS, name)
            self._files.setdefault(subject.lower(), []).append((size, event))
            return
        import re  # costs more than the rest of a start, and few lists have patterns

        first, _, field = kind.partition(b"-")
        events = {b"virus": VIRUS, b"policy": POLICY}
        if first.lower() not in events or not field.endswith(b":"):
            raise ValueError
        try:
            pattern = re.compile(subject, re.IGNORECASE | re.DOTALL)
        except re.error as error:
            raise ValueError from error
        self._fields.append((field[:-1].lower(), pattern, Event(events[first.lower()], name)))

    def match(self, walker: Walker, facts: Mapping[bytes, Sequence[bytes]]) -> Event | None:
        """The first rule that matches the message; `facts` are those of FACTS that come from the envelope."""
        for part in walker.parts:
            event = self._match_files(part)
            if event is not None:
                return event
        if not self._fields:
            return None
        values = _values(walker, facts)
        for field, pattern, event in self._fields:
            for value in values.get(field, ()):
                if pattern.fullmatch(value):
                    return event
        return None

    def _match_files(self, part: Part) -> Event | None:
        if not self._files:
            return None
        for name, size in files(part):
            plain = base(name)
            dot = plain.rfind(b".")
            for key in (plain, plain[dot:] if dot >= 0 else b""):
                for wanted, event in self._files.get(key, ()):
                    if wanted in (-1, size):
                        return event
        return None


def base(name: bytes) -> bytes:
    """A file's name as the system that opens it will see it: no directories, no dots and blanks at the end."""
    return name.replace(b"\\", b"/").rpartition(b"/")[2].lower().rstrip(b". \t\0")


def files(part: Part) -> Iterator[tuple[bytes, int]]:
    """Name and size (-1: unknown) of all files that a part is or holds."""
    for name in part.names:
        yield name, part.size
    for name in part.uuencoded:
        yield name, -1
    if part.archive is not None:
        yield from part.archive.names.items()


def _values(walker: Walker, facts: Mapping[bytes, Sequence[bytes]]) -> dict[bytes, list[bytes]]:
    """Everything that a pattern may match, by the field's name in small letters."""
    values: dict[bytes, list[bytes]] = {name: list(found) for name, found in facts.items()}
    fields = list(walker.fields)
    for part in walker.parts:
        fields += part.fields
    for name, value in fields:
        if name in FACTS:
            continue  # a sender does not say what the facts are
        plain = value[:VALUE].replace(b"\r", b"").replace(b"\n", b"")
        decoded = words(plain)
        values.setdefault(name, []).extend([plain] if decoded == plain else [plain, decoded])
    for fact, name in _facts(walker.parts):
        values.setdefault(fact, []).append(name)
    if details := crypto.details(walker.parts):
        values[b"cryptodetails"] = [details]
    elif any(value.strip().lower() in SENSITIVE for value in values.get(b"sensitivity", ())):
        values[b"issensitiveandnocrypto"] = [b"1"]
    return values


def _facts(parts: Iterable[Part]) -> Iterator[tuple[bytes, bytes]]:
    for part in parts:
        if part.archive is not None and part.archive.encrypted:
            yield b"zippasswordprotected", b"1"
        for name, _ in files(part):
            if len(name) > LONGEST_NAME:
                yield b"filelengthtoolong", name
            plain = base(name)
            if plain.endswith(_DOUBLE) and b"." in plain[:-4].lstrip(b"."):
                yield b"filedoublebarreled", name
            if plain.endswith(b"}") and b".{" in plain:
                yield b"fileclsid", name


_lists: dict[bytes, tuple[object, Rules]] = {}  # a cache: what a version of a file says does not change


def load(wanted: Settings) -> Rules:
    """The rules of the spool; none where there is no list.  Raises OSError, BadRule or NoSpool."""
    spool = wanted.spool
    path = os.path.join(spool, FILE)
    try:
        about = os.stat(path)
    except FileNotFoundError:
        if wanted.is_configured and not os.path.isdir(spool + b"/working/tmp"):
            raise NoSpool(f"{os.fsdecode(spool)} is no spool: see qmail-scanner-configure(8)") from None
        return Rules(b"")
    version = (about.st_ino, about.st_mtime_ns, about.st_size)
    cached = _lists.get(path)
    if cached is None or cached[0] != version:
        with open(path, "rb") as file:
            cached = (version, Rules(file.read()))
        _lists.clear()
        _lists[path] = cached
    return cached[1]
