"""The MIME walker: any bytes are a message, in any pieces the same one, within its bounds."""

from __future__ import annotations

import email
import email.policy

from qmail.scanner import mime, mimefields, zipnames
from qmail.scanner.mime import Walker
from tests.fuzz.harness import assert_linear, cuts, fuzz, memory_of, same

WORDS = (
    *(
        b"Content-Type: multipart/mixed; boundary=b\n",
        b'Content-Type: multipart/digest; boundary="b c"\n',
        b"\n",
        b"\r\n",
    ),
    *(
        b"--b\n",
        b"--b--\n",
        b"--b c\r\n",
        b"--b",
        b"\n--b",
        b"Content-Type: message/rfc822\n",
        b" folded\n",
        b"\0",
        b"--",
    ),
    *(
        b"Content-Transfer-Encoding: base64\n",
        b"Content-Transfer-Encoding: quoted-printable\n",
        b"UEsDBA==",
        b"=3D",
        b"=\n",
    ),
    *(
        b"Content-Disposition: attachment; filename=",
        b"a.exe\n",
        b"=?utf-8?B?YQ==?=",
        b"name*0*=utf-8''%41",
        b'"',
        b"\\",
        b";",
    ),
    b"Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n",
    *(b"begin 644 a\n", b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\xff\xff\xff\xff", bytes(30)),
)
MESSAGE = (
    b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name=a.exe\n\nhello\n"
    b"--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Transfer-Encoding: base64\n\nUEsDBAo=\n--c--\n--b--\n"
)
ZIP = (
    b"Content-Type: application/zip\n\nPK\3\4" + bytes(22) + b"\1\0\0\0a" + b"PK\1\2" + bytes(24) + b"\1\0" + bytes(16)
)
ZIP += b"aPK\5\6" + bytes(8) + b"\x2f\0\0\0\x1f\0\0\0\0\0"


def outcome(pieces: list[bytes]) -> tuple[object, ...]:
    walker = Walker()
    for piece in pieces:
        walker.feed(piece)
    walker.end()
    assert len(walker.parts) <= mime.PARTS
    seen = []
    for part in walker.parts:
        assert all(len(name) <= mime.NAME for name in part.names)
        archive = part.archive
        inside = (sorted(archive.names.items()), archive.lying, archive.encrypted, archive.size) if archive else None
        seen.append((part.type, part.names, part.fields, part.size, part.uuencoded, inside))
    return (walker.fields, seen, walker.troubles)


@fuzz(words=WORDS, seeds=[MESSAGE, ZIP, MESSAGE.replace(b"\n", b"\r\n")], examples=400)
def test_any_bytes_are_a_message_and_the_same_in_any_pieces(data: bytes) -> None:
    same([outcome(pieces) for pieces in cuts(data)])


@fuzz(words=WORDS, seeds=[b'a/b; name="x"; name*1=y', b"; =;\";''%%%"])
def test_any_field_has_a_value(data: bytes) -> None:
    value = mimefields.Value(data)
    for name in (b"name", b"filename", b"boundary"):
        assert isinstance(value.text(name), bytes)
    mimefields.words(data)


@fuzz(words=WORDS, seeds=[ZIP[30:]])
def test_any_bytes_are_an_archive(data: bytes) -> None:
    seen = []
    for pieces in cuts(b"PK" + data):
        archive = zipnames.Archive(zipnames.Budget(10000))
        for piece in pieces:
            archive.feed(piece)
        archive.end()
        seen.append((archive.names, archive.size, archive.lying, archive.encrypted))
    same(seen)


@fuzz(words=[b"hello\n", b"From x\n", b"caf\xc3\xa9\n", b"--\n"], seeds=[b"hello\n"])
def test_what_pythons_library_packs_is_unpacked_as_it_was(data: bytes) -> None:
    message = email.message_from_bytes(b"", policy=email.policy.default)
    message.set_content("text")
    message.add_attachment(data, maintype="application", subtype="x", filename="f.bin")
    walker = Walker()
    walker.feed(message.as_bytes())
    walker.end()
    assert [(part.name, part.size) for part in walker.parts[1:]] == [(b"f.bin", len(data))]


def test_time_is_in_proportion_whatever_comes() -> None:
    def run(data: bytes) -> None:
        outcome([data[at : at + 8192] for at in range(0, len(data), 8192)])

    head = b"Content-Type: multipart/mixed; boundary=b\n\n"
    for piece in (
        b"--b\n",
        b"--x\n",
        b"\n--",
        b"-",
        b"X:y\n",
        b" ",
        b"PK\3\4",
        b"begin 644 a\n",
        b"=?utf-8?Q?a?=",
        b"=",
        b'"\\',
    ):
        for start in (
            b"",
            head,
            head + b"--b\nContent-Type: a/b; name=",
            b"Content-Transfer-Encoding: base64\n\n",
            b"\n",
        ):
            assert_linear(lambda size, s=start, p=piece: s + p * (size // len(p)), run, 20000)  # type: ignore[misc]


def test_memory_is_bounded_whatever_comes() -> None:
    def walk(start: bytes, piece: bytes) -> None:
        walker, block = Walker(), piece * (65536 // len(piece))
        walker.feed(start)
        for _ in range(200):  # thirteen megabytes
            walker.feed(block)
        walker.end()

    for start, piece in (
        (b"", b"X: y\n"),
        (b"Content-Type: multipart/mixed; boundary=b\n\n", b"--b\nContent-Type: a/b; name=" + b"n" * 1000 + b"\n\n"),
        (b"Content-Type: multipart/mixed; boundary=b\n\n", b"--b\n" + b"Content-X: y\n" * 100 + b"\n"),
        (b"Content-Type: application/zip\n\n", b"PK\3\4" + bytes(22) + b"\xff\0\0\0" + bytes(255)),
        (b"Content-Transfer-Encoding: quoted-printable\n\n", b"="),
        (b"\n", b"\nbegin 644 " + b"n" * 250),
    ):
        assert memory_of(lambda s=start, p=piece: walk(s, p)) < 12 << 20  # type: ignore[misc]
