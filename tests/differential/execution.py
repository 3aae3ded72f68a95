"""Run a case with the original program or with ours, and say what it left behind."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pwd
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.differential import peers
from tests.differential.case import Case, Client
from tests.differential.peers import NET
from tests.support import launchers
from tests.support.logs import shared_log

Outcome = dict[str, object]
SIDES = ("original", "ours")
LONGEST = 500  # bytes of a result that are recorded as they are
_pids = re.compile(rb"(?m)(?<=pid )\d+|^\d+(?= [<>] )|(?<=: ok )\d+(?= )|(?<=: deny )\d+(?= )|(?<=: end )\d+(?= )")
_queries = re.compile(r"(\d+|\{PORT\}) , (\d+|\{PORT\})")
_ports = re.compile(rb"(?m)(?<=:)\d+$|(?<=^TCPREMOTEPORT=)\d+|(?<=^TCPLOCALPORT=)\d+")


def path_of(side: str) -> str:
    """PATH, so that a chain finds programs of one kind."""
    return f"{launchers.directory()}:/usr/bin:/bin" if side == "ours" else "/usr/bin:/bin"


def file_of(side: str, name: str) -> str:
    """The program to run; one that is none of ours is the same on both sides."""
    mine = launchers.ours(name)
    if not os.path.exists(mine):
        return shutil.which(name, path="/usr/bin:/bin") or name
    return mine if side == "ours" else original(name) or ""


def original(name: str) -> str | None:
    """The original's path, if it is installed."""
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin")
    return found if found and b"python" not in Path(found).read_bytes()[:64] else None


def missing(case: Case) -> bool:
    """Is the original that this case needs not here?"""
    words = [os.fsdecode(word) for word in case.argv]
    used = set(words) | {word for text in words for word in text.split()} if words[0] == "sh" else {words[0]}
    return any(os.path.exists(launchers.ours(w)) and original(w) is None for w in used if w.strip(".") and "/" not in w)


class Setting:
    """The numbers that `{...}` stands for in one run."""

    def __init__(self, side: str, here: Path, port: int = 0) -> None:
        self.side, self.here, self.port = side, os.fsencode(here), port

    def fill(self, word: str | bytes) -> bytes:
        """Put the numbers in."""
        text = word if isinstance(word, bytes) else os.fsencode(word)
        for name, value in (("{NET}", NET), ("{PORT}", str(self.port)), ("{PATH}", path_of(self.side))):
            text = text.replace(name.encode(), value.encode())
        return text

    def neutral(self, text: bytes) -> bytes:
        """Take them out again, and pids with them."""
        text = text.replace(f"{launchers.directory()}:".encode(), b"").replace(NET.encode(), b"{NET}")
        text = text.replace(self.here, b"{HERE}")
        if self.port:
            text = re.sub(rb"(?<!\d)%d(?!\d)" % self.port, b"{PORT}", text)
        text = _ports.sub(b"N", _pids.sub(b"PID", text))
        return re.sub(rb"(?<!\w)@4[0-9a-f]{23}(?= )", b"@LABEL", text)


# --- files


def _lay_out(files: Mapping[str, object], here: Path, setting: Setting) -> None:
    for name, what in files.items():
        place = here / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, bytes):
            place.write_bytes(setting.fill(what))
        elif isinstance(what, tuple) and what[0] == "dir":
            place.mkdir(exist_ok=True)
            place.chmod(what[1])
        elif isinstance(what, tuple) and what[0] == "link":
            place.symlink_to(what[1])
        elif isinstance(what, tuple) and what[0] == "rules":
            tcprules = file_of(setting.side, "tcprules")
            subprocess.run([tcprules, place, here / "tmp"], input=setting.fill(what[1]), check=True)
        elif isinstance(what, tuple):
            place.write_bytes(setting.fill(what[1]))
            place.chmod(what[0])


def _left(here: Path, setting: Setting) -> dict[str, str]:
    """Every file: its mode, and its content or a digest."""
    found = {}
    old = sorted(file.name for file in here.rglob("@*"))
    for file in sorted(here.rglob("*")):
        name = str(file.relative_to(here))
        if file.name.startswith("@4") and len(file.name) >= 25:
            name = name.replace(file.name[:25], f"@old{old.index(file.name)}")
        if file.is_symlink():
            found[name] = f"link to {os.readlink(file)}"
        elif file.is_dir():
            found[name] = f"directory {file.stat().st_mode & 0o7777:o}"
        elif not file.is_file():
            found[name] = f"special {file.stat().st_mode:o}"  # a FIFO: to be looked at only
        else:
            text = setting.neutral(file.read_bytes())
            found[name] = f"{file.stat().st_mode & 0o7777:o} {_short(text)}"
    return found


def _short(text: bytes) -> str:
    if len(text) > LONGEST:
        return f"{len(text)} bytes, sha256 {hashlib.sha256(text).hexdigest()}"
    return text.decode("latin-1")


# --- running


def run(case: Case, side: str) -> Outcome:
    """What the program says, does and leaves."""
    with tempfile.TemporaryDirectory(prefix="case-") as made:
        here = Path(made)
        here.chmod(0o755)
        listener = peers.of(case.peer)
        setting = Setting(side, here, listener.port)
        _lay_out(case.files, here, setting)
        before = _left(here, setting)
        if case.account:
            for place in (here, *here.rglob("*")):
                os.chown(place, *_ids(case.account), follow_symlinks=False)
        asked: list[bytes] = []
        with peers.ident(case.peer.address, case.peer.ident, asked) if case.peer else contextlib.nullcontext():
            run_it = _serve if case.clients else _run
            outcome = run_it(case, setting, here)
        heard = listener.heard()
        if heard:
            outcome["heard"] = [_short(setting.neutral(text)) for text in heard]
        if asked:
            outcome["ident"] = [_queries.sub(r"N , N", _short(setting.neutral(q))) for q in asked]
        after = {name: text for name, text in _left(here, setting).items() if before.get(name) != text}
        gone = {name: "gone" for name in before if not os.path.lexists(here / name)}
        if after or gone:
            outcome["files"] = {**after, **gone}
    return outcome


def _environment(case: Case, setting: Setting) -> dict[bytes, bytes]:
    path = path_of(setting.side)
    if case.account and setting.side == "ours":
        path = path.replace(launchers.directory(), launchers.for_everybody() or "")
    env = {b"PATH": path.encode()}
    if case.dns:
        env[b"DNSCACHEIP"] = peers.nameserver().encode()
    env.update((os.fsencode(name), setting.fill(value)) for name, value in case.env.items())
    if case.env.get("PATH") == "unset":
        del env[b"PATH"]
    return env


def _command(case: Case, setting: Setting, *more: str) -> list[bytes]:
    file = os.fsencode(file_of(setting.side, os.fsdecode(case.argv[0])))
    if case.account and setting.side == "ours":
        file = file.replace(os.fsencode(launchers.directory()), os.fsencode(launchers.for_everybody() or ""))
    return [file, *(word.encode() for word in more), *(setting.fill(word) for word in case.argv[1:])]


def _failing(case: Case, setting: Setting) -> list[bytes]:
    """strace as a grandchild, so that the program is our child as ever."""
    inject = case.inject[SIDES.index(setting.side)]
    if not inject:
        return []
    call = inject.partition(":")[0]
    path = ["-P", os.path.join(os.fsdecode(setting.here), case.only)] if case.only else []
    words = ["-D", "-f", "-qq", "-o", "/dev/null", *path, "-e", f"trace={call}", "-e", f"inject={inject}"]
    return [os.fsencode(word) for word in (shutil.which("strace") or "strace", *words)]


def _ids(account: str) -> tuple[int, int]:
    entry = pwd.getpwnam(account)
    return entry.pw_uid, entry.pw_gid


def _prepare(case: Case) -> Callable[[], None] | None:
    if not case.limits and not case.account:
        return None

    def prepare() -> None:
        if case.account:
            uid, gid = _ids(case.account)
            os.setgroups([gid])
            os.setgid(gid)
            os.setuid(uid)
        for number, soft in case.limits.items():
            resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))

    return prepare


def _run(case: Case, setting: Setting, here: Path) -> Outcome:
    pieces = [case.stdin] if isinstance(case.stdin, bytes) else list(case.stdin)
    third = _full_pipe(case.fd3) if case.fd3 is not None else None
    as_file = isinstance(case.stdin, bytes)
    stdin = _file(setting.fill(pieces[0])) if as_file else subprocess.PIPE
    command = [*_failing(case, setting), *_command(case, setting)]
    if third is not None:  # by name: a shell need not know numbers above 9
        command = [b"/bin/sh", b"-c", b'exec "$@" 3</dev/fd/%d' % third, b"sh", *command]
    process = subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=here, env=_environment(case, setting),
        preexec_fn=_prepare(case), pass_fds=[third] if third is not None else (), start_new_session=True,
    )  # fmt: skip
    if as_file:
        os.close(stdin)
    else:
        _feed(process, pieces)
    if third is not None:
        os.close(third)
    try:
        out, err = process.communicate(timeout=90 if case.slow else 30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {"code": "it did not end"}
    outcome: Outcome = {"code": process.returncode}
    _add_texts(outcome, case, setting, out, err)
    return outcome


def _add_texts(outcome: Outcome, case: Case, setting: Setting, out: bytes, err: bytes) -> None:
    out, err = setting.neutral(out), setting.neutral(err)
    if case.two_streams:
        lines = err.splitlines(True)
        if case.two_streams == "unfinished":
            lines = [line for line in lines if not line.startswith(b"PID < ")]
        err = b"".join(sorted(lines, key=_stream))
    if out:
        outcome["out"] = _short(out)
    if err:
        outcome["err"] = _short(err)


def _stream(line: bytes) -> int:
    return 1 if line.startswith(b"PID < ") else 2 if line.startswith(b"PID > ") else 0


def _file(content: bytes) -> int:
    fd = os.memfd_create("stdin")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _full_pipe(content: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


def _feed(process: subprocess.Popen[bytes], pieces: list[bytes]) -> None:
    assert process.stdin is not None
    for piece in pieces:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(piece)
            process.stdin.flush()
        time.sleep(0.15)  # the original is to have read this piece before the next one comes
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stdin = None


class _Log:
    """What a running server writes, waited for."""

    def __init__(self) -> None:
        self.fd = shared_log()

    def text(self) -> bytes:
        return os.pread(self.fd, 1 << 20, 0)

    def wait(self, pattern: bytes, count: int) -> None:
        """Until `pattern` is there `count` times; what is missing then shows in the result."""
        deadline = time.monotonic() + 10
        while len(re.findall(pattern, self.text())) < count and time.monotonic() < deadline:
            time.sleep(0.003)


def _serve(case: Case, setting: Setting, here: Path) -> Outcome:
    """tcpserver, its clients one after the other, and SIGTERM."""
    log = _Log()
    os.set_blocking(log.fd, True)
    # Appended to: several processes write it.
    err = os.open(f"/proc/self/fd/{log.fd}", os.O_WRONLY | os.O_APPEND)
    process = subprocess.Popen(
        _command(case, setting, "-1"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, cwd=here,
        env=_environment(case, setting), preexec_fn=_prepare(case), start_new_session=True,
    )  # fmt: skip
    os.close(err)
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], 20)
        setting.port = int(process.stdout.readline() or b"0") if ready else 0
        verbose = _verbose(case)
        heard, asked = [], list[bytes]()
        for number, client in enumerate(case.clients, 1):
            with peers.ident(client.source, client.ident, asked):
                heard.append(_short(setting.neutral(_talk(client, setting))))
            if verbose:
                log.wait(rb"end \d+ status \d+\n", number)
                log.wait(rb"status: 0/", number + 1)
            else:
                time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        outcome: Outcome = {"code": process.wait(10), "clients": heard}
        if asked:
            outcome["ident"] = [_queries.sub(r"N , N", _short(setting.neutral(q))) for q in asked]
        _add_texts(outcome, case, setting, b"", log.text())
        return outcome
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        os.close(log.fd)


def _verbose(case: Case) -> bool:
    """Does tcpserver log?  The last of -q -Q -v says so."""
    options = "".join(str(word) for word in case.argv[1:] if str(word).startswith("-"))
    return [letter for letter in "Q" + options if letter in "qQv"][-1] == "v"


def _talk(client: Client, setting: Setting) -> bytes:
    with socket.socket() as s:
        s.settimeout(20)
        try:
            s.bind((client.source.replace("{NET}", NET), 0))
            s.connect((f"{NET}.2", setting.port))
            s.sendall(client.data)
            s.shutdown(socket.SHUT_WR)
        except OSError as e:
            if e.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                return f"cannot talk: {e}".encode()
        text = b""
        try:
            while data := s.recv(65536):
                text += data
        except OSError:
            pass  # how it ends depends on who was faster
        return text
