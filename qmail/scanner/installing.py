"""What qmail-scanner-configure makes and changes: the spool, the list of rules, the settings, the versions.

Run by root, it is the spool's owner who does what is done in the spool; see owner.py."""

from __future__ import annotations

import os

from qmail.scanner import archive, keeping, probing, quarantined, rules, settings, versions
from qmail.scanner.owner import Owner, hand_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qmail.core.instance import Instance
    from qmail.scanner.settings import Settings

RULES = b"""\
# What the scanner does not let pass.  Three columns, separated by TABs; see qmail-scanner-queue(8).
# name or .extension	SIZE=bytes, or -1 for any		description
# regular expression	Policy-Field: or Virus-Field:		description
Eicar.com	SIZE=69	EICAR Test Virus
#.vbs	SIZE=-1	VBS files not allowed per Company security policy
#.lnk	SIZE=-1	LNK files not allowed per Company security policy
#.scr	SIZE=-1	SCR files not allowed per Company security policy
#.wsh	SIZE=-1	WSH files not allowed per Company security policy
#.hta	SIZE=-1	HTA files not allowed per Company security policy
#.pif	SIZE=-1	PIF files not allowed per Company security policy
#.cpl	SIZE=-1	CPL files not allowed per Company security policy
#message/partial.*	Policy-Content-Type:	Messages in pieces not allowed: no piece can be scanned
"""


def install(
    home: Instance, wanted: Settings, values: Mapping[str, str], owner: tuple[int, int] | None
) -> Iterator[str]:
    """Do it, and tell each change.  Done a second time it finds nothing to do.  Raises OSError.

    The settings come last: from then on mail is scanned as they say, so all that needs has to be there."""
    found = probing.versions(wanted)
    yield from _spool(wanted.spool, owner)
    with Owner(*owner or (0, 0)):
        made = _contents(wanted.spool)
        versions.write(wanted.spool, found)
    for path in made:
        yield f"made {os.fsdecode(path)}"
    for name, version in sorted(found.items()):
        yield f"version of {os.fsdecode(name)}: {os.fsdecode(version)}"
    path = home.control + b"/" + settings.FILE
    text = _merged(_read(path), values)
    if text != _read(path):
        _write(path, text)
        yield f"wrote {os.fsdecode(path)}"


def _spool(spool: bytes, owner: tuple[int, int] | None) -> Iterator[str]:
    """Make the spool itself, and give it to its owner."""
    try:
        os.mkdir(spool, 0o750)
        yield f"made {os.fsdecode(spool)}"
        is_new = True
    except FileExistsError:
        is_new = False
    if owner is not None and any(_is_of_another(place, owner[0]) for place in (spool, *_directories(spool))):
        hand_over(spool, *owner)
        if not is_new:
            yield f"gave {os.fsdecode(spool)} and what is in it to uid {owner[0]}"


def _is_of_another(place: bytes, uid: int) -> bool:
    try:
        return os.lstat(place).st_uid != uid
    except FileNotFoundError:
        return False


def _contents(spool: bytes) -> list[bytes]:
    """Make what there has to be in the spool and is not.  Returns what was made."""
    made = [place for place in _directories(spool) if _make(place)]
    path = os.path.join(spool, rules.FILE)
    if not os.path.exists(path):
        _write(path, RULES)
        made.append(path)
    link = spool + b"/viruses.log"
    if not os.path.lexists(link):
        os.symlink(b"quarantine.log", link)
        made.append(link)
    return made


def _directories(spool: bytes) -> Iterator[bytes]:
    for place in (b"/working", b"/quarantine"):
        yield spool + place
    maildirs = [spool + b"/working", *(quarantined.directory(spool, kind) for kind in quarantined.PLACES)]
    maildirs.append(archive.directory(spool))
    for maildir in maildirs:
        if maildir != maildirs[0]:
            yield maildir
        for part in keeping.MAILDIR:
            yield maildir + b"/" + part


def _make(directory: bytes) -> bool:
    try:
        os.mkdir(directory, 0o750)
    except FileExistsError:
        return False
    return True


def _read(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _merged(text: bytes, values: Mapping[str, str]) -> bytes:
    """The file with these values; comments and the order of lines stay."""
    left = dict(values)
    lines = []
    for line in text.splitlines():
        name = os.fsdecode(line.partition(b":")[0].strip())
        if not line.startswith(b"#") and name in values:
            if name in left:
                lines.append(os.fsencode(f"{name}: {left.pop(name)}"))
            continue
        lines.append(line)
    lines += [os.fsencode(f"{name}: {left[name]}") for name in settings.TABLE if name in left]
    return b"".join([line + b"\n" for line in lines])


def _write(path: bytes, text: bytes) -> None:
    """Write a whole file or nothing: who reads it meanwhile sees the old one."""
    with open(path + b".new", "wb") as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
    os.replace(path + b".new", path)
