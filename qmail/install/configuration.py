"""The first control files of a mail host, from its name.  notqmail's config and config-fast; qmail-control(5)."""

from __future__ import annotations

from qmail.install import files
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.instance import Instance

WARNING = b"Make sure to change rcpthosts if you add hosts to locals or virtualdomains!\n"


def say(text: bytes) -> None:
    """Tell who listens; if nobody does, that is no reason to stop half-way, before rcpthosts is there."""
    try:
        streams.write_all(1, text)
    except OSError:
        pass


def default_domain(name: bytes) -> bytes:
    """The name without its first label, if two dots or more are in it."""
    _, dot, rest = name.partition(b".")
    return rest if dot and b"." in rest else name


def plus_domain(name: bytes) -> bytes:
    """Its last two labels."""
    return b".".join(name.split(b".")[-2:])


class Controls:
    """control/ of one instance, while it is being written."""

    def __init__(self, home: Instance) -> None:
        self._home = home

    def put(self, name: bytes, lines: list[bytes]) -> None:
        """Write one file.  Raises OSError."""
        files.replace(self._home.path(b"control", name), b"".join(line + b"\n" for line in lines), 0o644)

    def append(self, name: bytes, line: bytes) -> None:
        """Add a line to one file.  Raises OSError."""
        try:
            with open(self._home.path(b"control", name), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            data = b""
        if data and not data.endswith(b"\n"):
            data += b"\n"
        files.replace(self._home.path(b"control", name), data + line + b"\n", 0o644)

    def names(self, fqdn: bytes) -> bytes:
        """me, defaultdomain and plusdomain; returns what is said about it.  Raises OSError."""
        said = []
        for name, value in (
            (b"me", fqdn),
            (b"defaultdomain", default_domain(fqdn)),
            (b"plusdomain", plus_domain(fqdn)),
        ):
            said.append(b"Putting %b into control/%b...\n" % (value, name))
            self.put(name, [value])
        return b"".join(said)
