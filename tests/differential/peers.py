"""The peers that a case talks to: scripted servers, ident servers, and a DNS server, on loopback addresses of our own."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

from tests.differential import zones
from tests.differential.case import Peer
from tests.support.nameserver import NameServer

NET = f"127.{os.getpid() >> 8 & 63 | 64}.{os.getpid() & 255}"


class Nobody:
    """A peer that is not there."""

    port = 0

    def heard(self) -> list[bytes]:
        """Nothing."""
        return []


class Silent:
    """A port of several addresses where nobody accepts, with a queue that is full."""

    def __init__(self, peer: Peer) -> None:
        self.sockets: list[socket.socket] = []
        self.port = 0
        net, _, last = peer.address.replace("{NET}", NET).rpartition(".")
        for number in range(int(last), int(last) + peer.silent):
            listener = socket.socket()
            listener.bind((f"{net}.{number}", self.port))
            listener.listen(0)
            self.port = listener.getsockname()[1]
            self.sockets.append(listener)
            for _ in range(4):
                client = socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                client.connect_ex((f"{net}.{number}", self.port))
                self.sockets.append(client)

    def heard(self) -> list[bytes]:
        """Nothing."""
        for s in self.sockets:
            s.close()
        return []


class Listener:
    """A scripted server for one connection, and perhaps an ident server beside it."""

    def __init__(self, peer: Peer) -> None:
        self.peer, self.said = peer, b""
        self.address = peer.address.replace("{NET}", NET)
        self.socket = _listen(self.address, peer.port)
        self.port: int = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        try:
            connection, _ = self.socket.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(5)
            try:
                while len(self.said) < self.peer.asked:
                    data = connection.recv(4096)
                    if not data:
                        break
                    self.said += data
                connection.sendall(self.peer.answer)
                connection.shutdown(socket.SHUT_WR)
                while data := connection.recv(4096):
                    self.said += data
            except OSError:
                pass

    def heard(self) -> list[bytes]:
        """What the client sent."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(6)
        self.socket.close()
        return [self.said]


def of(peer: Peer | None) -> Nobody | Silent | Listener:
    """The peer of a case."""
    if peer is None:
        return Nobody()
    return Silent(peer) if peer.silent else Listener(peer)


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen()
    return listener


@contextlib.contextmanager
def ident(address: str, answer: bytes | None, asked: list[bytes]) -> Iterator[None]:
    """An ident server that answers once.  `answer` has {THEIRS} and {OURS} for the ports asked about."""
    if answer is None:
        yield
        return
    listener = _listen(address.replace("{NET}", NET), 113)

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(5)
            query = connection.recv(100)
            asked.append(query)
            connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(6)
    listener.close()


_dns_lock = threading.Lock()
_dns: list[NameServer] = []


def stop_nameserver() -> None:
    """Nobody asks it any more."""
    while _dns:
        _dns.pop().__exit__()


def nameserver() -> str:
    """The DNS server of this process, started when first needed."""
    with _dns_lock:
        if not _dns:
            _dns.append(NameServer(zones.answer, zones.answer_tcp, ip=f"{NET}.53", port=53))
    return f"{NET}.53"
