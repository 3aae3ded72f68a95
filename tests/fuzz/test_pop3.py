"""The two POP3 cores, before and after the login, and a message on its way: any bytes, in any pieces."""

from __future__ import annotations

from qmail.protocol.commandline import LineTooLong
from qmail.protocol.pop3_login import Login
from qmail.protocol.pop3_server import Quit, Retrieve, Session, Transfer
from tests.fuzz.harness import assert_linear, cuts, fuzz, memory_of, same

LOGIN = (
    b"USER joe\r\n",
    b"PASS ",
    b"secret\r\n",
    b"APOP joe ",
    b"QUIT\r\n",
    b"NOOP\n",
    b"\0",
    b"CAPA\r\n",
    b"\r",
    b"\n",
)
VERBS = (b"STAT\r\n", b"LIST ", b"LIST\r\n", b"UIDL ", b"UIDL\r\n", b"RETR ", b"TOP ", b"DELE ", b"RSET\r\n", b"LAST\r\n",
         b"NOOP\r\n", b"QUIT\r\n", b"0", b"1", b"2", b"3 ", b"4", b"99999999999999999999", b"\r\n", b"\0")  # fmt: skip
SIZES = [36, 16, 1000]


@fuzz(words=LOGIN, seeds=[b"USER joe\r\nPASS secret\r\n", b"APOP joe c4c9334bac560ecc979e58001b3e22fb\r\n"])
def test_a_login_ends_the_same_in_any_pieces(data: bytes) -> None:
    outcomes = []
    for pieces in cuts(data):
        login, replies = Login(b"pop.example.org", 994, 1795420714), b""
        try:
            for piece in pieces:
                if login.finished:
                    break
                replies += login.receive(piece)
        except LineTooLong:
            replies += b"(too long)"
        outcomes.append((replies, login.credentials, login.finished))
        assert login.credentials is None or login.credentials.count(b"\0") == 3
    same(outcomes)


@fuzz(words=VERBS, seeds=[b"STAT\r\nUIDL\r\nRETR 1\r\nTOP 2 5\r\nDELE 1\r\nLIST\r\nQUIT\r\n"])
def test_a_session_gives_the_same_replies_and_wishes_in_any_pieces(data: bytes) -> None:
    outcomes = []
    for pieces in cuts(data):
        session, events = Session(lambda index: b"name-%d" % index, SIZES), []
        try:
            for piece in pieces:
                events.extend(map(_told, session.receive(piece)))
        except LineTooLong:
            events.append("too long")
        for event in events:
            assert not isinstance(event, bytes) or event == b"" or event.endswith(b"\r\n")
        end = events.index("quit") + 1 if "quit" in events else len(events)
        outcomes.append(_joined(events[:end]))
    same(outcomes)


def _told(event: bytes | Retrieve | Quit) -> object:
    if isinstance(event, Retrieve):
        assert 0 <= event.index < len(SIZES) and (event.lines is None or event.lines >= 0)
        return event.index, event.lines
    if isinstance(event, Quit):
        assert event.deleted <= set(range(len(SIZES)))
        return "quit"
    return event


def _joined(events: list[object]) -> list[object]:
    """Replies that follow one another, as one."""
    joined: list[object] = []
    for event in events:
        if joined and isinstance(event, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += event
        else:
            joined.append(event)
    return joined


@fuzz(
    words=(b"\n", b".", b"\r", b"\n.\n", b"\n\n"), seeds=[b"\x00Subject: x\n\nbody\n.dot\n", b"\x02a: b\n\n1\n2\n3\n"]
)
def test_a_message_reads_back_as_it_was_and_ends_once(data: bytes) -> None:
    """By the first byte: 0 the whole message, n of the body n - 1 lines."""
    lines, message = (data[0] % 8 - 1 if data else -1), data[1:]
    outcomes = []
    for pieces in cuts(message):
        transfer, sent = Transfer(lines if lines >= 0 else None), b""
        for piece in pieces:
            if transfer.complete:
                break
            sent += transfer.feed(piece)
        outcomes.append(sent + transfer.finish())
    same(outcomes)
    wire = outcomes[0]
    assert wire.endswith(b"\r\n.\r\n") and (b"\r\n" + wire).find(b"\r\n.\r\n") == len(wire) - len(b".\r\n")
    got = wire[: -len(b"\r\n.\r\n")].replace(b"\r\n", b"\n")
    got = (b"\n" + got).replace(b"\n..", b"\n.")[1:]
    if lines < 0 and b"\r" not in message:
        assert got == message + (b"" if message.endswith(b"\n") or not message else b"\n")


def test_cost_is_linear_in_what_the_client_sends() -> None:
    def login(data: bytes) -> None:
        Login(b"h", 1, 1).receive(data)

    def session(data: bytes) -> None:
        for _ in Session(lambda index: b"x", SIZES).receive(data):
            pass

    assert_linear(lambda size: b"NOOP\r\n" * size, login, 5000)
    assert_linear(lambda size: b"RETR 1 2\r\nDELE 1\r\nRSET\r\n" * size, session, 2000)


def test_a_message_of_a_gigabyte_passes_through_in_the_memory_of_a_block() -> None:
    def transfer() -> None:
        sending = Transfer(None)
        for _ in range(64):
            sending.feed(block)

    block = b".\n" * 16384  # the worst: each line is an object for a moment
    assert memory_of(transfer) < 50 * len(block)
