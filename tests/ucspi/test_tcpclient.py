"""tcpclient and the small clients around it: next to the originals, against a scripted server."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.launchers import Result, original, ours, run
from ucspi import tcpclient
from ucspi.core import netquery


class Scripted:
    """Accepts connections, sends `answer`, and remembers what each client sent until it had said enough."""

    def __init__(self, answer: bytes, asked: int = 0) -> None:
        self.answer, self.asked, self.heard = answer, asked, [b""][:0]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = str(self.listener.getsockname()[1])
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)  # ends the thread's accept
        self.thread.join()
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                heard = b""
                connection.settimeout(5)
                while len(heard) < self.asked:
                    data = connection.recv(4096)
                    if not data:
                        break
                    heard += data
                self.heard.append(heard)
                try:
                    connection.sendall(self.answer)
                except OSError:
                    pass


@pytest.fixture
def closed() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield str(taken.getsockname()[1])


def neutral(result: Result, port: str) -> tuple[int, list[bytes], bytes]:
    out = re.sub(rb"(?m)^(TCPLOCALPORT=)\d+$", rb"\1N", result.out.replace(port.encode(), b"PORT"))
    return result.code, sorted(out.split(b"\n")), result.err.replace(port.encode(), b"PORT")


@pytest.mark.parametrize(
    "args",
    [
        "", "-z", "-l", "127.0.0.1", "127.0.0.1 PORT", "-i x 127.0.0.1 PORT true", "-i 1.2.3 127.0.0.1 PORT true",
        "-i 1.2.3.4.5 127.0.0.1 PORT true", "-q", "-q 127.0.0.1 no-such-service true", "127.1 PORT true",
        "127.0.0.1 no-such-service true", "no-such-service no-such-service", "-i 1.2.3.4 127.0.0.1 PORT true",
        "-HRl0 127.0.0.1 PORT nonexistent-program", "-qHRl0 127.0.0.1 PORT nonexistent-program",
        "-HRl0 127.0.0.1 PORT env", "-HRl0 0 PORT env", "-vHRl0 -- 127.0.0.1 PORT env",
        "-i 1.2.3.x 127.0.0.1 PORT true", "-HRl0 -i 127.0.0.4x 127.0.0.1 PORT env",
        "-HRlname -i 127.0.0.3 [127.0.0.1] PORT env",
        "-DHRl0 127.0.0.1 PORT sh -c cat<&6", "-HRl0 127.0.0.1 PORT sh -c exit\t7", "-qvHRl0 127.0.0.1 PORT true",
        "-vqHRl0 127.0.0.1 PORT true", "-HRl0 -T 1x+5 127.0.0.1 PORT true", "-HRl0 -T 0 127.0.0.1 PORT true",
        "-HRl0 -T 0+3 127.0.0.1 PORT env",
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", [{}, {"UCSPI_EXEC": "1"}])
def test_it_does_what_the_original_does(args: str, way: dict[str, str]) -> None:
    with Scripted(b"hello\n") as server:
        words = [word.replace("PORT", server.port).replace("\t", " ") for word in args.split()]
        env = {"LOCALDOMAIN": "", "TCPREMOTEHOST": "old", "TCPREMOTEINFO": "old"}
        expected = neutral(run(original("tcpclient"), *words, env={**env, **way}), server.port)
        assert neutral(run(ours("tcpclient"), *words, env={**env, **way}), server.port) == expected


def test_nobody_there_is_told_for_each_address(closed: str) -> None:
    for host in ("127.0.0.1", "127.0.0.1.127.0.0.2"):
        results = [run(file, "-RHl0", host, closed, "true") for file in (ours("tcpclient"), original("tcpclient"))]
        assert results[0].code == results[1].code == 111
        assert sorted(results[0].err.splitlines()) == sorted(results[1].err.splitlines())
        assert (
            b"tcpclient: unable to connect to 127.0.0.1 port %b: connection refused" % closed.encode() in results[0].err
        )


@pytest.mark.parametrize(
    ("value", "times"),
    [(None, (2, 58)), (b"5", (5, 0)), (b"1+2", (1, 2)), (b"+3", (0, 3)), (b"x", (0, 0)), (b"1x+2", (1, 0))],
)
def test_times_are_read_as_the_original_reads_them(value: bytes | None, times: tuple[int, int]) -> None:
    assert tcpclient._times(value) == times


def test_a_host_that_is_an_ipv6_address_is_one() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        done = run(
            ours("tcpclient"), "-HRl0", "::1", str(listener.getsockname()[1]), "sh", "-c", "echo $PROTO $TCPREMOTEIP"
        )
    assert done.out == b"TCP6 ::1\n"


# --- the small clients


@pytest.mark.parametrize("answer", [b"", b"a\r\nb\n", b"no end", b"\r\r\n\t\x07\x1b[2J\x7f\x80\xe9\xff\r"])
def test_tcpcat_prints_what_comes(answer: bytes) -> None:
    with Scripted(answer) as server:
        assert run(ours("tcpcat"), "127.0.0.1", server.port) == run(original("tcpcat"), "127.0.0.1", server.port)


def test_tcpcat_fails_where_nobody_is(closed: str) -> None:
    assert run(ours("tcpcat"), "0", closed) == run(original("tcpcat"), "0", closed)


PAGES = [
    b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nbody1\r\n\r\nbody2\r\n", b"HTTP/1.0 200 OK\n\nbody1\n\n\nbody2", b"no empty line\n", b"",
    b"\r\n\r\n\r\nx\r\r\ny", b"h\n\n" + b"line\n\n" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_http_prints_the_body(page: bytes) -> None:
    question = b"GET /p/q?x HTTP/1.0\r\nHost: 127.0.0.1:%b\r\n\r\n"
    with Scripted(page, asked=len(question) + 3) as server:
        results = [run(file, "127.0.0.1", "p/q?x", server.port) for file in (ours("http@"), original("http@"))]
        assert results[0] == results[1]
        assert server.heard == [question % server.port.encode()] * 2


def test_http_reports_what_tcpclient_would_and_exits_0(closed: str) -> None:
    results = [run(file, "0", "", closed) for file in (ours("http@"), original("http@"))]
    assert results[0] == results[1] and results[0].code == 0 and b"tcpclient: unable to connect" in results[0].err


@pytest.mark.parametrize("name", ["who@", "date@", "finger@"])
def test_the_others_report_so_too_and_exit_0(name: str) -> None:
    assert run(ours(name), "127.0.0.77") == run(original(name), "127.0.0.77")
    assert run(ours(name), "127.1", env={"LOCALDOMAIN": ""}) == run(original(name), "127.1", env={"LOCALDOMAIN": ""})


def test_what_is_printed_obeys_no_terminal() -> None:
    every = bytes(range(256))
    assert netquery.visible(every) == run("/bin/cat", "-v", stdin=every).out


@pytest.mark.skipif(os.geteuid() != 0, reason="ports below 1024 need root")
@pytest.mark.parametrize(
    ("name", "port", "asked"), [("who@", 11, b""), ("date@", 13, b""), ("finger@", 79, b"joe\r\n")]
)
def test_they_ask_and_print(name: str, port: int, asked: bytes) -> None:
    with socket.create_server(("127.0.0.78", port)) as listener:
        for file in (ours(name), original(name)):
            heard: list[bytes] = []

            def serve(heard: list[bytes] = heard) -> None:
                connection, _ = listener.accept()
                with connection:
                    if asked:
                        heard.append(connection.recv(100))
                    connection.sendall(b"hello\r\n\x07\r\r\nend")

            thread = threading.Thread(target=serve)
            thread.start()
            done = run(file, "127.0.0.78", "joe")
            thread.join()
            assert (done.code, done.out, done.err) == (0, b"hello\n^G\r\nend".replace(b"\r", b"^M"), b"")
            assert heard == ([asked] if asked else [])


def test_mconnect_carries_both_ways_until_the_server_ends(tmp_path: Path) -> None:
    with Scripted(b"220 hi\r\n", asked=len(b"helo\r\nquit\r\r\n")) as server:
        results = [
            run(file, "127.0.0.1", server.port, stdin=b"helo\nquit\r\n")
            for file in (ours("mconnect"), original("mconnect"))
        ]
        assert results[0] == results[1] == Result(0, b"220 hi\r\n", b"")
        assert server.heard == [b"helo\r\nquit\r\r\n"] * 2
