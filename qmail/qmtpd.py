"""Take mail by QMTP, the protocol that does without SMTP's waiting, and put it into the queue.  qmail-qmtpd(8).

Talks on descriptors 0 and 1.  Reads TCPREMOTEHOST, TCPREMOTEIP, TCPREMOTEINFO, TCPLOCALHOST, TCPLOCALIP, RELAYCLIENT,
DATABYTES, QMAILQUEUE, QMAILHOME, and the control files.

Exits 0 when the client has gone; 100 when it does not speak QMTP; 111 on trouble, and after an hour."""

from __future__ import annotations

import os

from qmail.core import instance, intake, netstringd
from qmail.core.control import Control
from qmail.core.rcpthosts import RcptHosts
from qmail.protocol.qmtp_server import Session
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-qmtpd", __doc__, preload=("cdbx",))


def qmtpd(call: Call) -> int:
    """The program."""
    home = instance.of(call.env)
    control = Control(home.control)
    try:
        os.stat(home.home + b"/.")
        control.line(b"me")  # where it cannot be read nothing here can be right
        session = Session(databytes=intake.databytes(control, call.env), relayclient=call.env.get(b"RELAYCLIENT"))
        checks = intake.checks(call, home, control)
        mails = intake.Intake(call, home, b"QMTP", RcptHosts.load(control), checks)
    except OSError:
        return netstringd.TROUBLE
    return netstringd.serve(session, mails)


main = PROGRAM.entry(qmtpd)
