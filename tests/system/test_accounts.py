"""POP3 for the system's own accounts: real passwd and shadow, each process its user's."""

from __future__ import annotations

import os
import poplib
import socket

import pytest

from tests.support.classic import CONTROL, ClassicHost
from tests.support.house import demand, until
from tests.support.server import WAYS

pytestmark = pytest.mark.xdist_group("classic mail host")

PEOPLE = {"anna": ("titok egy", "YESCRYPT"), "bela": ("Titok:kettő", "SHA512")}


class Pop3(poplib.POP3):
    """poplib on a connection that is there already."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        super().__init__("the house")

    def _create_socket(self, timeout: float) -> socket.socket:
        return self._connection


def log_in(host: ClassicHost, user: str, password: str) -> Pop3:
    client = Pop3(host.connect(110))
    client.encoding = "utf-8"
    client.user(user)
    client.pass_(password)
    return client


def serving(host: ClassicHost) -> set[int]:
    """The people whose processes run.  In a chain the last program keeps the name of the first in ps; and whoever has
    got mail has a child of qmail-lspawn waiting for more."""
    found = (uids for name, uids in host.processes().items() if name != "qmail-lspawn")
    return set().union(*found) & {host.account(user)[0] for user in PEOPLE}


@pytest.fixture
def people(host: ClassicHost) -> ClassicHost:
    """Two people with mail, delivered by the mail host."""
    for user, (password, method) in PEOPLE.items():
        host.add_user(user, password, method)
        host.must("setuidgid", user, "maildirmake", f"/home/{user}/Maildir")
        shadow = host.file("/etc/shadow").read_text()
        assert f"{user}:{'$y$' if method == 'YESCRYPT' else '$6$'}" in shadow
    host.make_mail_host(**CONTROL)
    host.start_dns()  # tcpserver asks for every client's name
    host.start_qmail("./Maildir/")
    for user in PEOPLE:
        text = f"Subject: for {user}\n\nonly for {user}\n".encode()
        host.must("qmail-inject", f"{user}@mail.aaaa.hu", stdin=text)
    for user in PEOPLE:
        (file,) = host.wait_for_files(f"/home/{user}/Maildir/new")
        os.utime(file, (1, 1))  # qmail-pop3d leaves out what came in this very second
    return host


@pytest.mark.parametrize("way", WAYS)
def test_each_account_reads_its_own_mail_in_a_process_of_its_own(people: ClassicHost, way: str) -> None:
    people.start(
        *("tcpserver", "0", "110", "qmail-popup", "mail.aaaa.hu", "checkpassword", "qmail-pop3d", "Maildir"),
        env=WAYS[way],
    )
    clients = {user: log_in(people, user, password) for user, (password, _) in PEOPLE.items()}
    for user, client in clients.items():
        assert client.stat()[0] == 1
        message = b"\n".join(client.retr(1)[1])
        assert b"only for %b" % user.encode() in message
    uids = {people.account(user)[0] for user in PEOPLE}
    assert serving(people) == uids
    clients["anna"].dele(1)
    for client in clients.values():
        client.quit()
    until(lambda: not serving(people), lambda: f"they are gone: {people.processes()}")
    assert list(people.file("/home/anna/Maildir/new").iterdir()) == []
    assert len(list(people.file("/home/bela/Maildir/cur").iterdir())) == 1
    again = log_in(people, "anna", PEOPLE["anna"][0])
    assert again.stat() == (0, 0)
    again.quit()


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("anna", "Titok:kettő"),
        ("anna", "x"),
        ("bela", "titok egy"),
        ("nobody-here", "titok egy"),
        ("daemon", "*"),
        ("root", "*"),
    ],
)
def test_a_wrong_password_is_refused(people: ClassicHost, user: str, password: str) -> None:
    people.start("tcpserver", "0", "110", "qmail-popup", "mail.aaaa.hu", "checkpassword", "qmail-pop3d", "Maildir")
    with pytest.raises(poplib.error_proto, match=r"-ERR authorization failed"):
        log_in(people, user, password)
    assert serving(people) == set()


def test_the_original_tcpserver_serves_them_too(people: ClassicHost) -> None:
    demand("tcpserver", "ucspi-tcp")
    people.start(
        *("/usr/bin/tcpserver", "0", "110", "qmail-popup", "mail.aaaa.hu", "checkpassword", "qmail-pop3d", "Maildir")
    )
    client = log_in(people, "anna", PEOPLE["anna"][0])
    assert client.stat()[0] == 1
    assert serving(people) == {people.account("anna")[0]}
    client.quit()
