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

    from qmail.core.instance import Instance
    from ucspi.core.command import Call

    Option = tuple[str, bytes | None]

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
    """Options take effect one by one: behind the one that decides all, no word is looked at, be it bad."""

    def parse(self, argv: Sequence[bytes]) -> tuple[list[Option], list[bytes]]:
        try:
            options, operands = super().parse(argv)
        except UsageFailure as e:
            options, operands = self._parse_good(argv), []
            if _decision(options) == len(options):
                raise e
        return options[: _decision(options) + 1], operands

    def _parse_good(self, argv: Sequence[bytes]) -> list[Option]:
        """The options before the bad word."""
        good: list[Option] = []
        for length in range(2, len(argv)):
            try:
                good, operands = super().parse(argv[:length])
            except UsageFailure:  # may have its value in the next word
                continue
            if operands:
                break
        return good


def _decision(options: Sequence[Option]) -> int:
    """Place of the first -b whose mode is not m; behind the end if there is none."""
    for place, (letter, value) in enumerate(options):
        if letter == "b" and not (value or b"").startswith(b"m"):
            return place
    return len(options)


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
    home = instance.of(call.env)
    if not os.access(home.home, os.X_OK, effective_ids=True):
        raise TemporaryFailure("unable to switch to qmail home directory")
    mode = call.value("b")
    mode = b"m" if mode is None else mode
    called = call.argv0.rpartition(b"/")[2]
    name = call.value("F")
    if name is not None:
        call.env[b"MAILNAME"] = name
    if mode.startswith(b"s"):
        if b"PROTO" not in call.env:
            call.env.update(LOCAL_CLIENT)
        _become(call, home, [b"qmail-smtpd"])
    if not mode.startswith((b"m", b"p")):
        raise UsageFailure
    if mode.startswith(b"p") or called == b"mailq":
        _become(call, home, [b"qmail-qread"])
    if called == b"newaliases":
        raise PermanentFailure("please use fastforward/newaliases instead")
    _become(call, home, _injection(call, home))


def _injection(call: Call, home: Instance) -> list[bytes]:
    """qmail-inject's words; its environment is changed to say who writes."""
    words = [b"qmail-inject", b"-H" if call.last("t") else b"-a"]
    sender = call.value("f")
    if sender is not None:
        words += [b"-f", sender]
        for variable in (b"QMAILNAME", b"MAILNAME", b"NAME", b"QMAILHOST", b"MAILHOST"):
            call.env.pop(variable, None)
        user, at, host = sender.rpartition(b"@")
        call.env[b"QMAILUSER"] = user if at else sender
        if at:
            call.env[b"QMAILHOST"] = host
    if call.env.get(b"QMAILMFTFILE"):  # the original has changed to its home by now, and qmail-inject looks there
        call.env[b"QMAILMFTFILE"] = os.path.join(home.home, call.env[b"QMAILMFTFILE"])
    return [*words, b"--", *call.operands]


def _become(call: Call, home: Instance, words: list[bytes]) -> NoReturn:
    program = locate(call, home, words[0])
    try:
        call.execute([program, *words[1:]])
    except OSError as e:
        raise TemporaryFailure(f"unable to run {os.fsdecode(words[0])}") from e


main = PROGRAM.entry(sendmail)
