"""The table of qmail-queue's exit codes, as notqmail's clients read it."""

from __future__ import annotations

import signal

import pytest

from qmail.core import qqtable

FILES = b"Zqq trouble creating files in queue (#4.3.0)"
OTHER = b"Zqq temporary problem (#4.3.0)"
PERMANENT = b"Dqq permanent problem (#5.3.0)"

TABLE = [
    (0, b""),
    (11, b"Denvelope address too long for qq (#5.1.3)"),
    (115, b"Denvelope address too long for qq (#5.1.3)"),
    (31, b"Dmail server permanently rejected message (#5.3.0)"),
    (51, b"Zqq out of memory (#4.3.0)"),
    (52, b"Zqq timeout (#4.3.0)"),
    (53, b"Zqq write error or disk full (#4.3.0)"),
    (54, b"Zqq read error (#4.3.0)"),
    (55, b"Zqq unable to read configuration (#4.3.0)"),
    (56, b"Zqq trouble making network connection (#4.3.0)"),
    (61, b"Zqq trouble in home directory (#4.3.0)"),
    (62, FILES), (63, FILES), (64, FILES), (65, FILES), (66, FILES),
    (71, b"Zmail server temporarily rejected message (#4.3.0)"),
    (72, b"Zconnection to mail server timed out (#4.4.1)"),
    (73, b"Zconnection to mail server rejected (#4.4.1)"),
    (74, b"Zcommunication with mail server failed (#4.4.2)"),
    (81, b"Zqq internal bug (#4.3.0)"),
    (91, b"Zqq internal bug (#4.3.0)"),
    (120, b"Zunable to exec qq (#4.3.0)"),
    (12, PERMANENT), (40, PERMANENT),
    (1, OTHER), (10, OTHER),
    (41, OTHER), (50, OTHER), (82, OTHER), (88, OTHER), (99, OTHER), (100, OTHER), (111, OTHER),
]  # fmt: skip


@pytest.mark.parametrize(("code", "result"), TABLE)
def test_every_exit_code_has_its_result(code: int, result: bytes) -> None:
    assert qqtable.verdict(code << 8, True, b"") == result
    if code != 82:
        assert qqtable.verdict(code << 8, True, b"Dignored text") == result


def test_success_without_a_whole_envelope_is_none() -> None:
    assert qqtable.verdict(0, False, b"") == b"Zqq read error (#4.3.0)"


def test_a_signal_is_a_crash() -> None:
    assert qqtable.verdict(signal.SIGKILL, True, b"") == b"Zqq crashed (#4.3.0)"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"Dcustom perm (#5.7.1)", b"Dcustom perm (#5.7.1)"),
        (b"Zcustom temp", b"Zcustom temp"),
        (b"Dx", OTHER),
        (b"Dxy", b"Dxy"),
        (b"weird", b"Zeird"),
        (b"D" + b"y" * 300, b"D" + b"y" * 254),
    ],
)
def test_82_speaks_for_itself(text: bytes, result: bytes) -> None:
    assert qqtable.verdict(82 << 8, True, text) == result
