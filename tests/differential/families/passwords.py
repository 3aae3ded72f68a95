"""checkpassword, which Debian has not: what its specification (section 6) saw the original do."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.case import Case

MALFORMED = {
    b"": 2,
    b"joe": 2,
    b"joe\0": 2,
    b"joe\0secret": 2,
    b"\0": 2,
    b"no-such\0x\0\0": 1,
    b"\0\0\0": 1,
    b"no-such\0x\0": 1,
    b"root\0\0ts\0": 1,
    b"no-such\0\0ts\0": 1,
}


def cases() -> Iterator[Case]:
    """Data that is refused; the accounts of the suite's machine have no passwords that it could know."""
    for data, code in MALFORMED.items():
        yield Case(f"checkpassword {data!r}", ["checkpassword", "true"], fd3=data, expected={"code": code})
        yield Case(
            f"checkpassword {data!r} for a program that is not there",
            ["checkpassword", "./nope"],
            fd3=data,
            expected={"code": code},
        )
    for size, code in ((511, 1), (512, 1), (513, 1), (611, 1)):
        yield Case(
            f"checkpassword with {size} bytes",
            ["checkpassword", "true"],
            fd3=b"no-such\0x\0".ljust(size, b"y"),
            expected={"code": code},
        )
    for size, code in ((512, 2), (513, 1)):
        yield Case(
            f"checkpassword with {size} bytes and no NUL",
            ["checkpassword", "true"],
            fd3=b"x" * size,
            expected={"code": code},
        )
    yield Case("checkpassword without a program", ["checkpassword"], fd3=b"joe\0secret\0ts\0", expected={"code": 2})
    yield Case(
        "checkpassword without descriptor 3", ["sh", "-c", "exec checkpassword true 3<&-"], expected={"code": 111}
    )
