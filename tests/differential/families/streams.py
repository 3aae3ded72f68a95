"""Programs through which bytes pass: recordio, fixcrio, addcr, delcr, tai64n, tai64nlocal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.differential.case import Case

TEXTS = [
    b"", b"\n", b"a", b"a\n", b"a\r\n", b"a\r\r\n", b"a\rb\n", b"\r", b"\r\r", b"\n\n\n", b"a\n\nb", b"a\r\nb\r", b"a\nb\r\nc", b"\0\n\0", b"\xff\xfe\r\n\x1b",
    b"x" * 255 + b"\n", b"x" * 256 + b"\n", b"x" * 257, b"x" * 255 + b"\r\n", b"\r\n" * 400, b"\n" * 600, b"x" * 9000 + b"\n", b"\r" * 300 + b"\n", b"test\ntest2\npart",
]  # fmt: skip
LABELS = [
    b"@4000000037c219bf2ef02e94 mark\n", b"@4000000037c219bf2ef02e94\n", b"@4000000037c219bf2ef02e94", b"@4000000037c219bf2ef02e94zzz\n",
    b"@4000000000000000000000000\n", b"@400000000000000a00000000 epoch\n", b"@4000000000000009ffffffff x\n", b"@400000000000000000000001 x\n",
    b"@4000000037c219bf00000000 x\n", b"@4000000037c219bf00000001 x\n", b"@4000000037c219bf3b9aca00 x\n", b"@4000000037c219bfffffffff x\n",
    b"x @4000000037c219bf2ef02e94 mark\n", b" @4000000037c219bf2ef02e94\n", b"\n@4000000037c219bf2ef02e94 a\n\nplain\n@4000000037c219c02ef02e94 b\n",
    b"@4000000060000000000000000 long\n", b"@400000006fffffff00000000 x\n", b"@40000000f000000000000000 2097\n", b"plain\r\n\0\n",
    b"@4000000037c219bf2ef02e94\0x\n", b"@4000000037c219bf2ef02e94-\n@4000000037c219bf2ef02e94\t\n", b"@@4000000037c219bf2ef02e94 x\n"[1:],
]  # fmt: skip
CRASHES = [b"@zz x\n", b"@\n", b"@12 x\n", b"@4000000037C219BF2EF02E94 x\n", b"@ x\n"]


def name(text: bytes | Sequence[bytes]) -> str:
    """A text that can stand in a case's name."""
    shown = text if isinstance(text, bytes) else b"|".join(text)
    return (
        repr(shown)[2:-1] if len(shown) < 50 else f"{repr(shown[:20])[2:-1]}...{repr(shown[-3:])[2:-1]} of {len(shown)}"
    )


def cases() -> Iterator[Case]:
    """Every text through every program."""
    for text in TEXTS:
        for program in ("addcr", "delcr"):
            yield Case(f"{program} {name(text)}", [program, "ignored"], stdin=text)
        for program in ("recordio", "fixcrio"):
            yield Case(f"{program} {name(text)}", [program, "cat"], stdin=text, two_streams=True)
        if b"\n" in text and len(text) < 300:
            yield Case(f"tai64n {name(text)}", ["tai64n", "ignored"], stdin=text)
    for pieces in (
        [b"a", b"b\n"],
        [b"a\r", b"\nb\n"],
        [b"a\n", b"\r\n"],
        [b"x" * 200, b"y" * 100 + b"\n"],
        [b"\r", b"\r", b"\n"],
    ):
        for program in ("addcr", "delcr", "tai64n"):
            yield Case(f"{program} in pieces {name(pieces)}", [program], stdin=pieces)
        for program in ("recordio", "fixcrio"):
            yield Case(f"{program} in pieces {name(pieces)}", [program, "cat"], stdin=pieces, two_streams=True)
    for script in (
        "cat >/dev/null; echo done; exit 5",
        "echo out; cat",
        "printf 'a\\nb'; exec >&-; cat >/dev/null",
        "kill -9 $$",
    ):
        for program in ("recordio", "fixcrio"):
            how = True if script.endswith("cat") or script.startswith("cat") else "unfinished"
            yield Case(f"{program} around {script}", [program, "sh", "-c", script], stdin=b"in\n", two_streams=how)
    for program in ("recordio", "fixcrio"):
        late = [b"", b"", b"", b"in\n"]  # by then the program's input is closed
        yield Case(
            f"{program} around a program without input", [program, "sh", "-c", "exec <&-; sleep 1; exit 4"], stdin=late
        )
        for closed in ("<&-", ">&-", "<&- >&-"):
            yield Case(
                f"{program} started with {closed}",
                ["sh", "-c", f"exec {program} sh -c 'cat 2>/dev/null; exit 4' {closed}"],
                two_streams=True,
            )
    yield Case(
        "recordio in recordio",
        ["sh", "-c", "recordio fixcrio recordio cat 2>&1 >/dev/null | sort | cut -d' ' -f2-"],
        stdin=b"a\n",
    )
    for program in ("addcr", "delcr", "tai64n", "tai64nlocal"):
        yield Case(f"{program} reads a directory", ["sh", "-c", f"{program} < ."])
        yield Case(f"{program} reads nothing at all", ["sh", "-c", f"{program} <&-"])
        yield Case(
            f"{program} writes to a full device",
            ["sh", "-c", f"{program} > /dev/full"],
            stdin=b"@400000000000000a00000000\n",
        )
    for label in LABELS:
        yield Case(f"tai64nlocal {name(label)}", ["tai64nlocal"], stdin=label, env={"TZ": "UTC"})
    for zone in ("America/New_York", "Asia/Kolkata", "Europe/Budapest", "Pacific/Auckland", "XYZ-3:30", "nonsense"):
        yield Case(f"tai64nlocal in {zone}", ["tai64nlocal"], stdin=LABELS[0], env={"TZ": zone})
    for label in CRASHES:
        yield Case(f"tai64nlocal on no label {name(label)}", ["tai64nlocal"], stdin=label, env={"TZ": "UTC"})
