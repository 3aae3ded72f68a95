"""matchup: stamps of every logger, bad input, descriptor 5.  Its output on whole logs: test_reports."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmail.analog.core import matching
from qmail.analog.core.stamps import Normalizer
from tests.qmail.analog.test_reports import golden, log, matchup
from tests.support.launchers import ours

NOW = 1174600000.0  # 22 March 2007, 22:46 GMT


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"1174519530.809151 new msg 5", b"1174519530.809151 new msg 5"),
        (b"Mar 22 00:25:30 host qmail: 1174519530.809151 new msg 5", b"1174519530.809151 new msg 5"),
        (b"<22>Mar  2 00:25:30 host qmail[7]: 1174519530.809151 bounce msg 5 qp 6", b"1174519530.809151 bounce msg 5 qp 6"),
        (b"2007-03-22T00:25:30.9+01:00 host qmail: 1174519530.809151 new msg 5", b"1174519530.809151 new msg 5"),
        (b"2007-03-22T00:25:30.809151+01:00 host qmail[7]: new msg 5", b"1174519530.809151 new msg 5"),
        (b"2007-03-21T23:25:30Z host qmail-send[7]: end msg 5", b"1174519530 end msg 5"),
        (b"2007-03-22T00:25:30+0100 host qmail[7]: end msg 5", b"1174519530 end msg 5"),
        (b"Mar 21 23:25:30 host qmail[7]: delivery 5: success: x", b"1174519530 delivery 5: success: x"),
        (b"Mar 21 23:25:30.5 host qmail[7]: exiting", b"1174519530.5 exiting"),
        (b"Dec 31 23:59:59 host qmail: exiting", b"1167609599 exiting"),  # of the year before
        (b"1174519530.809151 host qmail[7]: new msg 5", b"1174519530.809151 new msg 5"),
        (b"Wed 2007-03-21 23:25:30 UTC host qmail[7]: new msg 5", b"1174519530 new msg 5"),
        (b"2007-03-21 23:25:30.809151500 new msg 5", b"1174519530.809151500 new msg 5"),
        (b"@400000004601be34303a8f98 new msg 5", b"1174519338.809144216 new msg 5"),
        (b"@40000000477f63f537146144 new msg 5", b"1199530987.924082500 new msg 5"),
        (b"@40000000477f63f500000001 new msg 5", b"1199530987.000000001 new msg 5"),
        (b"Mar 22 00:25:30 host qmail: alert: out of memory", b"1174523130 alert: out of memory"),
        # Nothing of qmail-send's:
        (b"Mar 22 00:25:30 host postfix/smtpd[7]: warning: hostname", None),
        (b"Mar 22 00:25:30 host kernel: new device", None),
        (b"@4000 new msg 5", None),
        (b"", None),
    ],
)  # fmt: skip
def test_stamps_become_seconds(line: bytes, expected: bytes | None) -> None:
    assert Normalizer(NOW)(line) == (line if expected is None else expected)


def restamped(kind: str) -> bytes:
    lines = []
    for line in log("both").splitlines():
        stamp, _, rest = line.partition(b" ")
        seconds, fraction = divmod(int(float(stamp) * 1e6), 10**6)
        front = {
            "tai64n": b"@%016x%08x " % (2**62 + 10 + seconds, fraction * 1000),
            "classic": b"Sep  9 01:46:40 host qmail: %b " % stamp,
            "iso": b"2001-09-09T03:46:40.123456+02:00 host qmail: %b " % stamp,
            "journal": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode()
            + b".%06d+00:00 h qmail-send[9]: " % fraction,
        }[kind]
        lines.append(front + rest + b"\n")
    return b"".join(lines)


@pytest.mark.parametrize("kind", ["tai64n", "classic", "iso", "journal"])
def test_logs_of_other_loggers_give_the_same(kind: str) -> None:
    done, _ = matchup(restamped(kind))
    expected = golden("both.matched")
    if kind == "tai64n":
        done.out = re.sub(rb"(\.\d{6})000\b", rb"\1", done.out)  # nanoseconds
    assert (done.code, done.out) == (0, expected)


@pytest.mark.parametrize("mix", [("tai64n", "plain"), ("plain", "iso"), ("plain", "classic", "tai64n")])
def test_logs_of_several_loggers_may_stand_in_one_file(mix: tuple[str, ...]) -> None:
    end = b"1000000099.5 exiting\n"
    parts = [log("both") if kind == "plain" else restamped(kind) for kind in mix]
    done, _ = matchup(end.join(parts))
    assert done.out.count(b"\nm ") == 3 * len(mix) and b"@4" not in done.out


@given(st.integers(1, 400), st.sampled_from(["both", "damaged", "listing5"]))
def test_cuts_between_reads_do_not_matter(step: int, name: str) -> None:
    whole, slow = matching.Matcher(NOW), matching.Matcher(NOW)
    data = log(name)[:9000]
    out = b"".join(slow.receive(data[i : i + step]) for i in range(0, len(data), step))
    assert out == whole.receive(data)
    assert (slow.pending(), bool(slow.warnings)) == (whole.pending(), bool(whole.warnings))


PIECES = [
    b"1000000001.5", b"1000000002.5", b"@400000003b9aca0b00000000", b" ", b" ", b"  ", b"\t", b"\n", b"\n", b"\0", b"\xe4",
    b"new msg 7\n", b"info msg 7: bytes 5 from <A@b> qp 3 uid 0\n", b"starting delivery 3: msg 7 to local B@c\n",
    b"delivery 3: success: ok\n", b"delivery 03: failure: x\n", b"end msg 7\n", b"end msg 07\n", b"running\n", b"msg",
    b"starting delivery 03: msg 7 to local x\n", b"status: local 1/10\n", b"delivery 3: report mangled, will defer\n",
    b"new  msg 7\n", b"info msg 7: bytes  from <A@b> qp 3 uid 0\n", b"info msg 7: bytes 5 from <A@b> qp  uid 0\n", b"info msg 99999999999999999999: bytes 05 from <> qp 1 uid 1\n", b"warning: x\n", b"extra 7 1 2 3\n",
]  # fmt: skip


class Exact(matching.Matcher):
    """Without the quick way."""

    def _quick(self, lines: list[str], lead: str, add: Callable[[str], None]) -> None:
        for line in lines:
            add(self._exact((lead + line).encode()))


@given(st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join))
def test_the_quick_way_and_the_exact_way_agree(data: bytes) -> None:
    quick, exact = matching.Matcher(NOW), Exact(NOW)
    assert quick.receive(data) == exact.receive(data)
    assert quick.pending() == exact.pending()


@pytest.mark.parametrize("missing", range(4, 12))
def test_a_field_that_is_empty_is_none_and_the_next_is_in_its_place(missing: int) -> None:
    fields = b"5.0 info msg 7: bytes 10 from <a@b> qp 11 uid 12".split(b" ")
    lines = b"4.0 new msg 7\n%b\n6.0 end msg 7\n"
    fields[missing] = b""
    with_blanks, squeezed = lines % b" ".join(fields), lines % b" ".join(filter(None, fields))
    assert matching.Matcher(NOW).receive(with_blanks) == matching.Matcher(NOW).receive(squeezed)


@given(st.binary(max_size=300))
def test_any_bytes_are_copied_or_understood(data: bytes) -> None:
    matcher = matching.Matcher(NOW)
    matcher.receive(data)
    matcher.pending()


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (b"5.0 starting delivery 1: msg 7 to local a@b\n4.0 delivery 1: success: x\n", matching.BACKWARDS),
        (b"5.0 starting delivery 1: msg 7 to local a@b\n" * 2, matching.STARTED_TWICE),
        (b"5.0 info msg 7: bytes 10\n", matching.DAMAGED),
        (b"5.0 deliv\n", matching.DAMAGED),
        (
            b"5.0 info msg 7: bytes 1 from <> qp 1 uid 1\n5.0 extra 7 1 0 0\n6.0 new msg 7\n",
            matching.BEGUN_TWICE,
        ),
    ],
)
def test_what_makes_totals_wrong_is_warned_of(text: bytes, warning: str) -> None:
    done, _ = matchup(text)
    assert done.code == 0 and done.err == f"matchup: warning: 1 {warning}\n".encode()


def test_an_outcome_nobody_knows_is_marked() -> None:
    done, _ = matchup(b"1.0 starting delivery 1: msg 7 to local A@B\n2.0 delivery 1: weird: XX\n")
    assert done.out == b"?1.0 1.0 2.0 0 ? local.a@b ? ? \n"


def test_after_a_restart_numbers_begin_again() -> None:
    text = b"1.0 starting delivery 1: msg 7 to local a@b\n2.0 running\n3.0 delivery 1: success: x\n"
    assert matchup(text)[0].out == b""


def test_a_line_of_ten_megabytes_passes() -> None:
    line = b"1.0 bounce " + b"x" * 10_000_000
    done, pending = matchup(line + b"\n" + line)
    assert done.out == b"? " + line + b"\n" and pending == line


@pytest.mark.parametrize(
    ("text", "code"), [(b"1.0 exiting\n", 0), (b"1.0 starting delivery 1: msg 2 to local a\n", 111)]
)
def test_descriptor_5_need_not_be_open_if_nothing_is(text: bytes, code: int) -> None:
    script = ["/bin/sh", "-c", 'exec "$0" 5>&-', ours("matchup")]
    done = subprocess.run(script, input=b"1.0 warning: w\n" + text, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (code, b"1.0 warning: w\n")
    message = b"matchup: fatal: unable to write fd 5: file descriptor not open\n"
    assert done.stderr == (message if code else b"")


def test_a_full_descriptor_5_is_fatal_after_all_output() -> None:
    script = ["/bin/sh", "-c", 'exec "$0" 5>/dev/full', ours("matchup")]
    text = b"1.0 warning: w\n1.0 starting delivery 1: msg 2 to local a\n"
    done = subprocess.run(script, input=text, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (111, b"1.0 warning: w\n")
    assert done.stderr == b"matchup: fatal: unable to write fd 5: out of disk space\n"
