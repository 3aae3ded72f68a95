"""Take mail from one SMTP client and put it into the queue.  qmail-smtpd(8).

Talks on descriptors 0 and 1.  Reads TCPREMOTEHOST, TCPREMOTEIP, TCPREMOTEINFO, TCPLOCALHOST, TCPLOCALIP, RELAYCLIENT,
DATABYTES, BARELF, RCPTCHECK, QMAILQUEUE, QMAILHOME, and the control files.

Exits 0 after QUIT; 1 when the session ended in any other way."""

from __future__ import annotations

from qmail.core import instance, intake, nameset
from qmail.core.client import Client, Gone, Silent
from qmail.core.control import Control
from qmail.core.rcpthosts import RcptHosts
from qmail.protocol import incoming, smtp_lines
from qmail.protocol import smtp_server as smtp
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-smtpd", __doc__, preload=("cdbx", "qmail.core.ipme"))

IDLE = 1200  # seconds that a client may be silent, or take nothing; timeoutsmtpd
LONGEST_IDLE = 2_000_000  # poll(2) counts milliseconds in 31 bits


class Farewell(Exception):
    """Nothing can be done for this client any more but to send `reply`."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(reply)
        self.reply = reply


class Server:
    """Drives one session, and answers its questions."""

    __slots__ = ("_client", "_mails", "_own", "_session")

    def __init__(self, client: Client, session: smtp.Session, mails: intake.Intake) -> None:
        self._client, self._session, self._mails = client, session, mails
        self._own: frozenset[bytes] | None = None

    def run(self) -> int:
        """The whole session.  Returns the exit code; raises Gone."""
        client = self._client
        try:
            return self._converse()
        except Farewell as farewell:
            client.send(self._session.reply(farewell.reply))
        except Silent:
            client.send(self._session.reply(smtp.TIMEOUT))
        except MemoryError:
            client.send(self._session.reply(smtp.NO_MEMORY))
        client.flush()
        return 1

    def leave(self) -> None:
        """The connection is over."""
        self._mails.leave()

    def _converse(self) -> int:
        client, session = self._client, self._session
        client.send(session.greet())
        while data := client.receive():
            for event in session.receive(data):
                if isinstance(event, bytes):
                    client.send(event)
                elif isinstance(event, incoming.End):
                    client.flush()
                    return event.code
                elif isinstance(event, smtp.Own):
                    event.answer = event.ip in self._own_addresses()
                else:
                    self._pass_on(event)
        return 1

    def _pass_on(self, event: intake.Question) -> None:
        try:
            self._mails.answer(event)
        except OSError as error:  # morercpthosts.cdb is damaged
            raise Farewell(smtp.NO_CONTROLS) from error

    def _own_addresses(self) -> frozenset[bytes]:
        if self._own is None:
            from qmail.core import ipme  # few clients ever name a host by its address

            try:
                self._own = ipme.addresses()
            except OSError as error:
                raise Farewell(smtp.NO_ADDRESSES) from error
        return self._own


def start(call: Call) -> Server | None:
    """Read what the administrator decided: all of it now, a client must not learn in mid-session that half of our
    controls cannot be read.  None if that is so.  Raises OSError."""
    home, env = instance.of(call.env), call.env
    control = Control(home.control)
    me = control.line(b"me")
    greeting = _given(control.line(b"smtpgreeting"), me)
    if greeting is None:
        return None
    idle = min(max(1, control.number(b"timeoutsmtpd", IDLE)), LONGEST_IDLE)
    settings = smtp.Settings(
        greeting,
        badmailfrom=nameset.load(control, b"badmailfrom") or frozenset(),
        databytes=intake.databytes(control, env),
        relayclient=env.get(b"RELAYCLIENT"),
        localiphost=_given(control.line(b"localiphost"), me),
        barelf=_barelf(call, control),
    )
    checks = intake.checks(call, home, control)
    mails = intake.Intake(call, home, b"SMTP", RcptHosts.load(control), checks)
    return Server(Client(idle), smtp.Session(settings), mails)


def _given(line: bytes | None, default: bytes | None) -> bytes | None:
    return default if line is None else line


def _barelf(call: Call, control: Control) -> bytes:
    """What a bare newline in a mail means: a mode of smtp_lines.  Raises OSError."""
    given = call.env.get(b"BARELF", control.line(b"barelf"))
    if given is None:
        return smtp_lines.ALLOW if b"ALLOW_BARELF" in call.env else smtp_lines.REJECT
    if given not in smtp_lines.MODES:
        call.warn(b"BARELF is none of %b: reject it is" % b", ".join(smtp_lines.MODES))
        return smtp_lines.REJECT
    return given


def smtpd(call: Call) -> int:
    """The program."""
    try:
        server = start(call)
    except OSError:
        server = None
    except MemoryError:
        return say(smtp.NO_MEMORY)
    if server is None:
        return say(smtp.NO_CONTROLS)
    try:
        return server.run()
    except Gone:
        return 1
    finally:
        server.leave()


def say(reply: bytes) -> int:
    """The reply in place of the greeting."""
    client = Client(IDLE)
    try:
        client.send(reply + b"\r\n")
        client.flush()
    except Gone:
        pass
    return 1


main = PROGRAM.entry(smtpd)
