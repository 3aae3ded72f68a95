"""Who hears of a message that was stopped, and what.  qmail-scanner-queue(8), section NOTIFICATION.

The sender of a virus never does: that address is forged, and its owner has nothing to do with it.  Nothing is attached,
the envelope sender is empty, and nobody is told who looks like a list or like a program."""

from __future__ import annotations

from qmail.core import datestamp
from qmail.scanner import safe
from qmail.scanner.settings import WORDS_OF_NOTIFY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qmail.scanner.decision import Decision, Finding
    from qmail.scanner.message import Message
    from qmail.scanner.settings import Settings

_PROGRAMS = (b"owner-", b"majordomo", b"mailer-daemon", b"listserv", b"postmaster")
_BULK = (b"bulk", b"list", b"junk")
SHOWN = 20  # header fields that a notice quotes


def recipients(wanted: Settings, message: Message, decision: Decision, finding: Finding) -> list[bytes]:
    """The addresses to be told, none twice."""
    words = wanted.words("notify", WORDS_OF_NOTIFY)
    policy, listed = finding.kind == "policy", is_list(message)
    told = []
    unlisted = {"nmladm"} if finding.kind != "virus" else {"nmladm", "nmlvadm"}
    if words & {"admin", "all"} or (words & unlisted and not listed):
        told.append(wanted.admin)
    if words & {"recips", "all"} or ("precips" in words and policy):
        told += [address for address in message.recipients if _is_local(wanted, address)]
    # A sender who is refused hears of it from his own mail host.
    if policy and words & {"sender", "psender", "all"} and not listed and "reject" not in decision.actions:
        told.append(message.sender)
    return list(dict.fromkeys(address for address in told if address and not _is_unfit(address)))


def is_list(message: Message) -> bool:
    """Did a list or a program send it?"""
    local = message.sender.lower().partition(b"@")[0]
    return (
        not message.sender
        or local.startswith(_PROGRAMS)
        or local.endswith((b"-request", b"-owner"))
        or b"-return-" in local
        or message.field(b"precedence").lower() in _BULK
        or bool(message.field(b"list-id"))
        or message.field(b"auto-submitted").lower() not in (b"", b"no")
    )


def _is_local(wanted: Settings, address: bytes) -> bool:
    domains = wanted.text("local-domains") or wanted.domain
    domain = address.rpartition(b"@")[2].lower()
    return domain in [word.strip().lower().encode() for word in domains.split(",")]


def _is_unfit(address: bytes) -> bool:
    """Is it no address that can stand in a header?"""
    return safe.word(address) != address


def subject(message: Message, finding: Finding) -> bytes:
    """What the notice is about."""
    what = {"virus": b"virus", "policy": b"policy violation", "spam": b"spam"}[finding.kind]
    return b'%b found in sent message "%b"' % (what, message.field(b"subject"))


def compose(
    wanted: Settings, message: Message, finding: Finding, place: bytes, msgid: bytes, to: list[bytes], now: float
) -> bytes:
    """The whole notice.  `place` is where the message is kept, b"" if nowhere."""
    visible = b", ".join(to) if to == [wanted.admin] else b"undisclosed-recipients:;"
    quoted = [
        b"    %b: %b\n" % (safe.text(name), safe.text(value, 300)) for name, value in message.walker.fields[:SHOWN]
    ]
    kept = b"It is kept in %b" % place if place else b"It was not kept"
    return b"".join(
        (
            b'From: "%b" <%b>\n' % (safe.text(wanted.raw("admin-description")).replace(b'"', b"'"), wanted.admin),
            b"To: %b\n" % visible,
            b"Subject: %b\n" % subject(message, finding),
            b"Date: %b\n" % datestamp.rfc822(now),
            b"Message-ID: <%b>\n" % msgid,
            b"Auto-Submitted: auto-generated\nPrecedence: junk\n",
            b"MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n",
            b"A message was stopped by the scanner of %b.\n\n" % message.host,
            b"  found:      %b (%b, by %b)\n" % (safe.text(finding.name), finding.kind.encode(), finding.scanner),
            b"  sender:     <%b>\n" % safe.text(message.sender),
            b"  recipients: %b\n" % safe.text(b", ".join(message.recipients), 2000),
            b"  came from:  %b\n\n" % safe.text(message.ip),
            kept + b"; quarantine(8) shows, releases or deletes it.\n\n" if place else kept + b".\n\n",
            b"Its header:\n\n",
            *quoted,
        )
    )
