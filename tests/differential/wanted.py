"""Where ours is not to do as the original does: the only differences that the table may show.

Each has the cases it concerns (a pattern of fnmatch, for the names of the table), what ours does instead, and why."""

from __future__ import annotations

from fnmatch import fnmatchcase


class Wanted:
    """A difference: `code` and words of `err` that ours has."""

    def __init__(self, pattern: str, reason: str, *, code: int | None = None, err: str = "", out: str = "") -> None:
        self.pattern, self.reason, self.code, self.err, self.out = pattern, reason, code, err, out

    def covers(self, name: str) -> bool:
        """Does it concern this case?"""
        return fnmatchcase(name, self.pattern)

    def holds(self, ours: dict[str, object]) -> bool:
        """Is it this that ours did?"""
        return (
            (self.code is None or ours.get("code") == self.code)
            and self.err in str(ours.get("err", ""))
            and self.out in str(ours.get("out", ""))
        )


# A process of CPython's: said once.
DIRECTORY = (
    "CPython ends at its start if descriptor 0 is a directory: exit code 1, which every caller takes as temporary"
)

WANTED = [
    Wanted("usage: * '--x'", "the original takes --anything as the end of the options, and a mistyped option vanishes; here it is told, and --help works",
           code=100, err="illegal option -- -"),
    Wanted("usage: tcpserver -c [a0]*", "-c abc is 0, and a limit of 0 never accepts: a server that looks alive and is not", code=100, err="-c must be"),
    Wanted("usage: tcpserver -u no-such*", "read as uid 0, and the server stays root", code=100, err="unknown uid"),
    Wanted("usage: tcpserver -g no-such*", "read as gid 0, and the server keeps root's groups", code=100, err="unknown gid"),
    Wanted("usage: tcpserver -U with {'UID': 'no-such*", "read as uid 0, and the server stays root", code=100, err="unknown uid"),
    Wanted("usage: tcpserver -U with {'UID': '1', *", "read as gid 0, and the server keeps root's groups", code=100, err="unknown gid"),
    Wanted("usage: tcpserver -U with {'UID': ''}", "an empty UID is a mistake, and read as root's", code=100, err="unknown uid"),
    Wanted("servers: tcpserver: -u nobody", "read as uid 0, and the server stays root; here a name is looked up", code=0),
    Wanted("rules: tcprules x\\n", "a typo without colon vanishes, and with it what was to be denied: told, exit code as ever", code=0, err="has no colon"),
    Wanted("rules: tcprules 1.2.3.4 deny\\n", "the same", code=0, err="has no colon"),
    Wanted("rules: tcprules ::1:allow\\n", "rules for IPv6 addresses, as in the forks", code=0),
    Wanted("rules: tcprules may not write so much", "told, where the original dies of SIGXFSZ; the old rules stay in both", code=111, err="file too big"),
    Wanted("rules: tcprulescheck on a file that is empty", "the original's errno is left over from a mmap of nothing: the file is damaged", code=111, err="protocol error"),
    Wanted("rules: tcprulescheck on a device *", "the same", code=111, err="protocol error"),
    Wanted("rules: tcprulescheck on a directory", "the original crashes", code=111, err="is a directory"),
    Wanted("servers: tcpserver: -v*RHl0 and rules that are empty", "the errno of an mmap of nothing, as in tcprulescheck", err="protocol error"),
    Wanted("servers: tcpserver: -RHl0 and rules that are empty", "the same", err="protocol error"),
    Wanted("servers: tcpserver: rules in a directory", "the original's child crashes; the connection is dropped in both", err="unable to read .: is a directory"),
    Wanted("*: * reads a directory", DIRECTORY, code=1, err="is a directory"),
    Wanted("streams: tai64nlocal on no label *", "the original crashes; here the line passes unchanged", code=0),
    Wanted("streams: tai64nlocal @4000000000000000000000000\\n", "a year that localtime does not know: the original crashes", code=0),
    Wanted("streams: tai64nlocal @4000000060000000000000000 long\\n", "the same", code=0),
    Wanted("logs: multilog with a processor that is killed once", "the original adds whatever errno is left over, and tells a crash twice", code=0,
           err="multilog: warning: processor failed in ./L, pausing\n"),
    Wanted("chains: argv0 sh '' *", "CPython's execve takes no empty argv[0]", code=111, err="argv0: fatal: unable to run sh: invalid argument\n"),
    Wanted("failing: envdir cannot come back", "ours does not leave the directory that it is in", code=0),
    Wanted("failing: envdir in a directory that cannot be read", "the same", code=111, err="envdir: fatal: unable to switch to directory "),
]  # fmt: skip


def wanted(name: str) -> Wanted | None:
    """The difference that a case is to show."""
    return next((difference for difference in WANTED if difference.covers(name)), None)
