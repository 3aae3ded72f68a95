"""rblsmtpd: who is refused, and the conversation."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.case import Case

TALK = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\r\nQUIT\r\nNOOP\r\n"
DIALOGUES = [
    b"", b"\n", b"\r\n", b"QUIT", b"QUIT\n", b"quit\r\n", b"QuIt now\r\n", b"QUIT\tnow\nnoop\n", b"HELO\n", b"helo x\n", b"EHLO x y\r\n", b"MAIL\tx\n",
    b"MAIL\n", b"RSET\r\nNOOP x\r\n", b"RCPT\r\n", b"DATA\n", b"VRFY x\nHELP\nSTARTTLS\nAUTH PLAIN\nEXPN x\nTURN\n", b" NOOP\n", b"NOOP \n", b"NOOPX\n",
    b"NOOP\r\r\n", b"NOOP\0\n", b"\0\n", b"NO\0OP\nquit\n", b"NOOP\rNOOP\n", b"\xff\xfe\n", b"x" * 5000 + b"\nquit\n", b"noop " + b"x" * 5000 + b"\nquit\n",
    b"noop\n" * 50 + b"quit\n" + b"noop\n", b"helo\nqui",
]  # fmt: skip
TEXTS = [
    "Go away",
    "-Go away",
    "-",
    "--x",
    " ",
    "x\ty\nz",
    "caf\u00e9",
    "x" * 199,
    "x" * 200,
    "x" * 201,
    "-" + "y" * 300,
    "%IP%",
    "\x7f\x1b[2J",
    "451 x",
]
OPTIONS = [
    "",
    "-b",
    "-B",
    "-c",
    "-C",
    "-bB",
    "-t5",
    "-t0",
    "-t 0",
    "-t abc",
    "-t ''",
    "-t00",
    "-b -t0",
    "-t 0x5",
    "-t 3000000",
    "-t 99999999999999999999",
    "-r list.example",
    "-a list.example",
]
LOOKUPS = [
    "-r txt.example", "-b -r txt.example", "-r txt.example -b", "-b -B -r txt.example", "-r a.example", "-r both.example", "-r empty.example",
    "-r ip.example", "-r odd.example", "-r long.example", "-r many.example", "-r space.example", "-r none.example", "-a a.example", "-a txt.example",
    "-a a.example -r txt.example", "-r txt.example -a a.example", "-a none.example -r txt.example", "-r none.example -r txt.example",
    "-r none.example -r none2.example -a none3.example", "-b -r none.example -r txt.example", "-r none.example -b -r txt.example", "-r truncated.example",
    "-c -r txt.example", "-cb -r none.example", "-t0 -r txt.example", "-r TXT.EXAMPLE", "-r txt.example.", "-r .txt.example", "-r xx..txt.example",
    "-rtxt.example", "-r \\164xt.example", "-bctxt.example", "-t0 -b -r both.example -a a.example",
]  # fmt: skip
ADDRESSES = ["1.2.3.4", "", "1.2", "x", "1.2.3.4.5", "1..2", ".1", "1.", "a.b.c.d", "001.2.3.4"]


def cases() -> Iterator[Case]:
    """Texts, dialogues, options; and lists asked for over DNS."""
    for text in TEXTS:
        yield Case(
            f"RBLSMTPD={text[:50]!a}{len(text)}",
            ["rblsmtpd", "true"],
            env={"RBLSMTPD": text, "TCPREMOTEIP": "1.2.3.4"},
            stdin=TALK,
        )
        yield Case(
            f"-t0 RBLSMTPD={text[:50]!a}{len(text)}", ["rblsmtpd", "-t0", "true"], env={"RBLSMTPD": text}, stdin=TALK
        )
    for data in DIALOGUES:
        yield Case(f"dialogue {data[:40]!r}{len(data)}", ["rblsmtpd", "true"], env={"RBLSMTPD": "-no"}, stdin=data)
    for options in OPTIONS:
        words = [word if word != "''" else "" for word in options.split()]
        for text in ("", "no", "-no"):
            yield Case(
                f"rblsmtpd {options} with RBLSMTPD={text}",
                ["rblsmtpd", *words, "echo", "accepted"],
                env={"RBLSMTPD": text},
                stdin=b"RCPT\nQUIT\n",
            )
    yield Case("rblsmtpd without any list", ["rblsmtpd", "printenv", "TCPREMOTEIP"], env={"TCPREMOTEIP": "1.2.3.4"})
    yield Case("RBLSMTPD empty stays so", ["rblsmtpd", "sh", "-c", "echo [${RBLSMTPD-unset}]"], env={"RBLSMTPD": ""})
    yield Case(
        "refused in pieces",
        ["rblsmtpd", "true"],
        env={"RBLSMTPD": "no"},
        stdin=[b"HE", b"LO x\r", b"\nMAIL\r\nRC", b"PT\r\nQUIT\r\n"],
    )
    for options in LOOKUPS:
        argv = ["rblsmtpd", *options.split(), "sh", "-c", "echo accepted [${RBLSMTPD-unset}]"]
        yield Case(f"rblsmtpd {options}", argv, env={"TCPREMOTEIP": "1.2.3.4"}, stdin=TALK, dns=True)
    for ip in ADDRESSES:
        yield Case(
            f"txt.example asked for {ip!a}",
            ["rblsmtpd", "-r", "txt.example", "true"],
            env={"TCPREMOTEIP": ip},
            stdin=TALK,
            dns=True,
        )
    yield Case("without TCPREMOTEIP", ["rblsmtpd", "-r", "txt.example", "true"], stdin=TALK, dns=True)
    yield Case("a base with a label that is too long", ["rblsmtpd", "-c", "-r", "x" * 64, "true"], stdin=TALK, dns=True)
    yield Case(
        "a base that is too long", ["rblsmtpd", "-c", "-r", ".".join(["x" * 60] * 5), "true"], stdin=TALK, dns=True
    )
    yield Case("a base with a label that is too long, -a", ["rblsmtpd", "-a", "x" * 64, "true"], stdin=TALK, dns=True)
    yield Case("listed, and no program", ["rblsmtpd", "-r", "txt.example"], env={"TCPREMOTEIP": "1.2.3.4"}, dns=True)
    yield Case(
        "listed, and an illegal option behind it",
        ["rblsmtpd", "-r", "txt.example", "-z", "true"],
        env={"TCPREMOTEIP": "1.2.3.4"},
        dns=True,
    )
    for options in ("-r servfail.example", "-c -r servfail.example", "-cb -r servfail.example", "-a servfail.example -r txt.example",
                    "-c -a servfail.example -r txt.example", "-cb -a servfail.example -b -r txt.example", "-b -r servfail.example -r txt.example"):  # fmt: skip
        yield Case(
            f"rblsmtpd {options}",
            ["rblsmtpd", *options.split(), "echo", "accepted"],
            env={"TCPREMOTEIP": "1.2.3.4"},
            stdin=TALK,
            dns=True,
            slow=True,
        )
    yield Case("a DNS server that is not there", ["rblsmtpd", "-c", "-r", "x.example", "echo", "accepted"],
               env={"DNSCACHEIP": "{NET}.54", "TCPREMOTEIP": "1.2.3.4"}, stdin=TALK, slow=True)  # fmt: skip
    yield Case("the second of two servers answers", ["rblsmtpd", "-r", "txt.example", "true"],
               env={"DNSCACHEIP": "{NET}.54.{NET}.53", "TCPREMOTEIP": "1.2.3.4"}, stdin=TALK, dns=True)  # fmt: skip
    yield Case("a DNSCACHEIP with junk behind it", ["rblsmtpd", "-r", "txt.example", "true"],
               env={"DNSCACHEIP": "{NET}.53.x", "TCPREMOTEIP": "1.2.3.4"}, stdin=TALK, dns=True)  # fmt: skip
    yield Case(
        "a refused client that says nothing",
        ["sh", "-c", "sleep 3 | rblsmtpd -t1 true"],
        env={"RBLSMTPD": "no"},
        slow=True,
    )
