"""One command, everything it can see, and the peers it talks to.

In argv, environment, stdin and files `{NET}` stands for the first three numbers of a loopback network of this process's
own, `{PORT}` for the port of the peer or of the server; results have them again in place of the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Word = str | bytes


class Client:
    """One client of a tcpserver under test: sends `data`, closes its half, reads to the end."""

    def __init__(self, data: bytes = b"", source: str = "{NET}.1", ident: bytes | None = None) -> None:
        """`ident`: what an ident server at the client's address answers."""
        self.data, self.source, self.ident = data, source, ident


class Peer:
    """The server that a client under test connects to: reads `asked` bytes, sends `answer`, closes."""

    def __init__(
        self,
        answer: bytes = b"",
        asked: int = 0,
        *,
        address: str = "{NET}.2",
        port: int = 0,
        ident: bytes | None = None,
        silent: int = 0,
    ) -> None:
        """`silent`: so many addresses from `address` on have the port, and take no connection: SYNs are dropped."""
        self.silent = silent
        self.answer, self.asked, self.address, self.port, self.ident = answer, asked, address, port, ident


class Case:
    """A row of the table."""

    def __init__(
        self,
        name: str,
        argv: Sequence[Word],
        *,
        stdin: bytes | Sequence[bytes] = b"",
        env: Mapping[str, Word] | None = None,
        files: Mapping[str, object] | None = None,
        fd3: bytes | None = None,
        limits: Mapping[int, int] | None = None,
        inject: str | tuple[str, str] = "",
        only: str = "",
        account: str | None = None,
        clients: Sequence[Client] = (),
        peer: Peer | None = None,
        dns: bool = False,
        two_streams: bool | str = False,
        root: bool = False,
        slow: bool = False,
        expected: Mapping[str, object] | None = None,
    ) -> None:
        """argv[0] is a program's name.  `stdin` is a file, or pieces that come through a pipe a moment apart.

        `files`: content; ("dir", mode), ("link", target) or (mode, content).  `fd3`: what descriptor 3 says.
        `limits`: soft limits.  `inject`: a system call that fails, as strace(1) wants it told, or one for the original
        and one for ours; `only`: where it is about this file.  `account`: whom to run as, `root`: only root can set this up; `dns`: with a DNS server.
        `two_streams`: descriptor 2 has the lines of two processes, whose order is nobody's business; "unfinished":
        and the program ends before the recorder, which may or may not get to see the client's side.
        `slow`: waits for seconds.  `expected`: of an original that Debian has not, from the specification."""
        self.name, self.argv, self.stdin = name, list(argv), stdin
        self.env, self.files, self.fd3 = dict(env or {}), dict(files or {}), fd3
        self.limits, self.account = dict(limits or {}), account
        self.inject = (inject, inject) if isinstance(inject, str) else inject
        self.only = only
        self.clients, self.peer, self.dns, self.two_streams = list(clients), peer, dns, two_streams
        self.root = root or dns or bool(account) or any(client.ident is not None for client in clients) or _low(peer)
        self.slow, self.expected = slow, expected

    def __repr__(self) -> str:
        return self.name


def _low(peer: Peer | None) -> bool:
    return peer is not None and (peer.ident is not None or 0 < peer.port < 1024)
