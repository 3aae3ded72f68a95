"""Take one mail by QMQP, from a host that keeps no queue of its own, and put it into the queue.  qmail-qmqpd(8).

Talks on descriptors 0 and 1.  Reads TCPREMOTEHOST, TCPREMOTEIP, TCPREMOTEINFO, TCPLOCALHOST, TCPLOCALIP, QMAILQUEUE
and QMAILHOME.  Whoever may connect may send to anybody.

Exits 0 when the client has its answer, or has gone; 100 when it does not speak QMQP; 111 on trouble, and after an
hour."""

from __future__ import annotations

import os

from qmail.core import instance, intake, netstringd
from qmail.protocol.qmqp_server import Session
from ucspi.core.command import Call, Program

PROGRAM = Program("qmail-qmqpd", __doc__)


def qmqpd(call: Call) -> int:
    """The program."""
    home = instance.of(call.env)
    try:
        os.stat(home.home + b"/.")
    except OSError:
        return netstringd.TROUBLE
    return netstringd.serve(Session(), intake.Intake(call, home, b"QMQP", None))


main = PROGRAM.entry(qmqpd)
