from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmail.protocol.smtp_client import BODY, ENDLESS, Dialogue, EndlessReply, ReplyReader, extensions, mailbox

IP = b"127.0.0.2"
OK = b"250 ok\r\n"
START = b"220 hi\r\n" + OK  # greeting, EHLO
EHLO = b"220 hi\r\n250-mail\r\n250-SIZE 100\r\n250-pipelining\r\n250 8BITMIME\r\n"
GROUP = b"MAIL FROM:<s@e.example>\r\nRCPT TO:<r0@one.example>\r\nDATA\r\n"
DATA = b"354 go\r\n"


def talk(
    replies: bytes, recipients: int = 1, size: int = 65536, hang_up: bool = True, eightbit: bool = False
) -> tuple[bytes, bytes]:
    """(what was sent, the report): the host sends `replies` in pieces of `size`, then hangs up."""
    names = [b"r%d@one.example" % i for i in range(recipients)]
    dialogue = Dialogue(IP, b"mail.example.org", b"s@e.example", names, eightbit=eightbit)
    sent = b""
    for at in range(0, len(replies), size):
        for output in dialogue.receive(replies[at : at + size]):
            if output is BODY:
                dialogue.dot_sent()
                output = b"<body>"
            assert isinstance(output, bytes)
            sent += output
    if hang_up and not dialogue.finished:
        assert not list(dialogue.receive(b""))
    return sent, dialogue.report


def report(replies: bytes, recipients: int = 1) -> bytes:
    whole = talk(replies, recipients)
    assert whole == talk(replies, recipients, 1) == talk(replies, recipients, 5)
    return whole[1]


def test_a_message_is_handed_over_in_lock_step() -> None:
    sent, said = talk(START + OK + OK + DATA + b"250 done\r\n")
    assert sent == (
        b"EHLO mail.example.org\r\nMAIL FROM:<s@e.example>\r\nRCPT TO:<r0@one.example>\r\nDATA\r\n<body>QUIT\r\n"
    )
    assert said == b"r\0K127.0.0.2 accepted message.\nRemote host said: 250 done\n\0"  # probe 36


def test_a_host_that_does_not_know_ehlo_is_told_helo() -> None:
    sent, said = talk(b"220 hi\r\n502 what\r\n" + OK + OK + OK + DATA + OK)
    assert sent == b"EHLO mail.example.org\r\nHELO mail.example.org\r\n" + GROUP + b"<body>QUIT\r\n"  # probe 36
    assert said.startswith(b"r\0K")


def test_where_pipelining_is_offered_all_commands_go_at_once() -> None:
    assert talk(EHLO, hang_up=False)[0].endswith(GROUP)
    sent, said = talk(EHLO + OK + OK + DATA + b"250 done\r\n")
    assert sent == b"EHLO mail.example.org\r\n" + GROUP + b"<body>QUIT\r\n"
    assert said == b"r\0K127.0.0.2 accepted message.\nRemote host said: 250 done\n\0"


def test_many_recipients_go_in_groups() -> None:
    sent, _ = talk(EHLO, 250, hang_up=False)
    assert sent.count(b"RCPT") == 99
    assert b"DATA" not in sent
    assert talk(EHLO + OK * 251 + DATA + OK, 250)[0].count(b"RCPT") == 250


@pytest.mark.parametrize(
    ("replies", "sent", "expected"),
    [
        (
            OK + b"550 no\r\n503 none\r\n",
            b"QUIT\r\n",
            b"h* does not like recipient.\nRemote host said: 550 no\n\0DGiving",
        ),
        (
            OK + b"450 no\r\n" + DATA,
            b".\r\nQUIT\r\n",
            b"s* does not like recipient.\nRemote host said: 450 no\n\0DGiving",
        ),
        (
            b"451 no\r\n" + OK + DATA,
            b".\r\nQUIT\r\n",
            b"ZConnected to * but sender was rejected.\nRemote host said: 451 no",
        ),
        (
            b"550 no\r\n503 a\r\n503 b\r\n",
            b"QUIT\r\n",
            b"DConnected to * but sender was rejected.\nRemote host said: 550 no",
        ),
        (b"550 no\r\n", b"", b"DConnected to * but sender was rejected.\nRemote host said: 550 no"),
        (OK + OK + b"451 no\r\n", b"QUIT\r\n", b"r\0Z* failed on DATA command.\nRemote host said: 451 no"),
    ],
)
def test_what_is_refused_in_a_group_is_told_apart_and_no_quit_becomes_a_message(
    replies: bytes, sent: bytes, expected: bytes
) -> None:
    assert report(EHLO + replies + OK).startswith(expected.replace(b"*", IP))
    told, _ = talk(EHLO + replies + (OK if sent.startswith(b".") else b""))
    assert told == b"EHLO mail.example.org\r\n" + GROUP + sent


def test_eight_bits_are_announced_where_they_are_needed_and_known() -> None:
    assert b"MAIL FROM:<s@e.example> BODY=8BITMIME\r\n" in talk(EHLO, eightbit=True)[0]
    assert b"BODY" not in talk(EHLO)[0]
    assert b"BODY" not in talk(START, eightbit=True)[0]


def test_keywords_are_the_first_words_of_all_lines_but_the_first() -> None:
    reply = next(ReplyReader().feed(b"250-PIPELINING at your service\r\n250-SIZE 5\r\n250-\r\n250 Foo\r\n"))
    assert extensions(reply) == {b"SIZE", b"FOO"}


def test_nothing_is_sent_before_the_reply_to_what_went_before() -> None:
    assert talk(b"", hang_up=False) == (b"", b"")
    assert talk(b"220-hi\r\n220 hi\r", hang_up=False) == (b"", b"")
    assert talk(START, hang_up=False)[0].endswith(b"MAIL FROM:<s@e.example>\r\n")


def test_recipients_are_judged_one_by_one() -> None:
    replies = START + OK + OK + b"550 5.1.1 no such\r\n450-later\r\n450 now\r\n" + DATA + b"250 done\r\n"
    assert report(replies, 3) == (  # probe 37
        b"r\0h127.0.0.2 does not like recipient.\nRemote host said: 550 5.1.1 no such\n\0"
        b"s127.0.0.2 does not like recipient.\nRemote host said: 450-later\n450 now\n\0"
        b"K127.0.0.2 accepted message.\nRemote host said: 250 done\n\0"
    )


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        # probe 38: D although it was temporary
        (
            START + OK + b"450 no\r\n",
            b"s127.0.0.2 does not like recipient.\nRemote host said: 450 no\n\0DGiving up on 127.0.0.2.\n\0",
        ),
        # 39: a permanent code is temporary here
        (
            b"554 go away\r\n",
            b"ZConnected to 127.0.0.2 but greeting failed.\nRemote host said: 554 go away\n\0",
        ),
        (b"hello\r\n", b"ZConnected to 127.0.0.2 but greeting failed.\nRemote host said: hello\n\0"),
        (b"221 x\n", b"ZConnected to 127.0.0.2 but greeting failed.\nRemote host said: 221 x\n\0"),
        (
            b"220 hi\r\n500 what\r\n500 no\r\n",
            b"ZConnected to 127.0.0.2 but my name was rejected.\nRemote host said: 500 no\n\0",
        ),
        (
            b"220 hi\r\n251 what\r\n251 no\r\n",
            b"ZConnected to 127.0.0.2 but my name was rejected.\nRemote host said: 251 no\n\0",
        ),
        # 40, 41
        (
            START + b"550-a\r\n550 b\r\n",
            b"DConnected to 127.0.0.2 but sender was rejected.\nRemote host said: 550-a\n550 b\n\0",
        ),
        (
            START + b"ok then\r\n",
            b"DConnected to 127.0.0.2 but sender was rejected.\nRemote host said: ok then\n\0",
        ),
        (
            START + b"421 later\r\n",
            b"ZConnected to 127.0.0.2 but sender was rejected.\nRemote host said: 421 later\n\0",
        ),
        (
            START + OK + OK + b"554 no\r\n",
            b"r\0D127.0.0.2 failed on DATA command.\nRemote host said: 554 no\n\0",
        ),
        (
            START + OK + OK + b"454 no\r\n",
            b"r\0Z127.0.0.2 failed on DATA command.\nRemote host said: 454 no\n\0",
        ),
        # 42
        (
            START + OK + OK + DATA + b"199 odd\r\n",
            b"r\0K127.0.0.2 accepted message.\nRemote host said: 199 odd\n\0",
        ),
        (
            START + OK + OK + DATA + b"650 odd\r\n",
            b"r\0D127.0.0.2 failed after I sent the message.\nRemote host said: 650 odd\n\0",
        ),
        (
            START + OK + OK + DATA + b"452 full\r\n",
            b"r\0Z127.0.0.2 failed after I sent the message.\nRemote host said: 452 full\n\0",
        ),
        (
            START + OK + OK + DATA + b"250 a\0b\xff\r\n",
            b"r\0K127.0.0.2 accepted message.\nRemote host said: 250 a?b\xff\n\0",
        ),
        (b"", b"ZConnected to 127.0.0.2 but connection died. (#4.4.2)\n\0"),
        (START + b"25", b"ZConnected to 127.0.0.2 but connection died. (#4.4.2)\n\0"),
        # 43
        (
            START + OK + OK + DATA,
            b"r\0ZConnected to 127.0.0.2 but connection died. Possible duplicate! (#4.4.2)\n\0",
        ),
    ],
)
def test_each_reply_has_its_report(replies: bytes, expected: bytes) -> None:
    assert report(replies) == expected


def test_later_lines_of_a_reply_do_not_change_its_code() -> None:
    assert report(START + b"250-a\r\n550-b\r\n550\n" + OK + DATA + OK).startswith(b"r\0K")


def test_a_text_is_cut_at_5000_bytes() -> None:  # probe 47
    said = report(START + OK + OK + DATA + b"250 " + b"x" * 7000 + b"\r\n")
    assert said == b"r\0K127.0.0.2 accepted message.\nRemote host said: 250 " + b"x" * 4996 + b"\0"


def test_a_reply_without_end_is_a_dead_connection() -> None:
    flood = b"250-and so on\r\n" * (ENDLESS // 15 + 1)
    assert report(START + flood) == b"ZConnected to 127.0.0.2 but connection died. (#4.4.2)\n\0"
    with pytest.raises(EndlessReply):
        list(ReplyReader().feed(b"2" * (ENDLESS + 1)))


def test_what_goes_wrong_after_the_verdict_changes_nothing() -> None:
    dialogue = Dialogue(IP, b"me", b"", [b"r@d"])
    list(dialogue.receive(b"554 no\r\n"))
    before = dialogue.report
    dialogue.lost()
    assert not list(dialogue.receive(b"250 more\r\n"))
    assert dialogue.report == before


@pytest.mark.parametrize(  # probe 44
    ("path", "expected"),
    [
        (b"a b@e.example", b'"a b"@e.example'),
        (b'q"x@d', b'"q\\"x"@d'),
        (b".dot@d", b'".dot"@d'),
        (b"nohost", b"nohost"),
        (b"a b", b"a b"),
        (b"a@b@d", b'"a@b"@d'),
        (b"@d", b'""@d'),
        (b"x@", b"x@"),
        (b"", b""),
    ],
)
def test_addresses_are_quoted_where_they_must_be(path: bytes, expected: bytes) -> None:
    assert mailbox(path) == expected


pieces = st.sampled_from([b"250", b" ", b"-", b"\r\n", b"\n", b"\0", b"x", b"220 a\r\n", b"550-b\n", b"\xff"])


@given(st.lists(pieces, max_size=30).map(b"".join), st.integers(1, 9))
def test_any_bytes_at_any_cut_give_the_same_replies(data: bytes, size: int) -> None:
    def replies(step: int) -> list[tuple[int, bytes]]:
        reader = ReplyReader()
        cuts = range(0, len(data), step)
        return [(reply.code, reply.text) for at in cuts for reply in reader.feed(data[at : at + step])]

    assert replies(size) == replies(65536)
    assert report(data).count(b"\0") >= 1
    assert report(EHLO + data).count(b"\0") >= 1
