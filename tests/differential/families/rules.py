"""tcprules and tcprulescheck: the grammar, the file, the look-up."""

from __future__ import annotations

import resource
from collections.abc import Iterator

from tests.differential import cdbfile
from tests.differential.case import Case

LINES = [
    b"", b"\n", b"#x:deny\n", b" #x:deny\n", b":deny", b":deny\n", b":allow\n", b":\n", b"x:\n", b"x\n", b" \n", b"1.2.3.4 deny\n",
    b"1.2.3.4:deny", b'1.2.3.4:deny,X="1"\n', b'127.:allow,RELAYCLIENT=""\n', b" 1.2.3.4:allow\n", b"1.2.3.4:allow \t \n",
    b"1.2.3.4: allow\n", b"1.2.3.4:allow ,A=\"x\"\n", b":deny\r\n", b":allowed\n", b":denyx\n", b":DENY\n", b":Allow\n", b":allow,\n",
    b':allow,A="x"\n', b":allow,A=/a b/\n", b":allow,C=qhelloq\n", b":allow,A==a=\n", b':allow,A=""\n', b':allow,A="x\n', b":allow,A=\n",
    b":allow,A\n", b':allow,A="x"B="y"\n', b':allow,A="x",B="y"\n', b':allow,="x"\n', b':allow,,A="x"\n', b':allow,A B="x"\n',
    b':allow,A="x",\n', b':allow,A="x" \n', b':allow,A=" x "\n', b":allow,A=  \n", b":allow,A= x \n", b':allow,A="\xff"\n',
    b"1.2.3.250-300:deny\n", b"1.2.3.-4:deny\n", b"1.2.3.5-3:deny\n", b"1.2.3.5-:deny\n", b"1.2.3.-:deny\n", b"-:allow\n", b"1-2.3-4.:deny\n",
    b"a-b:deny\n", b"1.2.3.4-b:deny\n", b"1.2.3.a-4:deny\n", b"01.02.003-004.:deny\n", b"1.2.3.4-4:deny\n", b"1.2.3.4-5-6:deny\n",
    b"=a-b.example:deny\n", b"a-b@1.2.3.4:deny\n", b"a@1-2:deny\n", b"1-2=:deny\n", b"=:allow\n", b"=.Example:deny\n", b"@1.2.3.4:deny\n",
    b"x@=h:allow\n", b"x:deny:allow\n", b"::1:allow\n", b"1.2.3.4:deny\n1.2.3.4:allow\n", b"x\0y:denyx\0z\n", b"x\0y:deny\n",
    b":allow,A=\0b\0\n", b'99999999999999999999-18446744073709551617:deny\n', b"1.2.3.18446744073709551617-3:deny\n",
    b"1.2.3.4:deny\nbad:\n:allow\n", b"\t1:deny\n", b"1.2.3.4\t:deny\n", b"x" * 5000 + b":deny\n", b"1.2.3.4:allow,A=/" + b"v" * 70000 + b"/\n",
    b"1.2.3.4:deny,A=/" + b"v" * 300 + b"\n", b"1.2.3.4:allow#comment\n", b"1.2.3.4:allow # comment\n", b"\n\n:deny\n\n", b"::\n", b":a\n",
    b":deny,\n", b":denyA=\"x\"\n", b":allow,RELAYCLIENT\n", b'=:allow,RELAYCLIENT="@fixme"\n', b"0-255.:deny\n", b"256-300.:deny\n",
]  # fmt: skip
EIGHT = cdbfile.rules(
    ("I@1.2.3.4", "D"), ("I@=host.a.example", "+A=1"), ("1.2.3.5", "+A=2"), ("=host.a.example", "+A=3"), ("1.2.3.", "+A=4"),
    ("1.2.", "+A=5"), ("1.", "+A=6"), ("=.a.example", "+A=7"), ("=.example", "+A=8"), ("=", "+A=9"), ("", "+A=10 +B= +C=x=y"),
    ("@9.9.9.9", "+A=11"), ("=foo", "+A=12"), ("=.foo", "+A=13"),
)  # fmt: skip
EIGHT_TEXT = "IP={} HOST={} INFO={}"
WHO = [
    (ip, host, info)
    for ip in ("1.2.3.4", "1.2.3.5", "1.2.9.9", "9.9.9.9", None)
    for host in (None, "host.a.example", "x.a.example", "x.example", "other", "foo", ".foo", "")
    for info in (None, "I")
] + [
    ("9.9.9.9", None, ""),
    ("9.9.9.9", "HOST.A.EXAMPLE", None),
    ("1.2.3.", None, None),
    ("", "", ""),
    ("x", None, None),
]


def cases() -> Iterator[Case]:
    """Lines alone, files, and look-ups."""
    for line in LINES:
        shown = repr(line)[2:-1] if len(line) < 60 else f"{line[:20]!r} and so on"
        yield Case(f"tcprules {shown}", ["tcprules", "cdb", "tmp"], stdin=line, files={"cdb": b"old"})
    for args in (["nodir/a", "nodir/b"], ["nodir/a", "t"], ["a", "b", "c"], ["dir", "t"], ["a", "dir"], ["", "t"], ["a", ""], ["f/a", "t"],
                 ["a", "f/t"], ["x" * 300, "t"], ["a", "x" * 300], ["same", "same"], ["-a", "-b"]):  # fmt: skip
        shown = " ".join(word if len(word) < 50 else "LONG" for word in args)
        yield Case(
            f"tcprules {shown!a}", ["tcprules", *args], stdin=b":deny\n", files={"dir": ("dir", 0o755), "f": b""}
        )
    yield Case("tcprules reads a directory", ["sh", "-c", "tcprules a b < ."])
    yield Case("tcprules reads nothing at all", ["sh", "-c", "tcprules a b <&-"])
    yield Case(
        "tcprules may not write so much",
        ["tcprules", "a", "b"],
        stdin=b"1.2.3.4:deny\n" * 900,
        limits={resource.RLIMIT_FSIZE: 4096},
        files={"a": b"old"},
    )
    yield Case("tcprules under umask 077", ["sh", "-c", "umask 077; tcprules a b"], stdin=b":deny\n")
    yield Case(
        "tcprules over a file without permission",
        ["tcprules", "a", "b"],
        stdin=b":deny\n",
        files={"b": (0o000, b"x")},
        account="nobody",
    )
    many = b"".join(b"%d.%d.%d.:allow,N=/%d/\n" % (i % 223, i % 7, i % 251, i) for i in range(5000))
    yield Case("tcprules on 5000 rules", ["tcprules", "cdb", "tmp"], stdin=many)
    for ip, host, info in WHO:
        env = {
            name: value
            for name, value in (("TCPREMOTEIP", ip), ("TCPREMOTEHOST", host), ("TCPREMOTEINFO", info))
            if value is not None
        }
        yield Case(
            "tcprulescheck " + EIGHT_TEXT.format(ip, host, info),
            ["tcprulescheck", "cdb"],
            env=env,
            files={"cdb": EIGHT},
        )
    records = {
        "a D after variables": b"+A=1\0D\0+B=2\0", "no NUL at the end": b"+A=1\0+B=2", "unknown strings": b"x\0\0+A=1\0y=2\0",
        "no equals": b"+A\0+B=\0+=c\0", "Deny and more": b"Deny\0+A=1\0", "no record": b"", "only D": b"D",
    }  # fmt: skip
    for name, data in records.items():
        yield Case(f"tcprulescheck with {name}", ["tcprulescheck", "cdb"], files={"cdb": cdbfile.build([(b"", data)])})
    for key in ("", "D", "x"):
        yield Case(
            f"tcprulescheck, nothing fits but {key!a}",
            ["tcprulescheck", "cdb"],
            files={"cdb": cdbfile.rules((key, "+A=1"))},
        )
    yield from _damaged()
    text = b"I@1.2.3.4:deny\n1.2.3.:allow,A=/1/,B=/2/\n=.example:allow,C=/x/\n=:deny\n:allow,Z=//\n"
    for who in (
        "",
        "TCPREMOTEIP=1.2.3.4",
        "TCPREMOTEIP=1.2.3.4 TCPREMOTEINFO=I",
        "TCPREMOTEHOST=h.example",
        "TCPREMOTEHOST=h",
    ):
        yield Case(
            f"tcprules and tcprulescheck for {who}",
            ["sh", "-c", f"tcprules cdb tmp && {who} tcprulescheck cdb"],
            stdin=text,
        )


def _damaged() -> Iterator[Case]:
    for name, content in {
        "empty": b"",
        "short": b"\1" * 100,
        "noise": b"\xfe" * 4096,
        "cut": EIGHT[:2060],
        "zeros": bytes(2048),
    }.items():
        yield Case(f"tcprulescheck on a file that is {name}", ["tcprulescheck", "cdb"], files={"cdb": content})
    yield Case("tcprulescheck without a file", ["tcprulescheck", "nofile"])
    yield Case("tcprulescheck on a directory", ["tcprulescheck", "dir"], files={"dir": ("dir", 0o755)})
    yield Case(
        "tcprulescheck on a file that cannot be read",
        ["tcprulescheck", "f"],
        files={"f": (0o000, b"")},
        account="nobody",
    )
    yield Case("tcprulescheck below a file", ["tcprulescheck", "f/g"], files={"f": b""})
    yield Case("tcprulescheck on a device without end", ["tcprulescheck", "/dev/zero"])
    yield Case("tcprulescheck on a loop", ["tcprulescheck", "f"], files={"f": ("link", "f")})
    yield Case("tcprulescheck on a long name", ["tcprulescheck", "f" * 300])
