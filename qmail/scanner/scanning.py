"""Scanning as a way into the queue: a Submission that looks at the message before it hands it on.

    write()     keeps the message (Store) and takes it apart (Walker)
    close()     asks rules and engines, decides, and then: hands it to the next queue program, keeps it in quarantine,
                refuses it, drops it.  The result is what qmail-smtpd tells its client.

So the scanner needs no process of its own where qmail-smtpd and the queue are ours.  Nothing is promised before the
next queue program, or the quarantine, has the message on disk: any stop before that leaves it with the client."""

from __future__ import annotations

import os
import syslog
import time

from qmail.core import qqtable, submit
from qmail.core.submit import Submission
from qmail.scanner import archive, fields, notice, owner, quarantined, record, rules, safe, settings, versions
from qmail.scanner import decision as deciding
from qmail.scanner.asking import Question, ask
from qmail.scanner.clamd import Clamd
from qmail.scanner.debuglog import FILE as DEBUG_FILE
from qmail.scanner.debuglog import DebugLog
from qmail.scanner.message import Message
from qmail.scanner.mime import Walker
from qmail.scanner.rspamd import Rspamd
from qmail.scanner.spamd import Rewriting, Spamd
from qmail.scanner.store import Store
from qmail.scanner.verdict import Skipped
from ucspi.core import chain, errtext
from ucspi.core.command import Call
from ucspi.core.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qmail.core.instance import Instance
    from qmail.scanner.conversation import Conversation
    from qmail.scanner.decision import Decision, Finding
    from qmail.scanner.settings import Settings
    from qmail.scanner.verdict import Verdict

OWN = "qmail.scanner.scanner_queue"  # the program whose work this is
NEXT = b"QSQUEUE"  # names the next queue program
GATHERED = 65536  # bytes that are gathered for the walker
CONFIGURATION = b"Zqq unable to read configuration (#4.3.0)"
WRITE_ERROR = b"Zqq write error or disk full (#4.3.0)"
DEFERRED = b"Zmail server temporarily rejected message (#4.3.0)"


class Scanning(Submission):
    """One message on its way through the scanner."""

    __slots__ = (
        "_call",
        "_debug",
        "_full",
        "_gathered",
        "_instance",
        "_message",
        "_owner",
        "_rewritten",
        "_size",
        "_store",
        "_walker",
        "_wanted",
    )

    def __init__(self, call: Call, instance: Instance, wanted: Settings) -> None:
        super().__init__(os.getpid())
        self._call = call
        self._instance = instance
        self._wanted = wanted
        self._owner = owner.of(wanted.spool)
        self._walker = Walker()
        self._store = Store(wanted.spool + b"/working/tmp")
        self._rewritten = Store(wanted.spool + b"/working/tmp")  # what spamd makes of it, where that is wanted
        self._message = Message(call.env, self._walker, time.time())
        debug = wanted.spool + b"/" + DEBUG_FILE if wanted.is_on("debug") else None
        self._debug = DebugLog(debug, wanted.number("debug-size"))
        self._debug.add(b"w_c", b"+++ starting debugging for process %d" % os.getpid())
        self._gathered: list[bytes] = []
        self._size = 0
        self._full: OSError | MemoryError | None = None  # why the message cannot be kept

    def write(self, data: bytes) -> None:
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= GATHERED:
            self._take()

    def _take(self) -> None:
        data, self._gathered, self._size = b"".join(self._gathered), [], 0
        if self._failed or self._full:
            return
        try:
            with self._owner:
                self._store.write(data)
            self._walker.feed(data)
        except (OSError, MemoryError) as error:
            self._full = error
            self.abandon()

    def abandon(self) -> None:
        self._gathered = []
        self._store.close()
        self._rewritten.close()

    def close(self, sender: bytes, recipients: Iterable[bytes]) -> bytes:
        self._take()
        try:
            if self._failed:
                return qqtable.READ_ERROR
            if self._full is not None:
                raise self._full
            self._walker.end()
            self._message.sender, self._message.recipients = sender, list(recipients)
            self._message.size = self._store.size
            return self._scan()
        except Failure as failure:
            self._warn(str(failure).encode())
            return CONFIGURATION
        except OSError as error:
            self._warn(b"cannot scan: %b" % errtext.text(error).encode())
            return WRITE_ERROR
        except MemoryError:
            return qqtable.RESULTS[51]
        except Exception as error:  # a bug must not lose mail, nor end a server
            self._warn(b"internal error: %b" % f"{type(error).__name__}: {error}".encode())
            return qqtable.BUG
        finally:
            self.abandon()
            self._debug.add(
                b"w_c", b"------ finished, total %b secs" % record.seconds(time.time() - self._message.began)
            )
            with self._owner:
                self._debug.write()

    # --- looking at it

    def _scan(self) -> bytes:
        event = rules.load(self._wanted).match(self._walker, self._facts())
        events = deciding.troubles(self._walker, self._wanted)
        if event is not None:
            events.insert(0, event)
        verdicts = self._ask()
        for name in (*(found.name for found in events), *(repr(verdict).encode() for _, verdict in verdicts)):
            self._debug.add(b"p_s", name)
        decision = deciding.decide(self._wanted, events, verdicts)
        said = record.result(decision.finding, self._message, verdicts)
        said += record.crypto_field(self._wanted, self._message)
        for trouble in decision.deferred:
            self._warn(b"%b: %b; message of <%b> deferred" % (trouble.engine, trouble.why, self._message.sender))
        if decision.deferred:
            return DEFERRED
        if decision.finding is not None and decision.stopped:
            return self._stop(decision, decision.finding, said)
        return self._hand_on(decision, said)

    def _facts(self) -> dict[bytes, Sequence[bytes]]:
        message = self._message
        return {b"mailfrom": [message.sender], b"rcptto": message.recipients, b"remoteipaddr": [message.ip]}

    def _ask(self) -> list[tuple[str, Verdict]]:
        kinds, questions, verdicts = [], [], []
        for kind, name, _ in self._wanted.engines():
            if self._message.size > self._wanted.number("max-scan-size") or not self._is_for(kind):
                continue
            if kind != "clamd" and self._message.size > self._wanted.number("sa-maxsize"):
                verdicts.append((kind, Skipped(name)))
                continue
            timeout = self._wanted.number("sa-timeout" if kind == "spamd" else f"{kind}-timeout")
            questions.append(Question(self._conversation(kind, name), self._wanted.raw(kind), timeout))
            kinds.append(kind)
        with self._owner:
            answers = ask(questions, self._store) if questions else []
        return [*zip(kinds, answers, strict=True), *verdicts]

    def _is_for(self, kind: str) -> bool:
        """Mail of this host and of clients that may relay is our own: no spam engine sees it unless that is wanted."""
        return kind == "clamd" or not self._message.relay or self._call.env.get(b"QS_SPAMASSASSIN") == b"on"

    def _conversation(self, kind: str, name: bytes) -> Conversation:
        message = self._message
        if kind == "clamd":
            return Clamd(name)
        if kind == "rspamd":
            return Rspamd(name, message.sender, message.recipients, message.ip)
        user = message.recipients[0] if len(message.recipients) == 1 else b""
        return Rewriting(name, user, self._rewritten) if self._wanted.is_verbose else Spamd(name, user)

    # --- what becomes of it

    def _stop(self, decision: Decision, finding: Finding, said: bytes) -> bytes:
        message, now, place = self._message, time.time(), b""
        if settings.QUARANTINE in decision.actions:
            args = (message.sender, message.recipients, self._store.blocks())
            with self._owner:
                place = quarantined.keep(self._wanted.spool, message.id, finding, *args)
            line = record.quarantine_line(message, finding, versions.line(self._wanted), now)
            if not record.append(self._wanted.spool + b"/quarantine.log", line):
                self._warn(b"cannot write quarantine.log about " + message.id)
        self._notify(decision, finding, place)
        self._log(said, True)
        if settings.REJECT in decision.actions:
            return refusal(finding)
        return b""

    def _notify(self, decision: Decision, finding: Finding, place: bytes) -> None:
        to = notice.recipients(self._wanted, self._message, decision, finding)
        if not to:
            return
        msgid = b"%b-%b" % (self._message.id, self._wanted.admin)
        text = notice.compose(self._wanted, self._message, finding, place, msgid, to, time.time())
        try:
            mail = self._open_next()
            mail.write(text)
            result = mail.close(b"", to)
        except (OSError, Failure) as error:
            result = b"Z" + str(error).encode()
        if result:
            self._warn(b"cannot tell %b of %b: %b" % (b",".join(to), self._message.id, result[1:]))
            return
        subject = notice.subject(self._message, finding)
        record.write(self._wanted, record.alert_fields(self._wanted.admin, subject, msgid))

    def _hand_on(self, decision: Decision, said: bytes) -> bytes:
        wanted, message = self._wanted, self._message
        head = fields.block(wanted, message, decision, said, versions.line(wanted), os.getuid(), time.time())
        blocks = self._changed(decision)
        with self._owner:
            copy = archive.keep(wanted, message.id, message.sender, message.recipients, self._store.blocks())
        result = b"not yet"
        try:
            result = self._pass_on(head, blocks)
        finally:
            if result:
                with self._owner:
                    archive.forget(copy)
        if result:
            self._warn(b"not queued: %b: message of <%b>" % (result[1:], message.sender))
        else:
            self._log(said, False)
        return result

    def _changed(self, decision: Decision) -> Iterable[bytes]:
        """The message as it is passed on, below the fields on top."""
        subject = self._subject() if decision.mark is not None else b""
        if decision.rewritten:  # by spamd, whose fields are right unless another engine has found what it has not
            blocks, last, judged = self._rewritten.blocks(), b"", decision.mark is not None
        else:
            blocks, last = self._store.blocks(), fields.missing_type(self._message)
            judged = decision.judged
        return fields.rewritten(blocks, subject, last, judged=judged) if judged or last else blocks

    def _pass_on(self, head: bytes, blocks: Iterable[bytes]) -> bytes:
        mail = self._open_next()
        self.qp = mail.qp
        try:
            mail.write(head)
            for block in blocks:
                mail.write(block)
        except BaseException:
            mail.abandon()
            raise
        return mail.close(self._message.sender, self._message.recipients)

    def _subject(self) -> bytes:
        """What fast_spamassassin=TEXT puts in front of the subject of spam."""
        return next((os.fsencode(value) for kind, _, value in self._wanted.engines() if kind != "clamd" and value), b"")

    def _open_next(self) -> Submission:
        """Begin with the next queue program: QSQUEUE, the setting, or qmail-queue."""
        env = {name: value for name, value in self._call.env.items() if name not in (b"QMAILQUEUE", NEXT)}
        program = self._call.env.get(NEXT) or self._wanted.raw("qmail-queue-binary")
        file = os.path.join(self._instance.home, program or submit.DEFAULT)
        if chain.module_of(file) == OWN:
            raise settings.BadSettings(f"{os.fsdecode(file)}: the scanner would call itself")
        if program:
            env[b"QMAILQUEUE"] = program
        return submit.open_queue(self._call.with_env(env), self._instance)

    # --- telling

    def _log(self, said: bytes, stopped: bool) -> None:
        elapsed = time.time() - self._message.began
        record.write(self._wanted, record.fields(said, self._message, elapsed, stopped))

    def _warn(self, text: bytes) -> None:
        self._debug.add(b"err", text)
        record.report(self._wanted, b"warning: " + safe.text(text), syslog.LOG_WARNING)


def refusal(finding: Finding) -> bytes:
    """What a client hears whose message is refused."""
    name = safe.text(finding.name, 150)
    if finding.kind == "virus":
        return b"Dthis message contains the virus %b (#5.7.1)" % name
    if finding.kind == "spam":
        return b"Dthis message is taken for spam: %b (#5.7.1)" % name
    return b"Dthis message is not allowed here: %b (#5.7.1)" % name


def start(call: Call, instance: Instance) -> Submission:
    """Begin to scan a message.  What cannot be read is told at the end of the message."""
    try:
        return Scanning(call, instance, settings.load(instance))
    except (Failure, OSError) as error:
        syslog.openlog(record.TAG, syslog.LOG_PID, syslog.LOG_MAIL)
        syslog.syslog(syslog.LOG_WARNING, f"warning: {error}")
        syslog.closelog()
        return submit.Unstartable(55)
