"""multilog: scripts, patterns, rotation, what a crash left."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.case import Case

LINES = b"".join(b"%061d\n" % i for i in range(400))
MIXED = b"".join(b"%d %b\n" % (i, b"x" * (i * 7 % 300)) for i in range(700)) + b"no newline"
PATTERNS = {
    "": ["", "x"], "a": ["a", "ab", "A", ""], "*": ["", "anything"], "a*": ["a", "ab", "ba"], "*a": ["a", "ba", "baa", "ab"],
    "a*bc": ["aXbc", "abbc", "abc"], "a*b*c": ["aXbYc", "abc", "aXbYcc"], "**": ["x*y", "xy", "*"], "**b": ["x*yb", "x*b"], "a**": ["a*", "ab"],
    "***": ["*", "**"], "* fatal: *": ["x: fatal: y", "fatal: y"], "?": ["x", "?"], "[a]": ["a", "[a]"], "\\*": ["\\x", "*"], "*b*": ["ab", "b", "a"],
}  # fmt: skip
SCRIPTS: list[tuple[list[str], bytes]] = [
    ([], b"x\n"), (["e"], b"a\n\nb"), (["e"], b"y" * 199 + b"\n" + b"y" * 200 + b"\n" + b"y" * 201 + b"\n"), (["e", "e"], b"a\n"), (["E", "z", "dir", ""], b"a\n"),
    (["t", "e"], b"a\n\nb"), (["e", "t", "e"], b"a\n"), (["tx", "e"], b"a\n"), (["-*", "e"], b"a\n"), (["-*", "+a", "e"], b"a\nb\n"), (["-a", "e", "+*", "e"], b"a\nb\n"),
    (["./L"], b"one\ntwo"), (["./L"], b""), (["t", "./L"], b"one\n\ntwo"), (["./L", "./M", "-*", "./N"], b"one\n"), (["L", "L/x"], b"a\n"),
    (["=status"], b"one\ntwo\n"), (["=status"], b"y" * 1500 + b"\n"), (["=status"], b""), (["-*", "=status"], b"a\n"), (["t", "=status"], b""),
    (["s4096", "n3", "./L"], LINES), (["s4096", "n1", "./L"], MIXED), (["s1", "n0", "./L"], LINES), (["s", "n", "./L"], LINES[:9000]), (["sx", "./L"], LINES),
    (["t", "s5000", "n4", "./L"], MIXED), (["s99999999999", "./L"], LINES), (["s4096", "./L", "s8000", "./M", "n2", "./N"], MIXED), (["./L"], LINES * 20),
    (["s4096", "n20", "./L"], b"x" * 20000 + b"\n" + b"y" * 3000), (["s5000", "./L"], b"\n" * 9000), (["-*1*", "s4096", "./L", "+*11*", "./M"], MIXED),
    (["-*", "+*end", "./L"], b"y" * 997 + b"end\n" + b"y" * 998 + b"end\nend\n"), (["t", "-*", "+* a", "e"], b"a\nb\n"),
    (["s4096", "n4", "!tr 0 z", "./L"], LINES[:12000]), (["s4096", "n4", "!cat; cat <&4 >&5; echo . >&5", "./L"], LINES[:12000]),
    (["s4096", "!", "./L"], LINES[:6000]), (["s4096", "!pwd >&2; cat", "./L"], LINES[:3000]),
    (["./nodir/L"], b""), (["=nodir/status"], b""), (["./L", "./L"], b"x\n"), (["./f"], b"x\n"), (["./f/L"], b"x\n"), (["=."], b"x\n"), (["=f/x"], b""),
    (["./L", "=nodir/status"], b"x\n"), (["s4096", "./nodir/L", "=status"], b"x\n"), (["=a", "-*", "=b", "+*y", "=c"], b"x\ny\nz\n"),
]  # fmt: skip
STATES: dict[str, dict[str, object]] = {
    "a clean end": {"current": (0o744, b"c"), "state": (0o644, b"s")},
    "a crash": {"current": (0o644, b"c"), "state": (0o644, b"s"), "newstate": (0o644, b"n")},
    "a crash in rotation": {"current": (0o644, b"c"), "previous": (0o744, b"p")},
    "a crash of a processor": {"current": (0o644, b"c"), "previous": (0o744, b"p"), "processed": (0o644, b"q")},
    "a crash behind a processor": {"current": (0o644, b"c"), "previous": (0o744, b"p"), "processed": (0o744, b"q")},
    "only previous": {"previous": (0o744, b"p")},
    "an empty current": {"current": (0o644, b"")},
    "names that are not quite labels": {
        "@4000000000000000000000001.s": (0o744, b"1"),
        "@short": (0o644, b""),
        "other": (0o644, b""),
    },
    "current a directory of mode 755": {"current": ("dir", 0o755)},
    "state a directory": {"state": ("dir", 0o755)},
    "lock a directory": {"lock": ("dir", 0o755)},
    "current a loop": {"current": ("link", "current")},
    "processed a loop": {"processed": ("link", "processed")},
}


def cases() -> Iterator[Case]:
    """Patterns, scripts, states."""
    for pattern, lines in PATTERNS.items():
        stdin = "".join(line + "\n" for line in lines).encode()
        yield Case(f"pattern +{pattern}", ["multilog", "-*", "+" + pattern, "e"], stdin=stdin)
        yield Case(f"pattern -{pattern}", ["multilog", "-" + pattern, "e"], stdin=stdin)
    for args, stdin in SCRIPTS:
        shown = " ".join(args) or "nothing"
        yield Case(
            f"multilog {shown} on {len(stdin)} bytes", ["multilog", *args], stdin=stdin, files={"f": (0o644, b"")}
        )
    for what, state in STATES.items():
        files = {f"L/{name}": content for name, content in state.items()}
        yield Case(f"multilog after {what}", ["multilog", "n3", "./L"], stdin=b"new\n", files=files)
    yield Case("multilog, a directory of others", ["multilog", "./L"], files={"L": ("dir", 0o000)}, account="nobody")
    yield Case(
        "multilog, a directory that cannot be written",
        ["multilog", "./L"],
        files={"L": ("dir", 0o500)},
        account="nobody",
    )
    yield Case("multilog, a status file of others", ["multilog", "=s"], files={"s": (0o000, b"")}, account="nobody")
    yield Case("multilog over an old status", ["multilog", "=s"], stdin=b"new\n", files={"s": b"old" * 500})
    yield Case("multilog under umask 077", ["sh", "-c", "umask 077; multilog =s ./L"], stdin=b"x\n")
    yield Case("multilog with a processor that fails once", ["multilog", "s4096", "!test -e ../once && cat || { touch ../once; exit 1; }", "./L"],
               stdin=LINES[:3000], slow=True)  # fmt: skip
    yield Case("multilog with a processor that is killed once", ["multilog", "s4096", "!test -e ../once && cat || { touch ../once; kill -9 $$; }", "./L"],
               stdin=LINES[:3000], slow=True)  # fmt: skip
    yield Case("multilog reads nothing at all", ["sh", "-c", "multilog ./L <&-"])
    yield Case("multilog reads a directory", ["sh", "-c", "multilog ./L < ."])
    yield from _signals()


def _signals() -> Iterator[Case]:
    """multilog in the background, with one line written, and another one to come when the file `go` is there."""
    feed = "until test -e go; do sleep 0.02; done; "
    start = "{ exec 3<&0; multilog ./L <&3 3<&- & "
    begin = f"(echo one; {feed} echo two) | {start} until test -s L/current; do sleep 0.02; done; "
    end = "touch go; wait $!; echo $?; }"
    gone = "wait $!; echo $?; touch go; }"
    rotated = "until ls L/@* >/dev/null 2>&1; do sleep 0.02; done; "
    for name, script in {
        "multilog beside another": f"{begin} multilog ./L; echo $?; {end}",
        "multilog gets SIGTERM": f"{begin} kill -TERM $!; {gone}",
        "multilog gets SIGHUP": f"{begin} kill -HUP $!; {gone}",
        "multilog gets SIGALRM": f"{begin} kill -ALRM $!; {rotated} {end}",
        "multilog gets SIGALRM twice": f"{begin} kill -ALRM $!; {rotated} kill -ALRM $!; sleep 0.3; {end}",
        "multilog restarts after SIGHUP": f"{begin} kill -HUP $!; {gone}; echo three | multilog ./L",
        "multilog gets SIGTERM in a line": f"(printf par; {feed} printf 'tial\\nnext\\n') | {start} until test -e L/current; do sleep 0.02; done; "
        f"sleep 0.4; kill -TERM $!; sleep 0.2; touch go; wait $!; echo $?; cat; }}",
    }.items():
        yield Case(name, ["sh", "-c", script])
