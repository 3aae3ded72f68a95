"""qmail-inject: spec qmail-smtp 6 and probes 65 to 75, and what notqmail 1.09 made of other messages.

inject_vectors.jsonl was observed on the original (date, number and pid taken out)."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from qmail.inject import main
from tests.support import launchers
from tests.support.instance import make_instance
from ucspi.core import chain

CONTROL = {"defaulthost": "dh", "defaultdomain": "ddom.example", "plusdomain": "plus.example", "idhost": "id.example"}
STAMPS = (
    (re.compile(rb"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000"), b"<DATE>"),
    (re.compile(rb"\d{14}\.\d+\.qmail"), b"<ID>.qmail"),
    (re.compile(rb'-\d{10}\.\d+([-@"\\])'), rb"-<T>\1"),
)
TOP = b"Date: <DATE>\nMessage-ID: <<ID>.qmail@id.example>\nFrom: joe@dh.ddom.example\n"


class Outcome:
    """What one run left behind, without its stamps."""

    def __init__(self, code: int, files: dict[str, Path]) -> None:
        self.code = code
        for name, file in files.items():
            data = file.read_bytes() if file.exists() else b""
            for stamp, name_of_stamp in STAMPS:
                data = stamp.sub(name_of_stamp, data)
            setattr(self, name, data)

    out: bytes
    err: bytes
    message: bytes
    envelope: bytes


class Injecting:
    """Runs the program on real descriptors; its queue program keeps descriptors 0 and 1, and exits as told."""

    def __init__(self, tmp_path: Path) -> None:
        self.home = make_instance(tmp_path, **CONTROL)
        self.files = {name: tmp_path / name for name in ("out", "err", "message", "envelope")}
        self.queue = tmp_path / "queue-program"
        self.queue.write_text(
            f"#!/bin/sh\ncat >{self.files['message']}; cat <&1 >{self.files['envelope']}\n"
            '[ -z "$QTEXT" ] || printf "$QTEXT" >&6\nexit ${QCODE:-0}\n'
        )
        self.queue.chmod(0o755)

    def __call__(self, *argv: bytes, stdin: bytes = b"", **env: bytes) -> Outcome:
        for file in self.files.values():
            file.unlink(missing_ok=True)
        variables = {name.encode(): value for name, value in {"USER": b"joe", **env}.items()}
        return self.run(argv, variables, stdin)

    def run(self, argv: tuple[bytes, ...], env: dict[bytes, bytes], stdin: bytes) -> Outcome:
        given = {
            b"PATH": b"/bin:/usr/bin",
            b"QMAILHOME": os.fsencode(self.home),
            b"QMAILQUEUE": os.fsencode(self.queue),
        }
        (self.home / "stdin").write_bytes(stdin)
        saved = [os.dup(fd) for fd in range(3)]
        try:
            for fd, file in enumerate((self.home / "stdin", self.files["out"], self.files["err"])):
                opened = os.open(file, os.O_RDONLY if fd == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                os.dup2(opened, fd)
                os.close(opened)
            code = main([b"qmail-inject", *argv], {**given, **env}, chain.Process())
        finally:
            for fd, old in enumerate(saved):
                os.dup2(old, fd)
                os.close(old)
        return Outcome(code, self.files)


@pytest.fixture
def inject(tmp_path: Path) -> Injecting:
    return Injecting(tmp_path)


def test_the_original_does_the_same_with_every_recorded_message(inject: Injecting) -> None:
    for line in (Path(__file__).parent / "inject_vectors.jsonl").read_text().splitlines():
        vector = json.loads(line)
        argv = tuple(word.encode("latin-1") for word in vector["argv"])
        env = {name.encode("latin-1"): value.encode("latin-1") for name, value in vector["env"].items()}
        for file in inject.files.values():
            file.unlink(missing_ok=True)
        got = inject.run(argv, env, vector["input"].encode("latin-1"))
        assert got.code == vector["exit"], line
        # The original forgets the newline where the unreadable text was no header line.
        assert got.err.removesuffix(b"\n") == vector["err"].encode("latin-1").removesuffix(b"\n"), line
        if not got.code:
            assert got.message == vector["message"].encode("latin-1"), line
            assert got.envelope == vector["envelope"].encode("latin-1"), line
            assert got.out == vector["out"].encode("latin-1"), line


def test_an_empty_message_gets_a_whole_header(inject: Injecting) -> None:  # probe 65
    got = inject(b"-n")
    assert got.out == b"Return-Path: <joe@dh.ddom.example>\n" + TOP + b"Cc: recipient list not shown: ;\n"
    assert (got.code, got.err, got.envelope) == (0, b"", b"")


def test_recipients_come_from_the_header_and_hidden_fields_go(inject: Injecting) -> None:  # probe 66
    header = (
        b"To: bob, Alice <alice@wonder>\nCc: c@d.example\nBcc: hid@den.example (sec)\nApparently-To: app\n"
        b"Return-Path: <rp@here>\nContent-Length: 5\nX: y\n"
    )
    got = inject(stdin=header + b"\nbody\n")
    assert got.envelope == (
        b"Frp@here.ddom.example\0Talice@wonder.ddom.example\0Tbob@dh.ddom.example\0Tc@d.example\0"
        b"Thid@den.example\0Tapp@dh.ddom.example\0\0"
    )
    assert got.message == TOP + (
        b"To: bob@dh.ddom.example, Alice <alice@wonder.ddom.example>\nCc: c@d.example\n"
        b"Apparently-To: app@dh.ddom.example\nX: y\n\nbody\n"
    )


REWRITTEN = [
    (  # probe 67
        b'To: a@b.c+, x@+, foo@, bar@baz., "q+", <@r1,@r2:u@h.example>, v@[]\n',
        b"To: a@b.c.plus.example, x@.plus.example, foo@dh.ddom.example,\n"
        b'  bar@baz.ddom.example, "q+"@dh.ddom.example, <u@h.example>, v@[]\n',
    ),
    (b"To: a b\n", b"To: a@dh.ddom.example, b@dh.ddom.example\n"),  # probe 68
    (b"To: foo bar@baz.x\n", b"To: foo@dh.ddom.example, bar@baz.x\n"),
    (b"To: J. Q. Public <x@y.z>\n", b"To: J.Q.Public <x@y.z>\n"),  # probe 69
    (b"To: z (mid) @ z . z\n", b"To: z@z.z (mid)\n"),
    (b"From: J\xc3\xb6rg <j@x.y>\nCc: g:;\n", b'From: "J\xc3\xb6rg" <j@x.y>\nCc: g: ;\n'),
    (b"To: (unbalanced\n", b"To: (unbalanced\n"),  # probe 70
    (b"Subject : two  blanks\nTo :x@y.z\n", b"Subject : two  blanks\nTo: x@y.z\n"),
    (b"From mboxline\nTo: x\n", b"MBOX-Line: From mboxline\nTo: x@dh.ddom.example\n"),  # probe 74
    (b"From:a@b.c\nCc: d\nnot a header\nTo: x\n", b"From: a@b.c\nCc: d@dh.ddom.example\n\nnot a header\nTo: x\n"),
    (b"Cc: d@e.f\n\r\nbody", b"Cc: d@e.f\n\n\r\nbody\n"),
]


@pytest.mark.parametrize(("given", "expected"), REWRITTEN)
def test_the_header_comes_out_rewritten(inject: Injecting, given: bytes, expected: bytes) -> None:
    got = inject(stdin=given)
    assert got.code == 0
    assert got.message.removeprefix(TOP).removeprefix(TOP[: TOP.index(b"From:")]) == expected


def test_an_unreadable_originator_is_fatal(inject: Injecting) -> None:  # probe 70
    got = inject(stdin=b"To: x\nFrom: (unbalanced\n")
    assert got.err == b"qmail-inject: fatal: unable to parse this line:\nFrom: (unbalanced\n"
    assert (got.code, got.message) == (100, b"")


FAULTY_GROUP = b"Fjoe@dh.ddom.example\0Tlast@dh.ddom.example\0Tright@dh.ddom.example\0\0"


def test_an_unreadable_recipient_field_gives_what_is_right_of_the_fault(inject: Injecting) -> None:
    got = inject(stdin=b"To: left, x> , right\n")
    # With no < for its > all the rest is taken for one address, before the fault is seen.
    assert got.envelope == b"Fjoe@dh.ddom.example\0Tright@dh.ddom.example\0Tleft,x@dh.ddom.example\0\0"
    assert inject(stdin=b"To: left; in: right; last\n").envelope == FAULTY_GROUP
    assert b"To: left, x> , right\n" in got.message


def test_a_message_sent_on_goes_to_the_resent_recipients(inject: Injecting) -> None:  # probe 71
    got = inject(stdin=b"Resent-To: r\nResent-Bcc: rb\nTo: g\nFrom: a\n\n")
    assert got.envelope == b"Fjoe@dh.ddom.example\0Tr@dh.ddom.example\0Trb@dh.ddom.example\0\0"
    assert got.message == (
        b"Resent-Date: <DATE>\nResent-Message-ID: <<ID>.qmail@id.example>\nResent-From: joe@dh.ddom.example\n"
        b"Resent-To: r@dh.ddom.example\nTo: g@dh.ddom.example\nFrom: a@dh.ddom.example\n\n"
    )


def test_the_sender_can_be_marked_per_message_and_recipient(inject: Injecting) -> None:  # probe 72
    got = inject(b"x@y.z", QMAILINJECT=b"rm", QMAILSUSER=b"lst", QMAILSHOST=b"l.example")
    assert got.envelope == b"Flst-<T>-@l.example-@[]\0Tx@y.z\0\0"


def test_list_mail_says_where_answers_go(inject: Injecting, tmp_path: Path) -> None:  # probe 73
    (tmp_path / "lists").write_bytes(b"# mine\nList@l.example \n")
    header = b'To: list@L.example, bob\nCc: "x y"@z.z\n'
    got = inject(stdin=header, QMAILMFTFILE=os.fsencode(tmp_path / "lists"))
    assert got.message == TOP + (
        b'Mail-Followup-To: "x y"@z.z,\n  list@L.example,\n  bob@dh.ddom.example\n'
        b'To: list@L.example, bob@dh.ddom.example\nCc: "x y"@z.z\n'
    )
    for more in (b"Mail-Followup-To: me\n", b"Resent-To: x\n"):
        got = inject(stdin=more + header, QMAILMFTFILE=os.fsencode(tmp_path / "lists"))
        assert b"Mail-Followup-To:" not in got.message.replace(b"Mail-Followup-To: me\n", b"")


STRATEGIES = [
    ((), [b"h@e.ad"]),
    ((b"-a",), []),
    ((b"x@y.z",), [b"x@y.z"]),
    ((b"-h", b"x@y.z"), [b"h@e.ad"]),
    ((b"-H", b"x@y.z"), [b"x@y.z", b"h@e.ad"]),
    ((b"-HA", b"x@y.z"), [b"x@y.z"]),
    ((b"-a", b"--", b"-a", b"<z@z>", b""), [b"-a@dh.ddom.example", b"<z@z>.ddom.example", b""]),
]


@pytest.mark.parametrize(("argv", "recipients"), STRATEGIES)
def test_options_choose_the_recipients(inject: Injecting, argv: tuple[bytes, ...], recipients: list[bytes]) -> None:
    got = inject(*argv, stdin=b"To: h@e.ad\n")
    assert got.envelope == b"Fjoe@dh.ddom.example\0" + b"".join(b"T%b\0" % r for r in recipients) + b"\0"


SENDERS = [
    (b"", b""),
    (b"x", b"x@dh.ddom.example"),
    (b"a b@c.d", b"a b@c.d"),
    (b"<>", b"<>@dh.ddom.example"),
]


@pytest.mark.parametrize(("argument", "sender"), SENDERS)
def test_the_sender_argument_overrides_all(inject: Injecting, argument: bytes, sender: bytes) -> None:
    got = inject(b"-f", argument, stdin=b"Return-Path: rp\n", QMAILINJECT=b"rm")
    assert got.envelope == b"F%b\0\0" % sender


@pytest.mark.parametrize(
    ("letters", "lost"), [(b"f", b"From: o@r.ig\n"), (b"i", b"Message-ID: <1@o>\n"), (b"s", b"Return-Path: rp@o.p\n")]
)
def test_letters_delete_fields(inject: Injecting, letters: bytes, lost: bytes) -> None:
    got = inject(stdin=b"From: o@r.ig\nMessage-ID: <1@o>\nReturn-Path: rp@o.p\n", QMAILINJECT=letters)
    kept = inject(stdin=b"From: o@r.ig\nMessage-ID: <1@o>\nReturn-Path: rp@o.p\n")
    assert lost not in got.message
    assert (got.envelope == kept.envelope) == (letters != b"s")
    assert kept.envelope == b"Frp@o.p\0\0"


def test_a_nul_in_an_address_cannot_forge_envelope_records(inject: Injecting) -> None:
    got = inject(stdin=b"To: a\0Tevil@b.c\nReturn-Path: s\0Tx@y.z\n")
    assert got.envelope == b"Fs\0Ta\0\0"


USAGE = [
    ((b"-F", b"x"), b"qmail-inject: illegal option -- F\n"),  # probe 75
    ((b"-f",), b"qmail-inject: option requires an argument -- f\n"),
    ((b"x@y(",), b"qmail-inject: fatal: unable to parse address: x@y(\n"),
    ((b"-fx@y(",), b"qmail-inject: fatal: unable to parse this line:\nx@y(\n"),
]


@pytest.mark.parametrize(("argv", "complaint"), USAGE)
def test_bad_words_are_fatal(inject: Injecting, argv: tuple[bytes, ...], complaint: bytes) -> None:
    got = inject(*argv)
    assert (got.code, got.err, got.out, got.message) == (100, complaint, b"", b"")


REFUSALS = [
    ({"QCODE": b"31"}, 100, b"mail server permanently rejected message (#5.3.0)"),
    ({"QCODE": b"53"}, 111, b"qq write error or disk full (#4.3.0)"),
    ({"QCODE": b"82", "QTEXT": b"Dno virus please"}, 100, b"no virus please"),
    ({"QMAILQUEUE": b"/nonexistent"}, 111, b"unable to exec qq (#4.3.0)"),
]


@pytest.mark.parametrize(("env", "code", "text"), REFUSALS)
def test_the_queue_s_refusal_is_told(inject: Injecting, env: dict[str, bytes], code: int, text: bytes) -> None:
    got = inject(b"x@y.z", stdin=b"\n" + b"body\n" * 40000, **env)
    assert (got.code, got.err) == (code, b"qmail-inject: fatal: %b\n" % text)


def test_an_unreadable_setting_is_temporary(inject: Injecting) -> None:
    (inject.home / "control" / "plusdomain").unlink()
    (inject.home / "control" / "plusdomain").mkdir()
    got = inject(b"x@y.z")
    assert (got.code, got.err) == (111, b"qmail-inject: fatal: read error\n")


def test_a_setting_without_file_is_called_by_its_name(inject: Injecting) -> None:
    for name in (*CONTROL, "me"):
        (inject.home / "control" / name).unlink()
    got = inject(b"x", b"y+")
    assert got.envelope == b"Fjoe@defaulthost.defaultdomain\0Tx@defaulthost.defaultdomain\0" + (
        b"Ty+@defaulthost.defaultdomain\0\0"
    )
    got = inject(b"x", b"y@z+", QMAILDEFAULTHOST=b"a.b", QMAILPLUSDOMAIN=b"p")
    assert got.envelope == b"Fjoe@a.b\0Tx@a.b\0Ty@z.p\0\0"


def test_a_message_reaches_our_own_queue(inject: Injecting) -> None:
    done = launchers.run(
        launchers.ours("qmail-inject"),
        "x@y.z",
        stdin=b"Subject: s\n\nbody",
        env={"QMAILHOME": str(inject.home), "USER": "joe"},
    )
    assert done == launchers.Result(0, b"", b"")
    (message,) = (inject.home / "queue" / "mess").glob("*/*")
    assert message.read_bytes().endswith(b"Cc: recipient list not shown: ;\nSubject: s\n\nbody\n")
    (todo,) = (inject.home / "queue" / "todo").iterdir()
    assert todo.read_bytes().endswith(b"Fjoe@dh.ddom.example\0Tx@y.z\0")


def test_a_large_body_does_not_sit_in_memory(inject: Injecting, tmp_path: Path) -> None:
    inject.queue.write_text(f"#!/bin/sh\ntail -c 10 >{inject.files['message']}; cat <&1 >/dev/null\n")
    message = tmp_path / "big"
    with message.open("wb") as big:
        big.write(b"Subject: s\n\n")
        big.truncate(200 << 20)
    env = {"QMAILHOME": str(inject.home), "QMAILQUEUE": str(inject.queue), "PATH": "/bin:/usr/bin"}
    with message.open("rb") as big:
        argv = ["sh", "-c", 'ulimit -v 100000 && exec "$@"', "sh", launchers.ours("qmail-inject"), "x@y.z"]
        assert subprocess.run(argv, stdin=big, env=env).returncode == 0
    assert inject.files["message"].read_bytes() == bytes(9) + b"\n"
