"""The own list, and the shapes of messages that are events without a rule."""

from __future__ import annotations

import base64
import io
import time
import zipfile

import pytest

from tests.support.scanned import CLEAN, ScannedHome, with_attachment
from tests.support.scanned import home as home


def typed(kind: str) -> bytes:
    """A message of one part, of that type."""
    return f"MIME-Version: 1.0\nContent-Type: {kind}\n\nx\n".encode()


@pytest.mark.parametrize(
    ("rule", "message", "event"),
    [
        (".pif\tSIZE=-1\tPIF files blocked by Policy", with_attachment("A.PIF", b"x"), b"PIF files blocked by Policy"),
        (".pif\t0\tPIF files", with_attachment("a.txt.pif .", b"x"), b"PIF files"),
        ("Eicar.com\tSIZE=69\tEICAR Test Virus", with_attachment("eicar.com", b"0" * 69), b"EICAR Test Virus"),
        ("You are 0wNed\tPolicy-Subject:\tNasty emails", b"Subject: you are\n 0WNED\n\n", b"Nasty emails"),
        ("You are 0wNed\tPolicy-Subject:\tNasty", b"Subject: =?utf-8?B?WW91IGFyZSAwd05lZA==?=\n\n", b"Nasty"),
        (
            r".*msdownload.*\tPolicy-Content-Type:\tNo programs".replace("\\t", "\t"),
            with_attachment("a", b"").replace(b"application/x", b"application/x-msdownload"),
            b"No programs",
        ),
        ("sj@.*\tPolicy-MAILFROM:\tNot him", CLEAN, b"Not him"),
        ("192.*\tVirus-REMOTEIPADDR:\tNot there", CLEAN, b"Not there"),
        ("sj@mail.*\tPolicy-RCPTTO:\tNot to him", CLEAN, b"Not to him"),
        (".*\tPolicy-FILEDOUBLEBARRELED:\tDouble", with_attachment("a.txt.exe", b"x"), b"Double"),
        (".*\tPolicy-FILELENGTHTOOLONG:\tLong", with_attachment("a" * 300, b"x"), b"Long"),
        (".*\tPolicy-FILECLSID:\tCLSID", with_attachment("a.{00021401-0000-0000-C000-000000000046}", b"x"), b"CLSID"),
        (r"SMIME\(.*\tPolicy-CRYPTODETAILS:\tSealed".replace("\\t", "\t"), typed("application/pkcs7-mime"), b"Sealed"),
        ("1\tPolicy-ISSENSITIVEANDNOCRYPTO:\tOpen", b"Sensitivity: Private\n\nx\n", b"Open"),
    ],
)
def test_a_rule_stops_what_it_describes(home: ScannedHome, rule: str, message: bytes, event: bytes) -> None:
    home.rules("# a comment", rule)
    assert home.hand_in(message) == b""
    (kept,) = home.quarantined()
    assert (kept.event, kept.scanner) == (event, b"perlscan")
    assert home.queued() == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (".pif\tSIZE=-1\tx", with_attachment("pif", b"x")),
        ("eicar.com\tSIZE=69\tx", with_attachment("eicar.com", b"0" * 68)),
        ("You are\tPolicy-Subject:\tx", b"Subject: you are mine\n\n"),
        ("x\tPolicy-Subject:\tx", b"From: a\n\nSubject: x\n"),
        (".*\tPolicy-FILEDOUBLEBARRELED:\tx", with_attachment("a.exe", b"x")),
        (".*\tPolicy-CRYPTODETAILS:\tx", CLEAN),
        (".*\tPolicy-CRYPTODETAILS:\tx", b"CryptoDetails: SMIME(signed)\n\nx\n"),
        (".*\tPolicy-ISSENSITIVEANDNOCRYPTO:\tx", b"Sensitivity: private\n" + typed("application/pkcs7-mime")),
        (".*\tPolicy-ISSENSITIVEANDNOCRYPTO:\tx", b"Sensitivity: normal\n\nx\n"),
    ],
)
def test_a_rule_leaves_alone_what_it_does_not_describe(home: ScannedHome, rule: str, message: bytes) -> None:
    home.rules(rule)
    assert home.hand_in(message) == b""
    assert len(home.queued()) == 1


def zipped(name: str, content: bytes, password: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    data = file.getvalue()
    return data.replace(b"\x14\0\0\0\x08", b"\x14\0\1\0\x08") if password else data


def test_rules_see_into_zips_and_know_those_with_a_password(home: ScannedHome) -> None:
    home.rules(".pif\tSIZE=-1\tPIF", "1\tPolicy-ZIPPASSWORDPROTECTED:\tPassword")
    home.hand_in(with_attachment("a.zip", zipped("b.pif", b"x")))
    home.hand_in(with_attachment("a.zip", zipped("b.txt", b"x", password=True)))
    assert {kept.event for kept in home.quarantined()} == {b"PIF", b"Password"}


def test_a_zip_bomb_and_a_lying_zip_are_policy_events_and_cost_nothing(home: ScannedHome) -> None:
    home.set(max_zip_size="1000000")
    start = time.process_time()
    bomb = zipped("bomb", bytes(2_000_000))
    made = time.process_time() - start
    assert home.hand_in(with_attachment("a.zip", bomb)) == b""
    lying = bomb.replace((2_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))  # in both places
    home.hand_in(with_attachment("b.zip", lying))
    at = bomb.rindex((2_000_000).to_bytes(4, "little"))
    home.hand_in(with_attachment("c.zip", bomb[:at] + (100).to_bytes(4, "little") + bomb[at + 4 :]))
    assert time.process_time() - start - made < 2
    found = [kept.event for kept in home.quarantined()]
    assert sorted(found) == [b"Disallowed breakage found in archive", b"Disallowed size of unpacked archive"]
    assert len(home.queued()) == 1  # it tells one lie everywhere: what it hides, clamd unpacks


def test_mime_bombs_are_policy_events(home: ScannedHome) -> None:
    home.set(policy="reject")
    parts = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n\n" * 10000
    assert home.hand_in(parts) == b"Dthis message is not allowed here: Disallowed number of MIME parts (#5.7.1)"
    deep = b"Content-Type: message/rfc822\n\n" * 500
    assert home.hand_in(deep) == b"Dthis message is not allowed here: Disallowed depth of MIME parts (#5.7.1)"
    long = b"X: y\n" * 100000 + b"\n"
    assert home.hand_in(long) == b"Dthis message is not allowed here: Disallowed length of headers (#5.7.1)"
    nul = b"Subject: a\0b\n\n"
    assert home.hand_in(nul).startswith(
        b"Dthis message is not allowed here: Disallowed MIME characters found in headers"
    )
    home.set(ignore_eol_check="yes")
    assert home.hand_in(nul) == b""


# a.txt, made by Info-ZIP 3.0: zip -P secret a.zip a.txt
LOCKED = base64.b64decode(
    "UEsDBAoACQAAAIAYe10gMDo2EgAAAAYAAAAFABwAYS50eHRVVAkAAyDzCGsg8whrdXgLAAEEAAAAAAQAAAAADzfkGFodheulwIWZ5Ch6rlI8UEsHCCAw"
    "OjYSAAAABgAAAFBLAQIeAwoACQAAAIAYe10gMDo2EgAAAAYAAAAFABgAAAAAAAEAAACkgQAAAABhLnR4dFVUBQADIPMIa3V4CwABBAAAAAAEAAAAAFBL"
    "BQYAAAAAAQABAEsAAABhAAAAAAA="
)


def test_a_zip_with_a_password_is_a_policy_event_where_that_is_wanted(home: ScannedHome) -> None:
    message = with_attachment("a.zip", LOCKED)
    assert home.hand_in(message) == b"" and len(home.queued()) == 1
    home.set(block_password_protected="yes")
    assert home.hand_in(message) == b"" and home.queued() == []
    (kept,) = home.quarantined()
    assert (kept.kind, kept.event) == (b"policy", b"Disallowed password-protected archive")
    home.set(policy="reject")
    assert home.hand_in(message) == b"Dthis message is not allowed here: Disallowed password-protected archive (#5.7.1)"
    assert home.hand_in(with_attachment("a.zip", zipped("a.txt", b"hello"))) == b"" and len(home.queued()) == 1
