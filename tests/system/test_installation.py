"""make users, make setup check, make unsetup: by root, on a machine of its own."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator

import pytest

from tests.support.installed import HOME, PREFIX, SOURCE, InstalledHost, interpreter
from tests.support.programs import programs

pytestmark = [pytest.mark.xdist_group("installation"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def machine() -> Iterator[InstalledHost]:
    """A machine on which INSTALL.md's two commands were run."""
    with InstalledHost() as made:
        made.set_up()
        yield made


@pytest.fixture
def bare() -> Iterator[InstalledHost]:
    """A machine on which nothing was done."""
    with InstalledHost() as made:
        yield made


def test_setup_names_missing_accounts_and_changes_nothing_and_users_makes_them(bare: InstalledHost) -> None:
    before = bare.trace()
    refused = bare.make("setup")
    assert refused.code == 2
    assert b"users and groups are missing: qmail nofiles alias qmaild" in refused.err and b"make users" in refused.err
    assert bare.trace() == before
    assert bare.make("users").code == 0
    assert bare.make("users").out == b""
    for name, group in (("alias", "nofiles"), ("qmaild", "nofiles"), ("qmaill", "nofiles"), ("qmailp", "nofiles")):
        assert bare.must("id", "-gn", name).strip() == group.encode()
    for name in ("qmailq", "qmailr", "qmails"):
        assert bare.must("id", "-Gn", name).strip() == b"qmail"
    assert "alias:x:" in bare.file("/etc/passwd").read_text()
    assert f":{HOME}/alias:" in bare.file("/etc/passwd").read_text()


def test_every_program_is_where_the_original_is_and_starts(machine: InstalledHost) -> None:
    assert not machine.file(f"{HOME}/bin/hostname").exists()  # it would hide the system's
    for name, module in programs().items():
        if name == "hostname":
            continue
        own = module.startswith("qmail.") and not module.startswith(("qmail.checkpassword", "qmail.analog."))
        file = machine.file(f"{HOME if own else PREFIX}/bin/{name}")
        first = file.read_text().splitlines()[0]
        assert re.fullmatch(rf"#!{PREFIX}/lib/ucspi-qmail/\S+/bin/python -IS", first), name
    for name in ("tcpserver", "qmail-smtpd", "checkpassword", "who@"):
        for user in ("root", "qmaild", "nobody"):
            said = machine.must("setuidgid", user, name, "--version")
            assert said.startswith(name.encode() + b" ")


def test_directories_and_queue_have_the_originals_owners_and_modes(machine: InstalledHost) -> None:
    uids = {name: machine.account(name)[0] for name in ("alias", "qmailq", "qmailr", "qmails")} | {"root": 0}
    group = machine.account("qmailq")[1]
    queue = {
        "": ("root", 0o755),
        "control": ("root", 0o755),
        "users": ("root", 0o755),
        "bin": ("root", 0o755),
        "alias": ("alias", 0o2755),
        "queue": ("qmailq", 0o750),
        "queue/pid": ("qmailq", 0o700),
        "queue/intd": ("qmailq", 0o700),
        "queue/todo": ("qmailq", 0o750),
        "queue/bounce": ("qmails", 0o700),
        "queue/lock": ("qmailq", 0o750),
        "queue/lock/tcpto": ("qmailr", 0o644),
        "queue/lock/sendmutex": ("qmails", 0o600),
        "queue/lock/trigger": ("qmails", 0o622),
    }
    for number in range(23):
        queue[f"queue/mess/{number}"] = ("qmailq", 0o750)
        for name in ("info", "local", "remote"):
            queue[f"queue/{name}/{number}"] = ("qmails", 0o700)
    for name, (owner, mode) in queue.items():
        about = machine.file(f"{HOME}/{name}").lstat()
        assert (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (uids[owner], group, mode), name
    assert machine.file(f"{HOME}/queue/lock/tcpto").stat().st_size == 1024
    assert stat.S_ISFIFO(machine.file(f"{HOME}/queue/lock/trigger").stat().st_mode)


def test_nothing_is_setuid_and_nobody_but_root_may_write_a_program(machine: InstalledHost) -> None:
    for name, (mode, uid, _, _) in machine.trace().items():
        if name.startswith((PREFIX, f"{HOME}/bin", f"{HOME}/boot")):
            assert uid == 0, name
            assert stat.S_ISLNK(mode) or not mode & (stat.S_IWGRP | stat.S_IWOTH), name
        assert not mode & (stat.S_ISUID | stat.S_ISGID) or name == f"{HOME}/alias", name


def test_a_second_setup_changes_and_reports_nothing(machine: InstalledHost) -> None:
    def times() -> dict[str, int]:
        return {name: machine.file(name).lstat().st_mtime_ns for name in machine.trace()}

    before, changed = machine.trace(), times()
    again = machine.make("setup", "check")
    assert (again.code, again.out, again.err) == (0, b"", b"")
    assert machine.trace() == before
    assert times() == changed


DAMAGE = {
    "chmod 777 /var/qmail/queue": "/var/qmail/queue: has wrong permissions: 0777, not 0750",
    "chown root /var/qmail/queue/mess/7": "/var/qmail/queue/mess/7: has wrong owner: 0, not qmailq",
    "chgrp root /var/qmail/queue/lock/tcpto": "/var/qmail/queue/lock/tcpto: has wrong group: 0, not qmail",
    "rm /var/qmail/queue/lock/trigger": "/var/qmail/queue/lock/trigger: does not exist",
    "chmod 4755 /var/qmail/bin/qmail-queue": "/var/qmail/bin/qmail-queue: has wrong permissions: 4755, not 0755",
    "echo >>/usr/local/bin/tcpserver": "/usr/local/bin/tcpserver: has wrong content",
    "rm /usr/local/share/man/man8/qmail-queue.8": "/usr/local/share/man/man8/qmail-queue.8: does not exist",
    "touch -r LIB LIB/evil.pth": "LIB/evil.pth: is not part of the installation",
    "echo >>LIB/qmail/queue.py": "LIB/qmail/queue.py: has wrong content",
}


def test_check_names_everything_that_differs_and_setup_mends_it(machine: InstalledHost) -> None:
    (library,) = machine.file(f"{PREFIX}/lib/ucspi-qmail").glob("*/lib/python3*/site-packages")
    lib = f"/{library.relative_to(machine.root)}"
    for damage in DAMAGE:
        machine.must("sh", "-c", damage.replace("LIB", lib))
    found = machine.make("instcheck")
    assert found.code == 2
    assert sorted(found.out.decode().splitlines()) == sorted(line.replace("LIB", lib) for line in DAMAGE.values())
    mended = machine.make("setup", "check")
    assert mended.code == 0, mended
    assert machine.make("instcheck").out == b""
    assert machine.file(f"{HOME}/queue/lock/tcpto").stat().st_size == 1024


def test_a_setup_that_was_cut_short_has_a_list_of_all_it_made_and_is_completed_by_the_next(bare: InstalledHost) -> None:
    bare.make("users")
    obstacle, behind = f"{PREFIX}/bin/matchup", f"{PREFIX}/bin/zsuids"
    bare.must("mkdir", "-p", f"{HOME}/bin", obstacle)
    bare.write(f"{HOME}/bin/qmail-send", "an original", 0o711)
    before = bare.trace()
    cut = bare.make("setup")
    assert cut.code == 2 and f"{obstacle}: is a directory".encode() in cut.err
    assert bare.file(f"{HOME}/bin/qmail-smtpd").exists() and not bare.file(behind).exists()
    listed = {
        line.rpartition(" ")[2] for line in bare.file(f"{PREFIX}/lib/ucspi-qmail/manifest").read_text().splitlines()
    }
    made = {
        name.rstrip("/.") for name in bare.trace().keys() - before.keys() if name.startswith((PREFIX, f"{HOME}/bin/"))
    }
    beside = {f"{PREFIX}/lib/ucspi-qmail/manifest", f"{HOME}/bin/.replaced", f"{HOME}/bin/.replaced/qmail-send"}
    assert made - listed == beside  # so that `make unsetup` can take it away
    bare.must("rmdir", obstacle)
    completed = bare.make("setup", "check")
    assert (completed.code, completed.err) == (0, b"")
    assert b"made /usr/local/lib" not in completed.out  # what was done is not done again
    assert bare.must("zsuids", "--version").startswith(b"zsuids ")


def test_a_new_version_stands_beside_the_one_before_and_what_it_has_not_goes(bare: InstalledHost) -> None:
    bare.set_up()
    lib = f"{PREFIX}/lib/ucspi-qmail"
    (before,) = (path.name for path in bare.file(lib).iterdir() if path.is_dir())
    bare.must("cp", "-a", f"{lib}/{before}", f"{lib}/0.0.9-0123456789ab")  # the one before that
    bare.must("sed", "-i", "/^    elq = /d", f"{SOURCE}/setup.cfg")
    bare.must("rm", f"{SOURCE}/man/man1/elq.1")
    bare.must("sh", "-c", f"echo '# changed' >>{SOURCE}/ucspi/argv0.py")
    queue = {name: what for name, what in bare.trace().items() if name.startswith(f"{HOME}/queue")}
    upgraded = bare.make("setup", "check")
    assert (upgraded.code, upgraded.err) == (0, b"")
    versions = {path.name for path in bare.file(lib).iterdir() if path.is_dir()}
    (after,) = versions - {before}  # daemons that run may go on with the one before
    for line in (f"made {lib}/{after}", f"removed {lib}/0.0.9-0123456789ab", f"removed {HOME}/bin/elq"):
        assert f"{line}\n".encode() in upgraded.out
    assert not bare.file(f"{HOME}/bin/elq").exists() and not bare.file(f"{PREFIX}/share/man/man1/elq.1").exists()
    for launcher in (f"{HOME}/bin/qmail-smtpd", f"{PREFIX}/bin/argv0"):
        assert bare.file(launcher).read_text().startswith(f"#!{lib}/{after}/bin/python")
    assert {name: what for name, what in bare.trace().items() if name.startswith(f"{HOME}/queue")} == queue
    again = bare.make("setup", "check")
    assert (again.code, again.out) == (0, b"")
    assert {path.name for path in bare.file(lib).iterdir() if path.is_dir()} == versions
    bare.must("touch", f"{lib}/{before}/evil.pth")  # nobody is to run that any more
    assert f"{lib}/{before}/evil.pth: is not part of the installation\n".encode() in bare.make("instcheck").out
    assert bare.make("setup", "check").out == f"removed {lib}/{before}\n".encode()


def test_an_interpreter_that_others_cannot_run_is_refused_before_anything_is_done(bare: InstalledHost) -> None:
    bare.make("users")
    before = bare.trace()
    bare.must("sh", "-c", f"mkdir -m 700 /home/own && cp {interpreter()} /home/own/python3")
    done = bare.run("make", "-s", "setup", "PYTHON=/home/own/python3", cwd="/var/src")
    assert done.code == 2
    assert b"/home/own is closed to them (mode 0700)" in done.err and b"PYTHON=/usr/bin/python3" in done.err
    assert bare.trace() == before


def test_it_takes_over_an_existing_qmail_and_gives_it_back(bare: InstalledHost) -> None:
    assert bare.make("users").code == 0
    bare.must("mkdir", "-p", f"{HOME}/bin", f"{HOME}/control", f"{HOME}/alias", f"{HOME}/users")
    bare.write(f"{HOME}/bin/qmail-queue", "the original's\n", 0o755)
    bare.must("chown", "qmailq:qmail", f"{HOME}/bin/qmail-queue")
    bare.must("chmod", "4711", f"{HOME}/bin/qmail-queue")
    bare.write(f"{HOME}/bin/qmail-local", "the original's, too\n", 0o711)
    bare.write(f"{HOME}/control/me", "mail.example.org\n")
    bare.write(f"{HOME}/alias/.qmail-postmaster", "&me@example.org\n")
    bare.write(f"{HOME}/users/assign", ".\n")
    assert bare.make("setup", "check").code == 0
    aside = bare.file(f"{HOME}/bin/.replaced")
    assert stat.S_IMODE(aside.stat().st_mode) == 0o700 and aside.stat().st_uid == 0
    queue = f"{HOME}/queue"
    bare.must("setuidgid", "qmailq", "sh", "-c", f"echo mail >{queue}/mess/5/28")
    before = {name: what for name, what in bare.trace().items() if "/control/" in name or "/queue/" in name}
    gone = bare.make("unsetup")
    assert gone.code == 0, gone
    after = bare.trace()
    assert {name: after[name] for name in before} == before
    found = bare.file(f"{HOME}/bin/qmail-queue")
    assert found.read_text() == "the original's\n" and stat.S_IMODE(found.stat().st_mode) == 0o4711
    assert sorted(path.name for path in bare.file(f"{HOME}/bin").iterdir()) == ["qmail-local", "qmail-queue"]
    assert bare.file(f"{HOME}/alias/.qmail-postmaster").read_text() == "&me@example.org\n"
    assert [name for name in after if name.startswith(PREFIX)] == [f"{PREFIX}/."]


def test_another_home_and_prefix_are_built_in_and_a_destdir_holds_it_all(bare: InstalledHost) -> None:
    bare.must("make", "-s", "users", f"PYTHON={interpreter()}", cwd="/var/src")
    done = bare.make("setup", "check", "QMAILHOME=/srv/mail", "PREFIX=/opt/mail", "DESTDIR=/var/stage")
    assert done.code == 0, done
    assert not bare.file("/opt/mail").exists() and bare.trace().keys() == {f"{HOME}/.", f"{PREFIX}/."}
    for path in bare.file("/var/stage").rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert b"/var/stage" not in path.read_bytes(), path
    bare.must("sh", "-c", "mv /var/stage/opt/mail /usr/local/mail")  # /opt itself is the machine's
    launcher = bare.file("/var/stage/srv/mail/bin/qmail-showctl").read_text()
    assert launcher.startswith("#!/opt/mail/lib/ucspi-qmail/")
    place = re.findall(r"'(/opt/mail\S+)'", launcher)[0].replace("/opt/mail", "/usr/local/mail")
    code = f"import sys; sys.path.append({place!r}); from qmail.core import conf; print(conf.HOME, conf.PREFIX)"
    assert bare.must(interpreter(), "-IS", "-c", code) == b"b'/srv/mail' b'/opt/mail'\n"
