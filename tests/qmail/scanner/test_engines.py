"""Real clamd and real spamd, spoken to by our conversations."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from qmail.scanner import probing
from qmail.scanner.asking import Question, ask
from qmail.scanner.clamd import Ask, Clamd
from qmail.scanner.spamd import Rewriting
from qmail.scanner.store import Store
from qmail.scanner.verdict import Infected, Scored, Trouble, Verdict
from tests.support.scanners import FOUND, RealClamd, RealSpamd

pytestmark = pytest.mark.xdist_group("scan engines")


def test_the_test_virus_is_what_the_world_takes_for_it() -> None:
    import hashlib

    assert hashlib.md5(probing.EICAR).hexdigest() == "44d88612fea8a8f36de82e1278abb02f"


def test_clamd_knows_good_from_bad_by_both_ways(clamd: RealClamd) -> None:
    for address in (clamd.address, clamd.tcp):
        assert probing.says("clamd", address, probing.CLEAN) == Verdict(b"clamd")
        assert probing.says("clamd", address, probing.EICAR) == Infected(b"clamd", FOUND)
        assert probing.check("clamd", address) == ""


def test_clamd_looks_into_a_zip_in_a_mail(clamd: RealClamd) -> None:
    import email.message

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sneaky.txt", probing.EICAR)
    message = email.message.EmailMessage()
    message.set_content("see this")
    message.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="a.zip")
    assert clamd.says(message.as_bytes()) == Infected(b"clamd", FOUND)


def test_fifty_megabytes_go_to_clamd_and_one_byte_more_than_it_takes_is_no_clean_message(
    clamd: RealClamd, tmp_path: Path
) -> None:
    store = Store(os.fsencode(tmp_path))
    for _ in range(50):
        store.write(bytes(1 << 20))
    question = Question(Clamd(b"clamd"), clamd.address, 60)
    assert ask([question], store) == [Verdict(b"clamd")]
    for _ in range(11):
        store.write(bytes(1 << 20))
    (verdict,) = ask([Question(Clamd(b"clamd"), clamd.address, 60)], store)
    assert isinstance(verdict, Trouble)
    store.close()


def test_clamd_tells_its_version(clamd: RealClamd) -> None:
    asked = Ask(b"clamd", b"VERSION")
    assert ask([Question(asked, clamd.address, 10)], Store(b"/")) == [Verdict(b"clamd")]
    assert asked.answer.startswith(b"ClamAV ")


def test_spamd_knows_good_from_bad(spamd: RealSpamd) -> None:
    clean = spamd.says(probing.CLEAN)
    assert isinstance(clean, Scored) and not clean.spam and clean.required == b"5.0"
    bad = spamd.says(probing.CLEAN + probing.GTUBE + b"\n")
    assert isinstance(bad, Scored) and bad.spam and float(bad.score) >= 1000
    assert probing.check("spamd", spamd.address) == ""


def test_spamd_returns_the_message_with_its_report(spamd: RealSpamd, tmp_path: Path) -> None:
    for bait, spam in ((b"", False), (probing.GTUBE + b"\n", True)):
        message = b"X-Spam-Status: No, lies\n" + probing.CLEAN + bait
        store, rewritten = Store(os.fsencode(tmp_path)), Store(os.fsencode(tmp_path))
        store.write(message)
        (verdict,) = ask([Question(Rewriting(b"x", b"", rewritten), spamd.address, 60)], store)
        assert isinstance(verdict, Scored) and verdict.spam is spam
        text = b"".join(rewritten.blocks())
        assert text.partition(b"\n\n")[0].count(b"X-Spam-Status: ") == 1 and b"lies" not in text.partition(b"\n\n")[0]
        assert b"Subject: clean probe\n" in text and (b"Content analysis details:" in text) is spam
        assert (b"\nX-Spam-Status: Yes, score=1" in text) is spam


def test_what_is_no_engine_of_that_kind_is_found_out(clamd: RealClamd, spamd: RealSpamd) -> None:
    assert not probing.is_there("clamd", spamd.address)
    assert not probing.is_there("rspamd", clamd.tcp)
    assert probing.check("spamd", b"/nonexistent") == "file does not exist"
