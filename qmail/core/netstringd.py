"""One connection of qmail-qmtpd or qmail-qmqpd, from its first byte to its exit code.

0     the client has gone, or has got its answer      100   it does not speak the protocol
111   trouble here, or an hour has passed             Nothing but answers is ever said, in any case."""

from __future__ import annotations

from qmail.core.client import Client, Gone, Silent
from qmail.protocol.incoming import End
from qmail.protocol.netstring import Malformed, TooLarge
from qmail.protocol.qmtp_server import QueueUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.core.intake import Intake
    from qmail.protocol import qmqp_server, qmtp_server

HOUR = 3600  # seconds for a whole connection
TROUBLE, NOT_THE_PROTOCOL = 111, 100


def serve(session: qmtp_server.Session | qmqp_server.Session, mails: Intake) -> int:
    """Talk on descriptors 0 and 1; return the exit code."""
    client = Client(HOUR, HOUR)
    try:
        return _converse(client, session, mails)
    except Silent:
        return TROUBLE
    except Gone:
        return 0
    except (TooLarge, QueueUnavailable, OSError, MemoryError):
        return TROUBLE
    finally:
        mails.leave()


def _converse(client: Client, session: qmtp_server.Session | qmqp_server.Session, mails: Intake) -> int:
    while data := client.receive():
        try:
            for event in session.receive(data):
                if isinstance(event, bytes):
                    client.send(event)
                elif isinstance(event, End):
                    client.flush()
                    return event.code
                else:
                    mails.answer(event)
        except Malformed:
            client.flush()  # the answers to what was understood
            return NOT_THE_PROTOCOL
    return 0
