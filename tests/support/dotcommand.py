"""Programs as a .qmail file runs them: qmail-local's variables, the message on descriptor 0, a queue program that keeps
what it is given."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import launchers

MESSAGE = b"Subject: x\n\nbody\n"
QUEUE = '#!/bin/sh\ncat >"$KEEP.message"\ncat <&1 >"$KEEP.envelope"\nexit ${CODE:-0}\n'
VARIABLES = {
    "SENDER": "s@s.example",
    "NEWSENDER": "new@s.example",
    "DTLINE": "Delivered-To: joe-x@h.example\n",
    "RPLINE": "Return-Path: <s@s.example>\n",
    "UFLINE": "From s@s.example Mon Nov 23 07:59:44 2026\n",
    "USER": "joe",
    "LOCAL": "joe-x",
    "HOST": "h.example",
}


class Delivery:
    """A message that is being delivered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        queue = path / "qq"
        queue.write_text(QUEUE)
        queue.chmod(0o755)
        self.env: dict[str, str] = {
            **VARIABLES,
            "PATH": f"{launchers.directory()}:/bin:/usr/bin",
            "QMAILHOME": str(path),
            "QMAILQUEUE": str(queue),
            "KEEP": str(path / "kept"),
        }

    def run(self, program: str, *words: str | bytes, message: bytes = MESSAGE) -> launchers.Result:
        """Exit code and output; the number after `qp` is hidden."""
        file = self.path / "message"
        file.write_bytes(message)
        with file.open("rb") as stdin:
            done = subprocess.run(
                [launchers.ours(program), *words],
                stdin=stdin,
                capture_output=True,
                env=self.env,
                cwd=self.path,
                timeout=30,
            )
        error = done.stderr
        if b"qp " in error:
            error = error[: error.index(b"qp ")] + b"qp N\n"
        return launchers.Result(done.returncode, done.stdout, error)

    def queued(self) -> tuple[bytes, bytes] | None:
        """The message and the envelope that the queue program was given since the last call."""
        files = [self.path / f"kept.{part}" for part in ("message", "envelope")]
        if not files[0].exists():
            return None
        kept = files[0].read_bytes(), files[1].read_bytes()
        for file in files:
            os.unlink(file)
        return kept


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    """A fresh one."""
    return Delivery(tmp_path)
