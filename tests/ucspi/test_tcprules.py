"""tcprules and tcprulescheck: same files, messages and exit codes as the originals."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.launchers import original, ours, run
from ucspi import tcprules

LINES = [
    b"", b"#x:deny", b"1.2.3.4:deny", b":allow",
    b'127.:allow,RELAYCLIENT=""', b"1.2.3.4-9:deny \t", b"-:allow", b"a-b:deny",
    b"1.2.3.4:allowed", b"x", b" ", b":deny\r", b'=h:allow,A="x",B=/y z/', b"a@1.2:deny", b':allow,A="x"B', b":allow,",
    b"1.2.3.250-300:deny", b"5-3:deny",
    b"1-2.3-4.:deny", b"x\0y:denyx\0z", b"1\0002-3:deny", b":allow,A=", b":allow,=,,",
    b"99999999999999999999-18446744073709551617:deny", b"1.2.3.18446744073709551617-3:deny", b":allow,A,B=xyx,C==z=",
]  # fmt: skip


def compile_both(text: bytes, directory: Path) -> None:
    """Run both and compare everything they leave behind, but for our warnings."""
    for name, file in (("c", original("tcprules")), ("ours", ours("tcprules"))):
        (directory / name).mkdir(exist_ok=True)
        done = run(file, "rules.cdb", "rules.tmp", stdin=text, cwd=directory / name)
        done.err = b"".join(line for line in done.err.splitlines(True) if b": warning: line " not in line)
        (directory / name / "result").write_text(repr(done))
    assert state(directory / "ours") == state(directory / "c")


def state(directory: Path) -> dict[str, bytes]:
    # The half-written temporary file of a failure is cut where buffers end.
    return {f.name: f.read_bytes() for f in directory.iterdir() if f.name != "rules.tmp"}


@pytest.mark.parametrize("line", LINES)
def test_one_line(line: bytes, tmp_path: Path) -> None:
    compile_both(b"1.2.3.4:deny\n" + line + b"\n:allow", tmp_path)


def test_no_line_at_all(tmp_path: Path) -> None:
    compile_both(b"", tmp_path)


ADDRESS = st.sampled_from(
    [b"", b"1.2.3.", b"10.0.0.1", b"=host.example", b"=", b"joe@1.2", b"1.2.3-7.", b"x", b"\xff", b" 1"]
)
ACTION = st.sampled_from([b"allow", b"deny", b'allow,A="b"', b'deny,X=/y/,Z=""', b"allow "])
RULE = st.tuples(ADDRESS, st.just(b":"), ACTION, st.just(b"\n")).map(b"".join)
NOISE = st.lists(st.sampled_from([b"#", b":", b"-", b"\n", b"allow", b"deny", b",", b'A="', b'"', b"\0", b"7"])).map(
    b"".join
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(RULE | RULE | RULE | NOISE, max_size=400).map(b"".join))
def test_any_text(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as made:
        compile_both(text, Path(made))


def rules(seed: int, count: int) -> bytes:
    """Rules of every kind that tcprules takes."""
    chance = random.Random(seed)

    def number() -> str:
        return chance.choice(["0", "10", "127", "192", "255", "007", str(chance.randrange(300)), "1-3", "250-", "-2"])

    def address() -> str:
        kind = chance.randrange(8)
        dotted = ".".join(number() for _ in range(chance.randint(1, 4))) + chance.choice(["", "."])
        name = chance.choice(["host.example", ".example", "", "a-b.example", "x" * chance.randrange(60)])
        return [dotted, dotted, dotted, "=" + name, f"joe@{dotted}", f"@{dotted}", f"i@={name}", ""][kind]

    def variable() -> str:
        quote = chance.choice('"/q=#')
        value = "".join(chance.choice("ab1 .-@%\t") for _ in range(chance.randrange(12)))
        return f",{chance.choice(['RELAYCLIENT', 'RBLSMTPD', 'A', ''])}={quote}{value}{quote}"

    lines = [
        address()
        + ":"
        + chance.choice(["allow", "deny"])
        + "".join(variable() for _ in range(chance.choice([0, 0, 1, 3])))
        for _ in range(count)
    ]
    return "".join(line + chance.choice(["\n", "\n", " \t\n", "\n\n", "\n# x:y\n"]) for line in lines).encode()


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32))
def test_a_hundred_thousand_rules_of_every_kind_become_the_same_bytes(seed: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        compile_both(rules(seed, 5000), Path(made))
        assert Path(made, "ours", "rules.cdb").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("text", [b"", b"1.2.3.4:deny\n" * 50000])
def test_a_run_that_is_interrupted_leaves_the_old_rules(number: int, text: bytes, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"old")
    with subprocess.Popen(
        [ours("tcprules"), "c", "t"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as run:
        assert run.stdin and run.stderr
        run.stdin.write(text)
        run.stdin.flush()
        while not (tmp_path / "t").exists():
            time.sleep(0.005)
        run.send_signal(number)
        assert run.wait(20) == -number and run.stderr.read() == b""
    assert (tmp_path / "c").read_bytes() == b"old"


def test_many_rules(tmp_path: Path) -> None:
    text = b"".join(
        b"%d.%d.%d.%d:%b\n"
        % (i * 7 % 256, i % 251, i // 256 % 256, i % 5, (b"deny", b"allow", b'allow,R="%d"' % i)[i % 3])
        for i in range(100_000)
    )
    compile_both(text, tmp_path)


@pytest.mark.parametrize(
    "args", [[], ["a"], ["nodir/a", "nodir/b"], ["nodir/a", "t"], ["a", "b", "c"], ["dir", "t"], ["a", "dir"]]
)
def test_arguments_and_files_that_cannot_be_written(args: list[str], tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    expected = run(original("tcprules"), *args, stdin=b":deny\n", cwd=tmp_path)
    assert run(ours("tcprules"), *args, stdin=b":deny\n", cwd=tmp_path) == expected


def in_process(tmp_path: Path, stdin: int) -> int:
    saved = os.dup(0)
    os.dup2(stdin, 0)
    try:
        return tcprules.main([b"tcprules", bytes(tmp_path / "cdb"), bytes(tmp_path / "tmp")], {})
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(stdin)


def test_input_that_cannot_be_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert in_process(tmp_path, os.open(tmp_path, os.O_RDONLY)) == 111
    assert capfd.readouterr().err == "tcprules: fatal: unable to read input: is a directory\n"


def test_a_typo_without_colon_is_told_and_is_no_failure(tmp_path: Path) -> None:
    done = run(ours("tcprules"), "c", "t", stdin=b"# ok\n:allow\n1.2.3.4 deny\n", cwd=tmp_path)
    assert (done.code, done.err) == (0, b"tcprules: warning: line 3 has no colon, ignored: 1.2.3.4 deny\n")


def test_a_network_that_is_none_is_told_and_is_no_failure(tmp_path: Path) -> None:
    lines = b"10.0.0.0/8:deny\n10.0.0.0/33:deny\n=a/b:deny\n10.0.0/24:deny\n"
    done = run(ours("tcprules"), "c", "t", stdin=lines, cwd=tmp_path)
    told = b"tcprules: warning: line %d is about no network, and so about nobody: %b\n"
    assert (done.code, done.err) == (0, told % (2, b"10.0.0.0/33:deny") + told % (4, b"10.0.0/24:deny"))


@pytest.mark.parametrize(
    "line", [b"1-3/8:deny", b"-127/:allow", b"1.2-3.4/8:deny", b"10.0.0.0-9/8:allow", b"1.2.3.4/a-b:deny"]
)
def test_a_range_in_what_is_no_network_is_a_range(tmp_path: Path, line: bytes) -> None:
    theirs = run(original("tcprules"), "theirs", "t", stdin=line, cwd=tmp_path)
    mine = run(ours("tcprules"), "mine", "t", stdin=line, cwd=tmp_path)
    warning = b"tcprules: warning: line 1 is about no network, and so about nobody: %b\n" % line
    assert (mine.code, mine.err) == (theirs.code, warning + theirs.err)
    if theirs.code == 0:
        assert (tmp_path / "mine").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_full_disk_leaves_the_old_rules_in_place(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"old")

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [ours("tcprules"), "c", "t"],
        input=b"1.2.3.4:deny\n" * 9999,
        capture_output=True,
        cwd=tmp_path,
        preexec_fn=small,
    )
    assert (done.returncode, done.stderr) == (111, b"tcprules: fatal: unable to write to t: file too big\n")
    assert (tmp_path / "c").read_bytes() == b"old"


def test_rules_are_synced_before_they_get_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        calls.append("fsync " + os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        real_fsync(fd)

    def rename(a: bytes, b: bytes) -> None:
        calls.append("rename")
        real_rename(a, b)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    reading, writing = os.pipe()
    os.write(writing, b":allow\n")
    os.close(writing)
    assert in_process(tmp_path, reading) == 0
    assert calls == ["fsync tmp", "rename", f"fsync {tmp_path.name}"]


# --- tcprulescheck

RULES = b'a@1.2.3.4:deny,X="1"\n1.2.3.:allow,A="1",B="2"\n=.example:allow,C="x"\n=:deny\n:allow\n'


@pytest.mark.parametrize(
    "env",
    [
        {}, {"TCPREMOTEIP": "1.2.3.4"},
        {"TCPREMOTEIP": "1.2.3.4", "TCPREMOTEINFO": "a"}, {"TCPREMOTEHOST": "h.example"},
        {"TCPREMOTEHOST": "h"}, {"TCPREMOTEIP": ""}, {"TCPREMOTEIP": "9.9.9.9", "TCPREMOTEHOST": ""},
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", [RULES, b"1.:deny\n"])
def test_check_says_what_the_original_says(env: dict[str, str], text: bytes, tmp_path: Path) -> None:
    assert run(ours("tcprules"), "cdb", "tmp", stdin=text, cwd=tmp_path).code == 0
    expected = run(original("tcprulescheck"), "cdb", env=env, cwd=tmp_path)
    assert run(ours("tcprulescheck"), "cdb", env=env, cwd=tmp_path) == expected


@pytest.mark.parametrize("args", [[], ["none"], ["short"], ["noise"]])
def test_check_fails_as_the_original_fails(args: list[str], tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"\1" * 100)
    (tmp_path / "noise").write_bytes(b"\xfe" * 4096)
    expected = run(original("tcprulescheck"), *args, cwd=tmp_path)
    assert run(ours("tcprulescheck"), *args, cwd=tmp_path) == expected


def test_check_calls_an_empty_file_damaged_and_a_directory_a_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert run(ours("tcprulescheck"), "empty", cwd=tmp_path).err.endswith(b"unable to read empty: protocol error\n")
    assert run(ours("tcprulescheck"), ".", cwd=tmp_path).err.endswith(b"unable to read .: is a directory\n")
