"""POP3 with an open mailbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmail.protocol.commandline import LONGEST, LineTooLong
from qmail.protocol.pop3_server import Quit, Retrieve, Session, Transfer

NAMES = [b"1000.1.host", b"1100.3.host,S=5", b"0900.2.host"]
SIZES = [36, 16, 36]


def new_session() -> Session:
    return Session(NAMES.__getitem__, SIZES)


def shown(event: bytes | Retrieve | Quit) -> bytes:
    if isinstance(event, Retrieve):
        return b"{%d %s}" % (event.index, str(event.lines).encode())
    if isinstance(event, Quit):
        return b"{quit %s}" % str(sorted(event.deleted)).encode()
    return event


def converse(data: bytes) -> bytes:
    whole = b"".join(shown(event) for event in new_session().receive(data))
    slow = new_session()
    assert whole == b"".join(shown(event) for i in range(len(data)) for event in slow.receive(data[i : i + 1]))
    assert whole == b"".join(shown(event) for event in new_session().receive(data + b"NOOP"))
    return whole


OK = b"+OK \r\n"
DIALOGUES = [
    (b"STAT\r\n", b"+OK 3 88\r\n"),
    (b"UIDL\r\n", OK + b"1 1000.1.host\r\n2 1100.3.host,S=5\r\n3 0900.2.host\r\n.\r\n"),
    (b"LIST\r\n", OK + b"1 36\r\n2 16\r\n3 36\r\n.\r\n"),
    (b"list 2\r\nuidl 2\r\n", b"+OK 2 16\r\n+OK 2 1100.3.host,S=5\r\n"),
    (b"LIST 3junk\r\n", b"+OK 3 36\r\n"),
    (
        b"DELE 1\nDELE 1\nSTAT\nLAST\nRSET\nLAST\n",
        OK + b"-ERR already deleted\r\n+OK 3 52\r\n+OK 1\r\n" + OK + b"+OK 0\r\n",
    ),
    (b"DELE 3\nDELE 1\nLAST\nLIST\n", OK + OK + b"+OK 3\r\n" + OK + b"2 16\r\n.\r\n"),
    (b"DELE 2\nUIDL\n", OK + OK + b"1 1000.1.host\r\n3 0900.2.host\r\n.\r\n"),
    (b"DELE 2\nRETR 2\nTOP 2 1\nLIST 2\nUIDL 2\n", OK + b"-ERR already deleted\r\n" * 4),
    (b"RETR 1\nLAST\n", b"{0 None}+OK 0\r\n"),
    (b"RETR 1 5\nTOP 1 5\nTOP 1\nTOP 1   0x\nTOP 1x 5\n", b"{0 5}{0 5}{0 None}{0 0}{0 None}"),
    (b"DELE\nDELE x\nLIST x\nRETR -1\nTOP\n", b"-ERR syntax error\r\n" * 5),
    (b"DELE 0\nLIST 00\n", b"-ERR messages are counted from 1\r\n" * 2),
    (b"DELE 4\nRETR 99999999999\n", b"-ERR not that many messages\r\n" * 2),
    (b"RETR " + b"9" * 5000 + b"\n", b"-ERR not that many messages\r\n"),
    (b"NOOP\nnoop x\n", OK + OK),
    (b"CAPA\nUSER x\n\n STAT\nSTAT\tx\n", b"-ERR unimplemented\r\n" * 5),
    (b"DELE 2\nQUIT\n", OK + b"{quit [1]}"),
    (b"DELE 2\nRSET\nQUIT x\n", OK + OK + b"{quit []}"),
]


@pytest.mark.parametrize(("data", "expected"), DIALOGUES)
def test_dialogue(data: bytes, expected: bytes) -> None:
    assert converse(data) == expected


def test_nothing_follows_a_quit() -> None:
    assert [shown(event) for event in new_session().receive(b"QUIT\r\nSTAT\r\n")] == [b"{quit []}"]


def test_an_empty_mailbox_has_no_messages() -> None:
    session = Session(NAMES.__getitem__, [])
    assert b"".join(map(shown, session.receive(b"STAT\nLIST\nUIDL\nRETR 1\n"))) == (
        b"+OK 0 0\r\n+OK \r\n.\r\n+OK \r\n.\r\n-ERR not that many messages\r\n"
    )


def test_a_long_listing_comes_in_pieces_of_bounded_size() -> None:
    session = Session(lambda i: b"%d.host" % i, range(100000))
    pieces = [shown(event) for event in session.receive(b"DELE 1\nLIST\n")][1:]
    assert max(map(len, pieces)) < 20000
    assert b"".join(pieces) == OK + b"".join(b"%d %d\r\n" % (i + 1, i) for i in range(1, 100000)) + b".\r\n"


def test_replies_to_lines_before_an_endless_one_are_given() -> None:
    events = new_session().receive(b"STAT\n" + b"x" * (LONGEST + 1))
    assert next(events) == b"+OK 3 88\r\n"
    with pytest.raises(LineTooLong):
        next(events)


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_any_bytes_at_all_give_replies_that_are_lines(junk: bytes, argument: bytes) -> None:
    for data in (junk + b"\n", b"RETR " + argument + b"\n", b"list " + argument + b"\n"):
        for event in new_session().receive(data):
            if isinstance(event, bytes):
                assert event.startswith((b"+OK ", b"-ERR ", b".", b"1", b"2", b"3"))
                assert event.endswith(b"\r\n")


def sent(message: bytes, lines: int | None, size: int) -> bytes:
    transfer = Transfer(lines)
    text = b""
    for start in range(0, len(message), size):
        if transfer.complete:
            break
        text += transfer.feed(message[start : start + size])
    return text + transfer.finish()


DOTTED = b"Subject: one\n\nline1\n.dot\n..two\nlast\n"
TRANSFERS = [
    (DOTTED, None, b"Subject: one\r\n\r\nline1\r\n..dot\r\n...two\r\nlast\r\n\r\n.\r\n"),
    (DOTTED, 0, b"Subject: one\r\n\r\n\r\n.\r\n"),
    (DOTTED, 2, b"Subject: one\r\n\r\nline1\r\n..dot\r\n\r\n.\r\n"),
    (DOTTED, 4, b"Subject: one\r\n\r\nline1\r\n..dot\r\n...two\r\nlast\r\n\r\n.\r\n"),
    (DOTTED, 2**64 - 2, b"Subject: one\r\n\r\nline1\r\n..dot\r\n...two\r\nlast\r\n\r\n.\r\n"),
    (b"A: b\n\nno newline at end", None, b"A: b\r\n\r\nno newline at end\r\n\r\n.\r\n"),
    (b"A: b\n\nno newline at end", 1, b"A: b\r\n\r\nno newline at end\r\n\r\n.\r\n"),
    (b"A: b\n\nno newline at end", 0, b"A: b\r\n\r\n\r\n.\r\n"),
    (b"", None, b"\r\n.\r\n"),
    (b"", 0, b"\r\n.\r\n"),
    (b".", None, b"..\r\n\r\n.\r\n"),
    (b"\nbody\nmore\n", 1, b"\r\nbody\r\n\r\n.\r\n"),
    (b"\n\n\n\n", 1, b"\r\n\r\n\r\n.\r\n"),
    (b"only: header\n", 0, b"only: header\r\n\r\n.\r\n"),
    (b"a\r\n\r\nb\r\n", 0, b"a\r\r\n\r\r\nb\r\r\n\r\n.\r\n"),  # a line of one CR is not empty
    (b"a\0b\rc\xff\n", None, b"a\0b\rc\xff\r\n\r\n.\r\n"),
]


@pytest.mark.parametrize(("message", "lines", "expected"), TRANSFERS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_message_is_sent_the_same_in_blocks_of_any_size(
    message: bytes, lines: int | None, expected: bytes, size: int
) -> None:
    assert sent(message, lines, size) == expected


def line_by_line(message: bytes, lines: int | None) -> bytes:
    """The rule of qmail-pop3d(8), a line at a time."""
    out, in_header = b"", True
    for line in message.splitlines(keepends=True) if b"\r" not in message else []:
        if lines is not None and not in_header:
            if not lines:
                break
            lines -= 1
        text = line.removesuffix(b"\n")
        in_header = in_header and bool(text)
        out += (b"." if text.startswith(b".") else b"") + text + b"\r\n"
    return out + b"\r\n.\r\n"


@given(st.text("a.\n", max_size=30), st.none() | st.integers(0, 6), st.integers(1, 9))
def test_blocks_give_what_lines_would(text: str, lines: int | None, size: int) -> None:
    message = text.encode()
    assert sent(message, lines, size) == line_by_line(message, lines)
