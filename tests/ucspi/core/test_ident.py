"""ident: what is asked, what is understood, and servers that stall or babble."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from ucspi.core import ident


@pytest.mark.parametrize(
    ("answer", "user"),
    [
        (b"1 , 2 : USERID : UNIX : joe user\r\n", b"joeuser"),
        (b"1,2:USERID:UNIX:joe:x\nrest", b"joe:x"),
        (b"1 , 2 : ERROR : NO-USER\r\n", b""),
        (b"\n", b""),
        (b"1:2:3:" + b"x" * 300 + b"\n", b"x" * 257),
        (b"1:2:3:\tj\ro\0e\n", b"jo"),
        (b"1:2:3:\0\n", b""),
    ],
)
def test_an_answer_says_who(answer: bytes, user: bytes) -> None:
    assert ident.user(answer) == user


def answering(behave: Callable[[socket.socket], None], timeout: float = 5) -> tuple[bytes | None, float]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    behave(connection)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        start = time.monotonic()
        found = ident.ask(b"127.0.0.1", 25, b"127.0.0.1", 4321, timeout, port=listener.getsockname()[1])
        took = time.monotonic() - start
        thread.join()
        return found, took


def test_the_question_names_the_clients_port_first() -> None:
    asked = []

    def behave(connection: socket.socket) -> None:
        asked.append(connection.recv(100))
        connection.sendall(b"4321 , 25 : USERID : UNIX : jo")
        connection.sendall(b"e\r\nmore")

    assert answering(behave)[0] == b"joe"
    assert asked == [b"4321 , 25\r\n"]


def test_an_end_without_newline_says_nothing() -> None:
    assert answering(lambda c: (c.recv(100), c.sendall(b"1:2:3:joe"), None)[2])[0] is None


def test_a_server_that_stalls_costs_the_timeout_and_no_more() -> None:
    found, took = answering(lambda c: (c.recv(100), c.recv(100), None)[2], 0.1)
    assert found is None and 0.09 < took < 30


def test_a_server_that_drips_costs_the_timeout_in_all() -> None:
    def drip(connection: socket.socket) -> None:
        for _ in range(1000):
            connection.sendall(b"x")
            if connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b"":
                return

    found, took = answering(lambda c: _until_error(c, b"x", 0.01), 0.15)
    assert found is None and took < 30


def _until_error(connection: socket.socket, data: bytes, pause: float) -> None:
    while True:
        connection.sendall(data)
        threading.Event().wait(pause)


def test_a_server_that_floods_is_given_up() -> None:
    found, took = answering(lambda c: _until_error(c, b"x" * 65536, 0), 60)
    assert found is None and took < 30


def test_nobody_there_says_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert ident.ask(b"127.0.0.1", 25, b"127.0.0.1", 4321, 5, port=port) is None
