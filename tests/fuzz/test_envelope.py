"""Envelopes and the queue's other files: any bytes are read as defined, or refused with the code that is documented."""

from __future__ import annotations

from qmail.core import bounce, envelope, hold, intervention, logline
from qmail.core.envelope import LONGEST, BadEnvelope, Reader
from tests.fuzz.harness import assert_linear, cuts, fuzz, same

LONG = b"T" + b"x" * (LONGEST + 1) + b"\0"
WORDS = (b"F", b"T", b"\0", b"Fa@b\0", b"Tc@d\0", b"\0\0", LONG[1:], LONG)
SEEDS = [b"Fa@b\0Tc@d\0Te@f\0\0", b"F\0\0junk", b"Xa@b\0\0", b"Fa@b\0" + LONG + b"\0"]


def by_reader(pieces: list[bytes]) -> tuple[bytes, bool, int]:
    """Records, whether the end was seen, and the code of a refusal."""
    reader, records = Reader(), b""
    try:
        for piece in pieces:
            records += reader.feed(piece)
    except BadEnvelope as error:
        return b"", False, error.code
    return records, reader.done, 0


def by_definition(data: bytes) -> tuple[bytes, bool, int]:
    """The same, one record after the other, from the manual."""
    records, letter = b"", b"F"
    while data:
        record, end, data = data.partition(b"\0")
        if end and not record and letter == b"T":
            return records, True, 0
        if record[:1] != letter:
            return b"", False, 91
        if len(record) > 1 + LONGEST:
            return b"", False, 11
        if end:
            records += record + end
        letter = b"T"
    return records, False, 0


@fuzz(words=WORDS, seeds=SEEDS)
def test_any_bytes_in_any_pieces_are_an_envelope_or_get_the_exit_code_of_the_manual(data: bytes) -> None:
    for pieces in cuts(data):
        assert by_reader(pieces) == by_definition(data)


@fuzz(words=WORDS, seeds=SEEDS)
def test_addresses_come_out_as_they_went_in(data: bytes) -> None:
    sender, *recipients = [address[:LONGEST] for address in data.split(b"\0")]
    assert envelope.unpack(envelope.pack(sender, recipients)) == (sender, recipients)


@fuzz(words=(b"u0\0", b"p1\0", b"Fa@b\0", b"Tc@d\0", b"Dx", b"\0"), seeds=[b"u0\0p1\0Fa@b\0Tc@d\0T"])
def test_the_records_of_a_queue_file_end_at_its_last_nul_however_it_is_read(data: bytes) -> None:
    found = [list(envelope.records(pieces)) for pieces in cuts(data)]
    same(found)
    whole = data[: data.rfind(b"\0") + 1]
    assert b"".join(record + b"\0" for record in found[0]) == whole


@fuzz(
    words=(b"b1", b"\0", b"A\0", b"La@b\0", b"Rc@d\0"),
    seeds=[b"b1795421158\0A\0", b"b1\0La\0Rb\0"],
    raises=(ValueError,),
)
def test_a_hold_file_means_one_thing_or_nothing(data: bytes) -> None:
    birth, held = hold.unpack(data)
    assert hold.unpack(hold.pack(birth, held)) == (birth, held)


@fuzz(
    words=(b"hold\0\0", b"fail\0why\0", b"N46.7\0", b"La@b\0", b"R\0", b"N"),
    seeds=[b"delete\0\0N46.1795421158\0La@b\0Rc@d\0N47.1\0"],
    raises=(intervention.Malformed,),
)
def test_a_request_of_qmail_qctl_means_one_thing_or_nothing(data: bytes) -> None:
    verb, text, items = intervention.unpack(data)
    assert verb in intervention.VERBS and b"\0" not in text
    repacked = [intervention.unpack(packet) for packet, _ in intervention.packets(verb, text, items)]
    again = [(item.number, item.birth, item.keys) for _, _, inside in repacked for item in inside]
    assert again == [(item.number, item.birth, item.keys) for item in items]


@fuzz(words=(b"K1.2\0", b"Dgone\0", b"Z", b"\0", b"K"), raises=(intervention.Malformed,))
def test_an_answer_to_qmail_qctl_can_be_counted(data: bytes) -> None:
    for answer in intervention.answers(data):
        assert min(intervention.counts(answer)) >= 0


@fuzz(words=(b"\n", b"\n\n", b"--- Below", b"<x@y>:\n"), seeds=[b"a\n\n\nb\n", b"\n", b"x\n\n"])
def test_no_report_can_end_its_paragraph_in_a_bounce(data: bytes) -> None:
    recipient, _, report = data.partition(b"\0")
    paragraph = bounce.paragraph(recipient, report)
    assert paragraph.endswith(b"\n\n") and paragraph.startswith(b"<")
    assert b"\n\n" not in paragraph[:-2].removesuffix(b"\n")


@fuzz(words=(b"\n", b"%s", b"\x1b[2J", b" "))
def test_nothing_a_stranger_writes_makes_a_second_word_or_line_in_the_log(data: bytes) -> None:
    assert len(logline.info(1, 2, data, 3, 4).split()) == 11
    assert len(logline.starting(1, 2, 0, data).split(b" ")) == 8 and logline.report(1, b"K", data).count(b"\n") == 1


def test_an_envelope_takes_time_that_grows_as_it_does() -> None:
    assert_linear(lambda n: b"Fa@b\0" + b"Tc@d\0" * n + b"\0", lambda data: by_reader([data]), 20000)
    assert_linear(
        lambda n: b"Fa@b\0" + b"Tc@d\0" * n,
        lambda data: by_reader([data[at : at + 7] for at in range(0, len(data), 7)]),
        5000,
    )
