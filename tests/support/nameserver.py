"""A DNS server on loopback that says what a test tells it to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Answer = Callable[[dns.message.Message], "bytes | dns.message.Message | None"]


def zone(records: dict[tuple[str, str], list[str]], rcode: int = 0) -> Answer:
    """Answers from a table {(owner, type): values}."""

    def answer(query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        values = records.get((name, dns.rdatatype.to_text(question.rdtype)), [])
        if values:
            reply.answer.append(dns.rrset.from_text(question.name, 300, "IN", question.rdtype, *values))
        elif not any(owner == name for owner, _ in records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if rcode:
            reply.set_rcode(rcode)
        return reply

    return answer


def _sockets(ip: str, port: int) -> tuple[socket.socket, socket.socket]:
    """UDP and TCP on the same port; port 0: on any that is free for both."""
    for attempt in range(50):
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        try:
            udp.bind((ip, port))
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((ip, udp.getsockname()[1]))
            return udp, tcp
        except OSError:
            udp.close()
            tcp.close()
            if port or attempt == 49:
                raise
    raise AssertionError


class NameServer:
    """UDP and TCP on one port, in threads of its own; `asked` lists (name, type) as they came."""

    def __init__(self, answer: Answer, tcp: Answer | None = None, ip: str = "127.0.0.1", port: int = 0) -> None:
        self.answer, self.tcp_answer = answer, tcp or answer
        self.asked: list[tuple[str, str]] = []
        self.udp, self.tcp = _sockets(ip, port)
        self.port = self.udp.getsockname()[1]
        self.tcp.listen()
        self.threads = [threading.Thread(target=serve, daemon=True) for serve in (self._udp, self._tcp)]
        for thread in self.threads:
            thread.start()

    def __enter__(self) -> NameServer:
        return self

    def __exit__(self, *_: object) -> None:
        here = self.udp.getsockname()
        self.udp.sendto(b"", here)  # wakes the thread: a socket it waits for would stay open
        socket.create_connection(here).close()
        for thread in self.threads:
            thread.join()
        self.udp.close()
        self.tcp.close()

    def _reply(self, answer: Answer, data: bytes) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        self.asked.append((question.name.to_text(True), dns.rdatatype.to_text(question.rdtype)))
        reply = answer(query)
        return reply.to_wire(max_size=65535) if isinstance(reply, dns.message.Message) else reply

    def _udp(self) -> None:
        while True:
            data, peer = self.udp.recvfrom(4096)
            if not data:
                return
            reply = self._reply(self.answer, data)
            if reply is not None:
                self.udp.sendto(reply, peer)

    def _tcp(self) -> None:
        while True:
            connection, _ = self.tcp.accept()
            with connection:
                data = connection.recv(4096)
                if not data:
                    return
                reply = self._reply(self.tcp_answer, data[2:])
                if reply is not None:
                    connection.sendall(len(reply).to_bytes(2, "big") + reply)
