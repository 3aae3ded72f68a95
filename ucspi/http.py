"""Print a page from a web server, without its header.  http@(1).

Empty lines of the page are left out and its last line is ended, as in the original.
Exits 0; what tcpclient has to say stands on descriptor 2."""

from __future__ import annotations

from ucspi.core import netquery
from ucspi.core.command import Call, Program

PROGRAM = Program("http@", __doc__, operands="[HOST [PAGE [PORT]]]")


def http(call: Call) -> int:
    """Ask and print."""
    host, page = netquery.operand(call.operands, 0, b"0"), netquery.operand(call.operands, 1, b"")
    port = netquery.operand(call.operands, 2, b"80")
    question = b"GET /%b HTTP/1.0\nHost: %b:%b\n\n" % (page, host, port)
    return netquery.ask(host, port, question, call.env, netquery.Body())


main = PROGRAM.entry(http)
