"""A network of its own for each process that runs tests: nobody else has its ports, 25, 53 and 113 among them.

What else runs on the machine, and the other test process, have theirs.  Needs root; without, tests share the machine's."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7)


def leave_network() -> None:
    """From now on this thread and all that come from it have a loopback of their own, and nothing else.  Call it early."""
    if os.geteuid() == 0 and ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0:
        with socket.socket(type=socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


@contextlib.contextmanager
def within(pid: int | str) -> Iterator[None]:
    """This thread in the network of another process, and back.  Sockets made and programs started meanwhile stay there.

    Raises OSError."""
    with open("/proc/thread-self/ns/net") as here, open(f"/proc/{pid}/ns/net") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(here.fileno())


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """On the machine's network, for a package index.  Only who could leave it has to come back."""
    parent = os.getppid()
    left = os.geteuid() == 0 and os.readlink("/proc/thread-self/ns/net") != os.readlink(f"/proc/{parent}/ns/net")
    with within(parent) if left else contextlib.nullcontext():
        yield


def own_address(number: int = 0) -> str:
    """A loopback address that no other test process uses, for ports that cannot be chosen; eight of them."""
    pid = os.getpid()
    return f"127.{100 + pid % 100}.{pid // 100 % 200}.{1 + pid // 20000 % 30 * 8 + number}"


def _enter(network: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(network, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
