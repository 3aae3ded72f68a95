"""The machine's own addresses ("ip-me"), so that qmail-remote does not deliver to itself.

As in the original: 0.0.0.0, which always means this host (RFC 1122 3.2.1.3), and the IPv4 address of every
interface that is up; so 127.0.0.1, but not the rest of 127/8.  The IPv6 addresses are what the original lacks."""

from __future__ import annotations

import _socket
import array
import errno
import fcntl
import struct

SIOCGIFCONF, SIOCGIFFLAGS, IFF_UP = 0x8912, 0x8913, 0x1
IFREQ = 40 if struct.calcsize("P") == 8 else 32  # sizeof(struct ifreq): 16 bytes of name, then a union
LONGEST_LIST = 1 << 22  # a hundred thousand interface addresses; beyond that something is wrong

IF_INET6 = "/proc/net/if_inet6"  # address in hex, index, prefix length, scope, flags, name


def addresses() -> frozenset[bytes]:
    """Our own addresses as text, in the form inet_ntop writes.  OSError if the kernel will not tell."""
    return frozenset(listed())


def listed() -> list[bytes]:
    """The same in a fixed order: IPv4 before IPv6, each with the address that means any of ours first."""
    return [b"0.0.0.0", *_ipv4(), b"::", *_ipv6()]


def _ipv4() -> list[bytes]:
    found = []
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM, 0)
    try:
        table = _interfaces(probe.fileno())
        for at in range(0, len(table) - IFREQ + 1, IFREQ):
            name, family, address = table[at : at + 16], table[at + 16 : at + 18], table[at + 20 : at + 24]
            if struct.unpack("H", family)[0] == _socket.AF_INET and _is_up(probe.fileno(), name):
                found.append(_socket.inet_ntoa(address).encode())
    finally:
        probe.close()
    return found


def _interfaces(fd: int) -> bytes:
    """The array of struct ifreq.  The kernel fills what fits and does not say that there was more, so only an answer
    with room to spare is the whole list."""
    size = 64 * IFREQ
    while size <= LONGEST_LIST:
        room = array.array("B", bytes(size))
        request = struct.pack("iP", size, room.buffer_info()[0])
        filled = int(struct.unpack_from("i", fcntl.ioctl(fd, SIOCGIFCONF, request))[0])
        if filled + IFREQ <= size:
            return room.tobytes()[:filled]
        size *= 4
    raise OSError(errno.EOVERFLOW, "too many interfaces")


def _is_up(fd: int, name: bytes) -> bool:
    try:
        answer = fcntl.ioctl(fd, SIOCGIFFLAGS, name.ljust(IFREQ, b"\0"))
    except OSError:  # gone since it was listed
        return False
    return bool(struct.unpack_from("H", answer, 16)[0] & IFF_UP)


def _ipv6() -> list[bytes]:
    try:
        with open(IF_INET6, "rb") as table:
            lines = table.read().split(b"\n")
    except FileNotFoundError:  # a kernel without IPv6
        return []
    words = [line.split(b" ", 1)[0] for line in lines if line]
    return [_socket.inet_ntop(_socket.AF_INET6, bytes.fromhex(word.decode())).encode() for word in words]
