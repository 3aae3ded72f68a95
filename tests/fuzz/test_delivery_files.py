"""What users and administrators write: .qmail files, control files; and the table of time-outs."""

from __future__ import annotations

from qmail.core import dotqmail, tcpto
from qmail.core.control import Control, keymap
from qmail.core.rewrite import Routes
from tests.fuzz.harness import assert_linear, fuzz
from ucspi.core.failure import TemporaryFailure

KINDS = {dotqmail.MAILDIR, dotqmail.MBOX, dotqmail.PROGRAM, dotqmail.FORWARD, dotqmail.FORWARD_ONLY}
LINES = (b"./Maildir/\n", b"|prog\n", b"&a@b\n", b"a@b", b"#", b"+list", b"\n", b" \t", b"\0", b".", b"/")


@fuzz(words=LINES, seeds=[b"./Maildir/\n|prog x\n&a@b\nc@d \t\n# no\n+list\n"], raises=(TemporaryFailure,))
def test_any_qmail_file_is_instructions_for_one_line_each(data: bytes) -> None:
    found = list(dotqmail.lines(data))
    assert len(found) <= data.count(b"\n") + 1
    for kind, argument in found:
        assert kind in KINDS and b"\n" not in argument and b"\0" not in argument
        if kind in (dotqmail.MAILDIR, dotqmail.MBOX):
            assert argument[:1] in (b".", b"/") and (kind == dotqmail.MAILDIR) == argument.endswith(b"/")


@fuzz(words=(b"-", b".", b"..", b"/", b"default", b"a", b"A"), seeds=[b"a-b-c", b"../../etc/passwd", b"x-default"])
def test_no_extension_leads_out_of_the_home_and_the_names_grow_less_special(data: bytes) -> None:
    names = list(dotqmail.candidates(b"-", data))
    assert all(name.startswith(b".qmail-") and b"." not in name[1:] for name, _ in names)
    assert names[-1] == (b".qmail-default", data)
    for name, default in names[1:]:
        assert default is not None and data.endswith(default)
        assert name == b".qmail-" + dotqmail.safe(data[: len(data) - len(default)]) + b"default"
    assert sorted((len(name) for name, _ in names[1:]), reverse=True) == [len(name) for name, _ in names[1:]]


class Files(Control):
    """Control files that all say the same."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        super().__init__(b"control")
        self.data = data

    def _read(self, name: bytes, first_line: bool = False) -> bytes | None:
        return self.data


@fuzz(
    words=(b"\n", b" \t", b"#", b"12", b":", b"a.example", b"\0", b"\r"), seeds=[b"604800 \nx\n", b"# no\n\na:b\nA:c\n"]
)
def test_a_control_file_is_a_line_a_number_and_a_list(data: bytes) -> None:
    control = Files(data)
    line, entries = control.line(b"me"), control.entries(b"locals")
    assert line is not None and b"\n" not in line and line == line.rstrip(b" \t")
    assert 0 <= control.number(b"queuelifetime", 7) < 1 << 64
    assert entries is not None
    assert all(entry and not entry.startswith(b"#") and not entry.endswith((b" ", b"\t")) for entry in entries)
    assert all(key == key.lower() and b":" not in key for key in keymap(entries))


@fuzz(
    words=(b"@", b"%", b"ph.example", b"local", b".w.example", b"v.example", b"u"), seeds=[b"a%b%ph.example@ph.example"]
)
def test_every_recipient_goes_somewhere_and_has_a_host_then(data: bytes) -> None:
    routes = Routes(
        b"env.example", [b"local"], [b"ph.example"], {b"v.example": b"virt", b".w.example": b"w", b"x": b""}
    )
    channel, address = routes.rewrite(data)
    assert channel in (0, 1) and b"@" in address
    assert channel == 0 or address.rpartition(b"@")[2].lower() != b"local"
    assert isinstance(routes.unprefixed(address), bytes)


def record(address: bytes, count: int, when: int) -> bytes:
    return tcpto.RECORD.pack(address, count, when)


ONE = record(b"\x0a\0\0\1", 2, 1000)


@fuzz(
    words=(ONE, record(b"\x0a\0\0\2", 0, 5), b"\x0a\0\0\1", bytes(4)),
    seeds=[ONE * 64, ONE + bytes(1008), b"\x0a\0\0\1" * 9],
)
def test_any_table_of_time_outs_is_looked_up_by_whole_records(data: bytes) -> None:
    everybody = [(each.at, each.address, each.count) for each in tcpto.records(data)]
    for address in (b"\x0a\0\0\1", bytes(4), b"\xff" * 4):
        found = tcpto.find(data, address)
        wanted = next((each for each in everybody if each[1] == address), None)
        assert (found and (found.at, found.address, found.count)) == wanted
        changed = tcpto.timed_out(data, address, 2000)
        if changed is not None:
            assert changed.address == address and 1 <= changed.count <= tcpto.MANY
            assert changed.at in [at for at, _, _ in everybody]
        else:
            assert not everybody or (found is not None and found.count)


def test_long_names_and_long_files_cost_linear_time() -> None:
    assert_linear(lambda n: b"&a@b\n" * n, lambda data: list(dotqmail.lines(data)), 5000)
    assert_linear(lambda n: b"a" * n, lambda data: list(dotqmail.candidates(b"-", data)), 50000)
