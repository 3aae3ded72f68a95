"""Send mail as other mail systems' sendmail does.  sendmail(8).

A wrapper for programs that know no other way: turns sendmail's options into qmail-inject's and becomes it, or
qmail-smtpd (-bs), or qmail-qread (-bp, or when called mailq).  A message ends at the end of file, never at a dot.
Exits 100 on options that qmail has no equivalent of, 111 when the next program cannot be run."""

from __future__ import annotations

import os

from qmail.core import instance
from qmail.core.programs import locate
from ucspi.core.command import Attached, Flag, Program, Value
from ucspi.core.failure import PermanentFailure, TemporaryFailure, UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from ucspi.core.command import Call

LOCAL_CLIENT = {  # what tcpserver would tell qmail-smtpd; a local user may send anywhere, anything
    b"RELAYCLIENT": b"",
    b"DATABYTES": b"0",
    b"PROTO": b"TCP",
    b"TCPLOCALIP": b"127.0.0.1",
    b"TCPLOCALHOST": b"localhost",
    b"TCPREMOTEIP": b"127.0.0.1",
    b"TCPREMOTEHOST": b"localhost",
    b"TCPREMOTEINFO": b"sendmail-bs",
}
_IGNORED = "Ignored."


class _Sendmail(Program):
    """Options take effect one by one: behind one that decides all, no word is looked at, be it bad."""

    def parse(self, argv: Sequence[bytes]) -> tuple[list[tuple[str, bytes | None]], list[bytes]]:
        try:
            return super().parse(argv)
        except UsageFailure as e:
            for length in range(2, len(argv)):
                try:
                    options, _ = super().parse(argv[:length])
                except UsageFailure:
                    break
                if _mode(options) != b"m":
                    return options, []
            raise e


PROGRAM = _Sendmail(
    "sendmail",
    __doc__,
    options=(
        Flag("t", "Recipients are the header's, and the arguments."),
        Value("f", "SENDER", "Envelope sender, and author where the message names none."),
        Value("F", "NAME", "Full name of the author."),
        Value("b", "MODE", "m: send (default); p: list the queue; s: talk SMTP on descriptors 0 and 1."),
        *(Flag(letter, _IGNORED) for letter in "vimx"),
        *(Value(letter, "VALUE", _IGNORED) for letter in "eopB"),
        *(Attached(letter, "VALUE", _IGNORED) for letter in "EJ"),
    ),
    usage="sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]",
    operands="[RECIPIENT]...",
)


def sendmail(call: Call) -> int:
    """Find out which program is meant, and become it."""
    home = instance.of(call.env).home
    if not os.access(home, os.X_OK, effective_ids=True):
        raise TemporaryFailure("unable to switch to qmail home directory")
    mode = _mode(call.options)
    name = call.argv0.rpartition(b"/")[2]
    if mode == b"s":
        if b"PROTO" not in call.env:
            call.env.update(LOCAL_CLIENT)
        _become(call, [b"qmail-smtpd"])
    if mode not in (b"m", b"p"):
        raise UsageFailure
    if mode == b"p" or name == b"mailq":
        _become(call, [b"qmail-qread"])
    if name == b"newaliases":
        raise PermanentFailure("please use fastforward/newaliases instead")
    _become(call, _injection(call, home))


def _mode(options: Sequence[tuple[str, bytes | None]]) -> bytes:
    """The first -b that is not m decides.  The letter behind -b's first is nobody's."""
    modes = [value[:1] for letter, value in options if letter == "b" and value is not None]
    return next((mode for mode in modes if mode != b"m"), b"m")


def _injection(call: Call, home: bytes) -> list[bytes]:
    """qmail-inject's words; its environment is changed to say who writes."""
    words = [b"qmail-inject", b"-H" if call.last("t") else b"-a"]
    name, sender = call.value("F"), call.value("f")
    if name is not None:
        call.env[b"MAILNAME"] = name
    if sender is not None:
        words += [b"-f", sender]
        for variable in (b"QMAILNAME", b"MAILNAME", b"NAME", b"QMAILHOST", b"MAILHOST"):
            call.env.pop(variable, None)
        user, at, host = sender.rpartition(b"@")
        call.env[b"QMAILUSER"] = user if at else sender
        if at:
            call.env[b"QMAILHOST"] = host
    if call.env.get(b"QMAILMFTFILE"):  # the original has changed to its home by now, and qmail-inject looks there
        call.env[b"QMAILMFTFILE"] = os.path.join(home, call.env[b"QMAILMFTFILE"])
    return [*words, b"--", *call.operands]


def _become(call: Call, words: list[bytes]) -> NoReturn:
    program = locate(call, instance.of(call.env), words[0])
    try:
        call.execute([program, *words[1:]])
    except OSError as e:
        raise TemporaryFailure(f"unable to run {os.fsdecode(words[0])}") from e


main = PROGRAM.entry(sendmail)
