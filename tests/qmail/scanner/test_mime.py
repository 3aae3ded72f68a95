"""The MIME walker: what it sees in messages good and bad, at every cut of the input."""

from __future__ import annotations

import base64
import email.message
import email.policy
import io
import struct
import time
import zipfile
import zlib
from collections.abc import Callable

import pytest

from qmail.scanner import mime
from qmail.scanner.mime import Walker


def walk(data: bytes, step: int = 0) -> Walker:
    walker = Walker()
    for at in range(0, len(data), step or max(1, len(data))):
        walker.feed(data[at : at + step] if step else data)
    walker.end()
    return walker


def seen(walker: Walker) -> list[tuple[object, ...]]:
    return [
        (part.type, part.names, part.size, sorted(part.archive.names.items()) if part.archive else None, part.uuencoded)
        for part in walker.parts
    ]


def at_every_cut(data: bytes) -> Walker:
    whole = walk(data)
    for step in (1, 2, 3, 7, 64):
        slow = walk(data, step)
        assert (seen(slow), slow.fields, slow.troubles) == (seen(whole), whole.fields, whole.troubles), step
    return whole


def zipped(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return file.getvalue()


def multipart(*parts: bytes, boundary: bytes = b"xx", kind: bytes = b"mixed") -> bytes:
    body = b"".join(b"--%b\n%b\n" % (boundary, part) for part in parts)
    return b'Content-Type: multipart/%b; boundary="%b"\n\npreamble\n%b--%b--\nepilogue\n' % (
        kind,
        boundary,
        body,
        boundary,
    )


def test_a_plain_message_is_one_part_and_its_fields_are_there() -> None:
    walker = at_every_cut(b"Subject: a\n b\nFrom: x@y\n\nhello\nworld\n")
    assert walker.fields == [(b"subject", b"a\n b"), (b"from", b"x@y")]
    assert seen(walker) == [(b"text/plain", [], 12, None, [])]
    assert not walker.troubles


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_parts_have_their_names_types_and_sizes(newline: bytes) -> None:
    image = bytes(range(256)) * 20
    encoded = base64.encodebytes(image)
    message = multipart(
        b"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\na=\nb=20c\n",
        b'Content-Type: image/png; name="a.png"\nContent-Transfer-Encoding: base64\n'
        b'Content-Disposition: attachment;\n filename="b.png"\n\n' + encoded,
        b"\nno header\n",
    ).replace(b"\n", newline)
    walker = at_every_cut(message)
    sizes = [part.size for part in walker.parts]
    assert [(part.type, part.names) for part in walker.parts] == [
        (b"text/plain", []),
        (b"image/png", [b"b.png", b"a.png"]),
        (b"text/plain", []),
    ]
    assert sizes == [4 + len(newline), len(image), 9 + len(newline)] if newline == b"\n" else sizes[1] == len(image)


def test_what_pythons_own_library_writes_is_seen_as_it_was_meant() -> None:
    message = email.message.EmailMessage(email.policy.default.clone(linesep="\n"))
    message["Subject"] = "x"
    message.set_content("text\n")
    names = ["plain.txt", "árvíztűrő tükörfúrógép.exe", "x" * 200 + ".scr"]
    for name in names:
        message.add_attachment(b"0123456789", maintype="application", subtype="octet-stream", filename=name)
    inner = email.message.EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("inner text")
    inner.add_attachment(b"abc", maintype="application", subtype="x", filename="deep.pif")
    message.add_attachment(inner)
    walker = at_every_cut(message.as_bytes())
    found = [(part.name.decode(), part.size) for part in walker.parts if part.name]
    assert found == [(name, 10) for name in names] + [("deep.pif", 3)]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b'Content-Disposition: attachment; filename="a b.exe"', b"a b.exe"),
        (b"Content-Disposition: attachment; filename=a b.exe", b"a b.exe"),
        (b'Content-Disposition: attachment; filename="a\\"b\\\\.exe"', b'a"b\\.exe'),
        (b'Content-Disposition: attachment; filename="never ends.exe', b"never ends.exe"),
        (b"Content-Disposition: attachment;\n\tFILENAME = a.exe ;x=y", b"a.exe"),
        (b"Content-Type: application/x; name==?utf-8?B?YS5leGU=?=", b"a.exe"),
        (b'Content-Type: application/x; name="=?iso-8859-2?Q?=F5.e?= =?us-ascii?q?xe?="', "ő.exe".encode()),
        (b"Content-Type: application/x; name*=utf-8'hu'%C5%91.exe", "ő.exe".encode()),
        (b"Content-Type: application/x; name*0*=iso-8859-2''%F5; name*1=.ex; name*2*=%65", "ő.exe".encode()),
        (b"Content-Type: application/x; name*=unknown-8bit''%F5.exe", b"\xf5.exe"),
        (b"Content-Type: application/x; name*1=a; name*2=.exe", b"a.exe"),
        (b"Content-Type: application/x; name*0=a; name*2=.exe", b"a.exe"),
        (b"Content-Type: application/x; name*=%zz.exe", b"%zz.exe"),
        (b'Content-Type: application/x; name="=?utf-8?B?!!!?="', b"=?utf-8?B?!!!?="),
        (b"Content-Type: application/x; name=\xff\xfe.exe", b"\xff\xfe.exe"),
    ],
)
def test_names_are_found_however_they_are_written(field: bytes, name: bytes) -> None:
    assert name in at_every_cut(field + b"\n\nx").parts[0].names


def test_both_names_count_where_they_differ() -> None:
    walker = walk(b"Content-Disposition: attachment; filename=a.txt; filename*=''a.exe\n\n")
    assert walker.parts[0].names == [b"a.exe", b"a.txt"]


def test_a_zip_shows_the_names_in_it_and_what_it_would_unpack_to() -> None:
    data = zipped(eicar_com=b"x" * 68, readme_txt=b"y" * 5000)
    message = b"Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n"
    (part,) = at_every_cut(message + base64.encodebytes(data)).parts
    assert part.archive is not None
    assert part.archive.names == {b"eicar.com": 68, b"readme.txt": 5000}
    assert part.archive.size == 5068
    assert not part.archive.lying and not part.archive.encrypted


@pytest.mark.parametrize(("old", "new"), [(b"eicar.com", b"eicar.txt"), (b"\x44\0\0\0", b"\x45\0\0\0")])
def test_a_zip_that_says_one_thing_here_and_another_there_is_known_for_a_liar(old: bytes, new: bytes) -> None:
    data = zipped(eicar_com=b"x" * 68)
    at = data.rindex(old)
    lying = data[:at] + new + data[at + len(old) :]
    (part,) = at_every_cut(b"Content-Type: application/zip\n\n" + lying).parts
    assert part.archive is not None and part.archive.lying
    assert b"eicar.com" in part.archive.names


# "hello" and a newline from a pipe, by Info-ZIP 3.0: echo hello | zip a.zip -
ZIP64 = base64.b64decode(
    "UEsDBC0AAAAAACgZe10gMDo2//////////8BABQALQEAEAAGAAAAAAAAAAYAAAAAAAAAaGVsbG8KUEsBAh4DLQAAAAAAKBl7XSAwOjYGAAAABgAAAAEA"
    "AAAAAAAAAQAAAIARAAAAAC1QSwYGLAAAAAAAAAAeAy0AAAAAAAAAAAABAAAAAAAAAAEAAAAAAAAALwAAAAAAAAA5AAAAAAAAAFBLBgcAAAAAaAAAAAAA"
    "AAABAAAAUEsFBgAAAAABAAEALwAAADkAAAAAAA=="
)


@pytest.mark.parametrize("before", [b"", b"\n", b"MZ" + bytes(range(256)) * 3])
@pytest.mark.parametrize("behind", [b"", b"\r\n"])
@pytest.mark.parametrize(
    ("data", "name", "size"), [(zipped(a_exe=b"MZ" * 9, b_txt=b"x"), b"a.exe", 18), (ZIP64, b"-", 6)]
)
def test_a_zip_is_found_whatever_stands_around_it_as_readers_find_it(
    before: bytes, behind: bytes, data: bytes, name: bytes, size: int
) -> None:
    encoded = base64.encodebytes(before + data + behind)
    (part,) = at_every_cut(b"Content-Type: image/gif\nContent-Transfer-Encoding: base64\n\n" + encoded).parts
    assert part.archive is not None and part.archive.names[name] == size
    assert not part.archive.lying and not part.archive.encrypted


def test_what_only_looks_like_a_piece_of_a_zip_is_none() -> None:
    entry = b"PK\3\4" + bytes(2) + b"\1" + bytes(19) + b"\5\0\0\0a.exe"  # encrypted, by the way
    (part,) = at_every_cut(b"Content-Type: image/gif\n\nGIF89a" + entry + b"PK\5\6" + b"\1" * 18).parts
    assert part.archive is None
    walker = walk(b"Content-Type: image/gif\n\n" + (b"x" + entry) * 40000, 65536)  # of its names nothing is left
    assert walker.parts[0].archive is None and not walker.troubles


def test_a_zip_whose_directory_is_not_where_it_says_is_read_where_it_is_or_is_a_liar() -> None:
    data = zipped(a_exe=b"MZ" * 9)
    at = data.rindex(b"PK\5\6")
    (part,) = walk(b"\n" + data[:at] + b"junk" + data[at:]).parts  # 7-Zip reads it, Python does not
    assert part.archive is not None and part.archive.size == 18 and not part.archive.lying
    (part,) = walk(b"\n" + data.replace(b"PK\1\2", b"PK\1\1")).parts
    assert part.archive is not None and part.archive.lying and part.archive.names == {b"a.exe": 18}


def test_the_other_names_that_a_zip_has_for_a_file_are_seen_as_well() -> None:
    plain = zipfile.ZipInfo("readme.txt")
    other = "ő.exe".encode()
    plain.extra = struct.pack("<HHBL", 0x7075, 5 + len(other), 1, zlib.crc32(b"readme.txt")) + other
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(plain, b"MZ")
    (part,) = walk(b"\n" + packed.getvalue()).parts
    assert part.archive is not None and part.archive.names == {b"readme.txt": 2, other: 2}


def test_sizes_that_only_zip64_can_tell_are_understood() -> None:
    data = bytearray(ZIP64)
    at = data.index(b"PK\1\2")
    data[at + 20 : at + 28] = b"\xff" * 8  # packed and unpacked size: see the extra field
    data[at + 30] = 20
    data[at + 47 : at + 47] = struct.pack("<HHQQ", 1, 16, 1 << 40, 6)
    for mark, end in ((b"PK\6\6", 40), (b"PK\5\6", 12)):
        data[data.index(mark) + end] += 20
    data[data.index(b"PK\6\7") + 8] += 20
    (part,) = walk(b"\n" + bytes(data)).parts
    assert part.archive is not None and part.archive.size == 1 << 40 and part.archive.names == {b"-": 1 << 40}


@pytest.mark.parametrize("cut", range(0, 150, 7))
def test_a_zip_cut_short_or_damaged_shows_what_is_left(cut: int) -> None:
    data = zipped(eicar_com=b"x" * 68)
    (part,) = walk(b"Content-Type: application/zip\n\n" + data[: len(data) - cut]).parts
    assert part.archive is not None
    if len(data) - cut > 39:
        assert b"eicar.com" in part.archive.names
    damaged = data[:cut] + b"\xff\xff\xff\xff" + data[cut + 4 :]
    walk(b"Content-Type: application/zip\n\n" + damaged)


def test_files_uuencoded_in_a_text_are_seen() -> None:
    other = b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 y.exe\n"
    assert at_every_cut(other).parts[0].uuencoded == [b"y.exe"]
    assert at_every_cut(b"\nhello\nbegin 644 a b.exe\n#86)C\n`\nend\n").parts[0].uuencoded == [b"a b.exe"]
    assert at_every_cut(b"\nbegin 0755 x.pif\n").parts[0].uuencoded == [b"x.pif"]
    assert at_every_cut(b"\nwe begin 644 x\nbegin to see\n").parts[0].uuencoded == []


BROKEN = {
    "a boundary in pieces": b"Content-Type: multipart/mixed; boundary*0=x; boundary*1=x\n\n--xx\nContent-Type: a/b; name=v.exe\n\nMZ",
    "an encoded boundary": b"Content-Type: multipart/mixed; boundary*=us-ascii''%78x\n\n--xx\nContent-Type: a/b; name=v.exe\n\nMZ",
    "a boundary that looks encoded": multipart(b"Content-Type: a/b; name=v.exe\n\nMZ", boundary=b"=?us-ascii?Q?xx?="),
    "two types": b"Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=xx\n\n--xx\nContent-Type: a/b; name=v.exe\n\nMZ",
    "the first of the pieces of a message": b"Content-Type: message/partial; number=1; id=x\n\n"
    + multipart(b"Content-Type: a/b; name=v.exe\n\nMZ"),
    "two dispositions": multipart(
        b"Content-Disposition: inline\nContent-Disposition: attachment; filename=v.exe\n\nMZ"
    ),
    "a part without end": b"Content-Type: multipart/mixed; boundary=xx\n\n--xx\nContent-Type: a/b; name=v.exe\n\nMZ",
    "no empty line behind the header": b"Content-Type: multipart/mixed; boundary=xx\n\n--xx\nContent-Type: a/b; name=v.exe\n--xx\n\nMZ\n--xx--\n",
    "blanks behind the boundary": b"Content-Type: multipart/mixed; boundary=xx\n\n--xx \t\nContent-Type: a/b; name=v.exe\n\nMZ\n--xx-- \n",
    "an inner multipart that only its outer one ends": multipart(
        b'Content-Type: multipart/mixed; boundary="yy"\n\n--yy\nContent-Type: a/b; name=v.exe\n\nMZ'
    ),
    "the same boundary inside": multipart(multipart(b"Content-Type: a/b; name=v.exe\n\nMZ")),
    "one boundary begins like the other": multipart(
        multipart(b"Content-Type: a/b; name=v.exe\n\nMZ", boundary=b"xxy"), boundary=b"xx"
    ),
    "no header but the part's": b"Content-Type: multipart/mixed; boundary=xx\n--xx\nContent-Type: a/b; name=v.exe\n\nMZ",
    "in a message in a digest": multipart(
        b"\n" + multipart(b"Content-Type: a/b; name=v.exe\n\nMZ", boundary=b"yy"), kind=b"digest"
    ),
}


@pytest.mark.parametrize("message", BROKEN.values(), ids=BROKEN.keys())
def test_a_name_is_seen_in_a_message_that_is_broken(message: bytes) -> None:
    assert b"v.exe" in [name for part in at_every_cut(message).parts for name in part.names]


@pytest.mark.parametrize("encode", [base64.encodebytes, lambda data: data.replace(b"=", b"=3D")])
def test_a_name_is_seen_in_a_message_that_is_encoded_as_a_whole(encode: Callable[[bytes], bytes]) -> None:
    inner = multipart(b"Content-Type: a/b; name=v.exe\n\nMZ", b"\nhello")
    encoding = b"base64" if encode is base64.encodebytes else b"quoted-printable"
    head = b"Content-Type: message/rfc822; name=m.eml\nContent-Transfer-Encoding: %b\n\n" % encoding
    walker = at_every_cut(multipart(head + encode(inner), b"\nlast", boundary=b"yy"))
    assert [part.names for part in walker.parts] == [[b"m.eml"], [b"v.exe"], [], []]
    assert walker.parts[0].size == len(inner)


def test_messages_encoded_in_each_other_are_too_deep_at_last() -> None:
    message = b"Content-Type: a/b; name=v.exe\n\nMZ"
    for _ in range(60):  # each is quoted once more: only "=" grows, and there is none
        message = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n" + message.replace(
            b"=", b"=3D"
        )
    assert walk(message, 4096).troubles == {mime.TOO_DEEP}


def test_the_later_pieces_of_a_message_have_no_header() -> None:
    walker = walk(b"Content-Type: message/partial; number=2; id=x\n\n" + b"YWJj\n" * 100000, 4096)
    assert not walker.troubles and walker.parts[0].size == 500000


def test_lines_that_only_look_like_boundaries_are_text() -> None:
    body = b"--\n--x\n--xxx\n --xx\n--xx-\n-\n--"
    (part,) = at_every_cut(multipart(b"\n" + body)).parts
    assert part.size == len(body)


def test_ten_thousand_parts_are_too_many_and_cost_little() -> None:
    start = time.process_time()
    walker = walk(multipart(*[b"Content-Type: a/b; name=v.exe\n\nMZ"] * 10000), 65536)
    assert walker.troubles == {mime.TOO_MANY}
    assert len(walker.parts) == mime.PARTS
    assert time.process_time() - start < 5


def test_nesting_of_five_hundred_is_too_deep() -> None:
    message = b"Content-Type: a/b; name=v.exe\n\nMZ"
    for number in range(500):
        message = multipart(message, boundary=b"b%d" % number)
    assert walk(message, 65536).troubles == {mime.TOO_DEEP}
    assert walk(b"Content-Type: message/rfc822\n\n" * 500).troubles == {mime.TOO_DEEP}


def test_a_header_without_end_is_too_long_and_not_kept() -> None:
    for line in (b"X-%d: y\n", b" folded %d\n", b"%d"):
        walker = walk(b"Subject: x\n" + b"".join(line % number for number in range(100000)), 4096)
        assert walker.troubles == {mime.TOO_LONG} and walker.fields[0][0] == b"subject"
        assert sum(len(value) for _, value in walker.fields) <= mime.HEADER


def test_nul_and_carriage_return_in_a_header_are_noticed() -> None:
    for message in (b"Subject: a\0b\n\n", b"Subject: a\rb\n\n", multipart(b"Content-Type: a\0/b\n\n")):
        assert at_every_cut(message).troubles == {mime.BAD_BYTES}
    assert not at_every_cut(b"Subject: ab\r\n\r\na\0\r\r\n").troubles


def test_archives_full_of_names_have_an_end() -> None:
    entry = b"PK\3\4" + bytes(22) + b"\xff\x03\0\0" + b"n" * 1023
    data = b"".join(entry[:30] + b"%06d" % number + entry[36:] for number in range(8000))
    walker = walk(b"Content-Type: application/zip\n\n" + data, 65536)
    assert walker.troubles == {mime.TOO_FULL}
    start = time.process_time()
    for length in (b"\0\0", b"\1\0"):
        entry = b"PK\3\4" + bytes(22) + length + b"\0\0"
        assert walk(b"Content-Type: application/zip\n\n" + entry * 500000, 65536).troubles == {mime.TOO_FULL}
    assert time.process_time() - start < 5  # of 30 megabytes


def test_base64_goes_on_behind_padding_and_rubbish() -> None:
    (part,) = at_every_cut(b"Content-Transfer-Encoding: base64\n\nYQ==\n*YWI=\nYWJj=\n=\nY").parts
    assert part.size == 1 + 2 + 3


@pytest.mark.parametrize(
    "field",
    [
        b"base64 ;x",
        b'"base64"',
        b"BASE64 (so they say)",
        b"7bit\nContent-Transfer-Encoding: base64",
        b"(c) base64\nContent-Transfer-Encoding: base64",
    ],
)
def test_an_encoding_is_known_however_it_is_written(field: bytes) -> None:
    (part,) = at_every_cut(b"Content-Transfer-Encoding: " + field + b"\n\nYWJj\n").parts
    assert part.size == 3
