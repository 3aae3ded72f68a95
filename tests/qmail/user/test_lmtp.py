"""qmail-lmtp before a mail store that plays a script."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from tests.support.dotcommand import Delivery, delivery
from tests.support.mailhost import GREETING, HANG_UP, OK, WILLING, MailHost

__all__ = ["delivery"]


def lmtp(
    delivery: Delivery, script: tuple[bytes | None, ...], *words: str, message: bytes = b"a\n.b\nc"
) -> tuple[int, bytes, bytes]:
    """Exit code, what it printed, and what the store was told; the store's address is the first word."""
    delivery.env["RECIPIENT"] = "joe-x@h.example"
    with MailHost(script) as store:
        done = delivery.run("qmail-lmtp", f"{store.address}:{store.port}", *words, message=message)
    return done.code, done.out + done.err, store.told


def test_the_store_gets_sender_recipient_and_the_message_with_its_trace(delivery: Delivery) -> None:
    code, text, all_told = lmtp(delivery, WILLING)
    assert code == 0 and text.endswith(b" accepted message.\nRemote host said: 250 done\n")
    told = all_told.split(b"\r\n", 1)
    assert told[0].startswith(b"LHLO ")
    assert told[1] == (
        b"MAIL FROM:<s@s.example>\r\nRCPT TO:<joe-x@h.example>\r\nDATA\r\n"
        b"Delivered-To: joe-x@h.example\r\na\r\n..b\r\nc\r\n.\r\nQUIT\r\n"
    )


def test_the_recipient_may_be_given_and_a_double_bounce_has_no_sender(delivery: Delivery) -> None:
    delivery.env["SENDER"] = "#@[]"
    code, _, told = lmtp(delivery, WILLING, "joe")
    assert code == 0 and b"MAIL FROM:<>\r\nRCPT TO:<joe>\r\n" in told


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ((GREETING, OK, OK, b"550 5.1.1 no such\r\n"), 100),
        ((GREETING, OK, OK, b"451 4.3.0 later\r\n"), 111),
        ((GREETING, OK, b"501 5.1.7 bad sender\r\n"), 100),
        ((GREETING, OK, OK, OK, b"354 go\r\n", b"554 5.6.0 virus\r\n"), 100),
        ((GREETING, OK, OK, OK, b"354 go\r\n", b"452 4.2.2 quota\r\n"), 111),
        ((GREETING, OK, OK, OK, b"354 go\r\n", HANG_UP), 111),
        ((GREETING, OK, OK, HANG_UP), 111),
        ((b"554 go away\r\n",), 111),
        ((GREETING, b"502 this is SMTP\r\n"), 111),
    ],
)
def test_the_exit_code_is_what_the_store_means(delivery: Delivery, script: tuple[bytes, ...], code: int) -> None:
    found, text, _ = lmtp(delivery, script)
    assert found == code
    assert b"Traceback" not in text and text.endswith(b"\n")


def test_it_speaks_over_a_unix_socket_too(delivery: Delivery, tmp_path: Path) -> None:
    delivery.env["RECIPIENT"] = "joe@h"
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(GREETING)
                for line in lines:
                    if line.startswith((b"LHLO", b"MAIL", b"RCPT", b".\r")):
                        connection.sendall(OK)
                    elif line.startswith(b"DATA"):
                        connection.sendall(b"354 go\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        done = delivery.run("qmail-lmtp", str(place))
        thread.join(20)
    assert (done.code, done.out) == (0, b"%b accepted message.\nRemote host said: 250 ok\n" % bytes(place))


@pytest.mark.parametrize("address", ["/nowhere/lmtp", "127.0.0.1:1"])
def test_a_store_that_is_down_is_no_reason_to_bounce(delivery: Delivery, address: str) -> None:
    delivery.env["RECIPIENT"] = "joe@h"
    done = delivery.run("qmail-lmtp", address)
    assert done.code == 111 and b"unable to connect to" in done.err


@pytest.mark.parametrize("words", [(), ("a", "b", "c"), ("[::1",), ("host:x",), (":24",)])
def test_bad_usage(delivery: Delivery, words: tuple[str, ...]) -> None:
    delivery.env["RECIPIENT"] = "joe@h"
    assert delivery.run("qmail-lmtp", *words).code == 100


def test_an_address_cannot_become_a_command(delivery: Delivery) -> None:
    delivery.env["RECIPIENT"] = "joe@h>\r\nRCPT TO:<all@h"
    assert delivery.run("qmail-lmtp", "/nowhere").code == 100
