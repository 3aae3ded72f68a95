"""rblsmtpd: the decision, in command-line order, and the program against the original."""

from __future__ import annotations

import os
import re
import subprocess
import time

import pytest

from tests.support.launchers import Result, original, ours, run
from tests.support.nameserver import NameServer, zone
from tests.support.network import own_address
from ucspi import rblsmtpd
from ucspi.core.failure import TemporaryFailure

LISTED, NOT, TROUBLE = b"listed", b"", None


def decide(words: list[bytes], answers: dict[bytes, bytes | None]) -> bytes | None:
    options, operands = rblsmtpd.PROGRAM.parse([b"rblsmtpd", *words, b"true"])
    assert operands == [b"true"]
    asked = rblsmtpd.questions(options)

    def answer(i: int) -> bytes:
        text = answers[asked[i].base]
        if text is None:
            raise TemporaryFailure("timed out")
        return text

    return rblsmtpd.judge(asked, answer)


@pytest.mark.parametrize(
    ("words", "answers", "refusal"),
    [
        ("-r x", [LISTED], b"451 listed"),
        ("-b -r x", [LISTED], b"553 listed"),
        ("-r x -b", [LISTED], b"451 listed"),
        ("-b -B -r x", [LISTED], b"451 listed"),
        ("-r x", [NOT], None),
        ("-r x", [TROUBLE], None),
        ("-c -r x", [TROUBLE], b"451 temporary RBL lookup error"),
        ("-cb -r x", [TROUBLE], b"451 temporary RBL lookup error"),
        ("-r x -c", [TROUBLE], None),
        ("-c -C -r x", [TROUBLE], None),
        ("-a y -r x", [LISTED, LISTED], None),
        ("-r x -a y", [LISTED, LISTED], b"451 listed"),
        ("-a y -r x", [NOT, LISTED], b"451 listed"),
        ("-a y -r x", [TROUBLE, LISTED], None),
        ("-c -a y -r x", [TROUBLE, LISTED], b"451 listed"),
        ("-cb -a y -r x", [TROUBLE, LISTED], b"451 listed"),
        ("-b -r y -r x", [TROUBLE, LISTED], b"451 listed"),
        ("-r y -b -r x", [NOT, LISTED], b"553 listed"),
    ],
)
def test_lists_decide_in_command_line_order(words: str, answers: list[bytes | None], refusal: bytes | None) -> None:
    split = words.split()
    bases = [split[i + 1] for i, word in enumerate(split) if word in ("-r", "-a")]
    assert decide([w.encode() for w in split], dict(zip([b.encode() for b in bases], answers, strict=True))) == refusal


@pytest.mark.parametrize(
    ("ip", "prefix"),
    [
        (b"192.168.1.22", b"22.1.168.192."),
        (b"", b""),
        (b"x", b"x."),
        (b"1.2.", b".2.1."),
        (b".1", b"1."),
        (b"::1", b"1." + b"0." * 31),
        (b"a:b", b"a:b."),
    ],
)
def test_the_address_is_turned_round(ip: bytes, prefix: bytes) -> None:
    assert rblsmtpd.reversed_ip(ip) == prefix


def neutral(result: Result) -> tuple[int, bytes, bytes]:
    return result.code, result.out, re.sub(rb"pid \d+", b"pid PID", result.err)


COMMANDS = [
    ([], {}, b""),
    (["-z", "true"], {}, b""),
    (["-t"], {}, b""),
    (["-R", "true"], {}, b""),
    (["/nonexistent"], {}, b""),
    (["nonexistent-program"], {}, b""),
    (["--", "echo", "-n", "x"], {}, b""),
    (["sh", "-c", "echo $RBLSMTPD-; exit 7"], {"RBLSMTPD": ""}, b""),
    (["true"], {"RBLSMTPD": "Go away"}, b"EHLO x\r\nMAIL\nRCPT\n\nDATA\nnoop\nQUIT\nNOOP\n"),
    (["true"], {"RBLSMTPD": "Go away", "TCPREMOTEIP": "1.2.3.4"}, b"helo\nqui"),
    (["true"], {"RBLSMTPD": "-"}, b"rcpt\n"),
    (["-t0", "true"], {"RBLSMTPD": "-Perm"}, b"EHLO\n"),
    (["-t", "abc", "true"], {"RBLSMTPD": "x\ty"}, b"EHLO\n"),
    (["-b", "true"], {"RBLSMTPD": "x" * 300}, b"RCPT\n"),
    ([], {"RBLSMTPD": "x"}, b"RCPT\n"),
    (["-r", "x", "true"], {"RBLSMTPD": ""}, b""),
]


@pytest.mark.parametrize(("args", "env", "stdin"), COMMANDS)
def test_it_does_what_the_original_does(args: list[str], env: dict[str, str], stdin: bytes) -> None:
    expected = neutral(run(original("rblsmtpd"), *args, env=env, stdin=stdin))
    assert neutral(run(ours("rblsmtpd"), *args, env=env, stdin=stdin)) == expected


def test_the_conversation_ends_after_its_time_though_the_client_talks_on() -> None:
    program = subprocess.Popen(
        [ours("rblsmtpd"), "-t1", "true"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": "/bin:/usr/bin", "RBLSMTPD": "x"},
        bufsize=0,
    )
    assert program.stdin and program.stdout
    start = time.monotonic()
    try:
        while True:
            program.stdin.write(b"NOOP\n")
            program.stdout.read(20)
            time.sleep(0.02)
    except BrokenPipeError:
        pass
    assert program.wait() == 0 and 0.9 < time.monotonic() - start < 30
    program.communicate()


ZONE = {
    ("22.1.168.192.rbl.aaaa.hu", "A"): ["127.0.0.2"],
    ("22.1.168.192.rbl.aaaa.hu", "TXT"): ['"spammer vagy"'],
    ("22.1.168.192.white.example", "A"): ["127.0.0.2"],
}
LISTING = b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n"


@pytest.fixture(scope="module")
def dnscache() -> str:
    if os.geteuid() != 0:
        pytest.skip("a DNS server on port 53 needs root")
    return own_address()


@pytest.mark.parametrize("program", [ours, original])
@pytest.mark.parametrize(
    ("args", "out"),
    [
        (["-r", "sbl-xbl.spamhaus.org", "-r", "rbl.aaaa.hu"], b"451 spammer vagy\r\n"),
        (["-b", "-r", "rbl.aaaa.hu"], b"553 spammer vagy\r\n"),
        (["-a", "white.example", "-r", "rbl.aaaa.hu"], None),
        (["-r", "other.example"], None),
    ],
)
def test_a_listed_client_gets_the_lists_text(
    program: object, args: list[str], out: bytes | None, dnscache: str
) -> None:
    assert callable(program)
    with NameServer(zone(ZONE), ip=dnscache, port=53):
        done = run(
            program("rblsmtpd"), *args, "echo", "welcome",
            env={"DNSCACHEIP": dnscache, "TCPREMOTEIP": "192.168.1.22"}, stdin=LISTING,
        )  # fmt: skip
    if out is None:
        assert neutral(done) == (0, b"welcome\n", b"")
    else:
        hello = b"220 rblsmtpd.local\r\n" + b"250 rblsmtpd.local\r\n" * 2
        assert neutral(done) == (
            0, hello + out + b"221 rblsmtpd.local\r\n", b"rblsmtpd: 192.168.1.22 pid PID: " + out.replace(b"\r", b""),
        )  # fmt: skip
