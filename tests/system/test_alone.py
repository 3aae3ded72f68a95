"""Every single program, called alone from a shell with pipes; and the network ones under the original C tcpserver."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import launchers
from tests.support.host import Host
from tests.support.server import Server

MESSAGE = b"Subject: x\n\nbody\n"
HEADER = "UFLINE='From a@b\n' RPLINE='Return-Path: <a@b>\n' DTLINE='Delivered-To: x\n' SENDER=a@b NEWSENDER=a@b"
# What the commands may use: serve PROGRAM ... starts a server on $port; the message is in ./msg.
PRELUDE = """
serve() {
    tcpserver -1HRl0 127.0.0.1 0 "$@" >port 2>err &
    trap "kill $!" EXIT
    until test -s port; do sleep 0.01; done
    read port <port
}
wait_for() {
    until grep -q "$1" "$2"; do sleep 0.01; done
}
"""
TRACE = rb"(?:Received: .*\n(?:[ \t].*\n)*)*"

# program: (commands, standard input, standard output, exit code); {} stands for the password.
ALONE: dict[str, tuple[str, bytes, bytes | re.Pattern[bytes], int]] = {
    "tcpserver": ("serve echo hello; tcpclient -HRl0 127.0.0.1 $port sh -c 'cat <&6'", b"", b"hello\n", 0),
    "tcpclient": (
        "serve sh -c 'read x; echo got $x'; tcpclient -HRl0 127.0.0.1 $port sh -c 'echo this >&7; cat <&6'",
        b"",
        b"got this\n",
        0,
    ),
    "tcprules": ("tcprules r.cdb r.tmp; ls r.*", b"1.2.:deny\n", b"r.cdb\n", 0),
    "tcprulescheck": (
        "tcprules r.cdb r.tmp; TCPREMOTEIP=1.2.3.4 tcprulescheck r.cdb",
        b'1.2.:allow,A="b"\n:deny\n',
        b"rule 1.2.:\nset environment variable A=b\nallow connection\n",
        0,
    ),
    "rblsmtpd": ("RBLSMTPD='-not you' rblsmtpd cat", b"QUIT\r\n", b"220 rblsmtpd.local\r\n221 rblsmtpd.local\r\n", 0),
    "softlimit": ("softlimit -o 20 sh -c 'ulimit -n'", b"", b"20\n", 0),
    "recordio": (
        "recordio tr a-z A-Z 2>log >out; wait_for IN out; cat out; grep -c ' < in' log",
        b"in\n",
        b"IN\n1\n",
        0,
    ),
    "fixcrio": ("fixcrio tr a-z A-Z", b"in\n", b"IN\r\n", 0),
    "addcr": ("addcr", b"a\nb\n", b"a\r\nb\r\n", 0),
    "delcr": ("delcr", b"a\r\nb\n", b"a\nb\n", 0),
    "argv0": ("argv0 sh name -c 'echo $0'", b"", b"name\n", 0),
    "setuidgid": ("setuidgid no-such-account true", b"", b"", 111),
    "envuidgid": ("envuidgid root sh -c 'echo $UID:$GID'", b"", b"0:0\n", 0),
    "envdir": ("mkdir e; echo value >e/NAME; envdir e printenv NAME", b"", b"value\n", 0),
    "setlock": ("setlock l sh -c 'setlock -n l true 2>/dev/null || echo locked'", b"", b"locked\n", 0),
    "pgrphack": ("pgrphack echo in", b"", b"in\n", 0),
    "fghack": ("fghack sh -c 'echo in & exit 3'", b"", b"in\n", 3),
    "tai64n": ("tai64n", b"line\n", re.compile(rb"@[0-9a-f]{24} line\n"), 0),
    "tai64nlocal": (
        "TZ=UTC0 tai64nlocal",
        b"@4000000037c219bf2ef02e94 mark\n",
        b"1999-08-24 04:04:05.787492500 mark\n",
        0,
    ),
    "multilog": ("multilog ./log; cat log/current", b"line\n", b"line\n", 0),
    "mconnect": ("serve sh -c 'read x; echo got $x'; mconnect 127.0.0.1 $port", b"this\n", b"got this\r\n", 0),
    "mconnect-io": (
        "serve sh -c 'read x; echo got $x'; tcpclient -HRl0 127.0.0.1 $port mconnect-io",
        b"this\n",
        b"got this\r\n",
        0,
    ),
    "tcpcat": ("serve echo hello; tcpcat 127.0.0.1 $port", b"", b"hello\n", 0),
    "who@": ("who@ 127.0.0.99", b"", b"", 0),
    "date@": ("date@ 127.0.0.99", b"", b"", 0),
    "finger@": ("finger@ 127.0.0.99", b"", b"", 0),
    "http@": (
        "serve sh -c 'read get path; echo; echo $path'; http@ 127.0.0.1 some/where $port",
        b"",
        re.compile(rb"(?s).*some/where.*"),
        0,
    ),
    "qmail-smtpd": ("qmail-smtpd", b"QUIT\r\n", b"220 localhost ESMTP\r\n221 localhost\r\n", 0),
    "qmail-queue": (
        "printf 'Fa@b\\0Tdemo@localhost\\0\\0' >e; qmail-queue <msg 1<e; ls $QMAILHOME/queue/todo | wc -l",
        b"",
        b"1\n",
        0,
    ),
    "qmail-queued": ("true | qmail-queued", b"", b"", 0),
    "qmail-start": (
        "qmail-start ./Mailbox cat >log </dev/null & wait_for status log; kill -TERM $!; wait $!; cat log",
        b"",
        b"status: local 0/10 remote 0/20\nstatus: exiting\n",
        0,
    ),
    "qmail-send": (
        "qmail-send 0>log 1>/dev/null 2</dev/null 3>/dev/null 4</dev/null 5>/dev/null 6</dev/null; echo $?; cat log",
        b"",
        b"111\nalert: cannot start: hath the daemon spawn no fire?\n",
        0,
    ),
    "qmail-clean": ("qmail-clean", b"foop/999\0junk\0", b"+x", 0),
    "qmail-lspawn": ("qmail-lspawn ./Mailbox", b"", b"x", 0),
    "qmail-rspawn": ("qmail-rspawn", b"", b"x", 0),
    "qmail-local": (
        "qmail-local user $PWD user '' '' host a@b ./Mailbox <msg; tail -n +2 Mailbox",
        b"",
        b"did 1+0+0\nReturn-Path: <a@b>\nDelivered-To: user@host\n" + MESSAGE + b"\n",
        0,
    ),
    "qmail-getpw": ("qmail-getpw; echo $?", b"", b"100\n", 0),
    "qmail-newu": ("rm $QMAILHOME/users/cdb; qmail-newu && ls $QMAILHOME/users", b"", b"assign\ncdb\npasswd\n", 0),
    "qmail-remote": (
        'serve qmail-smtpd; echo ":[127.0.0.1]:$port" >$QMAILHOME/control/smtproutes;'
        " qmail-remote far.example a@b demo@localhost <msg | tr '\\0' '\\n'",
        b"",
        re.compile(rb"r\nK127.0.0.1 accepted message.\nRemote host said: 250 (2\.0\.0 )?ok \d+ qp \d+\n\n"),
        0,
    ),
    "qmail-inject": (
        "qmail-inject -n -f a@b.example",
        b"To: c@d.example\nFrom: e@f.example\n\nbody\n",
        re.compile(
            rb"Return-Path: <a@b.example>\nDate: .* -0000\nMessage-ID: <.*@localhost>\n"
            rb"To: c@d.example\nFrom: e@f.example\n\nbody\n"
        ),
        0,
    ),
    "sendmail": ("sendmail -bs", b"QUIT\r\n", b"220 localhost ESMTP\r\n221 localhost\r\n", 0),
    "qmail-popup": ("qmail-popup host true", b"QUIT\r\n", re.compile(rb"\+OK <\d+\.\d+@host>\r\n\+OK \r\n"), 1),
    "qmail-pop3d": (
        "cd $QMAILHOME/home/demo; qmail-pop3d Maildir",
        b"STAT\r\nQUIT\r\n",
        b"+OK \r\n+OK 0 0\r\n+OK \r\n",
        0,
    ),
    "checkpassword": ("printf 'demo\\000{}\\000t\\000' | checkpassword sh -c 'echo $USER' 3<&0", b"", b"demo\n", 0),
    "ucspi-completion": ("ucspi-completion bash | tail -n 1", b"", b"_ucspi_completion_setup;\n", 0),
    "splogger": ("splogger tag", b"", b"", 0),
    "maildirmake": ("maildirmake m && ls m", b"", b"cur\nnew\ntmp\n", 0),
    "forward": (f"{HEADER} forward demo@localhost 2>&1 <msg", b"", re.compile(rb"forward: qp \d+\n"), 0),
    "qmail-lmtp": (f"{HEADER} RECIPIENT=x@y qmail-lmtp /none 2>&1", b"", re.compile(rb"qmail-lmtp: fatal: .*\n"), 111),
    "preline": (f"{HEADER} preline cat <msg", b"", b"From a@b\nReturn-Path: <a@b>\nDelivered-To: x\n" + MESSAGE, 0),
    "condredirect": (f"{HEADER} condredirect x@y false <msg", b"", b"", 0),
    "except": ("except false; echo $?; except true; echo $?", b"", b"0\n100\n", 0),
    "bouncesaying": (
        "bouncesaying 'no such' 2>&1; echo $?; bouncesaying 'no such' false; echo $?",
        b"",
        b"no such\n100\n0\n",
        0,
    ),
    "qreceipt": (f"{HEADER} qreceipt x@y <msg", b"", b"", 0),
    "qbiff": ("HOST=h EXT=e USER=nobody LOCAL=x SENDER=s qbiff <msg", b"", b"", 0),
    "qsmhook": ("qsmhook; echo $?", b"", b"100\n", 0),
    "predate": ("predate cat", b"a\n", re.compile(rb"Date: \d+ \w+ \d+ \d\d:\d\d:\d\d [-+]\d{4}\na\n"), 0),
    "datemail": ("datemail demo@localhost; ls $QMAILHOME/queue/todo | wc -l", MESSAGE, b"1\n", 0),
    "mailsubj": (
        "mailsubj hello demo@localhost; cat $QMAILHOME/queue/mess/*/*",
        b"body\n",
        re.compile(TRACE + rb"(?:.+\n)*Subject: hello\nTo: demo@localhost.localhost\n\nbody\n"),
        0,
    ),
    "maildir2mbox": (
        "maildirmake M; cp msg M/new/1.x; touch -d @1 M/new/1.x; MAILDIR=M MAIL=box MAILTMP=box.tmp maildir2mbox; tail -n +2 M/box; ls M/new",
        b"",
        MESSAGE + b"\n",
        0,
    ),
    "maildirwatch": ("maildirwatch; echo $?", b"", re.compile(rb"1(?:00|11)\n"), 0),
    "elq": ("maildirmake M; MAILDIR=M MAIL=box MAILTMP=t elq", b"", b"", 111),
    "pinq": ("maildirmake M; MAILDIR=M MAIL=box MAILTMP=t pinq", b"", b"", 111),
    "qail": ("maildirmake M; MAILDIR=M MAIL=box MAILTMP=t PATH=$OURS qail", b"", b"", 111),
    "qmail-qstat": ("qmail-qstat", b"", b"messages in queue: 0\nmessages in queue but not yet preprocessed: 0\n", 0),
    "dnsip": ("dnsip; echo $?", b"", b"100\n", 0),
    "dnsmxip": ("dnsmxip; echo $?", b"", b"100\n", 0),
    "dnsptr": ("dnsptr; echo $?", b"", b"100\n", 0),
    "dnsfq": ("dnsfq; echo $?", b"", b"100\n", 0),
    "dnscname": ("dnscname; echo $?", b"", b"100\n", 0),
    "dnstxt": ("dnstxt; echo $?", b"", b"100\n", 0),
    "hostname": ('test "$(hostname)" = "$(uname -n)" && echo same', b"", b"same\n", 0),
    "ipmeprint": ("ipmeprint | grep -x 127.0.0.1", b"", b"127.0.0.1\n", 0),
    "tcp-env": ("tcp-env true; echo $?", b"", b"111\n", 0),
    "qmail-config": ("qmail-config", b"", re.compile(rb"(?s)Your hostname is .*"), 0),
    "qmail-config-fast": ("qmail-config-fast; echo $?", b"", b"100\n", 0),
    "qmail-services": ("qmail-services; echo $?", b"", b"100\n", 0),
    "qmail-setup": ("qmail-setup; echo $?", b"", b"100\n", 0),
    "qmail-qmqpc": ("printf 'Fa@b\\0Tc@d\\0\\0' >e; qmail-qmqpc <msg 1<e; echo $?", b"", b"55\n", 0),
    "qmail-qmtpd": ("qmail-qmtpd", b"5:\nx\ny\n,3:a@b,18:14:demo@localhost,,", re.compile(rb"\d+:Kok \d+ qp \d+,"), 0),
    "qmail-qmqpd": ("qmail-qmqpd", b"30:3:x\ny,3:a@b,14:demo@localhost,,", re.compile(rb"\d+:Kok \d+ qp \d+,"), 0),
    "qmail-scanner-queue": (
        "printf 'Fa@b\\0Tdemo@localhost\\0\\0' >e; qmail-scanner-queue <msg 1<e; echo $?",
        b"",
        b"0\n",
        0,
    ),
    "qmail-scanner-configure": (
        "qmail-scanner-configure --scanners= --spooldir $PWD/q --install >out; rm $QMAILHOME/control/scanner; ls q",
        b"",
        b"archives\nqmail-scanner-queue-version.txt\nquarantine\nquarantine-events.txt\nviruses.log\nworking\n",
        0,
    ),
    "qmail-scanner-test": (
        "serve qmail-smtpd; qmail-scanner-test 127.0.0.1 $port demo@localhost | head -n 1",
        b"",
        re.compile(rb"clean: accepted \(250 ok \d+ qp \d+\)\n"),
        0,
    ),
    "quarantine": (
        "qmail-scanner-configure --scanners= --spooldir $PWD/q --install >out; quarantine list; quarantine show x 2>&1; e=$?; rm $QMAILHOME/control/scanner; exit $e",
        b"",
        b"quarantine: fatal: x: not in quarantine\n",
        100,
    ),
    "qmail-report": ("qmail-report --json | grep -c seconds", b"", b"1\n", 0),
    "setforward": ("setforward c t; printforward <c", b"A@b: c@d;", b"a@b:\n, &c@d\n;\n", 0),
    "printforward": ("printforward 2>&1", b"", b"printmaillist: fatal: bad database format\n", 100),
    "fastforward": (
        "echo 'a@b: c@d;' | setforward c t; RECIPIENT=a@b SENDER=s@s fastforward -n c 2>&1",
        b"",
        b"from <s@s>\nto <c@d>\n",
        0,
    ),
    "newaliases": (
        "QMAILHOME=/no newaliases 2>&1",
        b"",
        b"newaliases: fatal: unable to chdir to /no: file does not exist\n",
        111,
    ),
    "newinclude": ("echo 'b@c.d, a@b.c' >l; newinclude l; printmaillist <l.bin", b"", b"&a@b.c\n&b@c.d\n", 0),
    "setmaillist": ("setmaillist l t; printmaillist <l", b"a@b\n", b"&a@b\n", 0),
    "printmaillist": ("printf '&a@b\\0' | printmaillist", b"", b"&a@b\n", 0),
    "dot-forward": ("echo a@b.c >f; dot-forward -n f 2>&1", b"", b"forward a@b.c\n", 99),
    "qmail-qctl": (
        "qmail-qctl list --json; qmail-qctl hold 1 2>&1; echo $?",
        b"",
        b"[]\nqmail-qctl: #1: no such message\n100\n",
        0,
    ),
    "qmail-qread": ("qmail-qread", b"", b"", 0),
    "queue-fix": ("rm -r $QMAILHOME/queue/hold; queue-fix -r; queue-fix", b"", b"hold: missing: make it\n", 0),
    "qmail-tcpto": ("qmail-tcpto", b"", b"", 0),
    "qmail-tcpok": ("qmail-tcpok", b"", b"", 0),
    "qmail-showctl": ("qmail-showctl | grep -a 'My name is'", b"", re.compile(rb"(?s).*My name is localhost\.\n.*"), 0),
    "qmail-newmrh": ("qmail-newmrh", b"", b"", 111),
    "qmail-pw2u": ("qmail-pw2u; echo $?", b"", re.compile(rb"(?s).*"), 0),
    "qmail-instance": ("qmail-instance here 2>/dev/null && ls here/service", b"", b"pop3d\nqmail\nsmtpd\n", 0),
    "qmail-serve": ("qmail-serve; echo $?", b"", b"100\n", 0),
}


# What matchup writes of a delivery and its message, and the last line that each program prints of it (observed on 0.70).
MATCHED = b"d k 1.5 2.0 3.0 10 <a@b> local.c@d 7 8 o_k\nm 1.5 3.5 10 1 0 0 <a@b> 7 8\n"
STATISTICS = {
    "ddist": b"1.50 1.50 100\n",
    "deferrals": b"",
    "failures": b"",
    "recipients": b"10 1 1 1.00 local.c@d\n",
    "rhosts": b"10 1 1 1.00 d\n",
    "senders": b"1 10 10 10 1 1 1.000000 8/<a@b>\n",
    "successes": b"1 1.00 o_k\n",
    "suids": b"1 10 10 10 1 1 1.000000 8\n",
    "zddist": b"  1.50  1.50  100\n",
    "zdeferrals": b"del  xdelay  reason\n",
    "zfailures": b"del  xdelay  reason\n",
    "zoverall": b"Average concurrency: 0.5\n",
    "zrecipients": b"    10     1      1    1.00  local.c@d\n",
    "zrhosts": b"    10     1      1    1.00  d\n",
    "zrxdelay": b"1.00      1  local.c@d\n",
    "zsenders": b"   1     10      10      10       1      1  1.000000  8/<a@b>\n",
    "zsendmail": b"3.5 qp 7: from=<a@b>, uid=8, size=10, nrcpts=1, deferrals=0, qtime=2.000000\n",
    "zsuccesses": b"  1    1.00  o k\n",
    "zsuids": b"   1     10      10      10       1      1  1.000000  8\n",
    "xqp 7": b"m 1.5 3.5 10 1 0 0 <a@b> 7 8\n",
    "xrecipient local.c@d": b"d k 1.5 2.0 3.0 10 <a@b> local.c@d 7 8 o_k\n",
    "xsender a@b": b"m 1.5 3.5 10 1 0 0 <a@b> 7 8\n",
    "columnt": b"m  1.5  3.5   10    1   0      0      <a@b>  7  8  \n",
}
ALONE |= {
    command.partition(" ")[0]: (f"{command} | tail -n 1", MATCHED, last, 0) for command, last in STATISTICS.items()
}
ALONE["rxdelay"] = ("rxdelay", b"10 1 2 1.00 local.c@d\n", b"0.50 2 local.c@d\n", 0)
ALONE["matchup"] = (
    "matchup",
    b"1.0 starting delivery 1: msg 7 to local A@b\n2.0 delivery 1: success: x\n",
    b"d k 1.0 1.0 2.0 0 ? local.a@b ? ? x\n",
    0,
)


@pytest.fixture
def host() -> Iterator[Host]:
    """An instance, whose path is short."""
    directory = tempfile.mkdtemp(prefix="host")
    try:
        with contextlib.closing(Host(Path(directory, "i"))) as host:
            yield host
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("program", launchers.programs())
def test_a_program_works_alone(program: str, host: Host, tmp_path: Path) -> None:
    commands, stdin, expected, code = ALONE[program]
    (tmp_path / "msg").write_bytes(MESSAGE)
    env = {"QMAILHOME": str(host.home), "TCPREMOTEIP": "127.0.0.1", "OURS": launchers.directory()}
    script = PRELUDE + commands.replace("{}", host.password)
    done = launchers.run("/bin/sh", "-c", script, stdin=stdin, env=env, cwd=tmp_path)
    if isinstance(expected, bytes):
        assert done.out == expected, done
    else:
        assert expected.fullmatch(done.out), done
    assert done.code == code, done
    assert b"Traceback" not in done.err and b"internal error" not in done.err


@pytest.mark.parametrize("program", launchers.programs())
def test_every_program_tells_its_version_and_its_usage(program: str) -> None:
    version = launchers.run(launchers.ours(program), "--version")
    assert (version.code, version.err) == (0, b"")
    assert re.fullmatch(rb"%b \d+(\.\w+)+\n" % re.escape(program.encode()), version.out)
    text = launchers.run(launchers.ours(program), "--help")
    assert (text.code, text.err) == (0, b"")
    assert text.out.startswith(b"Usage: " + program.encode())


# Under a tcpserver: chain, what the client says, what it gets (a pattern), the wait status.
REMOTE: list[tuple[list[str], bytes, bytes, int]] = [
    (["qmail-smtpd"], b"HELO x\r\nQUIT\r\n", rb"220 localhost ESMTP\r\n250 localhost\r\n221 localhost\r\n", 0),
    (["qmail-smtpd"], b"HELO x\r\n", rb"220 localhost ESMTP\r\n250 localhost\r\n", 256),
    (["rblsmtpd", "qmail-smtpd"], b"QUIT\r\n", rb"220 localhost ESMTP\r\n221 localhost\r\n", 0),
    (
        ["softlimit", "-m", "20000000", "rblsmtpd", "qmail-smtpd"],
        b"MAIL FROM:<a@b>\r\nRCPT TO:<demo@localhost>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
        rb"220 localhost ESMTP\r\n250 ok\r\n250 ok\r\n354 go ahead\r\n250 ok \d+ qp \d+\r\n221 localhost\r\n",
        0,
    ),
    (
        ["sh", "-c", "exec env RBLSMTPD=no rblsmtpd false"],
        b"QUIT\r\n",
        rb"220 rblsmtpd.local\r\n221 rblsmtpd.local\r\n",
        0,
    ),
    (
        ["qmail-popup", "h", "checkpassword", "qmail-pop3d", "Maildir"],
        b"QUIT\r\n",
        rb"\+OK <\d+\.\d+@h>\r\n\+OK \r\n",
        256,
    ),
    (
        ["qmail-popup", "h", "checkpassword", "qmail-pop3d", "Maildir"],
        b"USER demo\r\nPASS {}\r\nSTAT\r\nQUIT\r\n",
        rb"\+OK <\d+\.\d+@h>\r\n\+OK \r\n\+OK \r\n\+OK 0 0\r\n\+OK \r\n",
        256,
    ),
    (["fixcrio", "tr", "a-z", "A-Z"], b"x\r\n", rb"X\r\n", 0),
    (["recordio", "qmail-smtpd"], b"QUIT\r\n", rb"220 localhost ESMTP\r\n221 localhost\r\n", 0),
    (["addcr"], b"x\n", rb"x\r\n", 0),
    (["argv0", "sh", "me", "-c", "echo $0"], b"", rb"me\n", 0),
    (["setlock", "-n", "{home}/l", "echo", "in"], b"", rb"in\n", 0),
    (["/bin/cat"], b"any\0bytes\xff", rb"any\0bytes\xff", 0),
    (["./script"], b"x\r\n", rb"script got x\r\n", 1024),
    (["sh", "-c", "kill -9 $$"], b"", b"", 9),
]


@pytest.mark.parametrize("server", ["ours", "ours by exec", "the original"])
@pytest.mark.parametrize(
    ("chain", "said", "reply", "status"), REMOTE, ids=[f"{c[0]}-{i}" for i, (c, *_) in enumerate(REMOTE)]
)
def test_a_chain_serves_under_any_tcpserver(
    host: Host, server: str, chain: list[str], said: bytes, reply: bytes, status: int
) -> None:
    tcpserver = launchers.original("tcpserver") if server == "the original" else None
    env = {"QMAILHOME": str(host.home)}
    if server == "ours by exec":
        env["UCSPI_EXEC"] = "1"
    (host.home / "script").write_text('#!/bin/sh\nread x; echo "script got $x"; exit 4\n')
    (host.home / "script").chmod(0o755)
    words = [word.replace("{home}", str(host.home)) for word in chain]
    with Server(words, env=env, tcpserver=tcpserver, cwd=host.home) as served:
        if said.startswith(b"USER"):
            answer = slowly(served, said.replace(b"{}", host.password.encode()))
        else:
            answer = served.talk(said)
        assert re.fullmatch(reply, answer), (answer, served.log)
        assert int(served.wait_for(rb"end \d+ status (\d+)\n")[1]) == status
        assert b"Traceback" not in served.log


def slowly(served: Server, said: bytes) -> bytes:
    """Say one line for every line that comes."""
    with served.connect() as client:
        answer = _line(client)
        for line in said.splitlines(keepends=True):
            client.sendall(line)
            answer += _line(client)
        assert client.recv(100) == b""
    return answer


def _line(client: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += client.recv(1)
    return line


def test_what_the_original_programs_do_our_tcpserver_lets_them_do(host: Host) -> None:
    chain = [launchers.original("rblsmtpd"), launchers.original("recordio"), "/bin/sh", "-c", "echo hello; cat"]
    with Server(chain, env={"QMAILHOME": str(host.home)}, cwd=host.home) as served:
        assert served.talk(b"there\n") == b"hello\nthere\n"
        served.wait_for(rb"end \d+ status 0\n")
        assert re.search(rb"^\d+ > hello $", served.log, re.M)
    assert os.path.exists(launchers.original("tcpserver"))
