"""exec, without paying for an interpreter where the next program is one of ours.

`softlimit … tcpserver … rblsmtpd … qmail-smtpd` is a chain of execs.  Here each program still becomes the next one, but
how depends on the process it runs in:

    Process   an ordinary process, or a fork made to run one program.  A program of ours runs in this same process: the
              call unwinds to the trampoline, which calls the next main.  Any other program is exec'd.
    Worker    a pool worker, which lives on.  As above, but any other program is spawned on the connection's
              descriptors and waited for.
    Exec      UCSPI_EXEC=1 in the environment: every program is exec'd, as the originals do.

What the next program can observe is the same in all three.  A program is ours if the file that the search finds is a
launcher written for this interpreter: the launcher itself says which module it starts."""

from __future__ import annotations

import errno
import os
import sys

from ucspi.core import signals as signal
from ucspi.core import streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    Main = Callable[..., int]

DEFAULT_PATH = b"/bin:/usr/bin"
EXEC = b"UCSPI_EXEC"
LIMITS = b"UCSPI_LIMITS"  # limits.VARIABLE: what softlimit leaves for a foreign program further on
# CPython ignores these two from its start; a program that is exec'd must not inherit that.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class Become(BaseException):
    """Unwinds a program of ours that becomes another of ours.  Not an Exception: no handler in between may catch it."""

    def __init__(self, module: str, argv: list[bytes], env: dict[bytes, bytes]) -> None:
        super().__init__(module)
        self.module = module
        self.argv = argv
        self.env = env


class Became(BaseException):
    """Unwinds a worker's program that became a foreign one, which runs as child `pid`."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.pid = pid


class Chain:
    """How a program becomes another, or starts one."""

    def become(self, file: bytes, argv: list[bytes], env: dict[bytes, bytes]) -> NoReturn:
        """Become `file`.  Raises OSError if that cannot be."""
        raise NotImplementedError

    def spawn(
        self,
        file: bytes,
        argv: list[bytes],
        env: dict[bytes, bytes],
        fds: Mapping[int, int],
        setup: Callable[[], None] | None,
    ) -> int:
        """Start `file` as a child; return its pid.  See command.Call.spawn."""
        module = None if env.get(EXEC) else module_of(file)
        if module is None and setup is None and LIMITS not in env:
            return _posix_spawn(file, argv, env, fds)
        if module is not None:
            return fork(load(module), argv, env, fds, setup)
        _check(file)
        failed, failure = os.pipe()
        try:
            return _fork_and_exec(file, argv, env, fds, setup, failed, failure)
        finally:
            os.close(failed)


class Process(Chain):
    """A process that may be used up: foreign programs replace it."""

    def become(self, file: bytes, argv: list[bytes], env: dict[bytes, bytes]) -> NoReturn:
        module = None if env.get(EXEC) else module_of(file)
        if module is not None:
            load(module)
            raise Become(module, argv, env)
        replace(file, argv, env)

    def run(self, main: Main, argv: Sequence[bytes], env: Mapping[bytes, bytes]) -> int:
        """The trampoline: call main, then whatever it becomes; the stack never grows.  Returns the exit code."""
        while True:
            try:
                return main(argv, env, self)
            except Become as following:
                main, argv, env = load(following.module), following.argv, following.env
                retitle(argv)

    def status(self, main: Main, argv: Sequence[bytes], env: Mapping[bytes, bytes]) -> int:
        """Run a chain to its end.  Returns a wait status: the exit code times 256."""
        return self.run(main, argv, env) << 8


class Worker(Process):
    """A process that must survive what it runs."""

    def become(self, file: bytes, argv: list[bytes], env: dict[bytes, bytes]) -> NoReturn:
        module = module_of(file)
        if module is not None:
            load(module)
            raise Become(module, argv, env)
        raise Became(self.spawn(file, argv, env, {}, None))

    def status(self, main: Main, argv: Sequence[bytes], env: Mapping[bytes, bytes]) -> int:
        """As above, or what the foreign program that the chain became died of."""
        setproctitle = sys.modules.get("setproctitle")
        title = setproctitle.getproctitle() if setproctitle else ""
        try:
            return super().status(main, argv, env)
        except Became as foreign:
            return os.waitpid(foreign.pid, 0)[1]
        finally:
            if setproctitle:
                setproctitle.setproctitle(title)


def start(main: Main, argv: Sequence[bytes] | None = None, env: Mapping[bytes, bytes] | None = None) -> int:
    """Run a program as this process, from its command line and environment.  Returns the exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # die of it, as any program; no traceback
    streams.hold_standard()
    from ucspi.core import limits

    words = [os.fsencode(word) for word in sys.argv] if argv is None else list(argv)
    own = environment() if env is None else dict(env)
    if exact := limits.lift(own):
        preload(words, own.get(b"PATH"))  # what the coming chain is made of is not the work that was limited
        limits.adopt(exact, own)
    return Process().run(main, words, own)


def environment() -> dict[bytes, bytes]:
    """The environment that this process was started with.

    CPython, started in the C locale, sets LC_CTYPE for its children (PEP 538); ours must not find it."""
    env = dict(os.environb)
    env.pop(b"", None)  # "=x" came in, but execve would not take it
    if env.get(b"LC_CTYPE") == b"C.UTF-8":
        try:
            with open("/proc/self/environ", "rb") as file:
                initial = file.read().split(b"\0")
        except OSError:
            return env
        del env[b"LC_CTYPE"]
        env.update((b"LC_CTYPE", line[9:]) for line in initial if line.startswith(b"LC_CTYPE="))
    return env


def fork(
    main: Main,
    argv: list[bytes],
    env: dict[bytes, bytes],
    fds: Mapping[int, int],
    setup: Callable[[], None] | None = None,
) -> int:
    """Run a main in a child that is as if spawned for a program of ours; return its pid.  Raises OSError."""
    pid = os.fork()
    if pid == 0:

        def run() -> int:
            _close_on_exec()
            retitle(argv)
            return Process().run(main, argv, env)

        _child(argv[0], fds, setup, run)
    return pid


def search(name: bytes, path: bytes | None) -> bytes:
    """The file that execvp would run: djb's rules.  Raises OSError.

    ENOENT in one directory of PATH: the next.  EACCES, EPERM, EISDIR: remembered, the next.  Any other error ends the
    search.  An empty element means the current directory.  ucspi-tcp(7)."""
    if b"/" in name:
        _check(name)
        return name
    remembered: OSError | None = None
    for directory in (DEFAULT_PATH if path is None else path).split(b":"):
        file = (directory or b".") + b"/" + name
        try:
            _check(file)
            return file
        except FileNotFoundError:
            continue
        except OSError as e:
            if e.errno not in (errno.EACCES, errno.EPERM, errno.EISDIR):
                raise
            remembered = e
    raise remembered or FileNotFoundError(errno.ENOENT, "not found", name)


def _check(file: bytes) -> None:
    mode = os.stat(file).st_mode
    if mode & 0o170000 != 0o100000 or not os.access(file, os.X_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, "not executable", file)


_launchers: dict[tuple[bytes, int, int], str | None] = {}  # a cache: what a file says does not change with the caller


def module_of(file: bytes) -> str | None:
    """The module that a launcher of ours starts, such as "qmail.smtpd"; None for any other file."""
    try:
        about = os.stat(file)
    except OSError:
        return None
    key = (file, about.st_ino, about.st_mtime_ns)
    if key not in _launchers:
        if len(_launchers) >= 256:
            _launchers.clear()
        _launchers[key] = _read_launcher(file)
    return _launchers[key]


def _read_launcher(file: bytes) -> str | None:
    try:
        with open(file, "rb") as launcher:
            text = launcher.read(4096)
    except OSError:
        return None
    interpreter = text[2:].partition(b"\n")[0].strip().partition(b" ")[0]
    ours = os.path.dirname(os.fsencode(sys.executable))
    if not text.startswith(b"#!") or (os.path.dirname(interpreter) != ours and ours + b"/python" not in text):
        return None
    for line in text.split(b"\n"):
        words = line.split()
        if len(words) == 4 and words[0] == b"from" and words[2:] == [b"import", b"main"]:
            module = words[1].decode("ascii", "replace")
            return module if module.startswith(("ucspi.", "qmail.")) else None
    return None


def load(module: str) -> Main:
    """The main of a module.  OSError if the installation is so broken that it cannot be imported: temporary, to all."""
    loaded = sys.modules.get(module)
    if loaded is None:
        try:
            loaded = __import__(module, fromlist=["main"])
        except ImportError as e:
            raise OSError(errno.EIO, f"cannot import {module}: {e}") from e
    main: Main = loaded.main
    return main


def preload(argv: Sequence[bytes], path: bytes | None) -> None:
    """Import every program of ours that a word of argv names, and the heavy modules it asks for.  Never fails."""
    for word in argv:
        try:
            module = module_of(search(word, path)) if word and not word.startswith(b"-") else None
            if module is not None:
                for heavy in load(module).program.preload:  # type: ignore[attr-defined]
                    __import__(heavy)
        except (OSError, ImportError):
            continue


def set_title(argv: Sequence[bytes]) -> None:
    """Show argv in ps, as if this process had been exec'd."""
    try:
        import setproctitle
    except ImportError:
        return
    words = [argv[0].rpartition(b"/")[2], *argv[1:]]
    setproctitle.setproctitle(" ".join(os.fsdecode(word) for word in words).encode("utf-8", "replace").decode())


def retitle(argv: Sequence[bytes]) -> None:
    """As set_title, where the process, or the one it was forked from, has loaded what that takes."""
    if "setproctitle" in sys.modules:
        set_title(argv)


def replace(file: bytes, argv: list[bytes], env: dict[bytes, bytes]) -> NoReturn:
    """execve for a foreign program: with default signals, and with the limits that softlimit meant for it."""
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(file, argv, env if module_of(file) else _impose(env))
    finally:
        for number in _IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_IGN)


def _impose(env: dict[bytes, bytes]) -> dict[bytes, bytes]:
    if LIMITS not in env:
        return env
    from ucspi.core import limits

    env, impose = limits.foreign(env)
    if impose is not None:
        impose()
    return env


def _posix_spawn(file: bytes, argv: list[bytes], env: dict[bytes, bytes], fds: Mapping[int, int]) -> int:
    # dup2 onto itself would leave close-on-exec set, and one target may be another's source: go by way of high ones.
    moved = _moved(fds)
    actions = [(os.POSIX_SPAWN_DUP2, source, child) for child, source in moved.items()]
    try:
        return os.posix_spawn(file, argv, env, file_actions=actions, setsigdef=_IGNORED_BY_PYTHON, setsigmask=())
    finally:
        for source in moved.values():
            os.close(source)


def _moved(fds: Mapping[int, int]) -> dict[int, int]:
    """The same, with each of our descriptors copied to a number that is none of the child's."""
    return {child: _above(fds, ours) for child, ours in fds.items()}


def _above(fds: Mapping[int, int], fd: int) -> int:
    """A copy of `fd` above all of the child's descriptors, and no higher than need be: `softlimit -o 10` is usual."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(2, *fds) + 1 if fds else 3)


def _fork_and_exec(
    file: bytes,
    argv: list[bytes],
    env: dict[bytes, bytes],
    fds: Mapping[int, int],
    setup: Callable[[], None] | None,
    failed: int,
    failure: int,
) -> int:
    """A foreign program with a set-up.  What execve says comes back through the pipe, which a success closes."""
    moved = _above(fds, failure)
    os.close(failure)
    pid = os.fork()
    if pid == 0:

        def prepare() -> None:
            for number in _IGNORED_BY_PYTHON:
                signal.signal(number, signal.SIG_DFL)
            if setup is not None:
                setup()  # may ignore one of them for the program, too

        def run() -> int:
            try:
                os.execve(file, argv, env if module_of(file) else _impose(env))
            except OSError as e:
                os.write(moved, b"%d" % (e.errno or errno.EIO))
            return 126

        _child(argv[0], fds, prepare, run)
    os.close(moved)
    if number := os.read(failed, 16):
        os.waitpid(pid, 0)
        raise OSError(int(number), os.strerror(int(number)), file)
    return pid


def _child(name: bytes, fds: Mapping[int, int], setup: Callable[[], None] | None, run: Callable[[], int]) -> NoReturn:
    """The forked side of spawn.  126 is the shell's code for what cannot be run; callers take it as temporary."""
    code = 126
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGINT):
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        moved = _moved(fds)
        for child, source in moved.items():
            os.dup2(source, child)
        if setup is not None:
            setup()
        code = run()
    except BaseException as e:  # nothing may return into the parent's stack
        from ucspi.core import command

        command.report(os.fsdecode(name), f"fatal: unable to start: {e}")
    finally:
        os._exit(code & 255)


def _close_on_exec() -> None:
    """Close what an exec would have closed."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd > 2 and not os.get_inheritable(fd):
                os.close(fd)
        except OSError:
            continue  # the directory's own descriptor, gone by now
