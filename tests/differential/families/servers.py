"""tcpserver, with scripted clients."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.case import Case, Client

SHOW = ["sh", "-c", "env | grep -E '^(TCP|PROTO|X=)' | sort"]
# The addresses in the rules are this run's, so the file is made by the tcprules under test.
TEXT = (
    b"{NET}.7:deny\n{NET}.8:allow,X=/8/,TCPREMOTEHOST=/set/,PROTO=/Q/\n{NET}.9:deny,X=/9/\njoe@{NET}.10:allow,X=/joe/\n@{NET}.11:allow,X=/nouser/\n"
    b"=host.example:allow,X=/host/\n=.example:allow,X=/suffix/\n=:allow,X=/named/\n:allow,X=/default/\n"
)


def serve(name: str, options: list[str], program: list[str] | None = None, **more: object) -> Case:
    """`tcpserver OPTIONS {NET}.2 0 PROGRAM` with one client, or those named."""
    more.setdefault("clients", [Client(b"hello\n")])
    return Case(f"tcpserver: {name}", ["tcpserver", *options, "{NET}.2", "0", *(program or ["cat"])], **more)  # type: ignore[arg-type]


def cases() -> Iterator[Case]:
    """Options, look-ups, rules, ends."""
    fast = "-vRHl0"
    yield serve("one client", [fast])
    yield serve("three clients", [fast], clients=[Client(b"a"), Client(b"b", "{NET}.3"), Client(b"", "{NET}.4")])
    yield serve("not verbose", ["-RHl0"])
    yield serve("quiet", ["-qRHl0"])
    yield serve("quiet, no program", ["-qRHl0"], ["./nonexistent"])
    yield serve("not verbose, no program", ["-RHl0"], ["./nonexistent"])
    for code in (0, 1, 3, 100, 111, 255):
        yield serve(f"exit {code}", [fast], ["sh", "-c", f"exit {code}"])
    for number in (1, 9, 15):
        yield serve(f"killed by {number}", [fast], ["sh", "-c", f"kill -{number} $$"])
    yield serve(
        "the environment",
        [fast],
        SHOW,
        env={"TCPREMOTEHOST": "old", "TCPREMOTEINFO": "old", "TCPLOCALHOST": "old", "PROTO": "old", "TCPX": "kept"},
    )
    yield serve("banner", [fast, "-B", "220 hello\r\n"])
    yield serve("banner without a line's end", [fast, "-Bhello "])
    yield serve("empty banner", [fast, "-B", ""])
    for options in (
        ["-lname"],
        ["-l", ""],
        ["-l", "a%b:c d"],
        ["-l", "x" * 99],
        ["-l", "x" * 100],
        ["-l", "x" * 101],
        ["-l", "n\u00e4me"],
        ["-l", "x", "-l", "y"],
    ):
        shown = options[-1] if len(options[-1]) < 40 else f"{len(options[-1])} bytes"
        yield serve(f"-l {shown!a}", ["-vRH", *options], SHOW)
    for options in (
        "-c1",
        "-c 5x"[:4],
        "-b1",
        "-b0",
        "-o",
        "-O",
        "-d",
        "-D",
        "-oD",
        "-p",
        "-P",
        "-X",
        "-t1",
        "-c40",
        "-Qv",
        "-vQ",
        "-c1 -c2",
    ):
        yield serve(f"options {options}", [fast, *options.split()])
    yield serve("a port by name in brackets", [fast], ["echo", "x"])
    yield serve("signals", [fast], ["sh", "-c", "grep -E 'Sig(Blk)' /proc/self/status"])
    yield serve("descriptors", [fast], ["sh", "-c", "ls /proc/self/fd | wc -l"])
    yield serve("umask and directory", [fast], ["sh", "-c", "umask; ls"], files={"here": b""})
    yield serve("-U", [fast + "U"], ["id"], env={"UID": "65534", "GID": "1"}, root=True)
    yield serve("-U without variables", [fast + "U"], ["id"], root=True)
    yield serve("-u and -g", [fast, "-u65534", "-g1"], ["id"], root=True)
    yield serve("-u alone", [fast, "-u65534"], ["sh", "-c", "id -u; id -g"], root=True)
    yield serve("-g alone", [fast, "-g1"], ["id"], root=True)
    yield serve("-u0 -g0", [fast, "-u0", "-g0"], ["id"], root=True)
    yield serve("-U and a later -u", [fast + "U", "-u1"], ["id"], env={"UID": "65534", "GID": "1"}, root=True)
    yield serve("-u and a later -U", ["-u1", fast + "U"], ["id"], env={"UID": "65534", "GID": "1"}, root=True)
    yield serve("-u nobody", [fast, "-u", "nobody"], ["id"], root=True)
    yield from _lookups()
    yield from _idents()
    yield from _rules()


def _lookups() -> Iterator[Case]:
    for last in range(10, 23):
        clients = [Client(source=f"{{NET}}.{last}")]
        if last != 21:
            yield serve(f"name of .{last}", ["-vRl0"], SHOW, clients=clients, dns=True)
            yield serve(f"paranoid name of .{last}", ["-vRpl0"], SHOW, clients=clients, dns=True)
    yield serve("no name", ["-vRl0"], SHOW, dns=True)
    yield serve("-H after -h", ["-vRhHl0"], SHOW, dns=True)
    yield serve("-h after -H", ["-vRHhl0"], SHOW, clients=[Client(source="{NET}.10")], dns=True)
    yield serve("the local name", ["-vRH"], SHOW, dns=True)
    yield serve("a name that fails", ["-vRl0"], SHOW, clients=[Client(source="{NET}.21")], dns=True, slow=True)


def _idents() -> Iterator[Case]:
    answers = {
        "a user": b"1 , 2 : USERID : UNIX : joe\r\n", "a user with blanks": b"1 , 2 : USERID : UNIX : joe user\r\n", "no user": b"1 , 2 : ERROR : NO-USER\r\n",
        "three colons": b":::x\n", "four colons": b":::x:y\n", "no line": b"1 , 2 : USERID : UNIX : joe", "nothing": b"", "an empty line": b"\r\n",
        "a long user": b":::" + b"u" * 300 + b"\n", "odd bytes": b":::a%b\x01\xff\tc\n", "two lines": b":::a\n:::b\n", "tabs and CRs": b":\t:\r: a\rb\r\n", "no colon": b"x\n",
        "a NUL": b":::a\0b\n", "100 bytes": b":::" + b"v" * 100 + b"\n",
    }  # fmt: skip
    for name, answer in answers.items():
        yield serve(f"ident says {name}", ["-vHl0"], SHOW, clients=[Client(source="{NET}.30", ident=answer)])
    yield serve("nobody to ask for ident", ["-vHl0"], SHOW, clients=[Client(source="{NET}.31")])


def _rules() -> Iterator[Case]:
    for last in (5, 7, 8, 9):
        yield _ruled(f"rules for .{last}", ["-vRHl0"], [Client(source=f"{{NET}}.{last}")])
    for last in (10, 12, 15, 18):
        yield _ruled(f"rules for the name of .{last}", ["-vRl0"], [Client(source=f"{{NET}}.{last}")], dns=True)
    yield _ruled("rules for joe", ["-vHl0"], [Client(source="{NET}.10", ident=b":::joe\n")])
    yield _ruled("rules for nobody's ident", ["-vHl0"], [Client(source="{NET}.11", ident=b"ERROR\n")])
    yield _ruled("rules deny all and serve the next", ["-vRHl0"], [Client(source="{NET}.7"), Client(source="{NET}.6")])
    damaged = {
        "missing": None,
        "noise": b"\xfe" * 4096,
        "short": b"\1" * 100,
        "zeros": bytes(2048),
        "empty": b"",
        "a loop": ("link", "rules.cdb"),
    }
    for what, content in damaged.items():
        files = {"rules.cdb": content} if content is not None else {}
        for options in (["-vRHl0"], ["-vXRHl0"], ["-RHl0"], ["-qRHl0"]):
            yield serve(f"{options[0]} and rules that are {what}", [*options, "-x", "rules.cdb"], SHOW, files=files)
    yield serve("rules below a file", ["-vXRHl0", "-xf/rules"], files={"f": b""})
    yield serve("rules in a directory", ["-vXRHl0", "-x", "."])
    yield serve("rules that may not be read", ["-vRHl0", "-xr", "-u65534"], files={"r": (0o000, b"")}, root=True)


def _ruled(name: str, options: list[str], clients: list[Client], **more: object) -> Case:
    return serve(
        name, [*options, "-x", "rules.cdb"], SHOW, clients=clients, files={"rules.cdb": ("rules", TEXT)}, **more
    )
