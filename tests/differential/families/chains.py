"""Programs that become another: what they change, and what happens when there is nothing to become."""

from __future__ import annotations

import resource
from collections.abc import Iterator

from tests.differential.case import Case, Client, Peer

CHAINS = {
    "rblsmtpd": ["rblsmtpd"],
    "recordio": ["recordio"],
    "fixcrio": ["fixcrio"],
    "softlimit": ["softlimit", "-c", "0"],
    "setuidgid": ["setuidgid", "root"],
    "envuidgid": ["envuidgid", "daemon"],
    "envdir": ["envdir", "env"],
    "setlock": ["setlock", "lk"],
    "pgrphack": ["pgrphack"],
    "fghack": ["fghack"],
}
FILES: dict[str, object] = {
    "noexec": (0o644, b"#!/bin/sh\necho no\n"), "good": (0o755, b"#!/bin/sh\necho good $0 $*\n"), "dir": ("dir", 0o755),
    "garbage": (0o755, b"garbage\n"), "lost": (0o755, b"#!/nonexistent/interpreter\n"), "loop": ("link", "loop"),
    "env": ("dir", 0o755), "p1/good": (0o644, b""), "p2/good": (0o755, b"#!/bin/sh\necho from p2\n"),
    "p3/good": ("dir", 0o755), "p4/good": (0o755, b"garbage\n"), "empty": (0o755, b""),
}  # fmt: skip
TARGETS = ["nonexistent-program", "./nonexistent", "./noexec", "./dir", "./garbage", "./lost", "./loop", "./noexec/x", "/", "",
           "./good", "x" * 300, "./" + "x" * 300, "./empty"]  # fmt: skip
PATHS = [
    "unset",
    "",
    ":",
    "p1:p2",
    "p1",
    "p1:p3",
    "p2:p1",
    "p4:p2",
    "p3",
    "/nonexistent",
    "/nonexistent:p2:",
    "noexec:p2",
    "loop:p2",
    "p1/:p2/",
]


def cases() -> Iterator[Case]:
    """exec failures of every program, the PATH search, and each program's own work."""
    for program, argv in CHAINS.items():
        for target in TARGETS:
            shown = target if len(target) < 40 else f"a name of {len(target)} bytes"
            if program == "recordio" and len(target) > 250:
                continue  # a message that long is two writes, and the recorder's may come between them
            yield Case(
                f"{program} execs {shown or 'nothing'}", [*argv, target, "arg"], files=FILES, two_streams="unfinished"
            )
    for path in PATHS:
        argv = ["setlock", "lk", "good", "arg"]
        yield Case(f"PATH {path!a}", argv, files=FILES, env={"PATH": path})
    for target in TARGETS:
        shown = target if len(target) < 40 else f"a name of {len(target)} bytes"
        yield Case(
            f"argv0 execs {shown or 'nothing'}",
            ["argv0", target, "zero", "arg"],
            files={**FILES, "good": (0o755, b"#!/bin/echo\n")},
        )
        if target not in ("./good", "./empty"):
            yield Case(
                f"tcpclient execs {shown or 'nothing'}",
                ["tcpclient", "-RHl0", "{NET}.2", "{PORT}", target],
                files=FILES,
                peer=Peer(),
            )
            yield Case(
                f"tcpserver execs {shown or 'nothing'}",
                ["tcpserver", "-vRHl0", "{NET}.2", "0", target],
                files=FILES,
                clients=[Client()],
            )
    yield from _ids()
    yield from _locks()
    yield from _others()
    yield from _environments()


def _ids() -> Iterator[Case]:
    for account in ("65534", "no-such-account", "-h", "", "nobody ", "NOBODY"):
        yield Case(f"setuidgid {account!a}", ["setuidgid", account, "id"])
        yield Case(f"envuidgid {account!a}", ["envuidgid", account, "true"])
    for account in ("nobody", "daemon", "root", "mail"):
        yield Case(
            f"setuidgid {account}",
            ["setuidgid", account, "sh", "-c", "id; echo $UID $HOME $USER; umask"],
            env={"UID": "5", "HOME": "/h"},
            root=True,
        )
        yield Case(
            f"envuidgid {account}", ["envuidgid", account, "printenv", "UID", "GID"], env={"UID": "5", "GID": "6"}
        )
    yield Case("setuidgid by nobody", ["setuidgid", "daemon", "id"], account="nobody")
    yield Case("setuidgid to oneself by nobody", ["setuidgid", "nobody", "id"], account="nobody")
    yield Case("setuidgid twice", ["setuidgid", "daemon", "setuidgid", "nobody", "id"], root=True)


def _locks() -> Iterator[Case]:
    for script in (
        "setlock lk sh -c 'setlock -n lk echo one'", "setlock lk sh -c 'setlock -nx lk echo one && echo two'",
        "setlock lk sh -c 'setlock -xn lk echo one; echo $?'", "setlock -n lk setlock -n other echo two",
        "setlock -nN lk sh -c 'ls -l /proc/self/fd | grep -c lk'", "setlock lk sh -c 'exit 9'", "setlock lk sh -c 'kill -9 $$'",
        "setlock -xX nodir/f true", "setlock -x nodir/f true", "setlock nodir/f true", "setlock . true", "setlock -x . true",
        "setlock '' true", "setlock lk/x true", "echo text > lk; setlock lk cat lk", "umask 0; setlock lk stat -c %a lk",
        "setlock lk sh -c 'sleep 0.5 & exit 3'; setlock -n lk echo taken", "setlock -N lk true; setlock -n lk echo free",
        "mkfifo ff; setlock ff echo ok", "ln -s lk ln; setlock ln true", "ln -s ln ln; setlock ln true",
    ):  # fmt: skip
        yield Case(script, ["sh", "-c", script])
    yield Case("setlock on a file of others", ["setlock", "/etc/passwd", "true"], account="nobody")


def _others() -> Iterator[Case]:
    for script in (
        "argv0 sh myname -c 'echo $0'", "argv0 sh -x -c 'echo $0'", "argv0 sh '' -c 'echo $0'", "argv0 '' ''", "argv0 nosuch ''", "argv0 argv0 argv0 sh x -c 'echo $0'",
        "pgrphack sh -c 'exit 4'", "fghack sh -c '(sleep 0.2; echo late) & echo early; exit 6'", "fghack sh -c 'kill -9 $$'",
        "fghack sh -c 'kill -15 $$'", "fghack fghack sh -c 'exit 3'", "fghack sh -c 'ls /proc/self/fd | wc -l'", "fghack true",
        "fghack sh -c 'exit 111'", "fghack sh -c 'exit 255'", "pgrphack true", "pgrphack sh -c 'kill -9 $$'",
        "recordio sh -c 'exit 7'", "fixcrio sh -c 'exit 7'", "rblsmtpd sh -c 'exit 7'", "softlimit -c0 sh -c 'kill -9 $$'",
        "envuidgid root sh -c 'exit 12'", "pgrphack pgrphack fghack envuidgid daemon softlimit -o 100 sh -c 'echo $UID; ulimit -n'",
    ):  # fmt: skip
        yield Case(script, ["sh", "-c", script], two_streams="unfinished")
    # The pid in its own session and process group prints as "self".
    look = "ps -o sid=,pgid= -p $$ | tr -s ' ' '\\n' | sed \"s/^$$\\$/self/\" | tr -d '\\n'"
    yield Case("pgrphack leads a session", ["pgrphack", "sh", "-c", look])
    few = {resource.RLIMIT_NOFILE: 5}
    for program in ("recordio", "fixcrio"):
        yield Case(f"{program} with five descriptors", [program, "true"], limits=few)
        yield Case(
            f"{program} that may not fork", [program, "true"], limits={resource.RLIMIT_NPROC: 0}, account="nobody"
        )
    yield Case("fghack with four descriptors", ["fghack", "true"], limits={resource.RLIMIT_NOFILE: 4})
    yield Case("fghack that may not fork", ["fghack", "true"], limits={resource.RLIMIT_NPROC: 0}, account="nobody")


def _environments() -> Iterator[Case]:
    contents = {
        "plain": b"val", "newline": b"val\nsecond", "blanks": b"val one  \t\nsecond\n", "only newline": b"\n", "only blanks": b" \t \n",
        "nul": b"x\0y\n", "cr": b"a\r\n", "leading": b"  \ta\n", "nul at the end": b"a\0\n", "blank before nul": b"a \0\n", "equals": b"a=b=c\n",
        "high": b"\xff\xfe\n", "long": b"z" * 70000 + b"\n", "empty": b"",
    }  # fmt: skip
    show = ["sh", "-c", "env -0 | tr '\\0\\n' '\\n#' | grep ^V | sort | cut -c1-100"]
    for name, content in contents.items():
        yield Case(f"envdir, file with {name}", ["envdir", "e", *show], env={"V": "old"}, files={"e/V": content})
    for variable in ("V X", "V-1", "V.b", "V=Y", "V=", "V=Y=Z"):
        yield Case(
            f"envdir, file {variable}", ["envdir", "e", *show], env={"V": "old"}, files={f"e/{variable}": b"val\n"}
        )
        yield Case(
            f"envdir, empty file {variable}",
            ["envdir", "e", *show],
            env={"V": "old", "V X": "old"},
            files={f"e/{variable}": b""},
        )
    yield Case("envdir, hidden file", ["envdir", "e", *show], files={"e/.V": b"x", "e/V": b"y"})
    yield Case("envdir, a subdirectory", ["envdir", "e", "true"], files={"e/sub": ("dir", 0o755)})
    yield Case(
        "envdir, a dangling link alone", ["envdir", "e", *show], env={"V": "old"}, files={"e/V": ("link", "nowhere")}
    )
    yield Case("envdir, a link in a loop", ["envdir", "e", *show], files={"e/V": ("link", "V")})
    yield Case("envdir, a link to a file", ["envdir", "e", *show], files={"e/V": ("link", "../v"), "v": b"linked\n"})
    yield Case("envdir, a missing directory", ["envdir", "nodir", "true"])
    yield Case("envdir, a file for a directory", ["envdir", "f", "true"], files={"f": b""})
    yield Case("envdir, no name for a directory", ["envdir", "", "true"])
    yield Case("envdir, a directory below a file", ["envdir", "f/x", "true"], files={"f": b""})
    yield Case("envdir, a directory of others", ["envdir", "e", "true"], files={"e": ("dir", 0o000)}, account="nobody")
    yield Case(
        "envdir, a directory that cannot be listed",
        ["envdir", "e", "true"],
        files={"e": ("dir", 0o300)},
        account="nobody",
    )
    yield Case(
        "envdir, a directory that cannot be entered",
        ["envdir", "e", "true"],
        files={"e": ("dir", 0o600)},
        account="nobody",
    )
    yield Case(
        "envdir, a file that cannot be read", ["envdir", "e", "true"], files={"e/V": (0o000, b"x")}, account="nobody"
    )
    yield Case("envdir keeps the directory", ["envdir", "e/f", "ls"], files={"e/f/V": b"x", "here": b""})
    yield Case(
        "envdir's PATH is for the child", ["envdir", "e", "printenv", "PATH"], files={"e/PATH": b"/nonexistent\n"}
    )
    yield Case(
        "envdir in envdir",
        ["envdir", "e", "envdir", "f", *show],
        files={"e/V1": b"1", "e/V2": b"2", "f/V1": b"3", "f/V2": b""},
    )
