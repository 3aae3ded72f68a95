"""How signed and encrypted mail is named, by the types of its parts."""

from __future__ import annotations

import pytest

from qmail.scanner import crypto
from qmail.scanner.mime import Walker
from tests.support.scanned import CLEAN, ScannedHome
from tests.support.scanned import home as home

# RFC 3156, 2 to 6; RFC 8551, 3.5
SIGNED = """\
MIME-Version: 1.0
Content-Type: multipart/signed; boundary=b; micalg=sha-256; protocol="{protocol}"

--b

hello
--b
Content-Type: {protocol}; name=x

sig
--b--
"""
SEALED = """\
Content-Type: multipart/encrypted; boundary=b; protocol="application/pgp-encrypted"

--b
Content-Type: application/pgp-encrypted

Version: 1
--b
Content-Type: application/octet-stream

x
--b--
"""


@pytest.mark.parametrize(
    ("message", "details"),
    [
        (CLEAN.decode(), b""),
        ("", b""),
        (SIGNED.format(protocol="application/pgp-signature"), b"PGP(signed)"),
        (SIGNED.format(protocol="application/pkcs7-signature"), b"SMIME(signed)"),
        (SIGNED.format(protocol="application/x-pkcs7-signature"), b"SMIME(signed)"),
        (SEALED, b"PGP(encrypted)"),
        ("Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nx", b"SMIME(encrypted)"),
        ("Content-Type: Application/X-PKCS7-MIME\n\nx", b"SMIME(encrypted)"),
        ("Content-Type: application/pkcs7-mime; smime-type=Signed-Data\n\nx", b"SMIME(signed)"),
        ("Content-Type: application/pkcs7-mime; smime-type=certs-only\n\nx", b""),
        ("Content-Type: application/pkcs7-mime; smime-type=compressed-data\n\nx", b""),
    ],
)
def test_the_types_of_the_parts_say_it(message: str, details: bytes) -> None:
    walker = Walker()
    walker.feed(message.encode())
    walker.end()
    assert crypto.details(walker.parts) == details


def test_each_kind_is_named_once() -> None:
    inner = SIGNED.format(protocol="application/pgp-signature").replace("=b;", "=c;").replace("--b", "--c")
    walker = Walker()
    outer = f"Content-Type: multipart/mixed; boundary=b\n\n--b\n{inner}\n--b\n{inner}\n--b\n"
    walker.feed((outer + "Content-Type: application/pkcs7-mime\n\nx\n--b--\n").encode())
    walker.end()
    assert crypto.details(walker.parts) == b"PGP(signed),SMIME(encrypted)"


def test_the_log_line_and_the_field_say_it_if_that_is_wanted(
    home: ScannedHome, capfd: pytest.CaptureFixture[str]
) -> None:
    message = SIGNED.format(protocol="application/pgp-signature").encode()
    for setting, shown in (("no", "Clear:RC:0(192.168.1.22): "), ("yes", "Clear:RC:0(192.168.1.22):CR:PGP(signed): ")):
        home.set(log_crypto=setting)
        assert home.hand_in(message) == b""
        assert shown in capfd.readouterr().err
        ((_, queued),) = home.queued()
        assert (b"CR:PGP(signed):. \n" in queued) is (setting == "yes")
