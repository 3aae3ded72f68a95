"""qmail-report: its figures, its JSON, its page."""

from __future__ import annotations

import bz2
import gzip
import html.parser
import json
import lzma
import os
import pty
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import launchers
from tests.support.browser import browser

# Input A of the specification's probe P2 and input B of P3; the figures are those of P4, seen on the originals.
PROBE = """\
T01.00 new msg 101
T01.25 info msg 101: bytes 1000 from <Alice@Example.COM> qp 501 uid 1001
T01.50 starting delivery 1: msg 101 to local Bob@mail.aaaa.hu
T02.00 starting delivery 2: msg 101 to remote carol@far.example
T02.25 delivery 1: success: did_1+0+0/
T04.00 delivery 2: deferral: Connected_to_192.0.2.1_but_greeting_failed./
T05.00 new msg 102
T05.25 info msg 102: bytes 2000 from <> qp 502 uid 0
T05.50 starting delivery 3: msg 102 to remote dave@far.example
T06.00 starting delivery 4: msg 101 to remote carol@far.example
T07.50 delivery 3: failure: 192.0.2.1_does_not_like_recipient./Remote_host_said:_550_no/
T07.75 bounce msg 102 qp 503
T08.00 end msg 102
T09.00 delivery 4: success: 192.0.2.1_accepted_message./Remote_host_said:_250_ok/
T09.50 end msg 101
T10.00 warning: trouble opening local/0/103; will try again later
T11.00 starting delivery 9: msg 999 to local ghost@mail.aaaa.hu
T12.00 delivery 9: success: did_0+1+0/qp_777/
T13.00 new msg 103
T13.25 info msg 103: bytes 300 from <alice@example.com> qp 504 uid 1001
T13.50 starting delivery 10: msg 103 to local bob@mail.aaaa.hu
T14.00 delivery 10: report mangled, will defer
T14.50 starting delivery 11: msg 103 to local Zed@mail.aaaa.hu
T16.00 delivery 11: success: did_1+0+0/
T17.00 starting delivery 12: msg 103 to local bob@mail.aaaa.hu
T18.00 delivery 12: success: did_1+0+0/
T18.50 end msg 103
""".replace("T", "10000000")
DOOR = """\
1000000019.0 rblsmtpd: 192.0.2.66 pid 7: 451 https://list.example/192.0.2.66
1000000019.5 rblsmtpd: 192.0.2.66 pid 9: 451 https://list.example/192.0.2.66
1000000020.0 qmail-smtpd: 192.0.2.67 pid 8: from <a@b> to <c@d> 553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)
1000000020.1 tcpserver: end 8 status 0
"""
P4 = "3 5 7 2.33333 3300 2600 5.41667 8 5 1 2 17.250000 3.450000 11.750000 1.468750 0.000199653 0.681159"
SHOWN = (
    *("{completed messages}", "{recipients for completed messages}", "{delivery attempts for completed messages}"),
    *("{average delivery attempts per completed message:g}", "{bytes in completed messages}", "{bytes weighted by success}"),
    *("{average message qtime:g}", "{delivery attempts}", "{success}", "{failure}", "{deferral}", "{total ddelay:.6f}"),
    *("{average ddelay per success:.6f}", "{total xdelay:.6f}", "{average xdelay per delivery attempt:.6f}"),
    *("{time span in days:g}", "{average concurrency:g}"),
)  # fmt: skip
VOID = {"meta", "line", "rect"}


def report(*words: str, stdin: str | bytes = PROBE, code: int = 0) -> launchers.Result:
    text = stdin.encode() if isinstance(stdin, str) else stdin
    done = launchers.run(launchers.ours("qmail-report"), *words, stdin=text, env={"TZ": "UTC"})
    assert done.code == code, done
    return done


def figures(*words: str, stdin: str | bytes = PROBE) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report("--json", *words, stdin=stdin).out)
    return found


class Outline(html.parser.HTMLParser):
    """Checks that elements are closed in their order; keeps text and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + "\n"


def page(*words: str, stdin: str | bytes = PROBE) -> Outline:
    return Outline(report(*words, stdin=stdin).out.decode())


def test_the_overall_figures_are_those_that_zoverall_was_seen_to_print() -> None:
    overall = figures()["overall"]
    assert " ".join(SHOWN).format_map(overall) == P4


@pytest.mark.parametrize("name", ["listing5", "both", "damaged", "empty"])
def test_the_overall_figures_are_those_of_zoverall(name: str) -> None:
    text = (Path(__file__).parent / f"golden/{name}.log").read_bytes()
    matched = launchers.run(launchers.ours("matchup"), stdin=text).out
    lines = launchers.run(launchers.ours("zoverall"), stdin=matched).out.decode()
    printed = re.findall(
        r"(?m)^ *(?:Completed|Recipients|Total|Average|Bytes|success|failure|deferral|Time span)[^:]*: (\S+)$", lines
    )
    overall = figures(stdin=text)["overall"]
    keys = [shown[1:].partition(":")[0].rstrip("}") for shown in SHOWN]
    assert printed == [shown.format_map(overall) for shown, key in zip(SHOWN, keys, strict=True) if key in overall]


def test_recipients_hosts_and_senders_are_those_that_the_originals_were_seen_to_print() -> None:
    found = figures()
    rows = {
        row["recipient"]: (row["bytes"], row["success"] + row["failure"], row["tries"], row["seconds"])
        for row in found["recipients"]
    }
    assert rows == {
        "local.bob@mail.aaaa.hu": (1300, 2, 3, 2.25),
        "local.ghost@mail.aaaa.hu": (0, 1, 1, 1.0),
        "local.zed@mail.aaaa.hu": (300, 1, 1, 1.5),
        "remote.carol@far.example": (1000, 1, 2, 5.0),
        "remote.dave@far.example": (0, 1, 1, 2.0),
    }
    hosts = {
        row["host"]: (row["bytes"], row["success"] + row["failure"], row["tries"], row["seconds"])
        for row in found["hosts"]
    }
    assert hosts == {"far.example": (1000, 2, 3, 7.0), "mail.aaaa.hu": (1600, 4, 5, 4.75)}
    senders = {
        row["sender"]: (row["messages"], row["bytes"], row["recipients"], row["tries"]) for row in found["senders"]
    }
    assert senders == {"<>": (1, 2000, 1, 1), "<alice@example.com>": (2, 1300, 4, 6)}


def test_delays_are_the_originals() -> None:
    """Distinct delays 1, 2.75, 4.75 and 7.75 for five successes."""
    rows = figures()["delays"]
    assert [(row["deliveries"], round(row["percent"])) for row in rows if row["deliveries"]] == [
        (2, 40),
        (1, 60),
        (1, 80),
        (1, 100),
    ]
    assert [
        row["seconds"] >= delay
        for row, delay in zip([r for r in rows if r["deliveries"]], (1, 2.75, 4.75, 7.75), strict=True)
    ] == [True] * 4


def test_what_happened_in_each_minute_adds_up() -> None:
    found = figures(stdin=PROBE + DOOR)
    sums = {event: sum(bar[event] for bar in found["time"]["bars"]) for event in found["time"]["bars"][0]}
    sums.pop("start")
    assert sums == {"messages": 3, "bytes": 3300, "success": 5, "failure": 1, "deferral": 2, "rejected": 3}


def test_what_servers_refused_is_counted() -> None:
    found = figures(stdin=DOOR + PROBE)
    assert [(row["program"], row["reason"], row["times"]) for row in found["rejections"]] == [
        ("rblsmtpd", "451 https://list.example/192.0.2.66", 2),
        ("qmail-smtpd", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", 1),
    ]
    assert found["clients"] == [{"client": "192.0.2.66", "times": 2}, {"client": "192.0.2.67", "times": 1}]
    assert found["overall"]["rejections"] == 3


@pytest.mark.parametrize("prefix", ["Nov 22 10:00:00 mail smtpd: ", "2026-11-22T10:00:00.1+01:00 mail smtpd: "])
def test_a_syslogds_prefix_does_not_hide_a_refusal(prefix: str) -> None:
    text = "".join(prefix + line for line in DOOR.splitlines(keepends=True))
    assert figures(stdin=text)["overall"]["rejections"] == 3


def test_files_are_one_log_packed_or_not(tmp_path: Path) -> None:
    lines = PROBE.splitlines(keepends=True)
    (tmp_path / "a.gz").write_bytes(gzip.compress("".join(lines[:6]).encode()))
    (tmp_path / "b").write_text("".join(lines[6:8]))
    (tmp_path / "c").write_bytes(bz2.compress("".join(lines[8:10]).encode()))
    (tmp_path / "d.xz").write_bytes(lzma.compress("".join(lines[10:11]).encode()))
    words = [*(str(tmp_path / name) for name in ("a.gz", "b", "c", "d.xz")), "-"]
    assert figures(*words, stdin=gzip.compress("".join(lines[11:]).encode()))["overall"] == figures()["overall"]


def test_sigchld_may_have_been_ignored_by_whoever_started_it() -> None:
    words = ("--ignore-signal=CHLD", launchers.ours("qmail-report"), "--json")
    done = launchers.run("env", *words, stdin=PROBE.encode(), env={"TZ": "UTC"})
    assert done.code == 0, done
    assert json.loads(done.out) == figures()


def test_the_page_has_the_figures_and_needs_nothing_else() -> None:
    shown = page(stdin=PROBE + DOOR)
    for text in (
        "8",
        "62.5 %",
        "Reasons for failure",
        "192.0.2.1 does not like recipient./Remote host said: 550 no/",
        "<alice@example.com>",
    ):
        assert text + "\n" in shown.text
    tags = {tag for tag, _ in shown.tags}
    assert "script" not in tags and "link" not in tags and "img" not in tags
    assert not [attrs for _, attrs in shown.tags if {"src", "href", "onload"} & set(attrs)]
    assert sum(tag == "svg" for tag, _ in shown.tags) == 5
    assert sum(tag == "table" for tag, _ in shown.tags) >= 5


def test_what_a_log_says_stays_text() -> None:
    evil = PROBE.replace("did_1+0+0/", "<script>alert(1)</script>&\x1b[31m\xff/").encode("latin-1")
    evil = evil.replace(b"Alice@Example.COM", b'"><img/src=x>@y').replace(
        b"failure: 192", b"failure: <b>\x1b]0;\xc3\xa9192"
    )
    shown = page(stdin=evil)
    assert {"img", "b", "script"}.isdisjoint(tag for tag, _ in shown.tags)
    assert '<"><img/src=x>@y>\n' in shown.text
    assert "<b>\N{REPLACEMENT CHARACTER}]0;é192.0.2.1" in shown.text


@pytest.mark.parametrize("text", ["", "\n", "nothing here\n", "\0" * 1000, "1 2 3\n" * 10, "d k\nm 1\n? \n"])
def test_a_log_without_mail_is_an_empty_page(text: str) -> None:
    assert "no mail in these logs" in page(stdin=text).text
    assert figures(stdin=text)["overall"]["delivery attempts"] == 0
    warning = b"qmail-report: warning: there is no mail in these logs\n"
    assert report(stdin=text).err.endswith(warning) == bool(text)


def test_damage_is_told_on_the_page_and_on_stderr() -> None:
    cut = PROBE.replace("T06.00 starting delivery 4: msg 101 to remote carol@far.example", "").replace(
        "bytes 2000 from", "byt"
    )
    done = report(stdin=cut)
    assert re.fullmatch(rb"(qmail-report: warning: \d+ .*\n)+", done.err)
    assert "totals may be wrong" in Outline(done.out.decode()).text


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("old")
    missing = report("-o", str(file), str(tmp_path / "none"), code=111)
    assert missing.err == b"qmail-report: fatal: unable to read %b: file does not exist\n" % os.fsencode(
        tmp_path / "none"
    )
    assert file.read_text() == "old"
    assert report("-o", str(file)).out == b""
    assert file.read_text().startswith("<!DOCTYPE html>")
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("damage", ["cut", "begin", "middle"])
def test_a_packed_file_that_is_damaged_is_told(pack: Callable[[bytes], bytes], damage: str, tmp_path: Path) -> None:
    whole = pack(PROBE.encode() * 50)
    at = len(whole) // 2
    texts = {"cut": whole[:-20], "begin": whole[:8], "middle": whole[:at] + b"\xff" * 9 + whole[at + 9 :]}
    (tmp_path / "x").write_bytes(texts[damage])
    done = report(str(tmp_path / "x"), code=111)
    assert done.err.startswith(b"qmail-report: fatal: unable to read %b: " % os.fsencode(tmp_path / "x"))
    assert done.err.count(b"\n") == 1 and done.out == b"" and not done.err.endswith(b": \n")


def test_what_zstd_has_packed_is_not_taken_for_a_log_without_mail() -> None:
    done = report(stdin=b"\x28\xb5\x2f\xfd\0\x58", code=111)
    assert done.err == b"qmail-report: fatal: unable to read -: packed with zstd: unpack it first\n"


@pytest.mark.parametrize("words", [("-n", "0"), ("-n", "x"), ("-n", "100000"), ("-x",)])
def test_bad_usage_is_told(words: tuple[str, ...]) -> None:
    assert b"qmail-report: usage: " in report(*words, code=100).err


def test_rows_are_as_many_as_asked_for() -> None:
    found = figures("-n", "2")
    assert [len(found[key]) for key in ("recipients", "hosts", "senders")] == [2, 2, 2]
    assert found["distinct"]["recipients"] == 5


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(PROBE)
    terminal, theirs = pty.openpty()
    command = [launchers.ours("qmail-report"), "-o", str(tmp_path / "page"), str(tmp_path / "log")]
    env = {"PATH": "/bin:/usr/bin", "TERM": "xterm"}
    subprocess.run(command, stdin=subprocess.DEVNULL, stderr=theirs, env=env, check=True, timeout=60)
    os.close(theirs)
    heard = os.read(terminal, 65536)
    os.close(terminal)
    assert b"reading" in heard and b"100%" in heard
    assert report(str(tmp_path / "log")).err == b""


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 1024)], ids=["phone", "desk"])
def test_chromium_shows_it_at_the_width_of_a_phone_and_of_a_desk(tmp_path: Path, width: int, height: int) -> None:
    file = tmp_path / "page.html"
    report("-o", str(file), stdin=PROBE + DOOR)
    with browser(width, height) as window:
        window.open(file)
        assert window.ask("document.title") == "Mail report"
        assert window.ask("innerWidth") == width
        assert window.ask("document.documentElement.scrollWidth") <= width  # nothing to be pushed about
        # Every plot, as wide as its place, with text that can be read.
        sizes = window.ask("[...document.querySelectorAll('svg')].map(s => [s.clientWidth, s.clientHeight])")
        assert len(sizes) == 5 and all(wide > 200 and high > 100 for wide, high in sizes)
        assert (
            window.ask(
                "Math.min(...[...document.querySelectorAll('.plot span')].map(s => parseFloat(getComputedStyle(s).fontSize)))"
            )
            >= 12
        )
        beside = window.ask(
            "[...document.querySelectorAll('.pair')].map(p => p.children[0].offsetTop == p.children[1].offsetTop)"
        )
        assert beside == [width > 900] * 3
        light = window.picture()
        assert light.startswith(b"\x89PNG") and struct.unpack(">II", light[16:24]) == (width, height)
        paper = window.ask("getComputedStyle(document.body).backgroundColor")
        window.dark()
        assert window.ask("getComputedStyle(document.body).backgroundColor") != paper
        assert window.picture() != light
