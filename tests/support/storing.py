"""An instance whose queue program stores what it gets, and exits as it is told: for the servers that take mail."""

from __future__ import annotations

from pathlib import Path

from tests.support import launchers

TCP = {"TCPREMOTEIP": "192.0.2.7", "TCPREMOTEHOST": "client.example.net", "TCPLOCALHOST": "mx.example.org"}
QUEUE = """#!/bin/sh
cat >message.$$; cat <&1 >envelope.$$; printf %s "$TEXT" >&6
if test -s envelope.$$ -o ! -e message
then mv message.$$ message; mv envelope.$$ envelope
else rm message.$$ envelope.$$
fi
exit ${STATUS-0}
"""


class StoringHost:
    """`message` and `envelope` in home are what the queue program got last, or of a mail that was broken off and the only
    one; STATUS is its exit code, TEXT goes to 6."""

    def __init__(self, home: Path, program: str) -> None:
        self.home, self.control, self.program = home, home / "control", program
        self.control.mkdir()
        self.set("me", "mail.example.org\n")
        self.set("rcpthosts", "mail.example.org\n")
        (home / "store").write_text(QUEUE)
        (home / "store").chmod(0o755)
        self.env = {**TCP, "QMAILHOME": str(home), "QMAILQUEUE": "store", "TEXT": ""}

    def set(self, name: str, content: str | bytes) -> None:
        """Write a control file."""
        (self.control / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def talk(self, data: bytes, **env: str) -> launchers.Result:
        """Say all of `data`, and end the input."""
        return launchers.run(launchers.ours(self.program), stdin=data, env={**self.env, **env})

    def stored(self) -> tuple[bytes, bytes]:
        """Message and envelope."""
        return (self.home / "message").read_bytes(), (self.home / "envelope").read_bytes()
