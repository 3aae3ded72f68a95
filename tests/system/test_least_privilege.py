"""SECURITY.md's table, tried: what each account of the mail system reaches, file by file and call by call, as root set it
up; what a .qmail command is given; and what qmail-queued can be made to do."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmail.core.envelope import pack
from tests.support.house import until
from tests.support.installed import HOME, InstalledHost, interpreter
from tests.support.launchers import ROOT

pytestmark = [pytest.mark.xdist_group("least privilege"), pytest.mark.timeout(300)]

NAME = "mail.example"
PROBE = "/var/probe.py"
QUEUED = f"{HOME}/run/queued"

# account: the only group it has.  What its processes may read and write of the places below; all else is refused.
ACCOUNTS = {"qmaild": "nofiles", "qmaill": "nofiles", "qmails": "qmail", "qmailr": "qmail", "qmailq": "qmail"}
PLACES = (f"{HOME}/queue", f"{HOME}/run", "/home", "/etc/shadow", "/var/log/qmail")
# What SECURITY.md's names of places mean; a directory's marks count for all in it unless the name ends in $.
NAMES = {
    "queue": r"queue$",
    "queue/lock": r"queue/lock$",
    **{name: rf"queue/{name}(/|$)" for name in ("todo", "mess", "pid", "intd", "info", "local", "remote", "bounce")},
    "hold": r"queue/hold(/|$)",
    **{f"lock/{name}": rf"queue/lock/{name}$" for name in ("sendmutex", "trigger", "tcpto")},
    "run": r"run$",
    "run/queued": r"run/queued$",
    "/home": r"^/home/\w+/(Mailbox|Maildir)",
    "/etc/shadow": r"^/etc/shadow$",
    "/var/log/qmail": r"^/var/log/qmail/\w+",
}


def table() -> dict[str, list[tuple[str, str]]]:
    """SECURITY.md's: for each account, patterns of paths and what is allowed there."""
    text = (ROOT / "SECURITY.md").read_text().partition("\n## What each reaches\n")[2].partition("\n## ")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]
    assert set(head[1:]) == set(ACCOUNTS)
    found: dict[str, list[tuple[str, str]]] = {user: [] for user in ACCOUNTS}
    for places, *cells in rows:
        for name in re.findall("`([^`]+)`", places):
            pattern = NAMES[name if name in NAMES else name.removeprefix("queue/")]
            for user, marks in zip(head[1:], cells, strict=True):
                found[user].append((pattern, marks))
    assert {pattern for pattern, _ in found["qmaild"]} == set(NAMES.values())
    return found


EVERYBODY = [  # open to every user of the machine; what is in them is not
    (r"^/home$|^/home/\w+$|^/var/log/qmail$", "l"),
    (r"\.(qmail|profile|bashrc|bash_logout)[^/]*$", "r"),
]


@pytest.fixture(scope="module")
def machine() -> Iterator[InstalledHost]:
    """A mail host at work: with mail in every part of the queue, in a Mailbox and in a Maildir, and with logs."""
    with InstalledHost() as made:
        made.set_up()
        made.must("qmail-config-fast", NAME)
        made.control(smtproutes=":127.0.0.1:9")  # nobody listens: what is for elsewhere stays in the queue
        for user in ("anna", "bela"):
            made.add_user(user, "titok")
        made.must("groupadd", "club")
        made.must("usermod", "-a", "-G", "club", "anna")
        made.must("setuidgid", "bela", "maildirmake", "/home/bela/Maildir")
        made.must("sh", "-c", "echo ./Maildir/ >/home/bela/.qmail; chown bela: /home/bela/.qmail")
        made.file(PROBE).write_bytes((Path(__file__).parents[1] / "support/probe.py").read_bytes())
        made.start_dns()
        made.must("qmail-services", "/var/qmail/supervise")

        for name in ("qmail", "smtpd", "pop3d"):
            script = 'cd "/var/qmail/supervise/$0" && ./run | ./log/run'
            made.start("sh", "-c", script, name)
        made.connect(25).close()
        made.connect(110).close()
        until(lambda: made.file(QUEUED).exists(), "qmail-queued listens")
        for recipient in ("anna", "bela", "x@elsewhere.example"):
            made.must("qmail-inject", recipient, stdin=b"Subject: proba\n\negy\n")
        made.wait_for("/home/anna/Mailbox", "^egy$")
        made.wait_for_files("/home/bela/Maildir/new")
        made.wait_for("/var/log/qmail/qmail/current", r"delivery \d+: deferral")
        yield made


def as_user(host: InstalledHost, user: str, *words: str, stdin: bytes = b"") -> dict[str, object]:
    """What the probe finds, run with exactly the ids that the mail system gives the account's processes."""
    argv = ["setpriv", f"--reuid={user}", f"--regid={ACCOUNTS.get(user, user)}", "--clear-groups", "--"]
    return json.loads(host.must(*argv, interpreter(), "-I", PROBE, *words, stdin=stdin))  # type: ignore[no-any-return]


def everything(host: InstalledHost, *tops: str) -> list[str]:
    found = []
    for top in tops:
        root = host.file(top)
        found += [top, *(f"{top}/{path.relative_to(root)}" for path in root.rglob("*"))]
    return found


@pytest.mark.parametrize("user", ACCOUNTS)
def test_an_account_reaches_what_its_row_says_and_nothing_else(machine: InstalledHost, user: str) -> None:
    paths = everything(machine, *PLACES)
    assert len(paths) > 130 and any("/queue/remote/" in path and path.count("/") == 6 for path in paths)
    reached = as_user(machine, user, "files", stdin=json.dumps(paths).encode())
    wrong, rows = {}, [*table()[user], *EVERYBODY]
    for path, found in reached.items():
        allowed = next((marks for pattern, marks in rows if re.search(pattern, path)), "")
        if machine.file(path).is_dir():
            allowed = "".join(mark for mark in allowed if mark in "lc")
        elif machine.file(path).is_socket():
            allowed = "".join(mark for mark in allowed if mark == "w")
        elif not machine.file(path).is_symlink():
            allowed = "".join(mark for mark in allowed if mark in "rw")
        if found != allowed:
            wrong[path] = (found, allowed)
    assert wrong == {}


@pytest.mark.parametrize("user", [*ACCOUNTS, "anna"])
def test_no_account_can_change_programs_configuration_or_the_mail_of_others(machine: InstalledHost, user: str) -> None:
    tops = (f"{HOME}/bin", f"{HOME}/boot", f"{HOME}/control", f"{HOME}/users", f"{HOME}/alias", f"{HOME}/supervise")
    paths = [HOME, *everything(machine, *tops, "/usr/local"), "/home/bela/Maildir", "/home/bela/Maildir/new"]
    reached = as_user(machine, user, "files", stdin=json.dumps(paths).encode())
    assert {path: found for path, found in reached.items() if set(str(found)) & set("cw")} == {}
    assert reached["/home/bela/Maildir"] == reached["/home/bela/Maildir/new"] == ""


@pytest.mark.parametrize("user", ACCOUNTS)
def test_an_account_signals_traces_and_reads_only_its_own_processes(machine: InstalledHost, user: str) -> None:
    owners = {}
    for directory in machine.file("/proc").glob("[0-9]*"):
        try:
            owners[int(directory.name)] = int(re.search(r"^Uid:\t(\d+)", (directory / "status").read_text(), re.M)[1])  # type: ignore[index]
        except OSError:
            continue
    found = as_user(machine, user, "processes")
    own = machine.account(user)[0]
    for how in ("signal", "trace", "memory"):
        strangers = {pid: owners[pid] for pid in found[how] if owners.get(pid, own) != own}  # type: ignore[attr-defined]
        assert strangers == {}, how
    others = {uid for uid in owners.values() if uid != own}
    assert len(others) >= 4  # there was somebody to reach


@pytest.mark.parametrize("user", [*ACCOUNTS, "alias"])
def test_an_account_has_no_privilege(machine: InstalledHost, user: str) -> None:
    if user == "alias":
        argv = ["setpriv", "--reuid=alias", "--regid=nofiles", "--clear-groups", "--", interpreter(), "-I", PROBE]
        assert json.loads(machine.must(*argv, "privileges")) == {}
        return
    assert as_user(machine, user, "privileges") == {}


def test_running_daemons_have_the_ids_of_the_table_and_no_capabilities(machine: InstalledHost) -> None:
    rows = {"qmail-send": "qmails", "qmail-rspawn": "qmailr", "qmail-clean": "qmailq", "qmail-queued": "qmailq"}
    seen = set()
    for directory in machine.file("/proc").glob("[0-9]*"):
        try:
            name = (directory / "cmdline").read_bytes().partition(b"\0")[0].partition(b" ")[0].decode()
            status = dict(
                line.split(":\t", 1) for line in (directory / "status").read_text().splitlines() if ":\t" in line
            )
            fds = {int(path.name): os.readlink(path) for path in (directory / "fd").iterdir()}
        except OSError:
            continue
        user = rows.get(name) or {"multilog": "qmaill"}.get(name)
        if name == "tcpserver" and status["Uid"].split()[0] != "0":
            user = "qmaild"
        if user is None:
            continue
        uid = machine.account(user)[0]
        gid = next(
            int(row.split(":")[2])
            for row in machine.file("/etc/group").read_text().splitlines()
            if row.startswith(f"{ACCOUNTS[user]}:")
        )
        assert status["Uid"].split() == [str(uid)] * 4, name
        assert status["Gid"].split() == [str(gid)] * 4, name
        assert status["Groups"].split() == [str(gid)], name
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapInh"], 16) == 0, name
        assert not [target for target in fds.values() if target.startswith(("/etc", "/home"))], (name, fds)
        seen.add(user)
    assert seen == set(ACCOUNTS)


SCRIPT = """\
#!/bin/sh
exec >/home/anna/seen.new
id -u; id -g; id -G; pwd; umask
ls /proc/self/fd | tr '\\n' ' '; echo
echo ---
env
mv /home/anna/seen.new /home/anna/seen
"""


def test_a_qmail_command_has_the_recipients_ids_three_descriptors_and_a_known_environment(
    machine: InstalledHost,
) -> None:
    machine.write("/home/anna/look", SCRIPT, 0o755)
    machine.write("/home/anna/.qmail-look", "|./look\n")
    machine.must("chown", "anna:", "/home/anna/.qmail-look")
    machine.must("env", "SECRET=x", "qmail-inject", f"anna-look@{NAME}", stdin=b"Subject: proba\n\negy\n")
    seen = machine.wait_for("/home/anna/seen", "^---$")
    head, _, tail = seen.partition("---\n")
    uid, gid = machine.account("anna")
    assert head.splitlines()[:5] == [str(uid), str(gid), str(gid), "/home/anna", "0077"]
    # ls opens the directory it lists: that is its 3, and the shell's own standard descriptors are the rest
    assert head.splitlines()[5].split() == ["0", "1", "2", "3"]
    names = {line.partition("=")[0] for line in tail.splitlines() if re.match(r"\w+=", line)}
    # qmail-command(8); PATH is qmail-start's, PWD, OLDPWD, SHLVL and _ are the shell's own
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        *("PATH", "SENDER", "NEWSENDER", "RECIPIENT", "USER", "HOME", "HOST", "HOST2", "HOST3", "HOST4", "LOCAL"),
        *("EXT", "EXT2", "EXT3", "EXT4", "DEFAULT", "DTLINE", "RPLINE", "UFLINE"),
    } - ({"DEFAULT"} - names)


def call(host: InstalledHost, message: int, envelope: int) -> socket.socket:
    """Call qmail-queued as this process: as root, from outside."""
    caller = socket.socket(socket.AF_UNIX)
    caller.settimeout(60)
    caller.connect(str(host.file(QUEUED)))
    socket.send_fds(caller, [b"q"], [message, envelope])
    return caller


def queue_of(host: InstalledHost) -> set[str]:
    return {str(path) for path in host.file(f"{HOME}/queue").rglob("*") if path.is_file()}


def test_qmail_queued_reads_nothing_that_its_caller_could_not(machine: InstalledHost) -> None:
    # A descriptor that names a file but was never opened for reading; and one that may only be written.
    before = queue_of(machine)
    readable, writable = os.pipe()
    os.write(writable, pack(b"", [b"anna@" + NAME.encode()]))
    for fd in (os.open("/etc/shadow", os.O_PATH), os.open("/dev/null", os.O_WRONLY)):
        with call(machine, fd, readable) as caller:
            assert caller.recv(1) not in (b"", b"\0")
        os.close(fd)
    os.close(readable)
    os.close(writable)
    until(lambda: queue_of(machine) <= before, "and nothing is left of it")


CLAIM = """
import os, socket, struct, sys
caller = socket.socket(socket.AF_UNIX)
caller.connect(sys.argv[1])
message, envelope = os.memfd_create("m"), os.memfd_create("e")
os.write(message, b"Subject: by a stranger\\n\\negy\\n"); os.lseek(message, 0, 0)
os.write(envelope, b"Froot@mail.example\\0Tanna@mail.example\\0\\0"); os.lseek(envelope, 0, 0)
fds = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("ii", message, envelope))
claim = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("iII", 1, 0, 0))
try:
    caller.sendmsg([b"q"], [fds, claim])
    print("the kernel let it pass")
except PermissionError:
    caller.sendmsg([b"q"], [fds])
    print(caller.recv(1))
"""


def test_qmail_queued_queues_in_the_name_that_the_kernel_tells(machine: InstalledHost) -> None:
    argv = ["setuidgid", "nobody", interpreter(), "-I", "-c", CLAIM, QUEUED]
    assert machine.must(*argv) == b"b'\\x00'\n"
    text = machine.wait_for("/home/anna/Mailbox", "^Subject: by a stranger$")
    uid = machine.account("nobody")[0]
    assert re.search(rf"^Received: \(qmail \d+ invoked by uid {uid}\); .*\nSubject: by a stranger$", text, re.M)


CROWD = """
import os, resource, socket, struct, sys, time
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
silent, _ = os.pipe()
callers, refused = [], 0
for number in range(10000):
    caller = socket.socket(socket.AF_UNIX)
    caller.setblocking(False)
    try:
        caller.connect(sys.argv[1])
        socket.send_fds(caller, [b"q"], [silent, silent])
        callers.append(caller)
    except BlockingIOError:  # more than may wait
        refused += 1
        time.sleep(0.001)
    except OSError:
        refused += 1
print(len(callers), refused, flush=True)
sys.stdin.read()
"""


def test_ten_thousand_silent_callers_keep_nobody_else_from_queueing(machine: InstalledHost) -> None:
    argv = machine._inside(["setuidgid", "nobody", interpreter(), "-I", "-c", CROWD, QUEUED], "/")

    crowd = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": "/usr/local/bin:/usr/bin:/bin"}
    )
    assert crowd.stdin is not None and crowd.stdout is not None
    try:
        called, refused = (int(word) for word in crowd.stdout.readline().split())
        assert called + refused == 10000 and called >= 1000
        for user in ("bela", "qmaild"):
            stdin = f"Subject: in a crowd, by {user}\n\negy\n".encode()
            argv = ["setuidgid", user, "qmail-inject", "-a", f"anna@{NAME}"]
            machine.must(*argv, stdin=stdin, env={"QMAILSUSER": user, "QMAILSHOST": NAME})
            machine.wait_for("/home/anna/Mailbox", f"^Subject: in a crowd, by {user}$", 60)
    finally:
        crowd.stdin.close()
        crowd.wait(60)
        crowd.stdout.close()
    until(lambda: not list(machine.file(f"{HOME}/queue/pid").iterdir()), "and they leave nothing", 60)


def test_descriptors_that_are_no_message_are_refused_and_leave_nothing(machine: InstalledHost) -> None:
    before = queue_of(machine)
    zero, directory = os.open("/dev/zero", os.O_RDONLY), os.open("/", os.O_RDONLY)
    one, other = socket.socketpair()
    empty = os.memfd_create("empty")
    for message, envelope in ((directory, empty), (empty, directory), (empty, zero), (empty, empty)):
        with call(machine, message, envelope) as caller:
            assert caller.recv(1) not in (b"", b"\0")
    with call(machine, one.fileno(), empty) as caller:  # it waits for what comes; the caller hangs up
        pass
    with call(machine, zero, empty) as caller:  # a message without end lasts as long as its caller
        pass
    for fd in (zero, directory, empty):
        os.close(fd)
    one.close()
    other.close()

    def harmless() -> bool:
        """As after qmail-queue: nothing is queued; what a bad envelope leaves is small, and qmail-send's to remove."""
        left = queue_of(machine) - before
        return not any("/todo/" in path for path in left) and all(os.stat(path).st_size < 1024 for path in left)

    until(harmless, lambda: f"{queue_of(machine) - before}", 60)
    machine.must("qmail-inject", "anna", stdin=b"Subject: after all that\n\negy\n")
    machine.wait_for("/home/anna/Mailbox", "^Subject: after all that$")
