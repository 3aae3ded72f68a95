"""What is to become of a message, of which the rules and the engines have said what they know.

The worst finding counts: a virus before policy before spam; of two engines that disagree, the one that found
something.  An engine that failed matters where nothing else stops the message: a message is never passed on unscanned
unless the administrator wants that, and never lost."""

from __future__ import annotations

from qmail.scanner import mime, settings
from qmail.scanner.rules import POLICY, VIRUS, Event
from qmail.scanner.verdict import Infected, Scored, Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qmail.scanner.mime import Walker
    from qmail.scanner.settings import Settings
    from qmail.scanner.verdict import Verdict

SPAM = "spam"
OWN = b"perlscan"  # the name that the own rules have in the logs
STOPPING = frozenset((settings.QUARANTINE, settings.REJECT, settings.DROP))

TROUBLES = {
    mime.BAD_BYTES: b"Disallowed MIME characters found in headers",
    mime.TOO_MANY: b"Disallowed number of MIME parts",
    mime.TOO_DEEP: b"Disallowed depth of MIME parts",
    mime.TOO_LONG: b"Disallowed length of headers",
    mime.TOO_FULL: b"Disallowed number of files in archives",
}
ZIP_BOMB, ZIP_LIAR = b"Disallowed size of unpacked archive", b"Disallowed breakage found in archive"
ZIP_LOCKED = b"Disallowed password-protected archive"


class Finding:
    """What was found, and by whom."""

    __slots__ = ("kind", "name", "scanner")

    def __init__(self, kind: str, scanner: bytes, name: bytes) -> None:
        self.kind = kind
        self.scanner = scanner
        self.name = name


class Decision:
    """`finding` None: the message is clear.  `deferred`: the engines that failed and must not.

    `judged`: a spam engine was to score it, whether it could or not.
    `rewritten`: spamd has scored the message, and what it made of it is to be passed on (verbose_spamassassin).
    `mark`: the score that the message is to be marked with as spam, which spamd may have done already."""

    __slots__ = ("actions", "deferred", "finding", "judged", "mark", "rewritten")

    def __init__(
        self,
        finding: Finding | None,
        actions: frozenset[str],
        verdicts: Sequence[tuple[str, Verdict]],
        wanted: Settings,
    ) -> None:
        scores = [(kind, v) for kind, v in verdicts if isinstance(v, Scored)]
        by_spamd = [v for kind, v in scores if kind == "spamd" and wanted.is_verbose]
        self.finding = finding
        self.actions = actions
        self.judged = any(kind != "clamd" for kind, _ in verdicts)
        failed = [(kind, v) for kind, v in verdicts if isinstance(v, Trouble) and not self.stopped]
        self.deferred = [v for kind, v in failed if wanted.text(f"{kind}-failure") == settings.DEFER]
        self.rewritten = bool(by_spamd)
        self.mark = None if any(v.spam for v in by_spamd) else next((v for _, v in scores if v.spam), None)

    @property
    def stopped(self) -> bool:
        """It goes no further."""
        return bool(self.actions & STOPPING)


def troubles(walker: Walker, wanted: Settings) -> list[Event]:
    """What the shape of the message has against it."""
    found = []
    for trouble, name in TROUBLES.items():
        if trouble in walker.troubles and not (trouble == mime.BAD_BYTES and wanted.is_on("ignore-eol-check")):
            found.append(Event(POLICY, name))
    archives = [part.archive for part in walker.parts if part.archive is not None]
    if any(archive.size > wanted.number("max-zip-size") for archive in archives):
        found.append(Event(POLICY, ZIP_BOMB))
    if any(archive.lying for archive in archives):
        found.append(Event(POLICY, ZIP_LIAR))
    if wanted.is_on("block-password-protected") and any(archive.encrypted for archive in archives):
        found.append(Event(POLICY, ZIP_LOCKED))
    return found


def decide(wanted: Settings, events: Iterable[Event], verdicts: Sequence[tuple[str, Verdict]]) -> Decision:
    """Weigh events of the rules and verdicts of the engines, each with its kind (clamd, spamd, rspamd)."""
    findings = [Finding(VIRUS, v.engine, v.name) for _, v in verdicts if isinstance(v, Infected)]
    for kind in (VIRUS, POLICY):
        findings += [Finding(kind, OWN, event.name) for event in events if event.kind == kind]
    spam = [v for _, v in verdicts if isinstance(v, Scored) and v.spam]
    if findings:
        finding, actions = findings[0], wanted.actions(findings[0].kind)
        if spam and not actions & STOPPING:  # what is let through may still be spam
            actions |= _spam_actions(wanted, spam)
        return Decision(finding, actions, verdicts, wanted)
    if spam:
        finding = Finding(SPAM, spam[0].engine, b"SPAM(%b/%b)" % (spam[0].score, spam[0].required))
        return Decision(finding, _spam_actions(wanted, spam), verdicts, wanted)
    return Decision(None, frozenset(), verdicts, wanted)


def _spam_actions(wanted: Settings, spam: Sequence[Scored]) -> frozenset[str]:
    actions = wanted.actions(SPAM)
    score = max(float(verdict.score) for verdict in spam)
    steps = (("sa-quarantine", settings.QUARANTINE), ("sa-reject", settings.REJECT), ("sa-delete", settings.DROP))
    for name, action in steps:
        threshold = wanted.number(name)
        if threshold and score >= threshold:
            actions |= {action}
    return actions
