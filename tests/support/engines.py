"""Engines that play a script: a local server that reads what it is sent and answers what it was told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from types import TracebackType

# In a script: bytes are sent; a number of bytes, or everything up to the client's end of sending, is read.
ALL = -1
STALL = None  # say nothing until the client is gone


class ScriptedEngine:
    """Plays the same script on each connection; `told` has what came on each."""

    def __init__(self, script: Sequence[bytes | int | None], path: str | None = None) -> None:
        self.script = list(script)
        self.told: list[bytearray] = []
        if path is None:
            self._socket = socket.create_server(("127.0.0.1", 0))
            self.address = b"127.0.0.1:%d" % self._socket.getsockname()[1]
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(path)
            self._socket.listen()
            self.address = path.encode()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> ScriptedEngine:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(20)
                self.told.append(bytearray())
                try:
                    for step in self.script:
                        self._play(connection, step)
                except OSError:
                    pass  # the client is gone

    def _play(self, connection: socket.socket, step: bytes | int | None) -> None:
        if isinstance(step, bytes):
            connection.sendall(step)
            return
        start = len(self.told[-1])
        while step is None or step < 0 or len(self.told[-1]) - start < step:
            data = connection.recv(65536 if step is None or step < 0 else step - len(self.told[-1]) + start)
            if not data:
                return
            if step is not None:
                self.told[-1] += data
