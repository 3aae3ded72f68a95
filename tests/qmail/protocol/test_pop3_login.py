"""POP3 before the mailbox is open."""

from __future__ import annotations

import pytest

from qmail.protocol.pop3_login import Login

STAMP = b"<994.1795420714@pop.example.org>"


def converse(data: bytes) -> tuple[bytes, bytes | None, bool]:
    """Replies, credentials and end, the same whole, byte by byte, and with something behind."""
    outcomes = []
    for cuts in ([data], [data[i : i + 1] for i in range(len(data))], [data + b"STAT"]):
        login = Login(b"pop.example.org", 994, 1795420714)
        replies = b""
        for piece in cuts:
            if login.finished:
                break
            replies += login.receive(piece)
        outcomes.append((replies, login.credentials, login.finished))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    return outcomes[0]


DIALOGUES = [
    # what the client says, what it hears, what checkpassword hears
    (b"USER joe\r\n", b"+OK \r\n", None),
    (b"USER\r\n", b"-ERR syntax error\r\n", None),
    (b"USER  \r\n", b"-ERR syntax error\r\n", None),
    (b"PASS x\r\n", b"-ERR USER first\r\n", None),
    (b"PASS\r\n", b"-ERR USER first\r\n", None),
    (b"user joe\r\npass\r\n", b"+OK \r\n-ERR syntax error\r\n", None),
    (b"USER joe bloggs\r\nPASS  two words \r\n", b"+OK \r\n", b"joe bloggs\0two words \0" + STAMP + b"\0"),
    (b"USER a\nUSER b\nPASS x\n", b"+OK \r\n+OK \r\n", b"b\0x\0" + STAMP + b"\0"),
    (b"USER a\nUSER\nPASS x\n", b"+OK \r\n-ERR syntax error\r\n", b"a\0x\0" + STAMP + b"\0"),
    (b"APOP joe\r\n", b"-ERR syntax error\r\n", None),
    (b"APOP\r\n", b"-ERR syntax error\r\n", None),
    (b"APOP joe  d41d8\r\n", b"", b"joe\0 d41d8\0" + STAMP + b"\0"),
    (b"apop joe \r\n", b"", b"joe\0\0" + STAMP + b"\0"),
    (b"NOOP\r\n", b"+OK \r\n", None),
    (b"CAPA\r\nRSET\r\nSTAT\r\n\r\n", b"-ERR authorization first\r\n" * 4, None),
    (b"USER j\0oe\r\nPASS s\0x\r\n", b"+OK \r\n", b"j\0s\0" + STAMP + b"\0"),
]


@pytest.mark.parametrize(("data", "replies", "credentials"), DIALOGUES)
def test_dialogue(data: bytes, replies: bytes, credentials: bytes | None) -> None:
    assert converse(data) == (replies, credentials, credentials is not None)


def test_quit_ends_it_without_an_attempt() -> None:
    assert converse(b"user joe\r\nQUIT\r\n") == (b"+OK \r\n+OK \r\n", None, True)


def test_the_greeting_is_the_stamp() -> None:
    assert Login(b"pop.example.org", 994, 1795420714).greeting == b"+OK " + STAMP + b"\r\n"


def test_nothing_behind_the_attempt_is_answered() -> None:
    login = Login(b"h", 1, 2)
    assert login.receive(b"USER joe\r\nPASS x\r\nSTAT\r\nUSER eve\r\nPASS y\r\n") == b"+OK \r\n"
    assert login.credentials == b"joe\0x\0<1.2@h>\0"
