"""Programs that people use against a running host: swaks sends, curl, poplib and mpop read, byte for byte."""

from __future__ import annotations

import email
import email.policy
import os
import poplib
import random
import shutil
import smtplib
import subprocess
from pathlib import Path

import pytest

from tests.support.host import Host, host

__all__ = ["host"]

HEADER = (b"Return-Path: <anna@client.example>\n", b"Delivered-To: demo@localhost\n")
BIG = 20_000_000


def program(name: str) -> str:
    """The path of a Debian program, or a skip."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def swaks(host: Host, *words: str) -> str:
    argv = [program("swaks"), "--server", f"127.0.0.1:{host.smtp}", "--from", "anna@client.example"]
    done = subprocess.run([*argv, "--to", host.address, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def lines_of(seed: int, size: int, without: bytes = b"\r\n\0") -> bytes:
    """A message of at least `size` bytes: every byte that SMTP carries, and lines that begin with dots."""
    chance = random.Random(seed)
    alphabet = bytes(sorted(set(range(256)) - set(without)))
    block = b"".join(
        chance.choice((b"", b".", b"..", b"From "))
        + bytes(chance.choices(alphabet, k=chance.randrange(0, 900)))
        + b"\n"
        for _ in range(200)
    )
    head = b"Subject: a message of %d bytes\nFrom: anna@client.example\n\n.\n..\n" % size
    return head + block * (max(0, size - len(head)) // len(block) + 1)


def bodies(host: Host, count: int) -> list[bytes]:
    """The messages in the mailbox without the three lines, two of them two lines long, that our delivery adds."""
    found = []
    for message in host.mail(count, 60):
        assert message.startswith(b"".join(HEADER) + b"Received: (qmail ")
        head, _, rest = message.partition(b" by localhost with SMTP; ")
        assert b"Received: from " in head
        found.append(rest.partition(b"\n")[2])
    return found


def pop3_lines(host: Host, number: int) -> bytes:
    """A message as poplib retrieves it, with the line ends of a file and without the empty line of qmail-pop3d."""
    box = poplib.POP3("127.0.0.1", host.pop3, timeout=60)
    box.user(host.user)
    box.pass_(host.password)
    _, lines, _ = box.retr(number)
    box.quit()
    assert lines[-1] == b""
    return b"".join(line + b"\n" for line in lines[:-1])


def curl(host: Host, number: int) -> bytes:
    url = f"pop3://127.0.0.1:{host.pop3}/{number}"
    argv = [program("curl"), "--silent", "--show-error", "--user", f"{host.user}:{host.password}", url]
    done = subprocess.run(argv, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"\r\n\r\n")
    return done.stdout[:-2].replace(b"\r\n", b"\n")


def test_what_swaks_attaches_comes_out_of_poplib_and_curl(host: Host, tmp_path: Path) -> None:
    files = {"picture.png": os.urandom(300_000), "note.txt": "Árvíztűrő\n".encode(), "empty.bin": b""}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    attached = []
    for name in files:
        attached += ["--attach-name", name, "--attach-type", "application/octet-stream"]
        attached += ["--attach", f"@{tmp_path}/{name}"]
    with host:
        swaks(host, "--body", "See these.", *attached)
        (stored,) = host.readable()
        retrieved = pop3_lines(host, 1)
        assert retrieved == stored
        assert curl(host, 1) == stored
    parts = email.message_from_bytes(retrieved, policy=email.policy.default).iter_attachments()
    assert {part.get_filename(): part.get_payload(decode=True) for part in parts} == files


def test_twenty_megabytes_pass_unchanged(host: Host, tmp_path: Path) -> None:
    message = lines_of(1, BIG, b"\r\n\0\\%")  # the last two mean something to swaks
    assert len(message) >= BIG
    (tmp_path / "data").write_bytes(message.replace(b"\n", b"\r\n"))
    with host:
        swaks(host, "--data", f"@{tmp_path}/data", "--hide-all")
        (body,) = bodies(host, 1)
        assert body.rstrip(b"\n") == message.rstrip(b"\n")  # swaks ends the last line anew
        (stored,) = host.readable()
        assert curl(host, 1) == stored


def test_any_bytes_that_smtp_carries_come_back(host: Host) -> None:
    message = lines_of(2, 200_000)
    with host:
        assert host.send("anna@client.example", [host.address], message) == {}
        assert bodies(host, 1) == [message]
        (stored,) = host.readable()
        assert curl(host, 1) == stored


def test_mpop_fetches_and_deletes(host: Host, tmp_path: Path) -> None:
    mpop = program("mpop")
    box = tmp_path / "box"
    for part in ("tmp", "new", "cur"):
        (box / part).mkdir(parents=True)
    messages = [lines_of(seed, 2000) for seed in (3, 4, 5)]
    with host:
        for message in messages:
            host.send("anna@client.example", [host.address], message)
        stored = host.readable(3)
        rc = tmp_path / "mpoprc"
        rc.write_text(
            f"account host\nhost 127.0.0.1\nport {host.pop3}\nuser {host.user}\npassword {host.password}\nauth user\n"
            f"tls off\ndelivery maildir {box}\nuidls_file {tmp_path}/uidls\nkeep off\nreceived_header off\n"
        )
        rc.chmod(0o600)
        done = subprocess.run([mpop, "-C", str(rc), "host"], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert sorted(file.read_bytes() for file in (box / "new").iterdir()) == sorted(
            message + b"\n" for message in stored
        )
        assert [name for part in ("new", "cur") for name in os.listdir(host.maildir / part)] == []


def test_a_wrong_password_and_an_unknown_user_are_told_apart_by_nobody(host: Host) -> None:
    with host:
        answers = []
        for user, password in ((host.user, "wrong"), ("nobody-at-all", host.password), (host.user, "")):
            box = poplib.POP3("127.0.0.1", host.pop3, timeout=60)
            box.user(user)
            with pytest.raises(poplib.error_proto) as error:
                box.pass_(password)
            answers.append(str(error.value))
            box.close()
        assert answers[:2] == ["b'-ERR authorization failed'"] * 2


def test_a_host_that_is_stopped_and_started_finds_its_mail_and_its_password(host: Host) -> None:
    with host:
        host.send("anna@client.example", [host.address], b"Subject: kept\n\nbody\n")
        (stored,) = host.readable()
    host.make()
    with host:
        assert pop3_lines(host, 1) == stored
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            swaksless = smtplib.SMTP("127.0.0.1", host.smtp, timeout=60)
            swaksless.sendmail("a@b.example", ["x" * 5000 + "@localhost"], b"x\n")


def test_fetchmail_fetches_and_deletes(host: Host, tmp_path: Path) -> None:
    fetchmail = program("fetchmail")
    messages = [b"Subject: %d\n\n.dot\n\nline %d\n" % (i, i) for i in range(3)]
    with host:
        for message in messages:
            host.send("anna@client.example", [host.address], message)
        stored = host.readable(3)
        rc = tmp_path / "fetchmailrc"
        rc.write_text(
            f'poll 127.0.0.1 service {host.pop3} protocol pop3 uidl\n  user "{host.user}" password "{host.password}"\n'
            f'  sslproto "" fetchall mda "cat >>{tmp_path}/box"\n'
        )
        rc.chmod(0o600)
        environment = {"FETCHMAILHOME": str(tmp_path), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        done = subprocess.run([fetchmail, "-f", str(rc)], capture_output=True, timeout=60, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        box = (tmp_path / "box").read_bytes()
        for message in stored:
            assert message.partition(b"\n\n")[2] in box
        assert [name for part in ("new", "cur") for name in os.listdir(host.maildir / part)] == []
        again = subprocess.run([fetchmail, "-f", str(rc)], capture_output=True, timeout=60, env=environment)
        assert again.returncode == 1, again  # no mail


def test_getmail_fetches_what_it_has_not_seen(host: Host, tmp_path: Path) -> None:
    getmail = program("getmail")
    box = tmp_path / "box"
    rc = tmp_path / "getmailrc"
    rc.write_text(
        f"[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {host.pop3}\nuse_stls = false\n"
        f"username = {host.user}\npassword = {host.password}\n"
        f"[destination]\ntype = MDA_external\npath = /usr/bin/tee\narguments = ('-a', '{box}')\n"
        "allow_root_commands = true\nunixfrom = false\n"  # root may not deliver in any other way
        "[options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\n"
    )
    argv = [getmail, f"--getmaildir={tmp_path}", f"--rcfile={rc}"]
    with host:
        for number in range(2):
            host.send("anna@client.example", [host.address], b"Subject: %d\n\n.dot\n\nline\n" % number)
            host.readable(1)
            done = subprocess.run(argv, capture_output=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr
            fetched = box.read_bytes()
            assert fetched.count(b"Delivered-To: ") == number + 1  # ids are the same from session to session
            assert b"\nSubject: %d\n\n.dot\n\nline\n" % number in fetched


def test_mutt_sends_by_smtp_and_reads_by_pop3(host: Host, tmp_path: Path) -> None:
    mutt = program("mutt")
    rc = tmp_path / "muttrc"
    rc.write_text(
        f'set smtp_url="smtp://127.0.0.1:{host.smtp}/" from="anna@client.example" copy=no ssl_starttls=no ssl_force_tls=no\n'
        f'set pop_host="pop://{host.user}:{host.password}@127.0.0.1:{host.pop3}" pop_authenticators="user" pop_delete=yes\n'
        f'set folder="{tmp_path}" spoolfile="{tmp_path}/spool" mbox_type=mbox move=no delete=yes quit=yes\n'
    )
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "xterm"}
    (tmp_path / "spool").touch()
    argv = [mutt, "-n", "-F", str(rc)]
    with host:
        sent = subprocess.run(
            [*argv, "-s", "hello", host.address],
            input=b".dot\nline\n",
            capture_output=True,
            timeout=60,
            env=environment,
        )
        assert sent.returncode == 0, sent
        (stored,) = host.readable()
        assert b"\nSubject: hello\n" in stored and stored.endswith(b"\n\n.dot\nline\n")
        # mutt wants a terminal to read mail: script(1) is one.
        words = " ".join([*argv, "-e", "'push <fetch-mail><sync-mailbox><exit>'"])
        subprocess.run(
            [program("script"), "-qec", words, "/dev/null"], capture_output=True, timeout=60, env=environment
        )
        assert b".dot\nline\n" in (tmp_path / "spool").read_bytes()
        assert [name for part in ("new", "cur") for name in os.listdir(host.maildir / part)] == []
