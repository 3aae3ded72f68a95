"""What control files tell qmail-send.  qmail-send(8), qmail-control(5).

    queuelifetime 604800  concurrencylocal 10  concurrencyremote 20
    envnoathost, bouncehost, doublebouncehost: control/me, and without that their own names
    bouncefrom MAILER-DAEMON  doublebounceto postmaster  locals: control/me  percenthack, virtualdomains: empty

Only locals and virtualdomains are read again on HUP: `reroute`."""

from __future__ import annotations

from qmail.core.control import keymap
from qmail.core.rewrite import Routes
from ucspi.core.failure import TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.control import Control


class CannotRead(TemporaryFailure):
    """A control file exists and cannot be read, or one that must exist does not; str() is its path below home."""


class Settings:
    """One reading of the control files."""

    __slots__ = ("bouncefrom", "bouncehost", "concurrency", "doublebounceto", "lifetime", "routes")

    def __init__(self, control: Control) -> None:
        """Raises OSError or CannotRead."""
        self.lifetime = control.number(b"queuelifetime", 604800)
        self.concurrency = (control.number(b"concurrencylocal", 10), control.number(b"concurrencyremote", 20))
        envnoathost = _host(control, b"envnoathost")
        self.bouncefrom = _line(control, b"bouncefrom", b"MAILER-DAEMON")
        self.bouncehost = _host(control, b"bouncehost")
        self.doublebounceto = b"%b@%b" % (
            _line(control, b"doublebounceto", b"postmaster"),
            _host(control, b"doublebouncehost"),
        )
        percenthack = control.entries(b"percenthack") or []
        self.routes = Routes(envnoathost, _locals(control), percenthack, _virtualdomains(control))


def reroute(control: Control, routes: Routes) -> Routes:
    """The routes with locals and virtualdomains read afresh.  Raises CannotRead, naming the file to blame."""
    try:
        locals_ = _locals(control)
    except OSError as error:
        raise CannotRead("control/locals") from error
    try:
        virtualdomains = _virtualdomains(control)
    except OSError as error:
        raise CannotRead("control/virtualdomains") from error
    return Routes(routes.envnoathost, locals_, routes.percenthack, virtualdomains)


def _line(control: Control, name: bytes, default: bytes) -> bytes:
    line = control.line(name)
    return default if line is None else line


def _host(control: Control, name: bytes) -> bytes:
    line = control.line(name, me=True)
    return name if line is None else line


def _locals(control: Control) -> list[bytes]:
    entries = control.entries(b"locals")
    if entries is not None:
        return entries
    me = control.line(b"me")
    if me is None:
        raise CannotRead("control/locals")  # no idea which mail is ours: starting would send all of it away
    return [me]


def _virtualdomains(control: Control) -> dict[bytes, bytes]:
    return keymap(control.entries(b"virtualdomains") or [])
