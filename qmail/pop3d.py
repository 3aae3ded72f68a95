"""Serve a maildir by POP3.  qmail-pop3d(8).

Talks on descriptors 0 and 1 to a client that has been let in already, as the mailbox's owner.  Refuses to run as root,
except for a single-user instance whose only user is root.

Exits 0, 1 as root."""

from __future__ import annotations

import os
import time

from qmail.core import instance
from qmail.core.client import Client, Gone
from qmail.core.maildrop import Maildrop, NoMaildir
from qmail.protocol import pop3_server as pop3
from qmail.protocol.commandline import LineTooLong
from ucspi.core import streams
from ucspi.core.command import Call, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

IDLE = 1200  # seconds that a client may be silent, or take nothing
BLOCK = 32768  # of a message; fastest, as all of it stays in the cache
PROGRAM = Program("qmail-pop3d", __doc__, usage="qmail-pop3d maildir", operands="MAILDIR")


def serves_root(env: Mapping[bytes, bytes]) -> bool:
    """True where root is the instance's one user, so that its mailboxes are root's by right."""
    try:
        here = instance.of(env)
        return here.single and here.owner == 0
    except OSError:
        return False


def transfer(client: Client, maildrop: Maildrop, wish: pop3.Retrieve) -> None:
    """Send one message.  Raises OSError if it cannot be read to its end (half a message must not look like a whole),
    Gone."""
    try:
        fd = maildrop.open(wish.index)
    except OSError:
        client.send(pop3.NO_MESSAGE)
        return
    try:
        client.send(pop3.OK)
        message = pop3.Transfer(wish.lines)
        while not message.complete and (block := os.read(fd, BLOCK)):
            client.send(message.feed(block))
        client.send(message.finish())
    except OSError:
        client.flush()  # the start of it, and the replies before
        raise
    finally:
        os.close(fd)


def serve(client: Client, maildrop: Maildrop) -> None:
    """Talk until the client quits, goes, or talks nonsense.  Raises OSError, Gone."""
    session = pop3.Session(maildrop.unique, maildrop.sizes)
    client.send(pop3.OK)
    try:
        while data := client.receive():
            for event in session.receive(data):
                answer(client, maildrop, event)
                if isinstance(event, pop3.Quit):
                    return
    except LineTooLong:
        pass


def answer(client: Client, maildrop: Maildrop, event: bytes | pop3.Retrieve | pop3.Quit) -> None:
    """Pass a reply on, or carry out a wish and reply.  Raises OSError, Gone."""
    if isinstance(event, bytes):
        client.send(event)
    elif isinstance(event, pop3.Retrieve):
        transfer(client, maildrop, event)
    else:
        for _ in range(maildrop.update(event.deleted)):
            client.send(pop3.NO_UNLINK)
        client.send(pop3.OK)


def pop3d(call: Call) -> int:
    """The program."""
    if os.getuid() == 0 and not serves_root(call.env):
        streams.complain(b"qmail-pop3d invoked as uid 0, terminating\n")
        return 1
    client = Client(IDLE)
    try:
        try:
            if not call.operands:
                raise NoMaildir
            maildrop = Maildrop(call.operands[0], int(time.time()))
        except NoMaildir:
            client.send(pop3.NO_MAILDIR)
        except OSError:
            client.send(pop3.NO_SCAN)
        else:
            serve(client, maildrop)
        client.flush()
    except (OSError, Gone):
        pass  # the client is gone, or ought to be: no change to the mailbox, and nobody to tell
    except MemoryError:
        streams.write_all(1, pop3.NO_MEMORY)
    return 0


main = PROGRAM.entry(pop3d)
