"""tcpclient and the small clients around it, with scripted servers."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.case import Case, Peer

SHOW = ["sh", "-c", "env | grep -E '^(TCP|PROTO)' | sort"]
PAGES = {
    "a page": b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nbody1\r\n\r\nbody2\r\n", "bare LFs": b"HTTP/1.0 200 OK\n\nbody1\n\n\nbody2", "no empty line": b"no empty line\n",
    "nothing": b"", "empty lines": b"\r\n\r\n\r\nx\r\r\ny", "a CR alone": b"a\n\r\nb\rc\n\r\r\nd", "a NUL": b"h\n\na\0b\n", "no header": b"\nbody\n",
}  # fmt: skip
ANSWERS = {
    "nothing": b"",
    "lines": b"hello\r\n\x07\r\r\nend",
    "no end": b"no end",
    "odd bytes": b"\x1b[2J\t\x7f\x80\xe9\xff\r\n\0\n",
    "CRs": b"\r\r\r\n\r",
}


def client(
    name: str, options: list[str], program: list[str] | None = None, host: str = "{NET}.2", **more: object
) -> Case:
    """`tcpclient OPTIONS {NET}.2 PORT PROGRAM`, with somebody there."""
    more.setdefault("peer", Peer(b"hello\n"))
    return Case(f"tcpclient: {name}", ["tcpclient", *options, host, "{PORT}", *(program or SHOW)], **more)  # type: ignore[arg-type]


def cases() -> Iterator[Case]:
    """tcpclient, tcpcat, http@, who@, date@, finger@, mconnect."""
    old = {"TCPREMOTEHOST": "old", "TCPREMOTEINFO": "old", "TCPLOCALHOST": "old", "PROTO": "old"}
    yield client("the environment", ["-RHl0"], env=old)
    for options in (["-vRHl0"], ["-qRHl0"], ["-QRHl0"], ["-DRHl0"], ["-dRHl0"], ["-RHlname"], ["-RHl", ""], ["-RHl0", "-i", "{NET}.4"], ["-RHl0", "-i", "{NET}.4.5"],
                    ["-RHl0", "-i", "{NET}.4x"], ["-RHl0", "-T", "1+1"], ["-RHl0", "-T5"], ["-RHl0", "-T", "x"], ["-RHl0", "-T", "0"], ["-RHl0", "-T", "0+3"],
                    ["-RHl0", "-t1"], ["-RHl0", "--"], ["-vqRHl0"], ["-qvRHl0"], ["-RHl0", "-p", "0"], ["-RHl0", "-p", "65536"]):  # fmt: skip
        yield client(" ".join(options), options)
    for host in ("[{NET}.2]", "{NET}.002", "{NET}.258"):
        yield client(f"host {host}", ["-RHl0"], host=host)
    yield client("host 0", ["-RHl0"], host="0", peer=Peer(address="127.0.0.1"))
    yield client("host empty", ["-RHl0"], host="", peer=Peer(address="127.0.0.1"))
    yield client("reads on 6", ["-RHl0"], ["sh", "-c", "cat <&6"])
    yield client("writes on 7", ["-RHl0"], ["sh", "-c", "echo question >&7; cat <&6"], peer=Peer(b"answer\n", 9))
    yield client("exit status", ["-RHl0"], ["sh", "-c", "exit 7"])
    yield client("descriptors 0 and 1 stay", ["-RHl0"], ["cat"], stdin=b"from stdin\n")
    yield client("signals", ["-RHl0"], ["sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status"])
    yield client("descriptors", ["-RHl0"], ["sh", "-c", "ls /proc/self/fd | wc -l"])
    for last, what in (
        (10, "a name"),
        (11, "a name in capitals"),
        (12, "an odd name"),
        (20, "no name"),
        (17, "the root"),
    ):
        yield client(
            f"peer with {what}", ["-Rl0"], host=f"{{NET}}.{last}", peer=Peer(address=f"{{NET}}.{last}"), dns=True
        )
    yield client("local name", ["-RH", "-i", "{NET}.10"], dns=True)
    yield client("no local name", ["-RH"], dns=True)
    yield client("-h after -H", ["-RHhl0"], host="{NET}.10", peer=Peer(address="{NET}.10"), dns=True)
    for host in (
        "one.example",
        "ONE.Example",
        "one.example.",
        "a.one.example",
        "none.example",
        "localhost",
        "new.example",
    ):
        yield client(f"host {host}", ["-RHl0"], host=host, dns=True, env={"LOCALDOMAIN": ""})
    for domains in ("dom1.example dom2.example", "dom2.example", "dom1.example", ""):
        yield client(f"host x in {domains!a}", ["-RHl0"], host="x", dns=True, env={"LOCALDOMAIN": domains})
    rewriting = {
        "=a:one.example": "a", "*.old:.example": "one.old", "?:.example": "one", "-.old:one.example": "x.old", "#*:x\n*.a:.b\n*.b:.example": "one.a",
        "=a:one+.none+.example": "a", "": "one.example", "nonsense\n=a:one.example\n": "a",
    }  # fmt: skip
    for text, host in rewriting.items():
        yield client(
            f"host {host} rewritten by {text!a}",
            ["-RHl0"],
            host=host,
            dns=True,
            env={"DNSREWRITEFILE": "rw"},
            files={"rw": text.encode()},
        )
    yield client("a label that is too long", ["-RHl0"], host="x" * 64 + ".example", dns=True, env={"LOCALDOMAIN": ""})
    yield client("a host that fails", ["-RHl0"], host="servfail.example", dns=True, env={"LOCALDOMAIN": ""}, slow=True)
    for name, answer in {
        "a user": b"1 , 2 : USERID : UNIX : joe\r\n",
        "no user": b"ERROR\r\n",
        "no line": b"x",
    }.items():
        yield client(f"ident says {name}", ["-Hl0"], host="{NET}.3", peer=Peer(address="{NET}.3", ident=answer))
    yield from _nobody()
    yield from _small()


def _nobody() -> Iterator[Case]:
    yield Case("tcpclient: nobody there", ["tcpclient", "-RHl0", "{NET}.99", "1", "true"])
    yield Case("tcpclient: quiet, nobody there", ["tcpclient", "-qRHl0", "{NET}.99", "1", "true"])
    yield Case(
        "tcpclient: two addresses, nobody there", ["sh", "-c", "tcpclient -RHl0 {NET}.98.{NET}.99 1 true 2>&1 | sort"]
    )
    for times in ("1+2", "1", "2+0"):
        yield Case(
            f"tcpclient: three addresses that say nothing, -T {times}",
            [
                "sh",
                "-c",
                f"(tcpclient -RHl0 -T {times} {{NET}}.61.{{NET}}.62.{{NET}}.63 {{PORT}} true; echo $? >&2) 2>&1 | sort",
            ],
            peer=Peer(address="{NET}.61", silent=3),
            slow=True,
        )
    yield Case(
        "tcpclient: a local address that is not here", ["tcpclient", "-RHl0", "-i", "1.2.3.4", "{NET}.99", "1", "true"]
    )
    yield Case(
        "tcpclient: a local port of root's",
        ["tcpclient", "-RHl0", "-p", "25", "{NET}.99", "1", "true"],
        account="nobody",
    )
    yield Case("tcpclient: an address of no network", ["tcpclient", "-RHl0", "255.255.255.255", "1", "true"])
    for argv in (["who@", "{NET}.99"], ["date@", "{NET}.99"], ["finger@", "{NET}.99", "joe"], ["http@", "{NET}.99", "x", "1"], ["tcpcat", "{NET}.99", "1"],
                 ["mconnect", "{NET}.99", "1"], ["who@", "127.1"], ["tcpcat", "127.1", "no-such-service"], ["mconnect-io"], ["http@", "127.1", "", "0"]):  # fmt: skip
        yield Case(f"{' '.join(argv)} where nobody is", argv, env={"LOCALDOMAIN": ""})


def _small() -> Iterator[Case]:
    for name, answer in ANSWERS.items():
        yield Case(f"tcpcat says {name}", ["tcpcat", "{NET}.2", "{PORT}"], peer=Peer(answer))
        for program, port in (("who@", 11), ("date@", 13)):
            yield Case(f"{program} says {name}", [program, "{NET}.4"], peer=Peer(answer, address="{NET}.4", port=port))
    for user in ([], ["joe"], ["joe user"], [""], ["/W joe"]):
        yield Case(
            f"finger@ {user}",
            ["finger@", "{NET}.4", *user],
            peer=Peer(b"hello\r\n", 2 + len("".join(user)), address="{NET}.4", port=79),
        )
    for name, page in PAGES.items():
        yield Case(f"http@ of {name}", ["http@", "{NET}.2", "p/q?x", "{PORT}"], peer=Peer(page, 40))
    for page in ([""], ["/abs"], ["a b"], ["%20"], []):
        peer = Peer(b"h\r\n\r\nbody\r\n", 30, address="{NET}.4", port=80)
        yield Case(f"http@ asks for {page}", ["http@", "{NET}.4", *page], peer=peer)
    for lines in (b"helo\nquit\n", b"helo\r\nquit\r\n", b"", b"no end", b"\0\n\xff\n"):
        asked = len(lines.replace(b"\n", b"\r\n"))
        yield Case(
            f"mconnect with {lines!r}",
            ["mconnect", "{NET}.2", "{PORT}"],
            stdin=lines,
            peer=Peer(b"220 hi\r\n221 bye\r\n", asked),
        )
