"""System calls that fail: what every program says of them.  strace(1) makes them fail, for the original and for ours."""

from __future__ import annotations

import resource
from collections.abc import Iterator

from tests.differential.case import Case, Peer

SERVER = ["tcpserver", "-RHl0", "127.0.0.1", "0", "true"]
CLIENT = ["tcpclient", "-RHl0", "{NET}.2", "{PORT}", "true"]


def cases() -> Iterator[Case]:
    """By program."""
    for what, call in (
        ("socket", "socket:error=ENFILE"),
        ("listening", "listen:error=EADDRINUSE"),
        ("local address", "getsockname:error=ENOBUFS"),
    ):
        yield Case(f"tcpserver gets no {what}", SERVER, inject=call)
    yield Case("tcpserver on a port that is taken", ["tcpserver", "-RHl0", "{NET}.2", "{PORT}", "true"], peer=Peer())
    yield Case("tcpserver at a host that DNS cannot name", ["tcpserver", "x" * 64 + ".example", "0", "true"])
    yield Case("tcpclient gets no socket", CLIENT, inject="socket:error=ENFILE")
    yield Case("tcpclient gets no local address", CLIENT, inject="getsockname:error=ENOBUFS", peer=Peer())
    # The original's first call asks whether it is connected.
    there = ("getpeername:error=ENOBUFS:when=2", "getpeername:error=ENOBUFS")
    yield Case("tcpclient gets no remote address", CLIENT, inject=there, peer=Peer())
    for number, fcntl, dup2 in ((6, 6, 1), (7, 8, 2)):
        calls = (f"fcntl:error=EMFILE:when={fcntl}", f"dup2:error=EMFILE:when={dup2}")
        yield Case(f"tcpclient gets no descriptor {number}", CLIENT, inject=calls, peer=Peer())
    yield Case(
        "setuidgid may not take the uid", ["setuidgid", "nobody", "true"], inject="setuid:error=EAGAIN", root=True
    )
    yield Case(
        "setuidgid may not take the gid", ["setuidgid", "nobody", "true"], inject="setgid:error=EAGAIN", root=True
    )
    for what, original, ours in (("read", 2, 3), ("set", 3, 6)):
        calls = (f"prlimit64:error=EFAULT:when={original}", f"prlimit64:error=EFAULT:when={ours}")
        yield Case(f"softlimit may not {what} a limit", ["softlimit", "-c0", "true"], inject=calls)
    for program in ("recordio", "fixcrio"):
        calls = ("fcntl:error=EMFILE", "dup2:error=EMFILE")
        yield Case(f"{program} may not move descriptors", [program, "true"], inject=calls, two_streams="unfinished")
    yield Case("mconnect-io may not fork", ["mconnect-io"], limits={resource.RLIMIT_NPROC: 0}, account="nobody")
    yield Case(
        "envdir cannot come back", ["envdir", "e", "true"], files={"e": ("dir", 0o755)}, inject="fchdir:error=EACCES"
    )
    yield Case(
        "envdir in a directory that cannot be read",
        ["sh", "-c", "mkdir d && chmod 300 d && cd d && envdir nodir true"],
        account="nobody",
    )
    yield Case(
        "tcprules cannot write",
        ["sh", "-c", "trap '' XFSZ; ulimit -f 4; exec tcprules a b"],
        stdin=b"1.2.3.4:deny\n" * 900,
        files={"a": b"old"},
    )
    # The path counts, not the descriptor: the directory's other files can be written.
    yield Case(
        "multilog cannot write for a moment",
        ["multilog", "./L"],
        stdin=b"one\ntwo\n",
        inject="write:error=ENOSPC:when=1",
        only="L/current",
        slow=True,
    )
