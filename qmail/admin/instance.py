"""Create a single-user instance of the mail host: control files, queue, one mailbox, services.  qmail-instance(8).

    qmail-instance [-s address:port] [-p address:port] [-u mailbox] [-d domain] directory

What is there already stays as it is, but the addresses and the place of the programs, which `environment` holds, are
written anew; so it is run before every start.  Exits 0, 100 on bad usage, 111 if something cannot be made."""

from __future__ import annotations

import os
import sys

from qmail.core import instance, passwords, queuetree
from qmail.install.files import create, directory, quoted, replace
from ucspi.core.command import Call, Program, Value
from ucspi.core.failure import UsageFailure

PROGRAM = Program(
    "qmail-instance",
    __doc__,
    options=(
        Value("s", "ADDRESS:PORT", "Where SMTP is served (127.0.0.1:2525)."),
        Value("p", "ADDRESS:PORT", "Where POP3 is served (127.0.0.1:2110)."),
        Value("u", "NAME", "The mailbox that is made with the instance (demo)."),
        Value("d", "DOMAIN", "The domain it receives for (localhost)."),
    ),
    usage="qmail-instance [ -s address:port ] [ -p address:port ] [ -u mailbox ] [ -d domain ] directory",
    operands="DIRECTORY",
)

ENVIRONMENT = """\
# Written by qmail-instance: what the run scripts of this instance need to know.
QMAILHOME={home} PATH={path} LOCAL={domain}
SMTP_ADDRESS={smtp_address} SMTP_PORT={smtp_port}
POP3_ADDRESS={pop3_address} POP3_PORT={pop3_port}
export QMAILHOME PATH LOCAL SMTP_ADDRESS SMTP_PORT POP3_ADDRESS POP3_PORT
"""
SERVICES = {
    b"smtpd": """\
#!/bin/sh
# Mail in by SMTP.
exec 2>&1
. ../../environment || exit 111
MAXSMTPD=$(head -n 1 "$QMAILHOME/control/concurrencyincoming") || exit 111
cd "$QMAILHOME" || exit 111
exec softlimit -m 20000000 \\
  tcpserver -v -R -H -l "$LOCAL" -x tcp.smtp.cdb -c "$MAXSMTPD" "$SMTP_ADDRESS" "$SMTP_PORT" \\
  rblsmtpd \\
  qmail-smtpd
""",
    b"qmail": """\
#!/bin/sh
# The queue, and deliveries from it.
exec 2>&1
. ../../environment || exit 111
DEFAULTDELIVERY=$(head -n 1 "$QMAILHOME/control/defaultdelivery") || exit 111
exec env - QMAILHOME="$QMAILHOME" PATH="$PATH" qmail-start "$DEFAULTDELIVERY"
""",
    b"pop3d": """\
#!/bin/sh
# Mailboxes read by POP3.
exec 2>&1
. ../../environment || exit 111
# checkpassword knows hashes only, with which APOP cannot be checked.
NOAPOP=1 export NOAPOP
exec tcpserver -v -R -H -l "$LOCAL" "$POP3_ADDRESS" "$POP3_PORT" \\
  qmail-popup "$LOCAL" \\
  checkpassword \\
  qmail-pop3d Maildir
""",
}
RULES = b'192.168.1.:allow,RELAYCLIENT=""\n127.:allow,RELAYCLIENT=""\n'


def qmail_instance(call: Call) -> int:
    """Directories and queue, control files, mailbox, services; the environment last, so that a half-made one shows."""
    if len(call.operands) != 1:
        raise UsageFailure
    home = instance.Instance(os.path.abspath(call.operands[0]))
    user, domain = call.value("u", b"demo") or b"", call.value("d", b"localhost") or b""
    smtp = _address(call.value("s", b"127.0.0.1:2525"))
    pop3 = _address(call.value("p", b"127.0.0.1:2110"))
    if os.geteuid() == 0:
        call.warn("warning: made by root, this instance runs and delivers as root; better make it as an ordinary user")
    for name in (b"", b"alias", b"control", b"users", b"service", b"home"):
        directory(home.path(name))
    queuetree.create(home)
    _controls(home, domain)
    _mailbox(call, home, user)
    _rules(call, home)
    for service, text in SERVICES.items():
        directory(home.path(b"service", service))
        create(home.path(b"service", service, b"run"), text.encode(), 0o755)
    _environment(home, domain, smtp, pop3)
    return 0


def _address(word: bytes | None) -> tuple[bytes, bytes]:
    address, colon, port = (word or b"").rpartition(b":")
    if not colon or not address or not port.isdigit():
        raise UsageFailure
    return address.strip(b"[]"), port


def _controls(home: instance.Instance, domain: bytes) -> None:
    # A host without a dot gets control/defaultdomain from qmail-inject, which is `me` here: that is this host, too.
    locals_ = domain if b"." in domain else b"%b\n%b.%b" % (domain, domain, domain)
    for name, value in (
        (b"me", domain),
        (b"locals", locals_),
        (b"rcpthosts", domain),
        (b"defaultdelivery", b"./Maildir/"),
        (b"concurrencyincoming", b"40"),
    ):
        create(home.path(b"control", name), value + b"\n")


def _mailbox(call: Call, home: instance.Instance, user: bytes) -> None:
    """The account: a Maildir, addresses in users/assign, and a random password; users/passwd has only its hash."""
    own = home.path(b"home", user)
    directory(own)
    directory(own + b"/Maildir", 0o700)
    for part in (b"tmp", b"new", b"cur"):
        directory(own + b"/Maildir/" + part, 0o700)
    if not os.path.exists(home.path(b"users", b"passwd")):
        password = os.urandom(9).hex().encode()
        replace(home.path(b"password"), b"%b %b\n" % (user, password), 0o600)
        hashed = passwords.hash_password(password)
        replace(home.path(b"users", b"passwd"), b"%b:%b:%b\n" % (user, hashed, own), 0o600)
    who = b"%b:%d:%d:%b" % (user, os.geteuid(), os.getegid(), own)
    assign = b"".join(b"=%b:%b:::\n" % (name, who) for name in (user, b"postmaster", b"abuse", b"mailer-daemon"))
    create(home.path(b"users", b"assign"), assign + b"+%b-:%b:-::\n.\n" % (user, who))
    if not os.path.exists(home.path(b"users", b"cdb")):
        _run(call, [b"qmail-newu"], home, None)


def _rules(call: Call, home: instance.Instance) -> None:
    create(home.path(b"tcp.smtp"), RULES)
    if not os.path.exists(home.path(b"tcp.smtp.cdb")):
        _run(call, [b"tcprules", home.path(b"tcp.smtp.cdb"), home.path(b"tcp.smtp.tmp")], home, home.path(b"tcp.smtp"))


def _run(call: Call, argv: list[bytes], home: instance.Instance, stdin: bytes | None) -> None:
    env = {**call.env, b"QMAILHOME": home.home}
    argv = [_programs() + b"/" + argv[0], *argv[1:]]
    fd = os.open(stdin or b"/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.waitpid(call.spawn(argv, env, fds={0: fd}), 0)[1]
    finally:
        os.close(fd)
    if status:
        raise OSError(5, "failed", argv[0])


def _environment(home: instance.Instance, domain: bytes, smtp: tuple[bytes, bytes], pop3: tuple[bytes, bytes]) -> None:
    programs = os.fsdecode(_programs())
    text = ENVIRONMENT.format(
        home=quoted(os.fsdecode(home.home)),
        path=quoted(f"{programs}:/usr/local/bin:/usr/bin:/bin"),
        domain=quoted(os.fsdecode(domain)),
        smtp_address=os.fsdecode(smtp[0]),
        smtp_port=os.fsdecode(smtp[1]),
        pop3_address=os.fsdecode(pop3[0]),
        pop3_port=os.fsdecode(pop3[1]),
    )
    replace(home.path(b"environment"), os.fsencode(text), 0o644)


def _programs() -> bytes:
    """Where our own programs are: beside this one, whatever PATH says."""
    return os.fsencode(os.path.dirname(os.path.abspath(sys.argv[0])))


main = PROGRAM.entry(qmail_instance)
