"""Recipients looked for at RCPT time on a classic host: qmail-smtpd as qmaild, who may not look everywhere."""

from __future__ import annotations

import pytest

from tests.support.classic import CONTROL, ClassicHost

pytestmark = pytest.mark.xdist_group("classic mail host")

HOST = b"mail.aaaa.hu"
NO_MAILBOX = b"550 sorry, no mailbox here by that name. (#5.1.1)"
EXPECTED = {
    b"anna": b"250 ok",
    b"Anna": b"250 ok",
    b"anna-list": b"250 ok",
    b"anna-nothing": NO_MAILBOX,
    b"bela": b"250 ok",
    b"bela-anything": b"250 ok",  # his home is closed to qmaild, who does not judge what he cannot see
    b"nobody-here": NO_MAILBOX,
    b"postmaster": b"250 ok",  # ~alias/.qmail-postmaster
    b"root": NO_MAILBOX,
    b"assigned": b"250 ok",  # users/cdb
    b"x@virtual.example": b"250 ok",  # anna-v-default
    b"x@elsewhere.example": b"250 ok",
}


def test_qmaild_refuses_whom_no_delivery_would_find() -> None:
    with ClassicHost() as classic:
        classic.add_classic_accounts()
        for name in ("anna", "bela"):
            classic.add_user(name)
        domains = f"{CONTROL['rcpthosts']}\nvirtual.example\nelsewhere.example"
        control = {**CONTROL, "rcpthosts": domains, "virtualdomains": "virtual.example:anna-v", "rcptcheck": "mailbox"}
        classic.make_mail_host(**control)
        for file in ("home/anna/.qmail-list", "home/anna/.qmail-v-default", "var/qmail/alias/.qmail-postmaster"):
            classic.write(f"/{file}", "./Mailbox\n")
        classic.file("/home/bela").chmod(0o700)
        uid, gid = classic.account("anna")
        classic.write("/var/qmail/users/assign", f"=assigned:anna:{uid}:{gid}:/home/anna:::\n.\n")
        classic.must("qmail-newu")
        addresses = [name if b"@" in name else name + b"@" + HOST for name in EXPECTED]
        said = b"MAIL <>\r\n" + b"".join(b"RCPT TO:<%b>\r\n" % address for address in addresses) + b"QUIT\r\n"
        heard = classic.run("setuidgid", "qmaild", "qmail-smtpd", stdin=said)
        assert heard.code == 0
        assert dict(zip(EXPECTED, heard.out.splitlines()[2:-1], strict=True)) == EXPECTED
        assert heard.err.count(b" 550 sorry, no mailbox here") == 3
