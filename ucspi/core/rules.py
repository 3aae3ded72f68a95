"""Access rules: the text that tcprules(1) reads, and the constant database that tcpserver(1) asks.

Text, one rule a line:  ADDRESS ":" ("allow" | "deny") ("," NAME "=" q VALUE q)*      q is any one byte

Database (cdb, 32-bit little-endian; ours is written by cdbx):

    0       256 pairs: position of a hash table, number of its slots
    2048    records: length of key, length of data, key, data
    ...     hash tables: pairs of hash, position of the record (0: empty slot, the search ends)

    key     ADDRESS as it stands in the text, a range spelt out; the empty key is the rule for everybody;
            IPv6 addresses and networks (10.0.0.0/8, 2001:db8::/32), which are ours, in their one spelling
    data    ( "D" 0x00 )? ( "+" NAME "=" VALUE 0x00 )*

Reading is done here and not by cdbx: a file that is cut short, random or hostile must cost a few bounded
reads, and cdbx believes lengths it finds (a table of 2^29 slots, a value of 4 GB)."""

from __future__ import annotations

import errno
import os
from _struct import unpack_from

from ucspi.core import ip, scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HEADER = 2048
WHOLE = 65536  # a file up to this size is read at once: cheaper than a pread per key
_SIGNS = b"-#/"  # of a range, a comment, a network
_UNMARKED = bytes(byte for byte in range(256) if byte not in b":\n" + _SIGNS)
LONGEST = 1 << 20  # bytes of one rule's data; more is taken as damage (an environment cannot hold it)


class Malformed(Exception):
    """A line that is no rule; `line` is as tcprules reports it."""

    def __init__(self, line: bytes) -> None:
        super().__init__(line)
        self.line = line


class Corrupt(OSError):
    """A rules file that is no constant database; prints as `protocol error`."""

    def __init__(self, path: bytes) -> None:
        super().__init__(errno.EPROTO, os.strerror(errno.EPROTO), path)


class Verdict:
    """What the first matching rule says."""

    __slots__ = ("deny", "key", "variables")

    def __init__(self, key: bytes, deny: bool, variables: list[tuple[bytes, bytes]]) -> None:
        self.key, self.deny, self.variables = key, deny, variables


# --- text to records


def _number(word: bytes, line: bytes) -> int:
    """One side of a range: digits to the end, or to a NUL as in the original; no digits are 0."""
    word = word.partition(b"\0")[0]
    if word and not word.isdigit():
        raise Malformed(line)
    return scan.number(word)


def instructions(text: bytes, line: bytes) -> bytes:
    """The data for what stands after the first colon."""
    if text.startswith(b"deny"):
        data, text = b"D\0", text[4:]
    elif text.startswith(b"allow"):
        data, text = b"", text[5:]
    else:
        raise Malformed(line)
    while text:
        name, _, quoted = text.partition(b"=")
        if not name.startswith(b",") or not quoted:
            raise Malformed(line)
        value, end, text = quoted[1:].partition(quoted[:1])
        if not end:
            raise Malformed(line)
        data += b"+%b=%b\0" % (name[1:], value)
    return data


def split(line: bytes) -> tuple[bytes, bytes]:
    """Address and instructions of a line that has a colon.

    The first colon divides them.  Where that makes no rule, an IPv6 address may stand before a later one."""
    address, _, text = line.partition(b":")
    if not text.startswith((b"allow", b"deny")):
        for word in (b":allow", b":deny"):
            at = line.find(word)
            if at > 0 and (key := _ipv6(line[:at])):
                return key, line[at + 1 :]
    return address, text


def _ipv6(word: bytes) -> bytes | None:
    """The key for an IPv6 address, for a network, or for a prefix such as 2001:db8: that ends with its colon.

    Before an address may stand `info@`, as before one of IPv4."""
    info, at, word = word.rpartition(b"@")
    if b":" not in word or (at and b":" in info):
        return None
    if at:
        address = ip.canonical(word)
        return b"%b@%b" % (info, address) if address else None
    prefix = word[:1] != b":" and word[-1:] == b":" != word[-2:-1] and not word.lower().strip(b"0123456789abcdef:")
    return word.lower() if prefix else ip.canonical(word) or ip.network(word)


def addresses(address: bytes, line: bytes) -> Iterable[bytes]:
    """The keys of one rule: the address itself, or each of its range."""
    network = ip.network(address) if b"/" in address else None
    if network:
        return (network,)
    if b"-" not in address or b"=" in address or b"@" in address:
        return (address,)
    before, _, after = address.partition(b"-")
    head, dot, low = before.rpartition(b".")
    high, rest_dot, rest = after.partition(b".")
    first, last = _number(low, line), min(_number(high, line), 255)
    return [b"%b%b%d%b%b" % (head, dot, n, rest_dot, rest) for n in range(first, last + 1)]


class Parser:
    """Push parser: blocks of text in, (key, data) out to `add`.  `odd` hears of lines that the original takes in
    silence though they do nothing: number, what is odd about it, line.

    Rules files of a million lines have few different instructions, so what follows the colon is parsed
    once and remembered; blocks without anything special are then cut up and added without a loop in Python."""

    __slots__ = ("_add", "_known", "_lines", "_odd", "_pending")
    MEMORY = 4096  # instructions remembered; beyond that they are parsed each time

    def __init__(
        self, add: Callable[[bytes, bytes], object], odd: Callable[[int, bytes, bytes], object] | None = None
    ) -> None:
        self._add, self._odd = add, odd
        self._known: dict[bytes, bytes] = {}
        self._pending: list[bytes] = []
        self._lines = 0

    def receive(self, block: bytes) -> None:
        """Take the next bytes; raise Malformed at the first bad line, with all rules before it added."""
        head, newline, tail = block.rpartition(b"\n")
        if not newline:
            self._pending.append(block)
            return
        self._pending.append(head)
        text = b"".join(self._pending)
        self._pending = [tail]
        self._parse(text)

    def close(self) -> None:
        """End of file: a last line counts without its newline too."""
        text = b"".join(self._pending)
        self._pending = []
        if text:
            self._parse(text)

    def _parse(self, text: bytes) -> None:
        marks = text.translate(None, _UNMARKED)
        if not self._all_at_once(text, marks):
            self._line_by_line(text, not marks.translate(None, b":\n"))

    def _all_at_once(self, text: bytes, marks: bytes) -> bool:
        """Add a block whose lines have one colon each and no sign before it; else False, and nothing is done."""
        lines = marks.count(b"\n") + 1
        signed = marks[:1] != b":" or marks.count(b"\n:") != lines - 1
        if signed or marks.translate(None, _SIGNS) != b":" + b"\n:" * (lines - 1):
            return False
        words = text.replace(b"\n", b":").split(b":")
        keys, rests = words[::2], words[1::2]
        data = self._data_of(rests)
        if data is None:
            return False
        for _ in map(self._add, keys, data):
            pass
        self._lines += lines
        return True

    def _data_of(self, rests: list[bytes]) -> list[bytes] | None:
        """The data for each of many instructions; None where one is no rule, or too many are different."""
        known = self._known
        try:
            return list(map(known.__getitem__, rests))
        except KeyError:
            pass
        different = set(rests) - known.keys()
        if len(different) + len(known) > self.MEMORY:
            return None
        try:
            for rest in different:
                known[rest] = instructions(rest.rstrip(b" \t"), b"")
        except Malformed:
            return None  # to be found again, behind the good rules before it
        return list(map(known.__getitem__, rests))

    def _line_by_line(self, text: bytes, plain: bool) -> None:
        add, known = self._add, self._known
        lines = text.split(b"\n")
        for index, line in enumerate(lines):
            address, _, rest = line.partition(b":")
            data = known.get(rest)
            if data is not None and (plain or not (b"-" in address or b"/" in address or line.startswith(b"#"))):
                add(address, data)
            else:
                self._rule(line, self._lines + index + 1)
        self._lines += len(lines)

    def _rule(self, line: bytes, number: int) -> None:
        if line.startswith(b"#"):
            return
        stripped = line.rstrip(b"\n \t")
        if b":" not in stripped:
            if stripped and self._odd is not None:
                self._odd(number, b"has no colon, ignored", stripped)
            return
        address, text = split(stripped)
        if b"/" in address and self._odd is not None and not ip.network(address) and not set(b"@=") & set(address):
            self._odd(number, b"is about no network, and so about nobody", stripped)
        data = self._known.get(text)
        if data is None:
            data = instructions(text, stripped)
            if len(self._known) < self.MEMORY:
                self._known[text] = data
        for key in addresses(address, stripped):
            self._add(key, data)


# --- asking the database


def candidates(address: bytes, host: bytes | None, info: bytes | None, *, networks: bool = False) -> Iterator[bytes]:
    """The keys a connection is looked up by; the first that exists decides alone.  tcprules(1)."""
    if info is not None:
        yield b"%b@%b" % (info, address)
        if host is not None:
            yield b"%b@=%b" % (info, host)
    yield address
    if host is not None:
        yield b"=" + host
    separator = b":" if b":" in address else b"."
    end = address.rfind(separator)
    while end >= 0:
        yield address[: end + 1]
        end = address.rfind(separator, 0, end)
    if networks:
        yield from ip.networks(address)
    if host is not None:
        start = host.find(b".")
        while start >= 0:
            yield b"=" + host[start:]
            start = host.find(b".", start + 1)
        yield b"="
    yield b""


def verdict(key: bytes, data: bytes) -> Verdict:
    """Read a record's data; strings of unknown kind and a tail without NUL are passed over."""
    deny = False
    variables: list[tuple[bytes, bytes]] = []
    for string in data.split(b"\0")[:-1]:
        kind = string[:1]
        if kind == b"D":
            deny = True
        elif kind == b"+":
            name, equals, value = string[1:].partition(b"=")
            if equals:
                variables.append((name, value))
    return Verdict(key, deny, variables)


class Rules:
    """An open rules file."""

    __slots__ = ("_fd", "_networks", "_size", "_text", "path")

    def __init__(self, fd: int, path: bytes) -> None:
        """Take over descriptor `fd`.  Raises OSError: Corrupt, or what reading says (a directory)."""
        self._fd, self.path, self._text = fd, path, b""
        try:
            self._size = os.fstat(fd).st_size
            # Read first: a directory has a size too, and must be told as one.
            self._text = os.pread(fd, WHOLE if self._size <= WHOLE else HEADER, 0)
            if self._size < HEADER or len(self._text) < HEADER:  # /dev/zero has bytes, but no size
                raise Corrupt(path)
            # 32 or 128 more questions for each connection, unless the file is known to have no network in it.
            self._networks = self._size > WHOLE or b"/" in self._text
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, path: bytes) -> Rules:
        """Raises OSError: not there, not readable, or Corrupt."""
        return cls(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), path)

    def close(self) -> None:
        """Give the descriptor back; may be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Rules:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _read(self, position: int, length: int) -> bytes:
        if position + length <= len(self._text):
            return self._text[position : position + length]
        if position + length > self._size:  # before any buffer is made: lengths in the file are not to be believed
            raise Corrupt(self.path)
        got = os.pread(self._fd, length, position)
        if len(got) < length:
            raise Corrupt(self.path)
        return got

    def get(self, key: bytes) -> bytes | None:
        """The data of the first record with this key."""
        number = 5381
        for byte in key:
            number = (number * 33 ^ byte) & 0xFFFFFFFF
        table, slots = unpack_from("<II", self._text, (number & 255) * 8)
        if not slots:
            return None
        if table + slots * 8 > self._size:
            raise Corrupt(self.path)
        slot = (number >> 8) % slots
        for _ in range(slots):
            stored, position = unpack_from("<II", self._read(table + slot * 8, 8))
            if not position:
                return None
            if stored == number:
                data = self._record(position, key)
                if data is not None:
                    return data
            slot = slot + 1 if slot + 1 < slots else 0
        return None

    def _record(self, position: int, key: bytes) -> bytes | None:
        keylen, datalen = unpack_from("<II", self._read(position, 8))
        if keylen != len(key) or self._read(position + 8, keylen) != key:
            return None
        if datalen > LONGEST:
            raise Corrupt(self.path)
        return self._read(position + 8 + keylen, datalen)

    def find(self, address: bytes, host: bytes | None, info: bytes | None) -> tuple[bytes, bytes] | None:
        """Key and raw data of the rule that decides."""
        for key in candidates(address, host, info, networks=self._networks):
            data = self.get(key)
            if data is not None:
                return key, data
        return None

    def lookup(self, address: bytes, host: bytes | None, info: bytes | None) -> Verdict | None:
        """What the rules say to a connection; None: no rule, allow."""
        found = self.find(address, host, info)
        return None if found is None else verdict(*found)
