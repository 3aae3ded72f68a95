"""What a message written by a person or a program lacks before it can go into the queue.  qmail-inject(8).

An Injection is shown the arguments and then the header, field by field.  It collects sender and recipients on the
way, rewrites addresses, drops what must not be seen, and at the end puts Date, Message-ID, From, Cc and
Mail-Followup-To in front of the rest where they are missing.  No descriptors, clock or environment here."""

from __future__ import annotations

import os
import time

from qmail.core import address, datestamp
from qmail.protocol import token822
from qmail.protocol.address822 import rewrite_list
from qmail.protocol.header822 import field_name
from qmail.protocol.token822 import AT, ATOM, COLON, COMMENT, LEFT, QUOTE, RIGHT, Malformed
from ucspi.core.failure import PermanentFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qmail.protocol.address822 import Address, Rewrite, Rewriting
    from qmail.protocol.token822 import Token

RECIPIENTS = frozenset((b"to", b"cc", b"bcc", b"apparently-to"))
RESENT_RECIPIENTS = frozenset((b"resent-to", b"resent-cc", b"resent-bcc"))
ORIGINATORS = frozenset(
    (b"sender", b"from", b"reply-to", b"return-receipt-to", b"errors-to")
    + (b"resent-sender", b"resent-from", b"resent-reply-to")
)
RESENT = RESENT_RECIPIENTS | {name for name in ORIGINATORS if name.startswith(b"resent-")}
RESENT |= {b"resent-date", b"resent-message-id"}  # any of these, and the message is one sent on
DROPPED = frozenset((b"bcc", b"resent-bcc", b"return-path", b"content-length"))
IGNORED = {b"f": b"from", b"i": b"message-id", b"s": b"return-path"}  # letter of QMAILINJECT: field
VERP = b"-@[]"  # behind a sender: qmail-send puts each recipient's address in here.  addresses(5)


class Author:
    """Who writes, and how he likes it, as far as the environment knows."""

    __slots__ = ("host", "letters", "name", "sender_host", "sender_user", "user")

    def __init__(self, env: Mapping[bytes, bytes]) -> None:
        user = _first(env, b"QMAILUSER", b"MAILUSER", b"USER", b"LOGNAME")
        self.user = b"anonymous" if user is None else user
        self.host = _first(env, b"QMAILHOST", b"MAILHOST")
        self.name = _first(env, b"QMAILNAME", b"MAILNAME", b"NAME")
        self.sender_user = env.get(b"QMAILSUSER", self.user)
        self.sender_host = env.get(b"QMAILSHOST", self.host)
        self.letters = env.get(b"QMAILINJECT", b"")


def _first(env: Mapping[bytes, bytes], *names: bytes) -> bytes | None:
    """The first variable that is set, be it to nothing."""
    for name in names:
        if name in env:
            return env[name]
    return None


class Injection:
    """One message on its way in.  Raises PermanentFailure for what cannot be read."""

    __slots__ = (
        *("_author", "_idhost", "_ignored", "_lists", "_listed", "_now", "_pid", "_rewrite", "_rewriters"),
        *("_saved", "_seen", "arguments", "header_recipients", "resent_recipients", "sender"),
    )

    def __init__(
        self, author: Author, rewrite: Rewriting, idhost: bytes, now: int, pid: int, lists: frozenset[bytes]
    ) -> None:
        """`idhost`, `now`, `pid`: for the Message-ID; `lists`: mailing lists, in lower case, for Mail-Followup-To."""
        self._author, self._rewrite = author, rewrite
        self._idhost, self._now, self._pid, self._lists = idhost, now, pid, lists
        self._ignored = {name for letter, name in IGNORED.items() if letter in author.letters}
        self._rewriters = self._make_rewriters()
        self._saved: list[bytes] = []
        self._seen: set[bytes] = set()
        self._listed: list[bytes] = []  # addresses of To and Cc
        self.sender: bytes | None = None
        self.arguments: list[bytes] = []
        self.header_recipients: list[bytes] = []
        self.resent_recipients: list[bytes] = []

    def _make_rewriters(self) -> dict[bytes, Rewrite]:
        rewriters: dict[bytes, Rewrite] = dict.fromkeys(ORIGINATORS, self._rewrite)
        rewriters.update(dict.fromkeys(RECIPIENTS, self._recipient))
        rewriters.update(dict.fromkeys(RESENT_RECIPIENTS, self._resent_recipient))
        rewriters[b"to"] = rewriters[b"cc"] = self._listed_recipient
        rewriters[b"return-path"] = self._return_path
        return rewriters

    def set_sender(self, argument: bytes) -> None:
        """The sender that the command line names; nothing in the header can change it."""
        quoted = address.quote(argument)
        self.sender = token822.unquote(self._rewrite(_parse(quoted)))

    def add_recipient(self, argument: bytes) -> None:
        """A recipient that the command line names."""
        try:
            tokens = token822.parse(address.quote(argument))
        except Malformed as e:
            raise PermanentFailure(f"unable to parse address: {os.fsdecode(argument)}") from e
        self.arguments.append(token822.unquote(self._rewrite(tokens)))

    def field(self, field: bytes) -> None:
        """The next field of the header."""
        name = field_name(field)
        if name in self._ignored:
            return
        self._seen.add(name)
        rewriter = self._rewriters.get(name)
        if rewriter is not None:
            field = self._rewritten(name, field, rewriter)
        if name not in DROPPED:
            self._saved.append(field)

    def _rewritten(self, name: bytes, field: bytes, rewriter: Rewrite) -> bytes:
        try:
            return token822.unparse(rewrite_list(token822.parse(field), rewriter))
        except Malformed as e:
            if name in RECIPIENTS or name in RESENT_RECIPIENTS:
                return field  # goes out as it is; the recipients found in it up to the fault count
            raise _unreadable(field) from e

    def _recipient(self, recipient: Address) -> Address:
        recipient = self._rewrite(recipient)
        self.header_recipients.append(token822.unquote(recipient))
        return recipient

    def _listed_recipient(self, recipient: Address) -> Address:
        recipient = self._recipient(recipient)
        self._listed.append(self.header_recipients[-1])
        return recipient

    def _resent_recipient(self, recipient: Address) -> Address:
        recipient = self._rewrite(recipient)
        self.resent_recipients.append(token822.unquote(recipient))
        return recipient

    def _return_path(self, sender: Address) -> Address:
        sender = self._rewrite(sender)
        if self.sender is None:
            self.sender = token822.unquote(sender) + (VERP if b"r" in self._author.letters else b"")
        return sender

    def finish(self) -> list[bytes]:
        """The end of the header: what goes out in its place.  After this, ask for the envelope."""
        if self.sender is None:
            self._generate(self._default_return_path(), self._return_path)
        added = self._additions_resent() if self._resent else self._additions()
        return added + self._saved

    def envelope(self, header: bool) -> tuple[bytes, list[bytes]]:
        """Sender and recipients: of the command line, then with `header` those of the fields."""
        recipients = list(self.arguments)
        if header:
            recipients += self.resent_recipients if self._resent else self.header_recipients
        # A NUL would end the address in the envelope and start a new record.
        return _cut(self.sender or b""), [_cut(recipient) for recipient in recipients]

    @property
    def _resent(self) -> bool:
        return not RESENT.isdisjoint(self._seen)

    def _additions(self) -> list[bytes]:
        seen = self._seen
        added = [] if b"date" in seen else [self._date()]
        if b"message-id" not in seen:
            added.append(self._message_id())
        if b"from" not in seen:
            added.append(self._default_from())
        if b"to" not in seen and b"cc" not in seen:
            added.append(b"Cc: recipient list not shown: ;\n")
        if b"mail-followup-to" not in seen and any(a.lower() in self._lists for a in self._listed):
            shown = [address.quote(_cut(a)) for a in reversed(self._listed)]
            added.append(b"Mail-Followup-To: %b\n" % b",\n  ".join(shown))
        return added

    def _additions_resent(self) -> list[bytes]:
        seen = self._seen
        added = [] if b"resent-date" in seen else [self._date()]
        if b"resent-message-id" not in seen:
            added.append(self._message_id())
        if b"resent-from" not in seen:
            added.append(self._default_from())
        if b"resent-to" not in seen and b"resent-cc" not in seen:
            added.append(b"Cc: recipient list not shown: ;\n")
        return [b"Resent-" + field for field in added]

    def _date(self) -> bytes:
        return b"Date: %b\n" % datestamp.rfc822(self._now)

    def _message_id(self) -> bytes:
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(self._now)).encode()
        return b"Message-ID: <%b.%d.qmail@%b>\n" % (stamp, self._pid, self._idhost)

    def _default_from(self) -> bytes:
        author = self._author
        plain = address.quote_local(author.user) == author.user
        mailbox = [(ATOM if plain else QUOTE, author.user), *_at(author.host)]
        if author.name is not None:
            if b"c" in author.letters:
                mailbox.append((COMMENT, author.name))
            else:
                mailbox = [(QUOTE, author.name), (LEFT, b""), *mailbox, (RIGHT, b"")]
        return self._generate([(ATOM, b"From"), (COLON, b""), *mailbox], self._rewrite)

    def _default_return_path(self) -> list[Token]:
        user = self._author.sender_user
        if b"m" in self._author.letters:
            user += b"-%d.%d" % (self._now, self._pid)
        if b"r" in self._author.letters:
            user += b"-"
        return [(ATOM, b"Return-Path"), (COLON, b""), (QUOTE, user), *_at(self._author.sender_host)]

    def _generate(self, tokens: list[Token], rewrite: Rewrite) -> bytes:
        """A field of our own.  Host names out of the environment are text that must be read like any other's."""
        line = token822.unparse(tokens)
        try:
            return token822.unparse(rewrite_list(token822.parse(line), rewrite))
        except Malformed as e:
            raise _unreadable(line) from e


def domain_tokens(joint: bytes, domain: bytes) -> list[Token]:
    """The tokens of a configured domain with the `@` or `.` that joins it to an address."""
    return _parse(joint + domain)


def _at(host: bytes | None) -> list[Token]:
    return [] if host is None else [(AT, b""), (ATOM, host)]


def _cut(envelope_address: bytes) -> bytes:
    return envelope_address.partition(b"\0")[0]


def _parse(line: bytes) -> list[Token]:
    try:
        return token822.parse(line)
    except Malformed as e:
        raise _unreadable(line) from e


def _unreadable(line: bytes) -> PermanentFailure:
    return PermanentFailure("unable to parse this line:\n" + os.fsdecode(line.removesuffix(b"\n")))
