"""fastforward, dot-forward and their helpers beside Debian's: every case with both, compared byte for byte."""

from __future__ import annotations

import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.qmail.forwarding import stage

ALIASES = [
    b"", b"\n", b" \n", b"# c\n d\nx: y\n", b"root: alice, bill\n", b"MAILER-DAEMON: postmaster\n",
    b"Bob@heaven.af.mil: bob2@heaven.af.mil (Bob), Joe Shmoe <shmoe@Heaven.AF.mil>\n", b"@virt.dom: joe\n",
    b"billing@virt.dom: joe,\n\n fred\n", b"weather: \"|weather-server -x 'a b'\"\n", b"list: :include:/etc/staff-list, extra@x.example\n",
    b"owner-list: listadm\n", b"OWNER-list: listadm\n", b"owner-a@b: c\n", b"rel: : include : staff\n", b"plus: u@h+\n", b"nocolon target\n",
    b'fred: "spaced out mailbox"@heaven.af.mil\n', b"esc: \\bob\n", b'p: "|a,b;c:d@e"\n', b"slashat: /file@host.dom\n", b"x: a b\n",
    b"x: grp: a, b;\n", b"a: b) c\n", b"x:\n", b": y\n", b"y\n", b'x: "|cmd\n', b"x: <>\n", b'x: ""\n', b"list: :include:\n",
    b"x: /var/mail/x\n", b'x: a, b, "|p", c\n', b"@: a\n", b"x@, a\n", b"x: y", b"x: y\nz: w", b"x: y\n#", b"x: a\0\n", b'x: "|a\0"\n',
    b"x: :include:a\0\n", b"x: " + b"y" * 787 + b"\n", b"x: " + b"y" * 788 + b"\n", b"z" * 788 + b": y\n", b"x: y\nbad>\nz: q\n",
    b"(catch all)@virt.dom: joe\n", b"x: a\nx: b\n", b"a@b@c: d\n", b"x: (a\0b\n", b"x: /a\0b\n", b"x: " + b"y" * 900 + b"\0\n",
]  # fmt: skip
LISTS = [
    b"", b"# staff\nann@x.example, ben\n\n:include:/etc/sub-list.bin\nCarl <carl@y.example>\n", b":include:sub\n", b"joe, ann@short\n", b"a\n#b\nc",
    b'"|p x"\n', b"/f\n", b"<>\n", b'""\n', b"a@b>\n", b"(open\n", b"a\\\nb\n", b"a\0b\n", b":include:\n", b":include:a\0\n", b"x" * 900 + b"\n",
    b'a@"b.c "\n', b"u@h+ v+\n", b"a:include:b\n", b"\r\n", b"(a\0b\n", b"/a\0b\n", b"|a\0b\n",
]  # fmt: skip
FORWARDS = [
    b"bob, fred, susan\nJoe Shmoe <shmoe@heaven.af.mil>\n", b"bob (Bob, the postmaster) @heaven.af.mil\n", b"joe, other@x.example\n", b"JOE@MAIL.aaaa.hu\n",
    b'\\joe, "|vacation joe"\n', b"|vacation joe\n", b'"|/bin/cmd @x"\n', b"", b"# comment\n", b"<>\n", b"/home/u/Mailbox\n", b":include:list\n", b"u@h+\n",
    b" # not comment\n", b"a, b@short, c@x+\n", b")x\n", b'"unterminated\n', b"joe\0\n", b"a\0b\n", b"x y>\n", b"(a\0b\n", b"/a\0b\n",
]  # fmt: skip
TABLES = [
    b"", b"a: b;", b"a:b", b"a", b";", b":;", b"a:,b,,c,;", b"a::b;", b"a,b:c;", b"a#x\n:b;", b"a\\", b"\\::b;", b"A:|Cmd X;", b"A:?Own@X;", b"a:?o,b,?p;",
    b"a:&b,&&c;", b"a:.;", b"a:\0b;", b"a:\\\0b;", b"a:b;a:c;", b"a: \\ b;", b"a:b\\,c;", b"a:b;c", b"a:" + b"x" * 800 + b";", b"a:" + b"x" * 799 + b";",
    b"root @yp.to: god@heaven.af.mil;", b"a:b\rc;", b"\xe9@\x7f:\x80\xff;",
]  # fmt: skip
TEXTS = [
    b"# c\ngod@heaven.af.mil \n&x@y\n/abs/list.bin\n./rel.bin\n\n:weird\n",
    b"",
    b"a",
    b"a\0\n",
    b"x" * 800,
    b"x" * 801,
    b" # c\n",
    b"a\t \n",
    b"x" * 900 + b"\na\0\n",
    b"#\0\n" + b"x" * 900,
]
BINARIES = [b"", b"&a\0", b"&a", b"&a\0x", b"|a\0", b"\0", b"&" + b"x" * 900 + b"\0", b"&a\nb\0", b"/x\0./y\0"]

TABLE = b"""root@yp.to: god@heaven.af.mil, staff@af.mil;
everybody@yp.to: programmers@yp.to, testers@yp.to; Programmers@yp.to: joe@yp.to, bob@yp.to; testers@yp.to: joe@yp.to, fred@yp.to;
self@yp.to: self@yp.to, other@yp.to; nocmd@yp.to: ; dew@: |cat\\ 1>&2;
sos@heaven.af.mil: ?owner-sos@heaven.af.mil, ./list.bin;
top@yp.to: sub@yp.to, plain@yp.to; sub@yp.to: ?own@yp.to, leaf@yp.to; c@yp.to: Sub2@YP.to; sub2@yp.to: x1@yp.to;
@wild.to: w@wild.to; w@: deeper@yp.to; bad@: |exit\\ 100, x@y; soft@: |exit\\ 1; ninety@: |exit\\ 99; fine@: |exit\\ 0, dest@x.example;
crash@: |kill\\ -9\\ $$; pre@: !cat\\ 1>&2; secret@: ./secret.bin; gone@: ./gone.bin; odd@: =x, y@z; esc@: \\^[x@y; dir@: ./dir;
"""
LIST = b"&ben@mail.aaaa.hu\0&ann@x.example\0./sub.bin\0"
RECIPIENTS = [
    *("root@yp.to", "ROOT@Yp.To", "everybody@yp.to", "self@yp.to", "nocmd@yp.to", "dew@any.where", "sos@heaven.af.mil", "top@yp.to", "sub@yp.to"),
    *("c@yp.to", "anyone@wild.to", "w@wild.to", "bad@x", "soft@x", "ninety@x", "fine@x", "crash@x", "pre@x", "secret@x", "gone@x", "odd@x", "esc@x", "dir@x"),
    *("nobody@x", "w", ""),
]  # fmt: skip
SENDERS: list[str | None] = ["", "#@[]", None]


def cases() -> dict[str, tuple[str, tuple[str, ...], dict[str, object]]]:
    """Program, words and setting, by name."""
    found: dict[str, tuple[str, tuple[str, ...], dict[str, object]]] = {}

    def add(program: str, *words: str, about: object = "", **setting: object) -> None:
        found[f"{program} {' '.join(words)} {str(about)[:60]}"] = program, words, setting

    for text in ALIASES:
        add("newaliases", about=(text, len(text)), aliases=text)
    add("newaliases", about="no file")
    add("newaliases", about="no control files", aliases=b"x: y\n", control={})
    names = {"me": "m.e", "defaulthost": "dh", "defaultdomain": "dd.example", "plusdomain": "pp.example"}
    add(
        "newaliases",
        about="all control files",
        aliases=b"x: a, b@short, c@x+\n",
        control=names,
        env={"QMAILDEFAULTHOST": "no"},
    )
    for text in LISTS:
        add("newinclude", "l", about=(text, len(text)), files={"l": text})
    own = {"QMAILDEFAULTHOST": "dh.example", "QMAILDEFAULTDOMAIN": "dd.example", "QMAILPLUSDOMAIN": "pp.example"}
    add("newinclude", "l", about="the environment's names", files={"l": b"joe, ann@short, p@q+\n"}, env=own)
    add("newinclude", "none")
    add("newinclude", "d", files={"d": None})
    add("newinclude", about="nothing")
    for text in FORWARDS:
        add("dot-forward", "-n", "f", about=text, files={"f": text})
    add("dot-forward", "-n", "f", about="all control files", files={"f": b"a, b@short, c@x+\n"}, control=names)
    add("dot-forward", "-n", "f", "g", "h", files={"f": b"# only\n", "h": b"z@z.example\n"})
    add("dot-forward", "-n", "d", files={"d": None})
    add("dot-forward", "-n", "f/x", files={"f": b""})
    add("dot-forward", "-n")
    add("dot-forward", "-x", "f")
    for about, text, env in (
        ("forward", b"a@x.example\nb@x.example, c@x.example\n", {}),
        ("no sender", b"a@x.example\n", {"NEWSENDER": None, "DTLINE": None}),
        ("nobody", b"joe\n", {"USER": None}),
        ("no host", b"@mail.aaaa.hu, joe@mail.aaaa.hu\n", {"USER": None, "HOST": None}),
        ("program", b'a@x.example, joe\n"|cat 1>&2"\n', {}),
        ("program 1", b'a@x.example, "|exit 1"\n', {}),
        ("program 99", b'"|exit 99"\n', {}),
        ("program 64", b'"|exit 64"\n', {}),
        ("program 0", b'"|exit 0"\n', {}),
        ("program killed", b'a@x.example, "|kill -9 $$"\n', {}),
        ("queue 31", b"a\n", {"QQ": "31"}),
        ("queue 53", b"a\n", {"QQ": "53"}),
    ):
        add("dot-forward", "f", about=about, files={"f": text}, env=env, stdin=b"Subject: x\n\nbody\n")
    add("dot-forward", "f", about="a pipe", files={"f": b'"|cat >/dev/null"\n'}, shell='cat ../stdin | "$@"')
    for text in TABLES:
        add("setforward", "c", "t", about=(text, len(text)), stdin=text)
        add("setforward", "c", "t", about=f"and back {text!r}", stdin=text, shell='"$@" <../stdin && printforward <c')
    add("setforward", "c")
    add("setforward", "c", "no/t")
    add("setforward", "no/c", "t")
    for text in TEXTS:
        add("setmaillist", "l", "t", about=(text, len(text)), stdin=text)
    add("setmaillist", "l")
    for text in BINARIES:
        add("printmaillist", about=(text, len(text)), stdin=text)
    add("printforward", about="nothing")
    for about, words in (("", ()), ("-n", ("-n",)), ("-p", ("-p",)), ("-np", ("-np",)), ("-nd", ("-nd",))):
        for recipient in RECIPIENTS:
            if about in ("", "-n") or recipient in (
                "root@yp.to",
                "nobody@x",
                "bad@x",
                "ninety@x",
                "fine@x",
                "dew@any.where",
            ):
                user, _, host = recipient.partition("@")
                _forward(add, *words, "c", about=recipient, env={"RECIPIENT": recipient, "DEFAULT": user, "HOST": host})
    for sender in SENDERS:
        _forward(
            add, "c", about=f"from {sender}", env={"RECIPIENT": "sos@heaven.af.mil", "SENDER": sender, "DTLINE": None}
        )
        _forward(add, "-n", "c", about=f"from {sender}", env={"RECIPIENT": "sub@yp.to", "SENDER": sender})
    for about, env in (
        ("EXT", {"EXT": "root", "HOST": "yp.to"}),
        ("no EXT", {"HOST": "yp.to"}),
        ("no HOST", {"DEFAULT": "root", "HOST": None}),
    ):
        _forward(add, "-nd", "c", about=about, env=env)
    _forward(add, "c", about="no RECIPIENT", env={})
    for length in (898, 899, 900):
        long = b"&a@b\0&" + b"x" * length + b"\0./sub.bin\0"
        _forward(add, "c", about=f"long {length}", env={"RECIPIENT": "sos@heaven.af.mil"}, list_bin=long)
    for code in ("31", "53"):
        _forward(add, "c", about=f"queue {code}", env={"RECIPIENT": "root@yp.to", "QQ": code})
    for words in ((), ("-x", "c"), ("-n", "none"), ("-n", "dir"), ("-n", "empty"), ("-n", "list.bin")):
        _forward(add, *words, env={"RECIPIENT": "root@yp.to"})
        _forward(add, *words, about="no RECIPIENT", env={})
    return found


def _forward(add: object, *words: str, about: str = "", env: object = None, list_bin: bytes = LIST) -> None:
    assert callable(add)
    files = {
        "table": TABLE.replace(b"\\^[", b"\\\x1b"),
        "list.bin": list_bin,
        "sub.bin": b"&deep@z.example\0",
        "secret.bin": b"&a@b\0",
        "dir": None,
        "empty": b"",
    }
    shell = 'setforward c t <table; chmod 640 secret.bin; "$@" <../stdin'
    add("fastforward", *words, about=about, files=files, shell=shell, env=env, stdin=b"Subject: x\n\nbody\n")


CASES = cases()
# Where ours says more: an alias that the original loses in silence.
CRASH = re.compile(rb"(child crashed in .*): file does not exist")  # an errno that has nothing to do with it
LEFTOVERS = ("d.tmp",)  # made before it is known whether there is anything to put in
WARNING = b"newaliases: warning: the last line has no newline and is ignored\n"


@pytest.fixture(scope="module", autouse=True)
def originals() -> None:
    """They are needed for all of this."""
    stage.demand_originals()


def same(case: tuple[str, tuple[str, ...], dict[str, object]]) -> None:
    program, words, setting = case
    theirs = stage.run(program, *words, original=True, **setting)  # type: ignore[arg-type]
    ours = stage.run(program, *words, original=False, **setting)  # type: ignore[arg-type]
    said = ours["err"]
    assert isinstance(said, bytes)
    ours["err"] = said.replace(WARNING, b"")
    assert isinstance(theirs["err"], bytes) and isinstance(theirs["files"], dict)
    theirs["err"] = CRASH.sub(rb"\1", theirs["err"])
    for name in LEFTOVERS:
        theirs["files"].pop(name, None)
    assert ours == theirs


@pytest.mark.parametrize("name", CASES)
def test_ours_does_what_the_original_does(name: str) -> None:
    same(CASES[name])


def test_there_are_as_many_cases_as_there_should_be() -> None:
    assert len(CASES) >= 120


PIECES = {
    "newaliases": [b"a", b"joe", b"@", b".", b",", b" ", b"(c)", b"<", b">", b":", b";", b":include:", b'"q s"', b'"|p x"', b"|p", b"/f", b"[l]", b"+", b"\\",
                   b"\n", b"\n ", b"#", b"owner-", b"x@y.z", b"(", b")", b'"', b"\r", b"\xe9", b"&", b"b", b" ", b",", b"\n", b":", b"\0", b"a@b+", b"N <a@b>"],
    "setforward": [b"a", b"b:", b";", b",", b"#", b"\n", b"\\", b" ", b"\t", b"|", b"?", b"&", b"!", b".", b"/", b"\\\n", b"\\:", b"\0", b":", b"\r", b"A:", b"a:b,c;", b"\xe9"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("program", ["newaliases", "newinclude", "dot-forward", "setforward"])
def test_any_text_at_all_means_the_same_to_both(program: str) -> None:
    dice = random.Random(program)
    pieces = PIECES.get(program, PIECES["newaliases"])

    def text() -> bytes:
        return b"".join(dice.choice(pieces) for _ in range(dice.randint(1, 14)))

    def case() -> tuple[str, tuple[str, ...], dict[str, object]]:
        if program == "newaliases":
            return program, (), {"aliases": b"x" + text() + b"\n"}
        if program == "setforward":
            return program, ("c", "t"), {"stdin": text(), "shell": '"$@" <../stdin && printforward <c'}
        words = ("-n", "f", "g") if program == "dot-forward" else ("f",)
        return program, words, {"files": {"f": text(), "g": b"g@h.example\n"}}

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(same, [case() for _ in range(100)]))
