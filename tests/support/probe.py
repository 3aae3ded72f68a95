"""What a process can reach: run by itself as some user, prints JSON.  The standard library only, so that any user can.

probe.py files TOP...    {path: "r", "w", "rw", for a directory "l" (list) and "c" (create in it)}
probe.py processes       {"signal": [pids], "trace": [pids], "memory": [pids]}: those that can be reached
probe.py privileges      {name of what went through: detail}, of things that none of them may do"""

import ctypes
import errno
import json
import os
import socket
import stat
import sys

PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def opens(path: str, flags: int) -> bool:
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as e:
        return e.errno == errno.ENXIO  # a FIFO that nobody reads: it may be written
    return True


def reach(path: str) -> str:
    about = os.lstat(path)
    if stat.S_ISLNK(about.st_mode):
        return ""
    if stat.S_ISSOCK(about.st_mode):
        with socket.socket(socket.AF_UNIX) as caller:
            # A socket of packets is of another type: the kernel says so to those alone who may connect.
            return "w" if caller.connect_ex(path) in (0, errno.EPROTOTYPE) else ""
    if not stat.S_ISDIR(about.st_mode):
        return "r" * opens(path, os.O_RDONLY) + "w" * opens(path, os.O_WRONLY)
    found = "l" * os.access(path, os.R_OK | os.X_OK, effective_ids=True)
    trial = f"{path}/.probe"
    try:
        os.mkdir(trial)
        os.rmdir(trial)
        found += "c"
    except OSError:
        pass
    return found


def files(tops: list[str]) -> dict[str, str]:
    """Every path comes from root, who sees them all: a directory that cannot be listed is no protection by itself."""
    found = {}
    for path in tops:
        try:
            found[path] = reach(path)
        except OSError:
            found[path] = ""
    return found


def processes() -> dict[str, list[int]]:
    libc = ctypes.CDLL(None, use_errno=True)
    found: dict[str, list[int]] = {"signal": [], "trace": [], "memory": []}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid == os.getpid():
            continue
        try:
            os.kill(pid, 0)
            found["signal"].append(pid)
        except OSError:
            pass
        if libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0:
            os.waitpid(pid, 0)
            libc.ptrace(PTRACE_DETACH, pid, None, None)
            found["trace"].append(pid)
        if any(opens(f"/proc/{pid}/{name}", os.O_RDONLY) for name in ("mem", "environ")):
            found["memory"].append(pid)
    return found


def privileges() -> dict[str, str]:
    found = {}

    def attempt(name: str, what: object, *words: object) -> None:
        try:
            found[name] = repr(what(*words))  # type: ignore[operator]
        except OSError:
            pass

    def listen(port: int) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))

    attempt("setuid", os.setuid, 0)
    attempt("setgid", os.setgid, 0)
    attempt("setgroups", os.setgroups, [0])
    attempt("port below 1024", listen, 26)
    attempt("raw socket", socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    attempt("packet socket", socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
    attempt("chroot", os.chroot, "/")
    attempt("priority", os.setpriority, os.PRIO_PROCESS, 0, -5)
    attempt("device", os.mknod, "/tmp/device", stat.S_IFCHR, os.makedev(1, 1))
    attempt("host name", socket.sethostname, "x")
    return found


if __name__ == "__main__":
    command = sys.argv[1]
    result = files(json.load(sys.stdin)) if command == "files" else globals()[command]()
    json.dump(result, sys.stdout)
