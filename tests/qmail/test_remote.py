"""qmail-remote against a scripted mail server on the loopback."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import dns.rcode
import pytest

from tests.support import launchers
from tests.support.instance import make_instance
from tests.support.mailhost import HANG_UP, WILLING, MailHost
from tests.support.nameserver import NameServer, zone
from tests.support.network import own_address

MESSAGE = b"Subject: x\n\nhello\n"
UNCONNECTED = b"ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\0"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_instance(tmp_path, me="mail.example.org")


def control(home: Path, name: str, text: str) -> None:
    (home / "control" / name).write_text(text)


def remote(home: Path, *args: str | bytes, message: bytes = MESSAGE, **env: str) -> bytes:
    """The report.  Exit code 0 and silence on stderr belong to every run."""
    words = args or ("one.example", "s@e.example", "r@one.example")
    done = launchers.run(launchers.ours("qmail-remote"), *words, stdin=message, env={"QMAILHOME": str(home), **env})
    assert (done.code, done.err) == (0, b"")
    return done.out


def deliver(home: Path, host: MailHost, message: bytes = MESSAGE) -> bytes:
    address = f"[{host.address}]" if ":" in host.address else host.address
    control(home, "smtproutes", f":{address}:{host.port}\n")
    return remote(home, message=message)


def test_a_message_is_delivered_and_reported(home: Path) -> None:
    with MailHost() as host:
        said = deliver(home, host)
    assert said == b"r\0K127.0.0.2 accepted message.\nRemote host said: 250 done\n\0"  # probe 36
    assert host.told == (
        b"EHLO mail.example.org\r\nMAIL FROM:<s@e.example>\r\nRCPT TO:<r@one.example>\r\nDATA\r\n"
        b"Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n"
    )


def test_the_message_is_encoded_for_the_wire(home: Path) -> None:
    with MailHost() as host:
        assert deliver(home, host, b".\n..\n.a\nx\r\ny\rz\nw\r\r\n").startswith(b"r\0K")
    assert b"DATA\r\n..\r\n...\r\n..a\r\nx\r\ny\r\nz\r\nw\r\n\r\r\n.\r\nQUIT" in host.told  # probe 45


def test_a_message_of_many_blocks_arrives_whole(home: Path) -> None:
    message = b"".join(b"%07d.\n.dot\n" % i for i in range(100_000))
    with MailHost() as host:
        assert deliver(home, host, message).startswith(b"r\0K")
    body = host.told.partition(b"DATA\r\n")[2].removesuffix(b".\r\nQUIT\r\n")
    assert body.replace(b"\r\n.", b"\r\n").replace(b"\r\n", b"\n") == message


def test_a_partial_last_line_is_not_sent(home: Path) -> None:
    with MailHost() as host:
        said = deliver(home, host, b"no newline")
    assert said == b"r\0DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n\0"  # probe 46
    assert b"\r\n.\r\n" not in host.told
    assert b"QUIT" not in host.told


def test_a_host_that_hangs_up_after_the_dot_may_have_the_message(home: Path) -> None:
    with MailHost([*WILLING[:5], HANG_UP]) as host:
        said = deliver(home, host)
    assert said == b"r\0ZConnected to 127.0.0.2 but connection died. Possible duplicate! (#4.4.2)\n\0"  # probe 43


def test_a_host_that_says_nothing_in_time_is_a_dead_connection(home: Path) -> None:
    control(home, "timeoutremote", "0\n")
    with MailHost([]) as host:
        assert deliver(home, host) == b"ZConnected to 127.0.0.2 but connection died. (#4.4.2)\n\0"


def test_a_long_reply_is_cut(home: Path) -> None:
    with MailHost([*WILLING[:5], b"250 " + b"x" * 7000 + b"\r\n"]) as host:
        said = deliver(home, host)
    assert said == b"r\0K127.0.0.2 accepted message.\nRemote host said: 250 " + b"x" * 4996 + b"\0"  # probe 47


def test_a_message_that_cannot_be_read_is_tried_again(home: Path) -> None:
    with MailHost() as host, open(os.devnull, "wb") as unreadable:
        control(home, "smtproutes", f":127.0.0.2:{host.port}\n")
        words = [launchers.ours("qmail-remote"), "h", "s", "r"]
        done = subprocess.run(words, stdin=unreadable, stdout=subprocess.PIPE, env={"QMAILHOME": str(home)})
    assert (done.returncode, done.stdout) == (0, b"r\0ZUnable to read message. (#4.3.0)\n\0")


def test_ipv6_is_spoken(home: Path) -> None:
    try:
        host = MailHost(address="::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with host:
        assert deliver(home, host) == b"r\0K::1 accepted message.\nRemote host said: 250 done\n\0"


@pytest.mark.parametrize(
    ("words", "files", "expected"),
    [
        (("h", "s"), {}, b"DI (qmail-remote) was invoked improperly. (#5.3.5)\n\0"),  # probe 52
        (("h", "s", "r\nRSET"), {}, b"DI (qmail-remote) was invoked improperly. (#5.3.5)\n\0"),
        (("h", "s", "r"), {"me": None}, b"ZUnable to read control files. (#4.3.0)\n\0"),
        (("h", "s", "r"), {"smtproutes": ""}, b"ZUnable to read control files. (#4.3.0)\n\0"),
        (("h", "s", "r"), {"smtproutes": ":127.0.0.2:0"}, UNCONNECTED),
        (("--help", "s", "r"), {"smtproutes": ":127.0.0.2:0"}, UNCONNECTED),
        (("", "s", "r"), {}, b"DSorry, I couldn't find any host named . (#5.1.2)\n\0"),
        (("h", "s", "r"), {"smtproutes": "h::25"}, b"DSorry, I couldn't find any host named . (#5.1.2)\n\0"),
        (
            ("[127.0.0.1]", "s", "r"),
            {},
            b"DSorry. Although I'm listed as a best-preference MX or A for that host,\n"
            b"it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n\0",
        ),
    ],
)
def test_what_fails_before_a_connection_has_a_report_and_exit_code_0(
    home: Path, words: tuple[str, ...], files: dict[str, str | None], expected: bytes
) -> None:
    for name, text in files.items():
        if text is None:
            (home / "control" / name).unlink()
        elif not text:
            (home / "control" / name).mkdir()  # neither absent nor readable
        else:
            control(home, name, text + "\n")
    assert remote(home, *words) == expected


def test_without_home_everything_is_temporary(home: Path) -> None:
    assert remote(home / "absent") == b"ZUnable to switch to home directory. (#4.3.0)\n\0"


def test_a_host_that_timed_out_twice_is_left_alone(home: Path) -> None:
    table = home / "queue" / "lock" / "tcpto"
    control(home, "timeoutconnect", "0\n")
    with socket.create_server(("127.0.0.2", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())  # after the first ones the kernel answers no more
        control(home, "smtproutes", f":127.0.0.2:{full.getsockname()[1]}\n")
        assert remote(home) == UNCONNECTED
        address, count, when = struct.unpack_from("<4sB3xL", table.read_bytes())
        assert (address, count) == (bytes((127, 0, 0, 2)), 1)
        assert abs(when - time.time()) < 60
        remote(home)
        assert table.read_bytes()[4] == 1  # within two minutes: the same time-out
        table.write_bytes(struct.pack("<4sB3xL4x", address, 1, when - 121).ljust(1024, b"\0"))
        remote(home)
        assert table.read_bytes()[4] == 2  # probe 51
        for each in waiting:
            each.close()
    with MailHost() as host:
        assert deliver(home, host) == UNCONNECTED  # it would answer now, but nobody asks
        table.write_bytes(struct.pack("<4sB3xL4x", address, 1, when).ljust(1024, b"\0"))
        assert deliver(home, host).startswith(b"r\0K")
        assert table.read_bytes()[4] == 0


def test_relays_are_tried_in_their_order(home: Path) -> None:
    with MailHost() as host:
        control(
            home,
            "smtproutes",
            f":127.0.0.250:{host.port},[127.0.0.2]:{host.port}/4,127.0.0.2/4:{host.port},127.0.0.3\n",
        )
        assert remote(home) == b"r\0K127.0.0.2 accepted message.\nRemote host said: 250 done\n\0"


def test_the_senders_domain_decides_address_and_name(home: Path) -> None:
    control(home, "outgoingip", "127.0.0.8\n")
    control(home, "domainbindings", "e.example:127.0.0.9:mx.e.example\n")
    with MailHost() as host:
        assert deliver(home, host).startswith(b"r\0K")
    assert (host.client, host.told.partition(b"\r\n")[0]) == ("127.0.0.9", b"EHLO mx.e.example")
    with MailHost() as host:
        control(home, "smtproutes", f":127.0.0.2:{host.port}\n")
        assert remote(home, "one.example", "", "r@one.example").startswith(b"r\0K")
    assert (host.client, host.told.partition(b"\r\n")[0]) == ("127.0.0.8", b"EHLO mail.example.org")


@pytest.mark.parametrize("address", ["nonsense", "192.0.2.1"])
def test_an_outgoing_address_that_is_none_of_ours_is_a_temporary_failure(home: Path, address: str) -> None:
    control(home, "outgoingip", f"{address}\n")
    control(home, "smtproutes", ":127.0.0.2:9\n")
    assert remote(home) == b"Zinvalid ipaddr in control/outgoingip (#4.3.0)\n\0"


def test_eight_bits_are_announced_to_who_knows_them(home: Path) -> None:
    script = [WILLING[0], b"250-hi\r\n250 8BITMIME\r\n", *WILLING[2:]]
    with MailHost(script) as host:
        assert deliver(home, host, "Subject: x\n\nÁrvíztűrő\n".encode()).startswith(b"r\0K")
    assert b"MAIL FROM:<s@e.example> BODY=8BITMIME\r\n" in host.told
    with MailHost(script) as host:
        assert deliver(home, host).startswith(b"r\0K")
    assert b"MAIL FROM:<s@e.example>\r\n" in host.told


def babble(word: bytes, pause: float) -> tuple[socket.socket, threading.Event]:
    """A host that says `word` again and again."""
    listener, stop = socket.create_server(("127.0.0.2", 0)), threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while not stop.wait(pause):
                    connection.sendall(word)
            except OSError:
                stop.set()

    threading.Thread(target=serve, daemon=True).start()
    return listener, stop


@pytest.mark.parametrize(("word", "pause"), [(b"2", 0.05), (b"220-hi\r\n" * 1000, 0)])
def test_a_host_that_never_comes_to_an_end_is_a_dead_connection(home: Path, word: bytes, pause: float) -> None:
    control(home, "timeoutremote", "1\n" if pause else "600\n")
    listener, stop = babble(word, pause)
    control(home, "smtproutes", f":127.0.0.2:{listener.getsockname()[1]}\n")
    assert remote(home) == b"ZConnected to 127.0.0.2 but connection died. (#4.4.2)\n\0"
    stop.set()
    listener.close()


ZONE = {
    ("one.example", "MX"): ["10 mx.one.example."],
    ("mx.one.example", "A"): ["127.0.0.2"],
    ("null.example", "MX"): ["0 ."],
}


def test_the_dns_is_asked(home: Path) -> None:
    """Probe 48 on real packets; the rules about MX are in test_mx.  Port 53 is for root alone."""
    expected = {
        "nohost.example": b"DSorry, I couldn't find any host named nohost.example. (#5.1.2)\n\0",
        "null.example": b"DSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n\0",
        "a..b": b"DSorry, I couldn't find any host named a..b. (#5.1.2)\n\0",
    }
    try:
        server = NameServer(zone(ZONE), ip=own_address(), port=53)
    except OSError as e:
        pytest.skip(f"cannot be a name server here: {e}")
    with server:
        for host, report in expected.items():
            assert remote(home, host, "s", "r", DNSCACHEIP=own_address()) == report
        control(home, "smtproutes", "other.example:mx.one.example:0\n")
        assert remote(home, "other.example", "s", "r", DNSCACHEIP=own_address()) == UNCONNECTED
    with NameServer(zone({}, rcode=dns.rcode.REFUSED), ip=own_address(), port=53):
        refused = remote(home, "one.example", "s", "r", DNSCACHEIP=own_address())
    assert refused == b"ZSorry, I couldn't find any host by that name. (#4.1.2)\n\0"
