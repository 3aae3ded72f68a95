"""POP3 before the mailbox is open: who is it, and what does checkpassword have to be told?  qmail-popup(8).

Takes the client's bytes, gives replies, and ends with the bytes for checkpassword's descriptor 3:

    user 0x00 password 0x00 stamp 0x00      stamp: <pid.time@host>, as in the greeting, angle brackets included"""

from __future__ import annotations

from qmail.protocol.commandline import Lines

OK = b"+OK \r\n"

# What the shell has to say of the attempt; there is one attempt in a connection.
USAGE = b"-ERR usage: popup hostname subprogram\r\n"
NO_PIPE = b"-ERR unable to open pipe\r\n"
NO_WRITE = b"-ERR unable to write pipe\r\n"
NO_FORK = b"-ERR unable to fork\r\n"
CRASHED = b"-ERR aack, child crashed\r\n"
REJECTED = b"-ERR authorization failed\r\n"

SYNTAX = b"-ERR syntax error\r\n"
USER_FIRST = b"-ERR USER first\r\n"
AUTHORIZE_FIRST = b"-ERR authorization first\r\n"


class Login:
    """The dialogue up to PASS, APOP or QUIT.  What follows these in `data` is not looked at."""

    __slots__ = ("_lines", "_user", "apop", "credentials", "finished", "stamp")

    def __init__(self, hostname: bytes, pid: int, now: int, *, apop: bool = True) -> None:
        """`apop`: offer it, by a stamp in the greeting.  Clients that see one never fall back to a password."""
        self.apop = apop
        self.stamp = b"<%d.%d@%b>" % (pid, now, hostname)
        self.credentials: bytes | None = None  # set by PASS and APOP
        self.finished = False
        self._user: bytes | None = None
        self._lines = Lines()

    @property
    def greeting(self) -> bytes:
        """The first line of the connection."""
        return b"+OK %b\r\n" % self.stamp if self.apop else OK

    def receive(self, data: bytes) -> bytes:
        """The replies to what `data` completes.  Raises commandline.LineTooLong."""
        replies = []
        for verb, argument in self._lines.receive(data):
            replies.append(self._answer(verb, argument))
            if self.finished:
                break
        return b"".join(replies)

    def _answer(self, verb: bytes, argument: bytes) -> bytes:
        if verb == b"user":
            if not argument:
                return SYNTAX
            self._user = argument
            return OK
        if verb == b"pass":
            if self._user is None:
                return USER_FIRST
            return self._attempt(self._user, argument) if argument else SYNTAX
        if verb == b"apop":
            user, space, digest = argument.partition(b" ")
            return self._attempt(user, digest) if space else SYNTAX
        if verb == b"quit":
            self.finished = True
            return OK
        return OK if verb == b"noop" else AUTHORIZE_FIRST

    def _attempt(self, user: bytes, password: bytes) -> bytes:
        self.credentials = b"%b\0%b\0%b\0" % (user, password, self.stamp)
        self.finished = True
        return b""
