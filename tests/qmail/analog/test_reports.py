"""matchup and the reports, on logs whose output was observed on qmailanalog 0.70.

golden/NAME.log with NAME.matched and NAME.pending (descriptors 1 and 5 of the original matchup) and NAME.reports (what the
original reports printed; their explanations are left out, which are nobody's interface).

day.log was recorded from an instance of ours through tai64n: mail that came in 24 lots, which were put an hour apart
afterwards.  The original cannot read its stamps; it was given the same log with decimal ones."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.launchers import Result, directory, ours, run

GOLDEN = Path(__file__).parent / "golden"
LOGS = ("listing5", "both", "damaged", "empty", "day")
HELPERS = {
    "zdeferrals": "deferrals", "zfailures": "failures", "zsuccesses": "successes", "zrecipients": "recipients",
    "zrhosts": "rhosts", "zsenders": "senders", "zsuids": "suids", "zddist": "ddist",
}  # fmt: skip


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def log(name: str) -> bytes:
    """As it comes from the article's awk: the five fields of syslog are blanks."""
    text = golden(f"{name}.log")
    return re.sub(rb"(?m)^\w{3} \d\d [\d:]{8} \w+ \w+: ", b"     ", text)


def reports(name: str) -> dict[str, bytes]:
    parts = re.split(rb"(?m)^== (\w+)\n", golden(f"{name}.reports"))
    return {parts[i].decode(): parts[i + 1] for i in range(1, len(parts), 2)}


def without_explanations(program: str, text: bytes) -> bytes:
    """Title and table."""
    if program == "zsendmail":
        return text
    title, table = text.partition(b"\n\n")[0], text.rpartition(b"\n\n")[2]
    if program == "zoverall":
        table = text[text.index(b"Completed messages") :]
    return title + b"\n\n" + table


def matchup(data: bytes) -> tuple[Result, bytes]:
    """What it did, and what it wrote on descriptor 5."""
    with tempfile.NamedTemporaryFile() as five:
        script = ["/bin/sh", "-c", 'exec "$0" 5>"$1"', ours("matchup"), five.name]
        done = subprocess.run(script, input=data, capture_output=True, timeout=60)
        return Result(done.returncode, done.stdout, done.stderr), five.read()


@pytest.mark.parametrize("name", LOGS)
def test_matchup_writes_what_the_original_writes(name: str) -> None:
    done, pending = matchup(log(name))
    assert (done.code, done.out) == (0, golden(f"{name}.matched"))
    # The original moves its last entry to where it deletes one: an order nobody can depend on.
    assert sorted(pending.split(b"\n")) == sorted(golden(f"{name}.pending").split(b"\n"))
    assert (done.err == b"") == (name != "damaged")


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("program", reports("empty"))
def test_a_report_prints_what_the_original_prints(name: str, program: str) -> None:
    done = run(ours(program), stdin=golden(f"{name}.matched"))
    assert done.code == 0
    assert without_explanations(program, done.out) == reports(name)[program]
    assert done.err == b"" or name == "damaged"


@pytest.mark.parametrize("program", HELPERS)
def test_a_helper_prints_the_rows_of_its_report(program: str) -> None:
    rows = reports("both")[program].partition(b"\n\n")[2].split(b"\n")[1:-1]
    found = run(ours(HELPERS[program]), stdin=golden("both.matched")).out.split(b"\n")[:-1]
    if program in ("zdeferrals", "zfailures", "zsuccesses"):
        found = [line.replace(b"_", b" ") for line in found]
    assert sorted(b" ".join(row.split()) for row in rows) == sorted(found)


def test_rxdelay_sorts_what_recipients_prints() -> None:
    rows = run(ours("recipients"), stdin=golden("both.matched")).out
    lines = run(ours("rxdelay"), stdin=rows).out.split(b"\n")[:-1]
    expected = reports("both")["zrxdelay"].split(b"\n")[3:-1]
    assert lines == [b" ".join(row.split()) for row in expected]


def test_pending_in_front_of_the_next_log_makes_two_logs_one() -> None:
    first, pending = matchup(log("two"))
    second, rest = matchup(pending + log("more"))
    assert (pending, rest) == (golden("two.pending"), b"")
    assert first.out + second.out == golden("both.matched")


def test_the_articles_command_works_as_it_stands(tmp_path: Path) -> None:
    maillog = tmp_path / "maillog"
    maillog.write_bytes(golden("listing5.log") + b"Mar 22 00:25:31 mail kernel: nothing of interest\n")
    command = f"""grep qmail {maillog} | awk '{{ $1="";$2="";$3="";$4="";$5=""; print }}' | matchup | zoverall"""
    env = {"PATH": f"{directory()}:/bin:/usr/bin"}
    shown = subprocess.run(["/bin/sh", "-c", command], capture_output=True, env=env, check=True)
    assert without_explanations("zoverall", shown.stdout) == reports("listing5")["zoverall"]
    assert shown.stderr == b""


@pytest.mark.parametrize(
    ("argv", "letters"),
    [
        (["xqp", "501"], "dddm"), (["xqp", "0501"], "dddm"), (["xqp", " 501 "], "dddm"), (["xqp", "502"], "dm"), (["xqp"], ""), (["xqp", "x"], ""),
        (["xsender", ""], "dm"), (["xsender"], "dm"), (["xsender", "alice@example.com"], "dddmdddm"),
        (["xsender", "<alice@example.com>"], ""),
        (["xrecipient", "local.bob@mail.aaaa.hu"], "ddd"), (["xrecipient", "bob@mail.aaaa.hu"], ""),
    ],
)  # fmt: skip
def test_selectors_keep_the_lines_of_one(argv: list[str], letters: str) -> None:
    done = run(ours(argv[0]), *argv[1:], stdin=golden("both.matched"))
    lines = done.out.split(b"\n")[:-1]
    assert "".join(chr(line[0]) for line in lines) == letters
    assert set(lines) <= set(golden("both.matched").split(b"\n")) and (done.code, done.err) == (0, b"")


def test_columnt_aligns_as_observed() -> None:
    text = b"a bb ccc\nlong  x\n\n  indented\tthree fields here\nno newline end"
    assert run(ours("columnt"), stdin=text).out == (
        b"       a       bb     ccc  \n    long        x  \n\n"
        b"indented    three  fields  here\n      no  newline     end  \n"
    )
    assert run(ours("columnt")) == Result(0, b"", b"")


def test_the_distribution_takes_the_smallest_number_and_an_average_of_distinct_values() -> None:
    delays = [1.01 + i / 100 for i in range(31)] + [9.97, 10.2] + [20.0] * 167
    line = "d k 1000.000000 1000.500000 {:.6f} 1 <a@b> local.c@d 1 2 ok\n"
    matched = "".join(line.format(1000 + delay) for delay in delays)
    assert run(ours("ddist"), stdin=matched.encode()).out == (
        b"1.20 1.11 10\n1.22 1.12 11\n1.24 1.13 12\n1.26 1.14 13\n1.28 1.15 14\n1.30 1.16 15\n9.97 1.70 16\n20.00 2.24 100\n"
    )


def test_whole_seconds_are_told_apart_however_many_they_are() -> None:
    line = "d k 1000 1001 {} 1 <a@b> local.c@d 1 2 ok\n"
    matched = "".join(line.format(1000 + delay) for delay in (1234567, 1234568))
    assert run(ours("ddist"), stdin=matched.encode()).out == b"1234567.00 1234567.00 50\n1234568.00 1234567.50 100\n"


def test_totals_of_bytes_are_printed_in_full() -> None:
    line = b"m 1000.5 1001.5 3000000000 1 0 0 <a@b> 1 2\n"
    assert b"\nBytes in completed messages: 6000000000\n" in run(ours("zoverall"), stdin=line * 2).out
    assert run(ours("suids"), stdin=line).out == b"1 3000000000 3000000000 3000000000 1 1 0.000000 2\n"


@pytest.mark.parametrize("program", sorted(set(reports("empty")) | set(HELPERS.values()) | {"matchup", "columnt"}))
def test_output_that_cannot_be_written_is_fatal(program: str) -> None:
    data = log("both") if program == "matchup" else golden("both.matched")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([ours(program)], input=data, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 111
    assert done.stderr == f"{program}: fatal: unable to write output: out of disk space\n".encode()


def test_the_readme_shows_what_is_printed() -> None:
    readme = (GOLDEN.parents[3] / "README.md").read_bytes()
    table = reports("day")["zoverall"].partition(b"\n\n")[2]
    assert b"```\n" + table + b"```\n" in readme
