"""SMTP smuggling: what may end a mail's data, in each mode of bare newlines, wherever the bytes are cut.

After a first mail's text comes a candidate for the end of data, then commands for a second mail that another server
may have taken for text.  `one`: the candidate ended nothing, and one mail came of it all.  `two`: it did end the mail.
`refused`: the session is over, and nothing was queued.  Mode reject is the original, seen on the real qmail-smtpd
(spec 12.1, 11 to 13); in normalize nothing but CR LF . CR LF may end a mail, whatever else the bytes become."""

from __future__ import annotations

import pytest

from qmail.protocol import smtp_server as smtp
from qmail.protocol.smtp_lines import ALLOW, NORMALIZE, REJECT
from tests.support.mailworld import World, converse

START = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@mail.example.org>\r\nDATA\r\n"
INSIDE = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<y@mail.example.org>\r\nDATA\r\nSubject: second\r\n"
END = b"\r\n.\r\n"

# candidate: (reject, normalize, allow, what normalize and allow store of it behind "first" where it ends nothing)
MATRIX = {
    b"\r\n.\r\n": ("two", "two", "two", None),
    b"\n.\n": ("refused", "one", "two", b"\n.\n"),
    b"\n.\r\n": ("refused", "one", "two", b"\n.\n"),
    b"\r\n.\n": ("refused", "one", "two", b"\n.\n"),
    b"\r.\r": ("one", "one", "one", b"\r.\r"),
    b"\r.\r\n": ("one", "one", "one", b"\r.\n"),
    b"\r\n.\r": ("one", "one", "one", b"\n.\r"),
    b"\r.\n": ("refused", "one", "one", b"\r.\n"),
    b"\n.\r": ("refused", "one", "one", b"\n.\r"),
    b"\r\n.\r\r\n": ("one", "one", "one", b"\n.\r\n"),
    b"\r\n.\0\r\n": ("one", "one", "one", b"\n\0\n"),
    b"\r\n\0.\r\n": ("one", "one", "one", b"\n\0.\n"),
    b"\r\0\n.\r\n": ("refused", "one", "two", b"\r\0\n.\n"),
    b"\r\n. \r\n": ("one", "one", "one", b"\n \n"),
    b"\r\n .\r\n": ("one", "one", "one", b"\n .\n"),
    b"\r\n.\t\r\n": ("one", "one", "one", b"\n\t\n"),
    b"\r\n..\r\n": ("one", "one", "one", b"\n.\n"),
    b"\n..\n": ("refused", "one", "one", b"\n.\n"),
    b"\n..\r\n": ("refused", "one", "one", b"\n.\n"),
    b"\r\r\n.\r\n": ("two", "two", "two", None),
    b"\r\n\r.\r\n": ("one", "one", "one", b"\n\r.\n"),
    b"\r\n.\r\0\n": ("refused", "one", "one", b"\n.\r\0\n"),
    b"\n\n.\n\n": ("refused", "one", "two", b"\n\n.\n\n"),
    b"\n\r\n.\r\n": ("refused", "two", "two", None),
    b"\r\n.\n\r\n": ("refused", "one", "two", b"\n.\n\n"),
    b"\n\r.\r\n": ("refused", "one", "one", b"\n\r.\n"),
    b"\x85.\x85": ("one", "one", "one", b"\x85.\x85"),  # NEL, a line end in some character sets
    b"\x0b.\x0b": ("one", "one", "one", b"\x0b.\x0b"),
    b"\r\n.\x1a\r\n": ("one", "one", "one", b"\n\x1a\n"),
}


def talk(data: bytes, mode: bytes) -> tuple[World, bytes]:
    world, settings = World(), smtp.Settings(b"mail.example.org", barelf=mode)
    return world, converse(lambda: smtp.Session(settings).receive, data, world)


@pytest.mark.parametrize("mode", [REJECT, NORMALIZE, ALLOW])
@pytest.mark.parametrize("candidate", MATRIX)
def test_only_what_the_mode_says_ends_a_mail(candidate: bytes, mode: bytes) -> None:
    expected = MATRIX[candidate][(REJECT, NORMALIZE, ALLOW).index(mode)]
    world, said = talk(START + b"first" + candidate + INSIDE + b".\r\nQUIT\r\n", mode)
    if expected == "refused":
        assert (world.mails, world.code) == ([], 1)
        assert said.endswith(b"451 See https://cr.yp.to/docs/smtplf.html.\r\n")
        return
    assert world.code == 0
    senders = [sender for sender, _, _ in world.mails]
    assert senders == ([b"a@b.example"] if expected == "one" else [b"a@b.example", b"evil@b.example"])
    if expected == "one":
        stored = MATRIX[candidate][3]
        assert stored is not None
        assert world.mails[0][2] == b"first" + stored + INSIDE.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("candidate", MATRIX)
def test_in_mode_normalize_a_mail_ends_where_the_strictest_server_sees_its_end(candidate: bytes) -> None:
    """Wherever CR LF . CR LF is not among the bytes, no client can be seen to have sent two mails."""
    world, _ = talk(START + b"first" + candidate + INSIDE + b".\r\nQUIT\r\n", NORMALIZE)
    assert len(world.mails) == 1 + (END in candidate)


@pytest.mark.parametrize("mode", [NORMALIZE, ALLOW])
@pytest.mark.parametrize("candidate", MATRIX)
def test_a_repaired_mail_comes_out_the_same_wherever_it_is_cut(candidate: bytes, mode: bytes) -> None:
    data = START + b"first" + candidate + INSIDE + b".\r\nQUIT\r\n"
    whole, _ = talk(data, mode)
    start = len(START) + len(b"first")
    for cut in range(start - 1, start + len(candidate) + 2):
        world, session = World(), smtp.Session(smtp.Settings(b"mail.example.org", barelf=mode))
        for piece in (data[:cut], data[cut:]):
            world.say(session.receive, piece)
        assert (world.mails, world.code) == (whole.mails, whole.code)


@pytest.mark.parametrize("mode", [REJECT, NORMALIZE, ALLOW])
def test_a_proper_mail_is_the_same_in_every_mode(mode: bytes) -> None:
    text = b"Subject: t\r\n\r\nhello\r\n..dot\r\n.x\r\na\rb\r\rc\r\r\nd\r\n.\rx\r\n.\r\r\ny\r\n"
    world, _ = talk((START + text + b".\r\n") * 2 + b"QUIT\n", mode)
    assert [mail[2] for mail in world.mails] == [b"Subject: t\n\nhello\n.dot\nx\na\rb\r\rc\r\nd\n.\rx\n.\r\ny\n"] * 2


@pytest.mark.parametrize("mode", [NORMALIZE, ALLOW])
def test_bare_newlines_end_lines_with_their_dots_and_hops(mode: bytes) -> None:
    world, said = talk(START + b"A: b\n\n..\n.x\nb\r\n.\r\n" + START + b"Received: x\n" * 100 + END, mode)
    assert world.mails == [(b"a@b.example", [b"x@mail.example.org"], b"A: b\n\n.\nx\nb\n")]
    assert said.endswith(b"554 too many hops, this message is looping (#5.4.6)\r\n")
