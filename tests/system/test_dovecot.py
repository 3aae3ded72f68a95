"""Dovecot on the Maildirs that qmail-local fills: IMAP shows the same mail, and POP3 clients of both see the same ids."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.classic import CONTROL, ClassicHost
from tests.support.house import demand, until

pytestmark = [pytest.mark.xdist_group("dovecot"), pytest.mark.slow]

CONFIG = """\
protocols = imap pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
log_path = /var/log/dovecot.log
mail_location = maildir:~/Maildir
mail_privileged_group =
first_valid_uid = 1
pop3_uidl_format = %f
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = passwd
}
service imap-login {
  inet_listener imap {
    port = 143
  }
}
service pop3-login {
  inet_listener pop3 {
    port = 1110
  }
}
"""
MESSAGES = [b"Subject: %d\n\n.dot\n\nline %d\n" % (i, i) for i in range(5)]


@pytest.fixture(scope="module")
def host() -> Iterator[ClassicHost]:
    """anna has mail; Dovecot serves IMAP on 143 and POP3 on 1110, our chain POP3 on 110."""
    demand("dovecot", "dovecot-imapd")
    with ClassicHost() as house:
        house.add_classic_accounts()
        house.add_user("anna", "secret")
        house.must("setpriv", "--reuid=anna", "--clear-groups", "maildirmake", "/home/anna/Maildir")
        house.make_mail_host(**CONTROL)
        house.start_qmail("./Maildir/")
        for number, message in enumerate(MESSAGES, 1):
            house.must("qmail-inject", "anna@mail.aaaa.hu", stdin=message)
            house.wait_for_files("/home/anna/Maildir/new", number)
        house.write("/etc/dovecot/dovecot.conf", CONFIG)
        house.start("dovecot", "-F")
        chain = ("qmail-popup", "mail.aaaa.hu", "checkpassword", "qmail-pop3d", "Maildir")
        house.start("tcpserver", "-HRl0", "127.0.0.1", "110", *chain, env={"NOAPOP": ""})  # curl would use it
        # qmail-pop3d leaves out what came in the current second.
        until(lambda: len(unique_ids(house, 110)) == len(MESSAGES), "qmail-pop3d shows all mail")
        until(lambda: house.run("curl", "-s", "imap://127.0.0.1/").code != 7, "Dovecot serves")
        yield house


def curl(host: ClassicHost, url: str, *words: str) -> bytes:
    """What a server shows anna."""
    return host.must("curl", "--silent", "--show-error", "--user", "anna:secret", *words, url)


def unique_ids(host: ClassicHost, port: int) -> dict[bytes, int]:
    """Message numbers by what UIDL says."""
    done = host.run("curl", "--silent", "--user", "anna:secret", "-X", "UIDL", f"pop3://127.0.0.1:{port}/")
    return {line.split()[1]: int(line.split()[0]) for line in done.out.splitlines() if line}


def by_pop3(host: ClassicHost, port: int) -> dict[bytes, bytes]:
    """Messages by unique id."""
    return {name: curl(host, f"pop3://127.0.0.1:{port}/{n}").rstrip() for name, n in unique_ids(host, port).items()}


def stored(host: ClassicHost) -> dict[bytes, bytes]:
    """The same from the Maildir itself."""
    files = [*host.file("/home/anna/Maildir/new").iterdir(), *host.file("/home/anna/Maildir/cur").iterdir()]
    return {file.name.partition(":")[0].encode(): file.read_bytes().replace(b"\n", b"\r\n").rstrip() for file in files}


def test_dovecot_serves_what_qmail_local_delivered_and_qmail_pop3d_what_dovecot_has_touched(host: ClassicHost) -> None:
    before = stored(host)
    assert len(before) == len(MESSAGES)
    for message in MESSAGES:
        assert any(found.endswith(message.replace(b"\n", b"\r\n").rstrip()) for found in before.values())
    assert by_pop3(host, 110) == before
    assert by_pop3(host, 1110) == before  # the same ids: a client that is moved fetches nothing twice
    by_imap = [curl(host, f"imap://127.0.0.1/INBOX;MAILINDEX={n + 1}").rstrip() for n in range(len(MESSAGES))]
    assert sorted(by_imap) == sorted(before.values())
    seen = [file.name for file in host.file("/home/anna/Maildir/cur").iterdir()]
    assert len(seen) == len(MESSAGES) and all(name.endswith(":2,S") for name in seen)
    assert by_pop3(host, 110) == stored(host) == before  # moved and marked by Dovecot, still the same to us


def test_what_is_deleted_by_one_is_gone_for_the_other(host: ClassicHost) -> None:
    before = by_pop3(host, 110)
    gone, number = next(iter(unique_ids(host, 110).items()))
    curl(host, f"pop3://127.0.0.1:110/{number}", "--list-only", "-X", "DELE")
    assert by_pop3(host, 110).keys() == before.keys() - {gone}
    assert by_pop3(host, 1110).keys() == before.keys() - {gone}
    curl(host, "imap://127.0.0.1/INBOX", "-X", "STORE 1:2 +FLAGS \\Deleted")
    curl(host, "imap://127.0.0.1/INBOX", "-X", "EXPUNGE")
    assert by_pop3(host, 110) == by_pop3(host, 1110) == stored(host)
    assert len(stored(host)) == len(before) - 3
