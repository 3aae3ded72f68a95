"""A mail server for tests: a thread on a loopback address that plays a script and remembers what it was told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from types import TracebackType

HANG_UP = None
GREETING = b"220 hi\r\n"
OK = b"250 ok\r\n"
WILLING = (GREETING, OK, OK, OK, b"354 go\r\n", b"250 done\r\n")  # greeting, HELO, MAIL, one RCPT, DATA, message


class MailHost:
    """Plays `script` on one connection: each reply answers one command, or a message with its final dot.

    HANG_UP in the script closes the connection.  Behind its end everything is read until the client closes."""

    def __init__(self, script: Sequence[bytes | None] = WILLING, address: str = "127.0.0.2") -> None:
        self.script = list(script)
        self.told = b""
        self.client = ""  # the address of who came
        self._socket = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.address, self.port = self._socket.getsockname()[:2]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> MailHost:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._socket._closed:  # type: ignore[attr-defined]
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes an accept that nobody came to
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        try:
            connection, peer = self._socket.accept()
        except OSError:
            return
        self.client = peer[0]
        with connection:
            for reply in self.script:
                if reply is HANG_UP:
                    return
                connection.sendall(reply)
                end = b"\r\n.\r\n" if reply.startswith(b"354") else b"\r\n"
                if not self._read_until(connection, end):
                    return
            while self._read(connection):
                pass

    def _read_until(self, connection: socket.socket, end: bytes) -> bool:
        start = len(self.told) - (2 if end.startswith(b"\r\n.") else 0)  # DATA's own line end may precede the dot
        while end not in self.told[start:]:
            if not self._read(connection):
                return False
        return True

    def _read(self, connection: socket.socket) -> bool:
        try:
            data = connection.recv(65536)
        except OSError:
            return False
        self.told += data
        return bool(data)
