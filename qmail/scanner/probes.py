"""The messages of qmail-scanner-test, and how they get to a mail host."""

from __future__ import annotations

import binascii
import os

from qmail.protocol.smtp_client import ReplyReader
from qmail.scanner.probing import EICAR, GTUBE
from ucspi.core import errtext
from ucspi.core.failure import PermanentFailure, TemporaryFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

SECONDS = 600.0  # a scan may take its time


def _message(what: bytes, sender: bytes, recipient: bytes, msgid: bytes, rest: bytes) -> bytes:
    head = (b"From: <%b>" % sender, b"To: <%b>" % recipient, b"Subject: qmail-scanner-test: %b" % what)
    return b"\r\n".join((*head, b"Message-ID: <%b>" % msgid, rest))


def _attached(name: bytes, content: bytes) -> bytes:
    lines = (
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/mixed; boundary="scanner-test"',
        b"",
        b"--scanner-test",
        b"",
        b"A test of the scanner.",
        b"--scanner-test",
        b'Content-Type: application/octet-stream; name="%b"' % name,
        b"Content-Transfer-Encoding: base64",
        b"",
        binascii.b2a_base64(content, newline=False),
        b"--scanner-test--",
        b"",
    )
    return b"\r\n".join(lines)


def clean(sender: bytes, recipient: bytes, msgid: bytes) -> bytes:
    """Nothing is wrong with it."""
    return _message(b"clean", sender, recipient, msgid, b"\r\nA test of the scanner.\r\n")


def rule(sender: bytes, recipient: bytes, msgid: bytes) -> bytes:
    """Only the own rules know it: 68 zeros and a newline in a file of a certain name."""
    return _message(b"rule", sender, recipient, msgid, _attached(b"Eicar.com", b"0" * 68 + b"\n"))


def virus(sender: bytes, recipient: bytes, msgid: bytes) -> bytes:
    """Only an engine knows it."""
    return _message(b"virus", sender, recipient, msgid, _attached(b"sneaky.txt", EICAR))


def spam(sender: bytes, recipient: bytes, msgid: bytes) -> bytes:
    """Only a spam engine knows it."""
    return _message(b"spam", sender, recipient, msgid, b"\r\n" + GTUBE + b"\r\n")


ALL: dict[bytes, Callable[[bytes, bytes, bytes], bytes]] = {
    b"clean": clean,
    b"rule": rule,
    b"virus": virus,
    b"spam": spam,
}


def send(host: bytes, port: int, sender: bytes, recipient: bytes, message: bytes) -> bytes:
    """Hand one message over by SMTP; the reply to its end.  Raises Failure or OSError."""
    with _connect(os.fsdecode(host), port) as connection:
        steps = (
            *(b"", b"HELO localhost\r\n", b"MAIL FROM:<%b>\r\n" % sender),
            *(b"RCPT TO:<%b>\r\n" % recipient, b"DATA\r\n", message.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n"),
        )
        reader = ReplyReader()
        for step in steps:
            connection.sendall(step)
            code, text = _reply(connection, reader)
            if step == steps[-1]:
                break
            if code >= 400:
                failure = PermanentFailure if code >= 500 else TemporaryFailure
                raise failure(f"{step[:4].decode() or 'greeting'}: {text.decode('ascii', 'replace').strip()}")
        connection.sendall(b"QUIT\r\n")
        return text


def _connect(host: str, port: int) -> socket.socket:
    import socket

    try:
        return socket.create_connection((host, port), SECONDS)
    except (socket.gaierror, UnicodeError) as error:  # the second for what can be no name
        raise TemporaryFailure(f"unable to find {host}") from error
    except OSError as error:
        raise TemporaryFailure(f"unable to connect to {host}: {errtext.text(error)}") from error


def _reply(connection: socket.socket, reader: ReplyReader) -> tuple[int, bytes]:
    while data := connection.recv(4096):
        for reply in reader.feed(data):  # one at a time: nothing is sent ahead
            return reply.code, reply.text
    raise TemporaryFailure("the host closed the connection")
