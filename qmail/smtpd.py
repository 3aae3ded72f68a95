"""Take mail from one SMTP client and put it into the queue.  qmail-smtpd(8).

Talks on descriptors 0 and 1.  Reads TCPREMOTEHOST, TCPREMOTEIP, TCPREMOTEINFO, TCPLOCALHOST, TCPLOCALIP, RELAYCLIENT,
DATABYTES, QMAILQUEUE, QMAILHOME, and the control files.

Exits 0 after QUIT; 1 when the session ended in any other way."""

from __future__ import annotations

import time

from qmail.core import instance, nameset, submit
from qmail.core.control import Control
from qmail.core.rcpthosts import RcptHosts
from qmail.core.received import received
from qmail.protocol import smtp_server as smtp
from ucspi.core import scan, streams
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-smtpd", __doc__, preload=("cdbx", "qmail.core.ipme"))

IDLE = 1200  # seconds that a client may be silent, or take nothing; timeoutsmtpd
LONGEST_IDLE = 2_000_000  # poll(2) counts milliseconds in 31 bits
HELD = 65536  # bytes of replies that are gathered before they are written, whatever else the client has sent


class Farewell(Exception):
    """Nothing can be done for this client any more but to send `reply`."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(reply)
        self.reply = reply


class Server:
    """Drives one session on descriptors 0 and 1, and answers its questions."""

    __slots__ = ("_call", "_held", "_idle", "_instance", "_mail", "_own", "_rcpthosts", "_replies", "_session")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._instance = instance.of(call.env)
        self._idle = IDLE
        self._mail: submit.Submission | None = None  # while a mail comes
        self._rcpthosts: RcptHosts | None = None
        self._own: frozenset[bytes] | None = None
        self._replies: list[bytes] = []
        self._held = 0

    def run(self) -> int:
        """The whole session.  Returns the exit code; raises OSError if the client is gone."""
        try:
            return self._converse(self._start())
        except Farewell as farewell:
            self._say(farewell.reply)
        except MemoryError:
            self._say(smtp.NO_MEMORY)
        finally:
            if self._mail is not None:
                self._mail.abandon()
            if self._rcpthosts is not None:
                self._rcpthosts.close()
        self._flush()
        return 1

    def _start(self) -> smtp.Session:
        """Read what the administrator decided.  All of it now: a client must not learn in mid-session that half of
        our controls cannot be read."""
        control, env = Control(self._instance.control), self._call.env
        try:
            me = control.line(b"me")
            greeting = _given(control.line(b"smtpgreeting"), me)
            if greeting is None:
                raise Farewell(smtp.NO_CONTROLS)
            localiphost = _given(control.line(b"localiphost"), me)
            self._idle = min(max(1, control.number(b"timeoutsmtpd", IDLE)), LONGEST_IDLE)
            self._rcpthosts = RcptHosts.load(control)
            badmailfrom = nameset.load(control, b"badmailfrom")
            databytes = control.number(b"databytes", 0)
        except OSError as error:
            raise Farewell(smtp.NO_CONTROLS) from error
        if b"DATABYTES" in env:
            databytes = scan.number(env[b"DATABYTES"])
        settings = smtp.Settings(
            greeting,
            badmailfrom=badmailfrom or frozenset(),
            databytes=databytes,
            relayclient=env.get(b"RELAYCLIENT"),
            localiphost=localiphost,
        )
        return smtp.Session(settings)

    def _converse(self, session: smtp.Session) -> int:
        self._say(session.greet())
        while True:
            self._flush()
            try:
                data = streams.read_within(0, streams.BLOCK, self._idle)
            except TimeoutError as error:
                raise Farewell(smtp.TIMEOUT) from error
            if not data:
                return 1
            for event in session.receive(data):
                if isinstance(event, bytes):
                    self._say(event)
                elif isinstance(event, smtp.End):
                    self._flush()
                    return event.code
                else:
                    self._answer(event)

    def _say(self, reply: bytes) -> None:
        self._replies.append(reply)
        self._held += len(reply)
        if self._held > HELD:
            self._flush()

    def _flush(self) -> None:
        """Write the replies that are held, in one write: the client may have sent many commands at once."""
        if self._replies:
            replies = b"".join(self._replies)
            self._replies.clear()
            self._held = 0
            streams.write_within(1, replies, self._idle)

    # --- the session's questions

    def _answer(self, event: smtp.Own | smtp.Recipient | smtp.Open | smtp.Block | smtp.Close) -> None:
        if isinstance(event, smtp.Block):
            assert self._mail is not None
            self._mail.write(event.data)
        elif isinstance(event, smtp.Recipient):
            event.answer = self._allows(event.address)
        elif isinstance(event, smtp.Own):
            event.answer = event.ip in self._own_addresses()
        elif isinstance(event, smtp.Open):
            event.answer = self._open(event.helo)
        else:
            self._close(event)

    def _allows(self, address: bytes) -> bool:
        assert self._rcpthosts is not None
        try:
            return self._rcpthosts.allows(address)
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

    def _open(self, helo: bytes | None) -> bool:
        try:
            self._mail = submit.open_queue(self._call, self._instance)
        except OSError:
            return False
        self._mail.write(received(self._call.env, b"SMTP", helo, time.time()))
        return True

    def _close(self, event: smtp.Close) -> None:
        assert self._mail is not None
        if event.refused:
            self._mail.fail()
        event.answer = self._mail.close(event.sender, event.recipients)
        event.accepted = b"%d qp %d" % (time.time(), self._mail.qp)
        self._mail = None


def _given(line: bytes | None, default: bytes | None) -> bytes | None:
    return default if line is None else line


def smtpd(call: Call) -> int:
    """The program."""
    try:
        return Server(call).run()
    except OSError:  # the client is gone; there is nobody to tell
        return 1


main = PROGRAM.entry(smtpd)
