"""What is wrong with control files, taken together, and how to mend it.  qmail-showctl(8), --check.

Pure: names and bytes in, complaints out.  A complaint is about what the programs would do with the files as they are,
which is often not what whoever wrote them meant."""

from __future__ import annotations

from qmail.core import smtproutes
from qmail.core.control import BLANKS
from qmail.protocol import smtp_lines
from ucspi.core import ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LINE, NUMBER, LIST, DATABASE = "line", "number", "list", "database"
# What the programs of this project read, and what run scripts do.  qmail-control(5).
KNOWN: dict[bytes, str] = {
    **dict.fromkeys(
        (b"bouncefrom", b"bouncehost", b"defaultdelivery", b"defaultdomain", b"defaulthost", b"doublebouncehost"), LINE
    ),
    **dict.fromkeys((b"doublebounceto", b"envnoathost", b"helohost", b"idhost", b"localiphost", b"me"), LINE),
    **dict.fromkeys((b"outgoingip", b"outgoingip6", b"plusdomain", b"smtpgreeting", b"barelf"), LINE),
    **dict.fromkeys((b"concurrencyincoming", b"concurrencylocal", b"concurrencyremote", b"databytes"), NUMBER),
    **dict.fromkeys((b"queuelifetime", b"timeoutconnect", b"timeoutremote", b"timeoutsmtpd"), NUMBER),
    **dict.fromkeys((b"badmailfrom", b"domainbindings", b"locals", b"morercpthosts", b"percenthack"), LIST),
    **dict.fromkeys((b"qmqpservers", b"rcptcheck", b"rcpthosts", b"scanner", b"smtproutes", b"virtualdomains"), LIST),
    b"morercpthosts.cdb": DATABASE,
}
HOSTS = (b"locals", b"rcpthosts", b"morercpthosts", b"percenthack")  # lists of nothing but hosts
KEYED = (b"virtualdomains", b"smtproutes", b"domainbindings")  # lists of key:value


def complaints(files: Mapping[bytes, bytes], known: Mapping[bytes, str] = KNOWN) -> Iterator[bytes]:
    """One line for each thing that is wrong; `files` are name and content of all of control/."""
    for name in sorted(files):
        kind = known.get(name)
        if kind is None:
            yield b"%b: no program reads this file%b" % (name, _meant(name, known))
        elif kind != DATABASE:
            yield from _form(name, kind, files[name])
    yield from _together(files)


def _meant(name: bytes, known: Mapping[bytes, str]) -> bytes:
    stem = name.lower().rstrip(b"~").partition(b".")[0].strip(b"#")
    if stem in known:
        return b"; a copy of %b? keep it elsewhere" % stem
    near = [other for other in known if _distance(stem, other) <= min(2, len(stem) // 2)]
    return b"; is %b meant?" % min(near, key=lambda other: _distance(stem, other)) if near else b""


def _distance(one: bytes, other: bytes) -> int:
    """Single letters to change, put in or leave out (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def _form(name: bytes, kind: str, data: bytes) -> Iterator[bytes]:
    lines = data.split(b"\n")
    if kind != LIST:
        if any(line.strip() for line in lines[1:]):
            yield b"%b: only the first line counts; remove the others" % name
        lines = lines[:1]
    if kind == NUMBER and not lines[0].rstrip(BLANKS).isdigit():
        what = b"it counts as not there" if not lines[0][:1].isdigit() else b"what follows the digits is ignored"
        yield b"%b: is no number: %b" % (name, what)
    elif kind == LINE and not lines[0].rstrip(BLANKS):
        yield b"%b: is empty, which is not the same as not there; remove it, or write what is meant" % name
    for number, line in enumerate(lines, 1):
        where = b"%b:%d" % (name, number)
        if b"\r" in line:
            yield b"%b: has a carriage return, which is taken as part of the name; remove it: sed -i 's/\\r$//'" % where
        elif line.rstrip(BLANKS) != line:
            yield b"%b: ends in blanks; qmail ignores them, scripts that read the file do not: remove them" % where
        if line[:1] in (b" ", b"\t") and line.strip():
            yield b"%b: begins with a blank, which is taken as part of the name; remove it" % where
        if b"\0" in line:
            yield b"%b: has a zero byte; nothing will ever be equal to it" % where
        yield from _entry(name, where, line.strip())


def _entry(name: bytes, where: bytes, line: bytes) -> Iterator[bytes]:
    if not line or line.startswith(b"#"):
        return
    if name in KEYED and b":" not in line:
        yield b"%b: has no colon and is ignored; write it as name:value" % where
    if name in HOSTS:
        if b"*" in line:
            yield b"%b: * has no meaning; .example.org is every host in example.org" % where
        elif b"@" in line:
            yield b"%b: is an address; only hosts belong here" % where
        elif b" " in line or b"\t" in line:
            yield b"%b: has a blank in it; write one host a line" % where
    if name in (b"locals", b"percenthack") and line.startswith(b"."):
        yield b"%b: .host is not understood in this file; name each host" % where
    if name == b"badmailfrom" and b"@" not in line:
        yield b"%b: is no sender; write user@host, or @host for all of a host" % where
    if name == b"barelf" and line not in smtp_lines.MODES:
        yield b"%b: is none of %b: it means reject" % (where, b", ".join(smtp_lines.MODES))
    if name in (b"outgoingip", b"outgoingip6") and not _is_address(line, six=name == b"outgoingip6"):
        yield b"%b: is no address of that kind: all mail to other hosts waits" % where
    if name == b"smtproutes" and any(not relay.port for relay in smtproutes.parse(line.partition(b":")[2]).relays):
        yield b"%b: has a relay with port 0, where nobody is; write host:port, and an IPv6 address as [address]" % where


def _is_address(word: bytes, *, six: bool) -> bool:
    address = ip.canonical(word)
    return address is not None and (b":" in address) == six


def _together(files: Mapping[bytes, bytes]) -> Iterator[bytes]:
    me = files.get(b"me", b"").partition(b"\n")[0].strip()
    if not me:
        yield b"me: does not exist: qmail-send, qmail-smtpd and qmail-remote do not start; qmail-config-fast writes it"
    elif b"." not in me:
        yield b"me: has no dot; other hosts want a name that is in DNS, as in mail.example.org"
    local = set(_entries(files, b"locals")) if b"locals" in files else {me.lower()} - {b""}
    virtual = {key for key in _keys(files, b"virtualdomains") if b"@" not in key}
    for host in sorted(local & virtual):
        yield b"virtualdomains: %b is in locals, too, which is asked first: this line does nothing" % host
    if b"rcpthosts" not in files:
        yield b"rcpthosts: does not exist: an open relay, anybody may send anywhere through this host; list its hosts"
        return
    taken = {*_entries(files, b"rcpthosts"), *_entries(files, b"morercpthosts")}
    for host in sorted(local | {key for key in virtual if key}):
        if not _covered(host, taken):
            yield b"rcpthosts: %b is not in it: its mail is refused when it comes by SMTP" % host
    for host in sorted(set(_entries(files, b"percenthack"))):
        if _covered(host, taken):
            yield b"percenthack: %b is in rcpthosts: an open relay for user%%host@%b; remove it" % (host, host)
    if b"morercpthosts" in files and b"morercpthosts.cdb" not in files:
        yield b"morercpthosts: is not compiled and not used; run qmail-newmrh"


def _entries(files: Mapping[bytes, bytes], name: bytes) -> list[bytes]:
    """As the programs read a list: carriage returns and blanks in front stay, and match nothing."""
    lines = (line.rstrip(BLANKS) for line in files.get(name, b"").split(b"\n"))
    return [line.lower() for line in lines if line and line[:1] != b"#"]


def _keys(files: Mapping[bytes, bytes], name: bytes) -> list[bytes]:
    pairs = (line.partition(b":") for line in _entries(files, name))
    return [key for key, colon, value in pairs if colon and value]


def _covered(host: bytes, taken: set[bytes]) -> bool:
    """Whether rcpthosts has the host, or an end of it; an entry that is an end itself (.example.org) is one to find."""
    while host:
        if host in taken:
            return True
        dot = host.find(b".", 1)
        host = host[dot:] if dot >= 0 else b""
    return False
